// Whoever does too much of what goes wrong is set aside by the gate, until a person lifts it.

import { afterAll, describe, expect } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { ALLOW_ALL, type CounterGate, counterGate, urlOf } from '../support/counter-gate.ts';
import { entriesOf } from '../support/evidence.ts';
import { denialOf, RawHttp, textOf } from '../support/raw-mcp.ts';

afterAll(closeInstallations);

const ANOMALIES = { agents: { windowMs: 3_600_000, denials: 3 }, servers: { windowMs: 3_600_000, restarts: 3 } };

const NOT_TOO_MUCH = `${ALLOW_ALL}
@id("not-too-much")
@reason("nobody counts by a thousand")
forbid (principal, action == Portcullis::Action::"counter/count", resource)
when { context.input has by && context.input.by > 1000 };
`;

async function factsOf({ at }: CounterGate, type: string) {
  return (await entriesOf(at.ledger('counter'))).filter((entry) => entry.type === type);
}

describe('an agent that is denied too often', () => {
  proves(
    'G12',
    'is set aside, in the gate that starts after a kill too, and an agent beside it is not disturbed',
    async () => {
      const wild = generateApiKey();
      const good = generateApiKey();
      const counter = counterGate({
        rules: NOT_TOO_MUCH,
        agents: {
          wild: { roles: [], auth: { apiKey: wild.digest } },
          good: { roles: [], auth: { apiKey: good.digest } },
        },
        manifest: { anomalies: ANOMALIES },
      });
      const { at } = counter;
      const serve = async () => {
        const gate = counter.serve();
        const url = await urlOf(gate, 'counter');
        const [bad, benign] = [wild, good].map(({ key }) => new RawHttp(url, { authorization: `Bearer ${key}` }));
        if (bad === undefined || benign === undefined) throw new Error('nobody');
        await Promise.all([bad.initialize(), benign.initialize()]);
        return { gate, bad, benign };
      };
      const first = await serve();
      const sleeping = first.bad.call('sleep', { ms: 25_000 });
      for (let n = 0; n < 3; n++) expect(denialOf(await first.bad.call('count', { by: 5_000 }))).toBe('POLICY_FORBID');
      expect(denialOf(await first.bad.call('count', { by: 1 }))).toBe('AGENT_QUARANTINED');
      expect(textOf(await first.benign.call('count', { by: 2 }))).toBe('1');
      // What ran when it was set aside was stopped.
      expect(denialOf(await sleeping)).toBeDefined();
      await first.gate.kill();

      const second = await serve();
      expect(denialOf(await second.bad.call('count', { by: 4 }))).toBe('AGENT_QUARANTINED');
      expect(textOf(await second.benign.call('count', { by: 8 }))).toBe('1');
      const list = JSON.parse((await at.run(['quarantine', 'list', '--json'])).stdout) as { quarantined: object[] };
      expect(list.quarantined).toMatchObject([{ kind: 'agent', id: 'wild', gate: 'counter' }]);
      const lifted = await at.run(['quarantine', 'lift', 'agent', 'wild', '--json']);
      expect(JSON.parse(lifted.stdout)).toMatchObject({ gates: [{ gate: 'counter', running: true }], failed: [] });
      expect((await at.run(['quarantine', 'list'])).stdout).toBe('nobody is set aside\n');
      expect(textOf(await second.bad.call('count', { by: 16 }))).toBe('2');
      await second.gate.stop();

      const counted = { misdeed: 'denials', count: 3, windowMs: 3_600_000 };
      expect(await factsOf(counter, 'quarantine.set')).toMatchObject([
        { kind: 'agent', id: 'wild', cause: 'counts', counted },
      ]);
      expect(await factsOf(counter, 'quarantine.lifted')).toMatchObject([{ kind: 'agent', id: 'wild' }]);
      const verified = await at.audit(['verify', at.ledger('counter'), '--json']);
      expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, quarantines: { set: 1, lifted: 1, findings: [] } });
      const replayed = await at.audit(['replay', at.ledger('counter'), '--json']);
      expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true, differences: [] });
    },
    120_000,
  );
});

describe('a gate beside another of its name', () => {
  proves(
    'G12',
    'sets aside whom the other one counted out, and lets him go on when an operator lifts it',
    async () => {
      const counter = counterGate({ rules: NOT_TOO_MUCH, manifest: { anomalies: ANOMALIES } });
      const [first, second] = [await counter.wrapped(), await counter.wrapped()];
      expect(textOf(await second.call('count', { by: 1 }))).toBe('1');
      for (let n = 0; n < 3; n++) expect(denialOf(await first.call('count', { by: 5_000 }))).toBe('POLICY_FORBID');
      expect(denialOf(await first.call('count', { by: 1 }))).toBe('AGENT_QUARANTINED');
      // Never the same call twice: one that was stopped may have run.
      let by = 1;
      const beside = async () => denialOf(await second.call('count', { by: ++by }));
      await expect.poll(beside, { timeout: 15_000 }).toBe('AGENT_QUARANTINED');
      expect(await counter.at.run(['quarantine', 'lift', 'agent', 'me'])).toMatchObject({ code: 0 });
      for (const gate of [first, second]) {
        expect(denialOf(await gate.call('count', { by: 0 }))).toBeUndefined();
        gate.running.child.stdin.end();
        await gate.running.ended;
      }
      for (const gate of ['counter', 'counter.2'])
        expect(await counter.at.audit(['verify', counter.at.ledger(gate)])).toMatchObject({ code: 0 });
      const [told] = (await entriesOf(counter.at.ledger('counter.2'))).filter(({ type }) => type === 'quarantine.set');
      expect(told).toMatchObject({
        kind: 'agent',
        id: 'me',
        cause: 'order',
        reason: expect.stringContaining('3 denials'),
      });
    },
    90_000,
  );
});

describe('a server that ends again and again', () => {
  proves(
    'G12',
    'is set aside, and nothing goes to it any more',
    async () => {
      const counter = counterGate({ manifest: { anomalies: ANOMALIES }, server: { retryAfterUnknown: 'allow' } });
      const client = await counter.wrapped();
      for (let n = 1; n <= 3; n++) {
        await expect.poll(async () => textOf(await client.call('count', { by: 1 })), { timeout: 15_000 }).toBe('1');
        expect(denialOf(await client.call('die', {}))).toBe('TOOL_LOST');
        const ended = async () => (await factsOf(counter, 'process.ended')).length;
        await expect.poll(ended, { timeout: 15_000 }).toBe(n);
      }
      const again = async () => denialOf(await client.call('count', { by: 1 }));
      await expect.poll(again, { timeout: 15_000 }).toBe('SERVER_QUARANTINED');
      client.running.child.stdin.end();
      await client.running.ended;
      const counted = { misdeed: 'restarts', count: 3 };
      expect(await factsOf(counter, 'quarantine.set')).toMatchObject([{ kind: 'server', id: 'counter', counted }]);
      const replayed = await counter.at.audit(['replay', counter.at.ledger('counter'), '--json']);
      expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true, quarantines: { set: 1, findings: [] } });
      const wrong = await counter.at.run(['quarantine', 'lift', 'tool', 'counter/count']);
      expect(wrong).toMatchObject({ code: 2, stdout: '' });
    },
    90_000,
  );
});
