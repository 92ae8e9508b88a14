// The runner at its edges: what ports do that should never do it, and what becomes of texts that are too long.

import { describe, expect, it } from 'vitest';
import type { Authorization } from '../../../control-plane/authorization.ts';
import { Defect } from '../../../domain/defect.ts';
import { deny } from '../../../domain/denial.ts';
import { ENTRY_BYTES_MAX } from '../../../ledger/entry-line.ts';
import { Gate } from '../../../proxy/gate.ts';
import type { Receipt } from '../../../proxy/ports.ts';
import type { ToolAnswer } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { REQUESTED } from '../../support/execution-events.ts';
import { LIMITS, POLICY, PRINCIPAL, resultOf, settled, World } from '../../support/gate-world.ts';

const healthy = (world: World): void => {
  expect(world.defects).toEqual([]);
  expect(world.governance.reason).toBeUndefined();
  expect(world.generations).toBe(1);
};

describe('the deciding side', () => {
  const allow = (more: Partial<Extract<Authorization, { decision: 'allow' }>>): Authorization => {
    const decision = { policy: POLICY, by: ['r'], obligations: [], limits: LIMITS, inputJson: '{}', permit: 'a.b.c' };
    return { decision: 'allow', ...decision, ...more };
  };
  const long = Array.from({ length: 4_000 }, (_, n) => `rule-${n}`);

  const TOO_LARGE: readonly (readonly [string, Authorization])[] = [
    ['a permit', allow({ permit: 'x'.repeat(30_000) })],
    ['a list of rules', allow({ by: long })],
    ['a list of obligations', allow({ obligations: long })],
    ['a rule with a name of control characters', allow({ by: ['\u0000'.repeat(6_000)] })],
  ];
  for (const [what, authorization] of TOO_LARGE) {
    proves('G4', `${what} that no entry can hold denies this call and no other`, async () => {
      const world = await World.open();
      world.authority.decide = async () => authorization;
      expect(await world.run()).toMatchObject({ kind: 'denied', code: 'POLICY_ENGINE_FAULT', recorded: true });
      healthy(world);
    });
  }

  it('a denial with more rules than an entry can hold is recorded with its code', async () => {
    const world = await World.open();
    world.authority.decide = async () => ({
      decision: 'deny',
      code: 'POLICY_FORBID',
      by: long,
      detail: 'y'.repeat(90_000),
    });
    expect(await world.run()).toMatchObject({ kind: 'denied', code: 'POLICY_FORBID', recorded: true });
    healthy(world);
  });

  const ROGUE: readonly (readonly [string, (world: World) => Promise<Authorization>])[] = [
    ['rejects', () => Promise.reject(new Error('gone'))],
    [
      'throws',
      () => {
        throw new Error('gone');
      },
    ],
    ['answers nothing', async () => undefined as unknown as Authorization],
    ['answers something else', async () => 'allow' as unknown as Authorization],
    [
      'allows without saying what it saw',
      async (w) => ({ ...w.allow(w.requestFor(w.capture())), inputJson: undefined }) as unknown as Authorization,
    ],
  ];
  for (const [what, decide] of ROGUE) {
    proves('G4', `one that ${what} denies, executes nothing, and shuts the gate`, async () => {
      const world = await World.open();
      world.authority.decide = () => decide(world);
      expect(await world.run()).toMatchObject({ kind: 'denied', code: 'VERIFIER_FAULT', executed: 'no' });
      expect(world.server.heard).toEqual([]);
      expect(world.governance.reason).toMatchObject({ code: 'GOV_HALTED' });
    });
  }

  proves('G4', 'one that never answers is denied at the deadline, and what it says then is nothing', async () => {
    const world = await World.open();
    let answer: (authorization: Authorization) => void = () => {};
    world.authority.decide = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const captured = world.capture();
    const running = world.start(captured);
    await settled();
    world.clock.advance(LIMITS.timeoutMs);
    expect(await running.end).toMatchObject({
      kind: 'denied',
      code: 'DEADLINE_EXCEEDED',
      executed: 'no',
      recorded: true,
    });
    answer(allow({}));
    await settled();
    expect(world.server.heard).toEqual([]);
    healthy(world);
  });
});

describe('the tool', () => {
  const ANSWERS: readonly (readonly [string, ToolAnswer])[] = [
    [
      'a kind of result of a megabyte',
      { kind: 'result', result: { content: [], resultType: 'x'.repeat(1_000_000) }, bytes: 1 },
    ],
    ['a refusal of a megabyte', { kind: 'refused', code: 'OUTPUT_INVALID', detail: 'x'.repeat(1_000_000) }],
    ['a loss of a megabyte', { kind: 'lost', detail: '\u0000'.repeat(1_000_000) }],
    ['a loss with half a pair', { kind: 'lost', detail: `${'x'.repeat(499)}😀` }],
    ['a refusal that is half a pair', { kind: 'refused', code: 'SERVER_UNAVAILABLE', detail: '\udc00' }],
  ];
  for (const [what, answer] of ANSWERS) {
    proves('G6', `${what}: the ending is recorded, and the gate stays open`, async () => {
      const world = await World.open();
      world.server.respond = () => answer;
      const captured = world.capture();
      const end = await world.start(captured).end;
      expect(end).toMatchObject({ kind: 'denied', recorded: true });
      const entries = world.entriesOf(captured.call);
      expect(entries.map(({ type }) => type)).toEqual(['call.intent', 'call.ending']);
      expect(JSON.stringify(entries[1]).length).toBeLessThan(ENTRY_BYTES_MAX / 4);
      expect(world.verdictOf(captured.call)).toMatchObject({ verdict: 'match' });
      healthy(world);
    });
  }

  proves('G6', 'a transport that throws at the hand-over: perhaps it ran, and the gate shuts', async () => {
    const world = await World.open();
    world.server.onDispatch = () => {
      throw new Error('the pipe burst');
    };
    expect(await world.run()).toMatchObject({ kind: 'denied', executed: 'perhaps', recorded: false });
    expect(world.governance.reason).toMatchObject({ code: 'GOV_HALTED' });
  });

  it('what is said of a call that was not dispatched, was stopped, or was answered badly', async () => {
    const endOf = async (prepare: (world: World) => void): Promise<unknown> => {
      const world = await World.open();
      prepare(world);
      const end = await world.run();
      return end.kind === 'denied' ? [end.code, end.executed] : end.kind;
    };
    const respond = (answer: ToolAnswer) => (world: World) => {
      world.server.respond = () => answer;
    };
    expect(await endOf(respond({ kind: 'refused', code: 'SERVER_UNAVAILABLE', detail: '' }))).toEqual([
      'SERVER_UNAVAILABLE',
      'no',
    ]);
    expect(await endOf(respond({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail: '' }))).toEqual([
      'OUTPUT_TOO_LARGE',
      'yes',
    ]);
    expect(await endOf(respond({ kind: 'lost', detail: '' }))).toEqual(['TOOL_LOST', 'perhaps']);
    expect(await endOf(respond(resultOf('well')))).toBe('result');
  });
});

describe('the ledger', () => {
  /** A gate whose ledger refuses the endings of calls without being dead: full, or closed under our feet. */
  class RefusesEndings extends Gate {
    override async conclude(): Promise<Receipt> {
      throw new Error('overloaded');
    }
  }

  proves('G6', 'an ending that is refused shuts the gate, denies the client, and is written by recovery', async () => {
    const world = await World.open({ makeGate: (ports) => new RefusesEndings(ports) });
    const captured = world.capture();
    const end = await world.start(captured).end;
    expect(end).toMatchObject({ kind: 'denied', code: 'GOV_LEDGER_UNWRITABLE', executed: 'perhaps', recorded: false });
    expect(world.governance.reason).toMatchObject({ guard: 'ledger' });
    // The gate that shuts stops everything that runs, this call too: that is no defect, and the gate opens again.
    expect(world.defects).toEqual([]);
    world.clock.advance(500);
    await settled();
    expect(world.governance.reason).toBeUndefined();
    expect(world.verdictOf(captured.call)).toMatchObject({ verdict: 'match' });
    expect(world.entriesOf(captured.call).at(-1)).toMatchObject({ outcome: { status: 'unknown' } });
  });

  proves(
    'G6',
    'a defect while an ending is written is not carried over: the client is denied and the gate halts',
    async () => {
      class Wrong extends Gate {
        override async conclude(): Promise<Receipt> {
          throw new Defect('we are wrong');
        }
      }
      const world = await World.open({ makeGate: (ports) => new Wrong(ports) });
      expect(await world.run()).toMatchObject({ kind: 'denied', code: 'VERIFIER_FAULT', executed: 'perhaps' });
      expect(world.governance.reason).toMatchObject({ code: 'GOV_HALTED' });
    },
  );
});

describe('what was never a call', () => {
  proves('G8', 'is recorded as denied, however long the names are that somebody else chose', async () => {
    const world = await World.open();
    const long = `x${'😀'.repeat(100_000)}`;
    const requested = { ...REQUESTED, principal: PRINCIPAL, args: null, method: long, server: long, tool: long };
    const refused = world.enforcement.refuse({ requested, denial: deny('METHOD_NOT_SERVED', long) });
    expect(await refused.end).toMatchObject({ kind: 'denied', code: 'METHOD_NOT_SERVED', recorded: true });
    const [entry] = world.entriesOf(REQUESTED.call);
    expect(JSON.stringify(entry).length).toBeLessThan(ENTRY_BYTES_MAX / 4);
    expect(world.verdictOf(REQUESTED.call)).toMatchObject({ verdict: 'match' });
    healthy(world);
  });
});
