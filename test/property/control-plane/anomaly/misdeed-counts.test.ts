// The counting core against a model that keeps everything and looks at all of it each time; and cut in two anywhere against the whole.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AnomalyLimits, limitsJson, type Misdeed } from '../../../../control-plane/anomaly/limits.ts';
import { type Crossing, MisdeedCounts } from '../../../../control-plane/anomaly/misdeed-counts.ts';
import type { Entry } from '../../../../domain/entry.ts';
import type { Json } from '../../../../domain/json.ts';
import { WrittenLedger } from '../../../support/recorded-calls.ts';

const T = 1_700_000_000_000;

const STEP = fc.record({
  what: fc.constantFrom('denial', 'errored', 'lost', 'bad', 'ended', 'lifted'),
  agent: fc.constantFrom('a', 'b', 'c'),
  server: fc.constantFrom('fs', 'git'),
  afterMs: fc.constantFrom(0, 0, 1, 50, 99, 100, 101),
});
type Step = typeof STEP extends fc.Arbitrary<infer T> ? T : never;

const LIMIT = fc.integer({ min: 2, max: 5 });
const LIMITS: fc.Arbitrary<AnomalyLimits> = fc.record({
  agents: fc.record({ windowMs: fc.constantFrom(100, 150), denials: LIMIT, errors: LIMIT, timeouts: LIMIT }),
  servers: fc.record({ windowMs: fc.constantFrom(100, 150), errors: LIMIT, timeouts: LIMIT, restarts: LIMIT }),
  shared: fc.boolean(),
});

interface Seen {
  readonly key: string;
  readonly misdeed: Misdeed;
  readonly by: string | undefined;
  readonly at: number;
}

/** Writes a ledger, and says by the simplest means who is set aside when. */
function written(limits: AnomalyLimits, steps: readonly Step[]): { entries: readonly Entry[]; expected: Crossing[] } {
  const ledger = new WrittenLedger();
  ledger.write(T, { type: 'policy.installed', anomalies: limitsJson(limits) });
  const expected: Crossing[] = [];
  let seen: Seen[] = [];
  const aside = new Set<string>();
  let at = T;
  const count = (kind: 'agent' | 'server', id: string, misdeed: Misdeed, by?: string) => {
    const key = `${kind}:${id}`;
    if (aside.has(key)) return;
    seen.push({ key, misdeed, by, at });
    const counts = kind === 'agent' ? limits.agents : limits.servers;
    const limit = counts[misdeed] as number;
    const inTime = seen.filter((one) => one.key === key && one.misdeed === misdeed && at - one.at < counts.windowMs);
    const sharers = new Map<string | undefined, number>();
    for (const one of inTime) sharers.set(one.by, (sharers.get(one.by) ?? 0) + 1);
    let sum = 0;
    for (const [who, n] of sharers) sum += who !== undefined && limits.shared ? Math.min(n, Math.ceil(limit / 2)) : n;
    if (sum < limit) return;
    expected.push({ kind, id, misdeed, count: sum, windowMs: counts.windowMs, seq: ledger.entries.length - 1 });
    aside.add(key);
    seen = seen.filter((one) => one.key !== key);
  };
  for (const { what, agent, server, afterMs } of steps) {
    at += afterMs;
    switch (what) {
      case 'denial':
        ledger.denial(at, 'POLICY_FORBID', { agent, server });
        count('agent', agent, 'denials');
        break;
      case 'errored':
        ledger.ended(at, { status: 'errored', dispatched: true }, { agent, server });
        count('agent', agent, 'errors');
        count('server', server, 'errors', agent);
        break;
      case 'lost':
        ledger.ended(at, { status: 'unknown', dispatched: true, code: 'TOOL_LOST' }, { agent, server });
        count('agent', agent, 'timeouts');
        count('server', server, 'timeouts', agent);
        break;
      case 'bad':
        ledger.ended(at, { status: 'withheld', dispatched: true, code: 'OUTPUT_INVALID' }, { agent, server });
        count('server', server, 'errors', agent);
        break;
      case 'ended':
        ledger.write(at, { type: 'server.ended', server });
        count('server', server, 'restarts');
        break;
      case 'lifted':
        ledger.write(at, { type: 'quarantine.lifted', kind: 'agent', id: agent });
        if (aside.delete(`agent:${agent}`)) seen = seen.filter((one) => one.key !== `agent:${agent}`);
    }
  }
  return { entries: ledger.entries, expected };
}

describe('who is set aside by what a ledger says', () => {
  it('is who a naive count finds, at the same entry, wherever the count was kept and taken up again', () => {
    fc.assert(
      fc.property(LIMITS, fc.array(STEP, { maxLength: 60 }), fc.nat(), (limits, steps, cut) => {
        const { entries, expected } = written(limits, steps);
        const at = cut % (entries.length + 1);
        const first = new MisdeedCounts();
        const before = entries.slice(0, at).flatMap((entry) => first.entry(entry));
        const kept = JSON.parse(JSON.stringify(first.toJson())) as { [key: string]: Json };
        const second = MisdeedCounts.fromJson(kept);
        const after = entries.slice(at).flatMap((entry) => second.entry(entry));
        expect([...before, ...after]).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });
});
