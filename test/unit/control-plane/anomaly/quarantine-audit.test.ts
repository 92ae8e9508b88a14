import { describe, expect, it } from 'vitest';
import { limitsJson } from '../../../../control-plane/anomaly/limits.ts';
import { QuarantineAudit } from '../../../../control-plane/anomaly/quarantine-audit.ts';
import { WrittenLedger } from '../../../support/recorded-calls.ts';

const T = 1_700_000_000_000;
const LIMITS = { agents: { windowMs: 1_000, denials: 2 }, servers: { windowMs: 1_000 }, shared: false };
const COUNTED = { misdeed: 'denials', count: 2, windowMs: 1_000, seq: 2 };
const SET = { type: 'quarantine.set', kind: 'agent', id: 'coder', cause: 'counts', counted: COUNTED } as const;
const DONE = { status: 'completed', dispatched: true };

/** A ledger in which the agent has just done too much. */
function tooMuch(): WrittenLedger {
  const ledger = new WrittenLedger();
  ledger.write(T, { type: 'policy.installed', anomalies: limitsJson(LIMITS) });
  ledger.denial(T, 'POLICY_FORBID');
  ledger.denial(T, 'POLICY_FORBID');
  return ledger;
}

function findingsOf({ entries }: WrittenLedger): readonly string[] {
  const audit = new QuarantineAudit();
  for (const entry of entries) audit.entry(entry);
  return audit.findings.map(({ seq, kind, id, detail }) => `${seq} ${kind} ${id}: ${detail}`);
}

describe('a ledger', () => {
  it('in which somebody was set aside for nothing is found', () => {
    const ledger = new WrittenLedger();
    ledger.write(T, { type: 'policy.installed', anomalies: limitsJson(LIMITS) });
    ledger.denial(T, 'POLICY_FORBID');
    ledger.write(T, SET);
    expect(findingsOf(ledger)).toEqual(['2 agent coder: nothing that is recorded is too much']);
  });

  it.each([
    ['what', { misdeed: 'errors' }],
    ['how many', { count: 3 }],
    ['within which time', { windowMs: 999 }],
    ['up to which entry', { seq: 1 }],
  ])('that says wrongly %s was counted is found', (_, counted) => {
    const ledger = tooMuch();
    ledger.write(T, { ...SET, counted: { ...COUNTED, ...counted } });
    expect(findingsOf(ledger)).toEqual(['3 agent coder: counted again: 2 denials within 1000 ms, up to entry 2']);
  });

  it('in which somebody who was set aside went on is found', () => {
    const ledger = tooMuch();
    ledger.write(T, SET);
    ledger.ended(T, DONE);
    expect(findingsOf(ledger)).toEqual(['4 agent coder: it was set aside, and went on']);
  });

  it('in which somebody did too much and was not set aside is found', () => {
    const ledger = tooMuch();
    ledger.write(T, { type: 'log.recovered' });
    ledger.ended(T, DONE);
    expect(findingsOf(ledger)).toEqual(['4 agent coder: it did too much up to entry 2, and was not set aside']);
  });

  it('in which somebody was let go who had not been set aside is found', () => {
    const ledger = new WrittenLedger();
    ledger.write(T, { type: 'quarantine.lifted', kind: 'server', id: 'fs' });
    expect(findingsOf(ledger)).toEqual(['0 server fs: it was not set aside']);
  });

  it('of a gate that did as it should has nothing to be found', () => {
    const ledger = tooMuch();
    // What was on its way when it came to that.
    const late = ledger.intent(T);
    ledger.write(T, SET);
    ledger.ending(T, String(late.call), DONE);
    ledger.ended(T, { status: 'aborted', dispatched: false, code: 'AGENT_QUARANTINED' });
    ledger.ended(T, DONE, { agent: 'other' });
    ledger.write(T, { type: 'quarantine.lifted', kind: 'agent', id: 'coder', by: 'alice' });
    ledger.ended(T, DONE);
    ledger.write(T, { ...SET, cause: 'order' });
    expect(findingsOf(ledger)).toEqual([]);
  });

  it('that ends before it could be said has nothing to be found', () => {
    expect(findingsOf(tooMuch())).toEqual([]);
  });
});
