// Replay is the live fold over the ledger: the events that an entry carries go through step() again, and what step() orders to be recorded
// must be the entry itself. Recovery uses the first half of it. Nothing here can reach a tool.

import { canonicalJson } from '../domain/canonical-json.ts';
import type { Entry, EntryBody } from '../domain/entry.ts';
import type { CallId } from '../domain/ids.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import type { CallRequested, ExecutionEvent } from './execution-events.ts';
import { begin, can, type Effect, type Execution, step } from './step.ts';

/** The entries of one execution in the order of the ledger. */
export interface RecordedExecution {
  readonly call: CallId;
  readonly entries: readonly Entry[];
}

export type ReplayVerdict =
  | { readonly call: CallId; readonly verdict: 'match'; readonly execution: Execution }
  /** The intent is the newest entry: the execution is still running, or its gate died. */
  | { readonly call: CallId; readonly verdict: 'open'; readonly execution: Execution }
  | { readonly call: CallId; readonly verdict: 'mismatch'; readonly seq: number; readonly difference: string };

class Difference {
  readonly seq: number;
  readonly text: string;
  constructor(seq: number, text: string) {
    this.seq = seq;
    this.text = text;
  }
}

/** Folds the entries of one execution and compares every entry with what the fold orders to be recorded. */
export function replay(recorded: RecordedExecution): ReplayVerdict {
  const { call } = recorded;
  let execution: Execution | undefined;
  let before: Entry | undefined;
  for (const entry of recorded.entries) {
    const folded =
      entry.call === call
        ? foldEntry(execution, entry, before)
        : new Difference(entry.seq, 'the entry of another call');
    if (folded instanceof Difference) return { call, verdict: 'mismatch', seq: folded.seq, difference: folded.text };
    execution = folded;
    before = entry;
  }
  if (execution === undefined) return { call, verdict: 'mismatch', seq: -1, difference: 'no entries' };
  const ended = execution.state === 'audited' || execution.state === 'denied.recorded';
  return { call, verdict: ended ? 'match' : 'open', execution };
}

function foldEntry(execution: Execution | undefined, entry: Entry, before: Entry | undefined): Execution | Difference {
  const different = (text: string): Difference => new Difference(entry.seq, text);
  if (!Array.isArray(entry.events)) return different('the entry carries no events');
  if (!entry.events.every((event) => isJsonObject(event) && typeof event.type === 'string')) {
    return different('an event is not one');
  }
  // Events were parsed as plain JSON. step() and the comparison below refuse whatever is not what the live fold would have produced.
  const events = [...(entry.events as unknown as (CallRequested | ExecutionEvent)[])];
  let effects: readonly Effect[] = [];
  let current = execution;
  if (current === undefined) {
    const first = events.shift();
    if (first?.type !== 'call.requested') return different('the first event is not call.requested');
    [current, effects] = begin(first);
  }
  for (const event of events) {
    if (event.type === 'call.requested') return different('call.requested happened twice');
    if (event.type === 'intent.recorded' && event.seq !== before?.seq) {
      return different(`intent.recorded names entry ${event.seq}`);
    }
    if (!can(current, event.type)) return different(`${String(event.type)} cannot happen in ${current.state}`);
    try {
      [current, effects] = step(current, event);
    } catch (error) {
      return different(`the fold refused ${event.type}: ${String(error)}`);
    }
  }
  const order = effects.find(
    (e) => e.type === 'record_intent' || e.type === 'record_outcome' || e.type === 'record_denial',
  );
  if (order === undefined || !('body' in order)) return different(`nothing is to be recorded in ${current.state}`);
  let want: string;
  try {
    want = canonicalJson(order.body);
  } catch (error) {
    return different(`the fold orders what is no entry: ${String(error)}`);
  }
  const have = canonicalJson(bodyOf(entry));
  if (want !== have) return different(`recorded ${have}, replayed ${want}`);
  if (order.type === 'record_intent') return current;
  // The entry is there, so the ending is recorded: the last step needs no record of its own.
  const last = order.type === 'record_outcome' ? 'outcome.recorded' : 'denial.recorded';
  return step(current, { type: last, seq: entry.seq })[0];
}

function bodyOf(entry: Entry): EntryBody {
  const {
    v: _v,
    log: _log,
    seq: _seq,
    prev: _prev,
    epoch: _epoch,
    ts: _ts,
    mono: _mono,
    ...body
  } = entry as Record<string, Json>;
  return body as EntryBody;
}

/**
 * What recovery appends for an execution whose intent has no ending: the same fold, told that the gate restarted.
 * Undefined when the execution is not open.
 */
export function closeOpen(recorded: RecordedExecution, epoch: number): EntryBody | undefined {
  const verdict = replay(recorded);
  const intent = recorded.entries.at(-1);
  if (verdict.verdict !== 'open' || intent === undefined) return undefined;
  const [running] = step(verdict.execution, { type: 'intent.recorded', seq: intent.seq });
  const [, effects] = step(running, { type: 'gate.restarted', epoch });
  const order = effects.find((e) => e.type === 'record_outcome');
  return order?.type === 'record_outcome' ? order.body : undefined;
}
