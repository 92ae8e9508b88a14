// The machine as a table. XState's own step builds an actor each time and costs about as much as signing a permit, so the hot path looks
// its transitions up. The table is not written by hand: it is read off the machine once, when this module loads, by walking every reachable
// state with every event. That table and machine agree on every path is proven in test/model.

import { type AnyMachineSnapshot, initialTransition, transition } from 'xstate';
import { Defect } from '../domain/defect.ts';
import { EFFECTS, type EffectType, executionMachine, TOO_LATE } from './execution.machine.ts';
import type { ExecutionEventType } from './execution-events.ts';

export type ExecutionState =
  | 'requested'
  | 'authorized'
  | 'verified.recording'
  | 'verified.withdrawn'
  | 'executing.running'
  | 'executing.releasing'
  | 'executing.withholding'
  | 'audited'
  | 'denied.recording'
  | 'denied.recorded'
  | 'denied.unrecorded';

export interface Transition {
  readonly to: ExecutionState;
  readonly effects: readonly EffectType[];
  /** The event came too late to change anything and is not part of the execution's history. */
  readonly tooLate: boolean;
}

export interface TransitionTable {
  readonly initial: Transition;
  readonly next: ReadonlyMap<ExecutionState, ReadonlyMap<ExecutionEventType, Transition>>;
}

/** The state of a snapshot by its path, as in `verified.recording`. */
export function stateOf(snapshot: AnyMachineSnapshot): ExecutionState {
  const value: unknown = snapshot.value;
  if (typeof value === 'string') return value as ExecutionState;
  const [[parent, child] = []] = Object.entries(value as Record<string, unknown>);
  return `${parent}.${child}` as ExecutionState;
}

function effectsOf(actions: readonly { type: string }[]): EffectType[] {
  return actions.flatMap(({ type }) => {
    if (type === TOO_LATE) return [];
    const effect = EFFECTS.find((known) => known === type);
    if (effect === undefined) throw new Defect(`the execution machine names an unknown effect: ${type}`);
    return [effect];
  });
}

function deriveTable(): TransitionTable {
  const [start, startActions] = initialTransition(executionMachine);
  const next = new Map<ExecutionState, Map<ExecutionEventType, Transition>>();
  const waiting: AnyMachineSnapshot[] = [start];
  for (let snapshot = waiting.pop(); snapshot !== undefined; snapshot = waiting.pop()) {
    const state = stateOf(snapshot);
    if (next.has(state)) continue;
    const row = new Map<ExecutionEventType, Transition>();
    next.set(state, row);
    for (const type of executionMachine.events as readonly ExecutionEventType[]) {
      // XState answers an event it has no transition for with the same snapshot; asking first keeps the two cases apart.
      if (!snapshot.can({ type })) continue;
      const [after, executable] = transition(executionMachine, snapshot as typeof start, { type });
      const actions: readonly { type: string }[] = executable;
      const tooLate = actions.some((action) => action.type === TOO_LATE);
      row.set(type, { to: stateOf(after), effects: effectsOf(actions), tooLate });
      waiting.push(after);
    }
  }
  return { initial: { to: stateOf(start), effects: effectsOf(startActions), tooLate: false }, next };
}

export const TRANSITIONS: TransitionTable = deriveTable();
