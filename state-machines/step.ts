// One execution as a fold: step(execution, event) → [execution, effects]. Nothing here reads a clock, draws randomness or does I/O.
// The proxy, recovery and replay all call this; there is no second version.

import { Defect } from '../domain/defect.ts';
import type { DenialCode } from '../domain/denial.ts';
import type { EntryBody } from '../domain/entry.ts';
import type { CallId } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { EffectType } from './execution.machine.ts';
import type { CallRequested, ExecutionEvent, ExecutionEventType } from './execution-events.ts';
import { type ExecutionState, TRANSITIONS } from './transition-table.ts';

export interface Execution {
  readonly call: CallId;
  readonly state: ExecutionState;
  /** Why the client is denied, once something denied it. The first reason stands, unless the ledger failed later. */
  readonly denial?: DenialCode;
  /** How an execution ended whose intent was recorded. */
  readonly outcome?: Outcome;
  /** Events since the last entry of this execution. */
  readonly pending: readonly (CallRequested | ExecutionEvent)[];
}

export type Effect =
  | { readonly type: 'decide' }
  | { readonly type: 'verify_permit'; readonly permit: string }
  | { readonly type: 'record_intent'; readonly body: EntryBody }
  | { readonly type: 'call_tool' }
  | { readonly type: 'cancel_tool' }
  | { readonly type: 'record_outcome'; readonly body: EntryBody }
  | { readonly type: 'release_result' }
  | { readonly type: 'record_denial'; readonly body: EntryBody }
  | { readonly type: 'answer_denial'; readonly code: DenialCode }
  | { readonly type: 'halt_gate'; readonly code: DenialCode };

/** The beginning of every execution. */
export function begin(requested: CallRequested): [Execution, readonly Effect[]] {
  const { to, effects } = TRANSITIONS.initial;
  const execution: Execution = { call: requested.call, state: to, pending: [requested] };
  return [execution, effects.map((type) => effect(type, execution))];
}

/** Whether this event can happen in this state. */
export function can(execution: Execution, type: ExecutionEventType): boolean {
  return TRANSITIONS.next.get(execution.state)?.has(type) === true;
}

/** Applies one fact. Throws a Defect for a fact that cannot happen in this state: the caller's picture of the world is wrong. */
export function step(execution: Execution, event: ExecutionEvent): [Execution, readonly Effect[]] {
  const transition = TRANSITIONS.next.get(execution.state)?.get(event.type);
  if (transition === undefined) throw new Defect(`${event.type} cannot happen in ${execution.state}`);
  if (transition.tooLate) return [execution, []];
  const denial = denialAfter(execution, event);
  const outcome = outcomeAfter(execution, event);
  let next: Execution = {
    call: execution.call,
    state: transition.to,
    pending: [...execution.pending, event],
    ...(denial === undefined ? {} : { denial }),
    ...(outcome === undefined ? {} : { outcome }),
  };
  const effects: Effect[] = [];
  for (const type of transition.effects) {
    effects.push(effect(type, next, event));
    if (RECORDS.has(type)) next = { ...next, pending: [] };
  }
  return [next, effects];
}

const RECORDS: ReadonlySet<EffectType> = new Set(['record_intent', 'record_outcome', 'record_denial']);

function effect(type: EffectType, execution: Execution, event?: ExecutionEvent): Effect {
  switch (type) {
    case 'decide':
    case 'call_tool':
    case 'cancel_tool':
    case 'release_result':
      return { type };
    case 'verify_permit':
      if (event?.type !== 'decision.allowed') throw new Defect('a permit is verified only after a decision');
      return { type, permit: event.permit };
    case 'record_intent':
      return { type, body: { type: 'call.intent', call: execution.call, events: recorded(execution) } };
    case 'record_outcome':
      return {
        type,
        body: { type: 'call.ending', call: execution.call, ...ending(execution), events: recorded(execution) },
      };
    case 'record_denial':
      return {
        type,
        body: { type: 'call.denial', call: execution.call, code: denied(execution), events: recorded(execution) },
      };
    case 'answer_denial':
    case 'halt_gate':
      return { type, code: denied(execution) };
  }
}

function denied(execution: Execution): DenialCode {
  if (execution.denial === undefined) throw new Defect(`${execution.state} without a reason`);
  return execution.denial;
}

function ending(execution: Execution): { outcome: JsonObject } {
  if (execution.outcome === undefined) throw new Defect(`${execution.state} without an outcome`);
  return { outcome: { ...execution.outcome } };
}

/** Events are plain data built from JSON values; only their interfaces hide that from the compiler. */
function recorded(execution: Execution): readonly JsonObject[] {
  return execution.pending as unknown as readonly JsonObject[];
}

function denialAfter(execution: Execution, event: ExecutionEvent): DenialCode | undefined {
  // A ledger that fails outranks what was about to be recorded: the client must not hear of an ending that nobody will find.
  if (event.type === 'record.failed') return event.code;
  return execution.denial ?? denialOf(event);
}

/** The reason that an event carries, if it denies anything. */
function denialOf(event: ExecutionEvent): DenialCode | undefined {
  switch (event.type) {
    case 'decision.denied':
    case 'permit.refused':
    case 'dispatch.refused':
    case 'output.refused':
    case 'authority.withdrawn':
    case 'fault.occurred':
    case 'record.failed':
      return event.code;
    case 'call.cancelled':
      return 'CANCELLED';
    case 'deadline.passed':
      return event.code ?? 'DEADLINE_EXCEEDED';
    case 'tool.lost':
      return 'TOOL_LOST';
    case 'gate.restarted':
      return 'CRASH_INDETERMINATE';
    case 'decision.allowed':
    case 'permit.verified':
    case 'intent.recorded':
    case 'tool.answered':
    case 'outcome.recorded':
    case 'denial.recorded':
      return undefined;
  }
}

function outcomeAfter(execution: Execution, event: ExecutionEvent): Outcome | undefined {
  if (execution.outcome !== undefined) return execution.outcome;
  if (execution.state === 'verified.withdrawn' && event.type === 'intent.recorded') {
    return { status: 'aborted', dispatched: false, code: denied(execution) };
  }
  if (execution.state !== 'executing.running') return undefined;
  switch (event.type) {
    case 'tool.answered':
      if (event.incomplete !== undefined) return { status: 'incomplete', dispatched: true };
      return { status: event.isError ? 'errored' : 'completed', dispatched: true };
    case 'dispatch.refused':
      return { status: 'aborted', dispatched: false, code: event.code };
    case 'output.refused':
      return { status: 'withheld', dispatched: true, code: event.code };
    case 'tool.lost':
      return { status: 'unknown', dispatched: true, code: 'TOOL_LOST' };
    case 'gate.restarted':
      return { status: 'unknown', dispatched: true, code: 'CRASH_INDETERMINATE' };
    case 'call.cancelled':
      return { status: 'aborted', dispatched: true, code: 'CANCELLED' };
    case 'deadline.passed':
      return { status: 'timed_out', dispatched: true, code: event.code ?? 'DEADLINE_EXCEEDED' };
    case 'authority.withdrawn':
    case 'fault.occurred':
      return { status: 'aborted', dispatched: true, code: event.code };
    case 'decision.allowed':
    case 'decision.denied':
    case 'permit.verified':
    case 'permit.refused':
    case 'intent.recorded':
    case 'outcome.recorded':
    case 'denial.recorded':
    case 'record.failed':
      return undefined;
  }
}
