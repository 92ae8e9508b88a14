import { describe, expect, it } from 'vitest';
import {
  ANOMALY_DEFAULTS,
  type AnomalyLimits,
  anomalyLimits,
  limitsJson,
} from '../../../../control-plane/anomaly/limits.ts';
import { type Crossing, MisdeedCounts } from '../../../../control-plane/anomaly/misdeed-counts.ts';
import type { Entry } from '../../../../domain/entry.ts';
import type { JsonObject } from '../../../../domain/json.ts';
import { WrittenLedger } from '../../../support/recorded-calls.ts';

const T = 1_700_000_000_000;
const LIMITS: AnomalyLimits = {
  agents: { windowMs: 1_000, denials: 3, errors: 3, timeouts: 3 },
  servers: { windowMs: 1_000, denials: 3, errors: 4, timeouts: 4, restarts: 2 },
  shared: true,
};

const installed = (limits: AnomalyLimits) => ({ type: 'policy.installed', anomalies: limitsJson(limits) });

function crossings(entries: readonly Entry[], counts = new MisdeedCounts()): readonly Crossing[] {
  return entries.flatMap((entry) => counts.entry(entry));
}

function ledgerUnder(limits: AnomalyLimits = LIMITS): WrittenLedger {
  const ledger = new WrittenLedger();
  ledger.write(T, installed(limits));
  return ledger;
}

const LOST: JsonObject = { status: 'unknown', dispatched: true, code: 'TOOL_LOST' };
const ERRORED: JsonObject = { status: 'errored', dispatched: true };
const BAD: JsonObject = { status: 'withheld', dispatched: true, code: 'OUTPUT_INVALID' };

describe('who does too much of what goes wrong', () => {
  it('is set aside by the entry that makes it too many, and not by the one before', () => {
    const ledger = ledgerUnder();
    for (const at of [0, 1, 2]) ledger.denial(T + at, 'POLICY_FORBID');
    expect(crossings(ledger.entries.slice(0, -1))).toEqual([]);
    expect(crossings(ledger.entries)).toEqual([
      { kind: 'agent', id: 'coder', misdeed: 'denials', count: 3, windowMs: 1_000, seq: 3 },
    ]);
  });

  it.each([
    [999, 1],
    [1_000, 0],
  ])('when the first lies %i ms back: %i set aside', (apart, found) => {
    const ledger = ledgerUnder();
    for (const at of [0, apart, apart]) ledger.denial(T + at, 'POLICY_FORBID');
    expect(crossings(ledger.entries)).toHaveLength(found);
  });

  it('is set aside once, until that is lifted; then it counts from the beginning', () => {
    const ledger = ledgerUnder();
    const deny = (times: number) => {
      for (let n = 0; n < times; n++) ledger.denial(T, 'TOOL_UNKNOWN');
    };
    deny(9);
    expect(crossings(ledger.entries)).toHaveLength(1);
    ledger.write(T, { type: 'quarantine.lifted', kind: 'agent', id: 'coder' });
    deny(2);
    expect(crossings(ledger.entries)).toHaveLength(1);
    deny(1);
    expect(crossings(ledger.entries)).toHaveLength(2);
  });

  it('is somebody else than the one beside it', () => {
    const ledger = ledgerUnder();
    for (const at of [0, 1, 2]) {
      ledger.denial(T + at, 'POLICY_FORBID', { agent: 'wild' });
      if (at < 2) ledger.denial(T + at, 'POLICY_FORBID', { agent: 'good' });
    }
    expect(crossings(ledger.entries).map(({ id }) => id)).toEqual(['wild']);
  });

  it.each([
    'GOV_HALTED',
    'SERVER_UNAVAILABLE',
    'CANCELLED',
    'OVERLOADED',
    'POLICY_ENGINE_FAULT',
    'ID_UNAUTHENTICATED',
    'AGENT_QUARANTINED',
    'REVOKED_AGENT',
    'LINEAGE_PARENT_ENDED',
  ])('is not who was denied by others: %s', (code) => {
    const ledger = ledgerUnder();
    for (let n = 0; n < 9; n++) ledger.denial(T, code);
    expect(crossings(ledger.entries)).toEqual([]);
  });

  it('is the server, where a server asked and was denied', () => {
    const ledger = ledgerUnder();
    for (let n = 0; n < 3; n++)
      ledger.denial(T, 'POLICY_NO_PERMIT', { within: 'call', method: 'sampling/createMessage' });
    const refused = ledgerUnder();
    for (let n = 0; n < 3; n++) refused.denial(T, 'METHOD_NOT_SERVED', { agent: 'server:fs' });
    for (const { entries } of [ledger, refused])
      expect(crossings(entries)).toMatchObject([{ kind: 'server', id: 'fs', misdeed: 'denials' }]);
  });

  it('is never the server, for what agents are denied', () => {
    const ledger = ledgerUnder();
    for (const agent of ['a', 'b', 'c', 'd', 'e'])
      for (let n = 0; n < 9; n++) ledger.denial(T, 'POLICY_FORBID', { agent });
    expect(crossings(ledger.entries).filter(({ kind }) => kind === 'server')).toEqual([]);
  });

  it.each([
    ['errors', ERRORED, 'errors'],
    ['lost calls', LOST, 'timeouts'],
    ['bad answers', BAD, 'errors'],
  ] as const)(
    'a shared server is not set aside by the %s of one agent, and is by those of two',
    (_, outcome, misdeed) => {
      const ledger = ledgerUnder({ ...LIMITS, agents: { windowMs: 1_000 } });
      for (let n = 0; n < 20; n++) ledger.ended(T, outcome, { agent: 'wild' });
      expect(crossings(ledger.entries)).toEqual([]);
      ledger.ended(T, outcome, { agent: 'other' });
      expect(crossings(ledger.entries)).toEqual([]);
      ledger.ended(T, outcome, { agent: 'other' });
      expect(crossings(ledger.entries)).toMatchObject([{ kind: 'server', id: 'fs', misdeed, count: 4 }]);
    },
  );

  it('nobody is set aside for what became of questions to a client', () => {
    const ledger = ledgerUnder();
    for (let n = 0; n < 9; n++)
      for (const outcome of [LOST, ERRORED, BAD]) ledger.ended(T, outcome, { within: 'call' });
    expect(crossings(ledger.entries)).toEqual([]);
  });

  it('a server of a single agent is set aside by what that agent finds', () => {
    const ledger = ledgerUnder({ ...LIMITS, agents: { windowMs: 1_000 }, shared: false });
    for (let n = 0; n < 4; n++) ledger.ended(T, BAD);
    expect(crossings(ledger.entries)).toMatchObject([{ kind: 'server', id: 'fs', misdeed: 'errors' }]);
  });

  it('a server that is started again and again is set aside', () => {
    const ledger = ledgerUnder();
    ledger.write(T, { type: 'server.ended', server: 'fs' });
    for (let n = 0; n < 9; n++) ledger.write(T, { type: 'process.ended', server: 'fs', by: 'destroyed' });
    expect(crossings(ledger.entries)).toEqual([]);
    ledger.write(T, { type: 'process.ended', server: 'fs', by: 'itself' });
    expect(crossings(ledger.entries)).toMatchObject([{ kind: 'server', misdeed: 'restarts', count: 2 }]);
  });

  it.each([
    { status: 'completed', dispatched: true },
    { status: 'aborted', dispatched: false, code: 'AUTHORITY_WITHDRAWN' },
    { status: 'aborted', dispatched: true, code: 'CANCELLED' },
    { status: 'unknown', dispatched: true, code: 'CRASH_INDETERMINATE' },
    { status: 'withheld', dispatched: true, code: 'REVOKED_POLICY' },
  ])('nobody is set aside for $status $code', (outcome) => {
    const ledger = ledgerUnder();
    for (let n = 0; n < 20; n++) ledger.ended(T, outcome, { agent: `a${n % 3}` });
    expect(crossings(ledger.entries)).toEqual([]);
  });

  it('a ledger from before anything was counted has nobody set aside', () => {
    const ledger = new WrittenLedger();
    ledger.write(T, { type: 'policy.installed' });
    for (let n = 0; n < 9_999; n++) ledger.denial(T, 'POLICY_FORBID');
    expect(crossings(ledger.entries)).toEqual([]);
  });

  it('other limits count from the beginning; the same ones go on', () => {
    const ledger = ledgerUnder();
    ledger.denial(T, 'POLICY_FORBID');
    ledger.denial(T, 'POLICY_FORBID');
    ledger.write(T, installed(LIMITS));
    ledger.denial(T, 'POLICY_FORBID');
    expect(crossings(ledger.entries)).toHaveLength(1);
    const changed = ledgerUnder();
    changed.denial(T, 'POLICY_FORBID');
    changed.denial(T, 'POLICY_FORBID');
    changed.write(T, installed({ ...LIMITS, shared: false }));
    changed.denial(T, 'POLICY_FORBID');
    expect(crossings(changed.entries)).toEqual([]);
  });
});

describe('the limits of a manifest', () => {
  it('are there where it says none, and where it says some', () => {
    const agents = { a: {} as never };
    expect(anomalyLimits({ agents })).toEqual({ ...ANOMALY_DEFAULTS, shared: false });
    expect(anomalyLimits({ agents: { ...agents, b: {} as never }, anomalies: { agents: { denials: 5 } } })).toEqual({
      agents: { ...ANOMALY_DEFAULTS.agents, denials: 5 },
      servers: ANOMALY_DEFAULTS.servers,
      shared: true,
    });
  });
});
