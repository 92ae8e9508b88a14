// How a policy comes into force, and over which servers: never before it is recorded, never half, and never at the price of what is in force.

import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import type { Configuration } from '../../../cli/configuration.ts';
import { PolicyInForce } from '../../../cli/policy-in-force.ts';
import type { PolicySource, Problem } from '../../../control-plane/policy/source.ts';
import type { Digest } from '../../../domain/digest.ts';
import { Catalogue } from '../../../proxy/catalogue.ts';
import { Governance } from '../../../proxy/governance.ts';
import { PolicyTurnover } from '../../../proxy/policy-turnover.ts';
import type { Authority, InstallResult } from '../../../proxy/ports.ts';
import { proves } from '../../guarantees.ts';
import { commitmentOf } from '../../support/commitments.ts';
import { definitionOf, describe as described, settled } from '../../support/gate-world.ts';
import { ManualClock } from '../../support/ledger.ts';
import { until } from '../../support/legacy-client.ts';

const BOOT = '01JZ0000000000000000000000';
const problem = (message: string, server?: string): Problem => ({
  file: 'portcullis.yaml',
  line: 1,
  column: 1,
  path: '',
  message,
  ...(server === undefined ? {} : { server }),
});

function world(servers: readonly string[] = ['one', 'two'], configured = true) {
  const clock = new ManualClock();
  const governance = new Governance(BOOT, ['policy', 'engine', 'servers']);
  const turnover = new PolicyTurnover(clock);
  const catalogue = new Catalogue(sha256, servers);
  const log: string[] = [];
  const notes: string[] = [];
  const behaviour = {
    record: async (): Promise<void> => {},
    /** What is wrong with these servers together. */
    judge: (_names: readonly string[]): Extract<InstallResult, { ok: false }> | undefined => undefined,
    served: (names: readonly string[]): void => {
      log.push(`served ${names.join(' ')}`);
    },
  };
  const authority: Pick<Authority, 'install'> = {
    install: async ({ tools }: PolicySource, _manifest, ready) => {
      const names = tools.map(({ server }) => server);
      const refused = behaviour.judge(names);
      if (refused !== undefined) return refused;
      const digest = commitmentOf(`policy over ${names.join(' ')}`);
      await ready?.(digest);
      log.push(`decides over ${names.join(' ')}`);
      return { ok: true, digest };
    },
  };
  const manifest = { servers: Object.fromEntries(servers.map((name) => [name, {}])) };
  const policy = new PolicyInForce({
    configuration: configured
      ? ({ source: { file: '', text: '' }, policies: [], manifest } as unknown as Configuration)
      : undefined,
    servers,
    authority: authority as Authority,
    catalogue,
    facts: {
      policyInstalled: async (_digest, epoch) => {
        await behaviour.record();
        log.push(`recorded for ${epoch}`);
      },
    },
    governance,
    turnover,
    clock,
    note: (text) => notes.push(text),
    onServed: (names) => behaviour.served(names),
  });
  const arrive = async (...names: string[]): Promise<void> => {
    for (const name of names) {
      catalogue.pin(name, definitionOf(described(name, [{ name: 'tool', inputSchema: { type: 'object' } }])));
      policy.arrived(name);
    }
    clock.advance(300);
    await settled();
  };
  const over = (...names: string[]): Digest => commitmentOf(`policy over ${names.join(' ')}`);
  return { clock, governance, turnover, policy, arrive, log, notes, behaviour, over };
}

const isOpen = ({ governance }: { governance: Governance }): boolean => {
  governance.open('engine');
  return governance.reason === undefined;
};

describe('the first policy', () => {
  proves('G4', 'while no server is there the gate is shut', async () => {
    const gate = world();
    await settled();
    expect(isOpen(gate)).toBe(false);
    expect(gate.policy.digest).toBeUndefined();
  });

  proves('G4', 'where there is none the gate is shut and says why', async () => {
    const gate = world(['one'], false);
    await gate.arrive('one');
    await gate.policy.settled;
    expect(gate.governance.reason?.code).toBe('GOV_POLICY_MISSING');
    expect(gate.policy.served).toEqual(['one']);
  });

  it('that fits nothing leaves out whoever is there, so that nobody waits for it, and says nothing yet of who is not', async () => {
    const gate = world();
    gate.behaviour.judge = () => ({ ok: false, problems: [problem('no such tool')] });
    await gate.arrive('one');
    expect(gate.policy.served).toEqual([]);
    expect([gate.policy.isLeftOut('one'), gate.policy.isLeftOut('two')]).toEqual([true, false]);
    gate.behaviour.judge = () => undefined;
    await gate.arrive('two');
    expect([gate.policy.isLeftOut('one'), gate.policy.isLeftOut('two')]).toEqual([false, false]);
  });

  proves('G1', 'is recorded before it decides, and comes into force over those that are there', async () => {
    const gate = world(['one', 'two', 'three']);
    await gate.arrive('two', 'one');
    expect(gate.log).toEqual(['recorded for 1', 'decides over one two', 'served one two']);
    expect(gate.policy.digest).toBe(gate.over('one', 'two'));
    expect(gate.governance.epoch).toBe(1);
    expect(isOpen(gate)).toBe(true);
  });

  proves('G4', 'that the ledger refuses does not decide; it is tried again, later each time', async () => {
    const gate = world();
    gate.behaviour.record = () => Promise.reject(new Error('no space'));
    await gate.arrive('one', 'two');
    expect(gate.log).toEqual([]);
    expect(gate.governance.reason).toMatchObject({ guard: 'servers' });
    expect(gate.policy.digest).toBeUndefined();
    gate.behaviour.record = async () => {};
    gate.clock.advance(999);
    await settled();
    expect(gate.log).toEqual([]);
    gate.clock.advance(1);
    await until(() => gate.log.length === 3);
    expect(isOpen(gate)).toBe(true);
  });

  proves('G4', 'that nobody could look at leaves the gate shut, and is tried again until somebody can', async () => {
    const gate = world();
    gate.behaviour.judge = () => ({ ok: false, fault: true, problems: [problem('the engine did not start')] });
    await gate.arrive('one', 'two');
    await gate.policy.settled;
    for (const waitMs of [1_000, 2_000]) {
      expect(gate.governance.reason?.code).toBe('POLICY_ENGINE_FAULT');
      expect(gate.notes.at(-1)).toContain('the engine did not start');
      gate.clock.advance(waitMs);
      await settled();
    }
    expect(gate.notes).toHaveLength(3);
    gate.behaviour.judge = () => undefined;
    gate.clock.advance(4_000);
    await until(() => gate.policy.digest !== undefined);
    expect(isOpen(gate)).toBe(true);
  });

  proves('G4', 'that is not valid leaves the gate shut, and is not tried again by itself', async () => {
    const gate = world(['one']);
    gate.behaviour.judge = () => ({ ok: false, problems: [problem('unknown key')] });
    await gate.arrive('one');
    await gate.policy.settled;
    expect(gate.governance.reason?.code).toBe('GOV_POLICY_INVALID');
    gate.behaviour.judge = () => undefined;
    gate.clock.advance(60_000);
    await settled();
    expect(gate.policy.digest).toBeUndefined();
  });

  it('leaves out a server whose tools do not fit, and names it', async () => {
    const gate = world();
    gate.behaviour.judge = (names) =>
      names.includes('two') ? { ok: false, problems: [problem('no such tool', 'two')] } : undefined;
    await gate.arrive('one', 'two');
    expect(gate.policy.served).toEqual(['one']);
    expect(gate.notes).toEqual([expect.stringMatching(/^server two is not available.*no such tool$/s)]);
    expect(isOpen(gate)).toBe(true);
  });
});

describe('the next policy', () => {
  const opened = async () => {
    const gate = world();
    await gate.arrive('one');
    return gate;
  };

  proves(
    'G2',
    'takes over in one moment: while it does nobody decides, and then permits of the one before are void',
    async () => {
      const gate = await opened();
      const leave = await gate.turnover.enter();
      const arriving = gate.arrive('two');
      await until(() => gate.log.includes('recorded for 2'));
      let decided = false;
      const next = gate.turnover.enter().then((done) => {
        decided = true;
        expect(gate.governance.epoch).toBe(2);
        expect(gate.policy.digest).toBe(gate.over('one', 'two'));
        done();
      });
      await settled();
      expect(decided).toBe(false);
      expect(gate.log).not.toContain('decides over one two');
      expect([gate.governance.epoch, gate.policy.digest]).toEqual([1, gate.over('one')]);
      leave();
      await Promise.all([arriving, next]);
      expect(decided).toBe(true);
      expect(gate.log.slice(3)).toEqual(['recorded for 2', 'decides over one two', 'served two']);
    },
  );

  const failures: [string, (gate: Awaited<ReturnType<typeof opened>>) => void][] = [
    [
      'the ledger refuses',
      ({ behaviour }) => {
        behaviour.record = () => Promise.reject(new Error('no space'));
      },
    ],
    [
      'nobody can look at',
      ({ behaviour }) => {
        behaviour.judge = () => ({ ok: false, fault: true, problems: [problem('gone')] });
      },
    ],
    [
      'is not valid',
      ({ behaviour }) => {
        behaviour.judge = () => ({ ok: false, problems: [problem('no')] });
      },
    ],
  ];
  for (const [what, fail] of failures) {
    proves('G4', `that ${what} changes nothing: the one before stays in force and decisions go on`, async () => {
      const gate = await opened();
      fail(gate);
      await gate.arrive('two');
      expect([gate.governance.epoch, gate.policy.digest]).toEqual([1, gate.over('one')]);
      expect(gate.policy.served).toEqual(['one']);
      expect(isOpen(gate)).toBe(true);
      (await gate.turnover.enter())();
    });
  }

  it('is not tried any more once the gate closes', async () => {
    const gate = await opened();
    gate.behaviour.judge = () => ({ ok: false, fault: true, problems: [problem('gone')] });
    await gate.arrive('two');
    gate.policy.close();
    gate.behaviour.judge = () => undefined;
    gate.clock.advance(60_000);
    await settled();
    expect(gate.policy.served).toEqual(['one']);
  });
});
