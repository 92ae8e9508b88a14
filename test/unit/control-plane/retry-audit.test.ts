import { describe, expect, it } from 'vitest';
import { RetryAudit } from '../../../control-plane/retry-audit.ts';
import type { Entry } from '../../../domain/entry.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { proves } from '../../guarantees.ts';
import { type RecordedCallOptions, WrittenLedger } from '../../support/recorded-calls.ts';

const T = 1_700_000_000_000;
const LOST = { status: 'unknown', dispatched: true, code: 'TOOL_LOST' };
const DEAD = { status: 'unknown', dispatched: true, code: 'CRASH_INDETERMINATE' };

/** Denied because of an earlier call, in these words. */
function deniedAgain(ledger: WrittenLedger, detail: string, options: RecordedCallOptions = {}): Entry {
  const denial = ledger.denial(T, 'RETRY_OF_UNKNOWN', options);
  (denial.events as JsonObject[]).push({ type: 'decision.denied', code: 'RETRY_OF_UNKNOWN', by: [], detail });
  return denial;
}

function found(ledger: WrittenLedger): readonly string[] {
  return audited(ledger).findings.map(({ seq, call, detail }) => `${seq} ${call}: ${detail}`);
}

function audited({ entries }: WrittenLedger): RetryAudit {
  const audit = new RetryAudit();
  for (const entry of entries) audit.entry(entry);
  return audit;
}

/** A ledger with one call whose end nobody knows, and what it is called. */
function lost(outcome: JsonObject = LOST, options: RecordedCallOptions = {}) {
  const ledger = new WrittenLedger();
  const [intent] = ledger.ended(T, outcome, options);
  return { ledger, earlier: String(intent?.call) };
}

describe('a call that is said to have been made before', () => {
  it.each([
    ['ended well', { status: 'completed', dispatched: true }],
    ['never left', { status: 'unknown', dispatched: false, code: 'TOOL_LOST' }],
    ['ran, with a result that was withheld', { status: 'withheld', dispatched: true, code: 'TOOL_LOST' }],
  ])('though the one that is named %s is found', (_, outcome) => {
    const { ledger, earlier } = lost(outcome);
    deniedAgain(ledger, `${earlier} ended with TOOL_LOST`);
    expect(found(ledger)).toEqual([`2 call-2: of ${earlier} it is known how it ended`]);
  });

  it.each<[string, RecordedCallOptions]>([
    ['by another agent', { agent: 'other' }],
    ['at another server', { server: 'git' }],
    ['with another tool', { tool: 'write' }],
    ['with longer arguments', { committed: { commitment: 'sha256:', bytes: 3 } }],
  ])('though the one that is named was made %s is found', (_, other) => {
    const { ledger, earlier } = lost(LOST, other);
    deniedAgain(ledger, `${earlier} ended with TOOL_LOST`);
    expect(found(ledger)).toEqual([`2 call-2: ${earlier} was another call`]);
  });

  it('though its client gave the named one up is found', () => {
    const ledger = new WrittenLedger();
    const { call } = ledger.intent(T);
    const ending = ledger.ending(T, String(call), { status: 'aborted', dispatched: true, code: 'CANCELLED' });
    (ending.events as JsonObject[]).push({ type: 'call.cancelled', by: 'client' });
    deniedAgain(ledger, `${String(call)} ended with CANCELLED`);
    expect(found(ledger)).toEqual([`2 call-2: of ${String(call)} it is known how it ended`]);
  });

  it('for another reason than the named one ended with is found', () => {
    const { ledger, earlier } = lost();
    deniedAgain(ledger, `${earlier} ended with DEADLINE_EXCEEDED`);
    expect(found(ledger)).toEqual([`2 call-2: ${earlier} ended with TOOL_LOST, not with DEADLINE_EXCEEDED`]);
  });

  it('though the named one goes on, and ends well, is found', () => {
    const ledger = new WrittenLedger();
    const { call } = ledger.intent(T);
    deniedAgain(ledger, `${String(call)} ended with TOOL_LOST`);
    ledger.ending(T, String(call), { status: 'completed', dispatched: true });
    expect(found(ledger)).toEqual([`1 call-2: of ${String(call)} it is known how it ended`]);
  });

  it('though the named one began later is found', () => {
    const ledger = new WrittenLedger();
    deniedAgain(ledger, 'call-2 ended with TOOL_LOST');
    ledger.ended(T, LOST);
    expect(found(ledger)).toEqual(['1 call-2: it was named as an earlier call before it began']);
  });

  it('though the named one was denied is found, also where that is the call itself', () => {
    const ledger = new WrittenLedger();
    const { call } = ledger.denial(T, 'POLICY_FORBID');
    deniedAgain(ledger, `${String(call)} ended with TOOL_LOST`);
    deniedAgain(ledger, 'call-3 ended with TOOL_LOST');
    expect(found(ledger)).toEqual([
      `1 call-2: of ${String(call)} it is known how it ended`,
      '2 call-3: of call-3 it is known how it ended',
    ]);
  });

  it('without a word of which is found, and so is what is no call of a tool', () => {
    const { ledger, earlier } = lost();
    deniedAgain(ledger, 'because');
    deniedAgain(ledger, `${earlier} ended with TOOL_LOST`, { method: 'resources/read' });
    deniedAgain(ledger, `${earlier} ended with TOOL_LOST`, { within: earlier });
    expect(found(ledger)).toEqual([
      '2 call-2: it does not say which call may have run before',
      '3 call-3: only a call of a tool can be made again',
      '4 call-4: only a call of a tool can be made again',
    ]);
  });
});

proves('G3', 'what was denied as it should be has nothing to be found', () => {
  const { ledger, earlier } = lost();
  deniedAgain(ledger, `${earlier} ended with TOOL_LOST`);
  deniedAgain(ledger, `${earlier} ended with TOOL_LOST`);
  deniedAgain(ledger, 'too many calls wait for a person');
  deniedAgain(ledger, 'what gates beside this one know cannot be read: Error: no');
  deniedAgain(ledger, '01KAJ0000000000000000JT001 ended with DEADLINE_EXCEEDED');
  // Kept, and then killed before its ending was written: recovery knows less of it.
  const { call } = ledger.intent(T, { tool: 'write' });
  deniedAgain(ledger, `${String(call)} ended with DEADLINE_EXCEEDED`, { tool: 'write' });
  const recovered = ledger.ending(T, String(call), DEAD);
  (recovered.events as JsonObject[]).push({ type: 'gate.restarted' });
  deniedAgain(ledger, `${String(call)} ended with DEADLINE_EXCEEDED`, { tool: 'write' });
  // Nobody knows yet.
  const open = ledger.intent(T, { tool: 'move' });
  deniedAgain(ledger, `${String(open.call)} ended with TOOL_LOST`, { tool: 'move' });
  const audit = audited(ledger);
  expect(audit).toMatchObject({ findings: [], denied: 8, elsewhere: 3 });
});
