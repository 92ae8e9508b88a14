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
      const verified = await at.run(['verify', at.ledger('counter'), '--json']);
      expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, quarantines: { set: 1, lifted: 1, findings: [] } });
      const replayed = await at.run(['replay', at.ledger('counter'), '--json']);
      expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true, differences: [] });
    },
    120_000,
  );
});
