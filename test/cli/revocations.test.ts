// What was revoked in one run of a gate is refused in the next, and a gate that may have forgotten a revocation does not start.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { openSecret } from '../../adapters/storage/key-file.ts';
import { openRevocations } from '../../cli/revocations.ts';
import { type RevocationKind, Revocations } from '../../control-plane/permits/revocations.ts';
import { Governance } from '../../proxy/governance.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { type CounterGate, counterGate } from '../support/counter-gate.ts';
import { callsOf, entriesOf, heardIn } from '../support/evidence.ts';
import { denialOf, textOf } from '../support/raw-mcp.ts';

afterAll(closeInstallations);

async function count(counter: CounterGate) {
  const client = await counter.wrapped();
  const reply = await client.call('count', { by: 1 });
  client.running.child.stdin.end();
  expect((await client.running.ended).code).toBe(0);
  return reply;
}

/** Revokes while no gate runs, and before any ledger hears of it. */
async function revoke({ at }: CounterGate, kind: RevocationKind, id: string): Promise<void> {
  const secret = openSecret(join(at.home, 'state', 'keys'), 'vault');
  if ('fault' in secret) throw new Error(secret.fault);
  const ledger = at.ledger('counter');
  const durable = await openRevocations({
    folder: { name: 'counter', folder: dirname(ledger), ledger },
    secret: secret.secret,
    revocations: new Revocations(),
    governance: new Governance('01KAJ0000000000000000B0001', []),
    recorder: { append: () => Promise.reject(new Error('no ledger here')) },
    clock: Date,
    note: () => {},
  });
  await durable.add(kind, id);
}

describe('a revocation', () => {
  proves(
    'G4',
    'of a key, a policy, a tool, a server or an agent denies after a restart, and cannot be forgotten',
    async () => {
      const counter = counterGate();
      expect(textOf(await count(counter))).toBe('1');
      const ledger = counter.at.ledger('counter');
      const policy = (await entriesOf(ledger)).find(({ type }) => type === 'policy.installed')?.policy;
      const { permit } = JSON.parse((await counter.at.run(['keys', '--json'])).stdout) as { permit: { kid: string } };

      // What is checked later is revoked first, so that each is the reason once.
      const revoked = [
        ['key', permit.kid, 'REVOKED_KEY'],
        ['policy', String(policy), 'REVOKED_POLICY'],
        ['tool', 'counter/count', 'REVOKED_TOOL'],
        ['server', 'counter', 'REVOKED_SERVER'],
        ['agent', 'me', 'REVOKED_AGENT'],
      ] as const;
      for (const [kind, id, code] of revoked) {
        await revoke(counter, kind, id);
        expect(denialOf(await count(counter))).toBe(code);
        expect((await callsOf(counter.at, 'counter')).at(-1)).toMatchObject({ code, tool: 'count', intent: undefined });
      }
      expect(heardIn(counter.heard)).toEqual([{ by: 1 }]);
      const added = (await entriesOf(ledger)).filter(({ type }) => type === 'revocation.added');
      expect(added.map(({ number, kind, id }) => [number, kind, id])).toEqual(
        revoked.map(([kind, id], at) => [at + 1, kind, id]),
      );

      const file = join(dirname(ledger), 'revocations.json');
      const whole = readFileSync(file, 'utf8');
      for (const spoil of [
        () => rmSync(file),
        () => writeFileSync(file, ''),
        () => writeFileSync(file, whole.replace('"id":"me"', '"id":"no"')),
      ]) {
        spoil();
        const shut = counter.wrap();
        shut.child.stdin.end();
        expect((await shut.ended).code, shut.stderr).toBe(7);
        expect(shut.stderr).toMatch(/portcullis: .*the gate stays shut: .*revocations\.json/);
      }
      writeFileSync(file, whole);
      expect(denialOf(await count(counter))).toBe('REVOKED_AGENT');
      expect((await counter.at.run(['verify', ledger])).code).toBe(0);
    },
    90_000,
  );
});
