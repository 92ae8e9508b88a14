// The breaker as a fold: step(breaker, event) → [breaker, effects]. The table is read off the machine once, when this module loads, region by
// region, because no guard looks at another; that table and machine agree, also where guards change in turn, is proven in test/model.
// Nothing here reads a clock or does I/O.

import { Defect } from '../domain/defect.ts';
import type { DenialCode } from '../domain/denial.ts';
import {
  BREAKER_EFFECTS,
  BREAKER_FACTS,
  BREAKER_STATES,
  type BreakerEffectType,
  type BreakerFact,
  breakerMachine,
  GUARDS,
  type Guard,
  type GuardState,
  NOTHING_NEW,
} from './breaker.machine.ts';

/** Why a guard keeps the gate shut. */
export interface GuardReason {
  readonly code: DenialCode;
  readonly detail: string;
}

export interface GuardStanding {
  readonly state: GuardState;
  /** Absent exactly while it is open. */
  readonly reason?: GuardReason;
}

export type Breaker = Readonly<Record<Guard, GuardStanding>>;

export type BreakerEvent =
  | { readonly guard: Guard; readonly fact: 'opened' }
  | { readonly guard: Guard; readonly fact: Exclude<BreakerFact, 'opened'>; readonly reason: GuardReason };

export interface BreakerTransition {
  readonly to: GuardState;
  readonly effects: readonly BreakerEffectType[];
  readonly nothingNew: boolean;
}

type Region = ReadonlyMap<GuardState, ReadonlyMap<BreakerFact, BreakerTransition>>;

/** What follows from what, guard by guard. */
export const BREAKER_TABLE: ReadonlyMap<Guard, Region> = deriveTable();

/** Every guard has yet to say its first word. */
export function beginBreaker(): Breaker {
  const starting = (guard: Guard): [Guard, GuardStanding] => [
    guard,
    { state: 'starting', reason: { code: 'GOV_NOT_READY', detail: `${guard} not ready` } },
  ];
  // One for each of GUARDS, which is all there are.
  return Object.fromEntries(GUARDS.map(starting)) as Record<Guard, GuardStanding>;
}

/** Whether this can happen now. */
export function canHappen(breaker: Breaker, guard: Guard, fact: BreakerFact): boolean {
  return BREAKER_TABLE.get(guard)?.get(breaker[guard].state)?.has(fact) === true;
}

/**
 * Applies one fact. That the same is said again for the same code is told, and not recorded again. Throws a Defect for a fact that cannot
 * happen: nothing may open what is broken.
 */
export function stepBreaker(breaker: Breaker, event: BreakerEvent): [Breaker, readonly BreakerEffectType[]] {
  const { guard, fact } = event;
  const before = breaker[guard];
  const found = BREAKER_TABLE.get(guard)?.get(before.state)?.get(fact);
  if (found === undefined) throw new Defect(`the guard ${guard} cannot be ${fact} when it is ${before.state}`);
  if (found.nothingNew) return [breaker, []];
  const after: GuardStanding = fact === 'opened' ? { state: found.to } : { state: found.to, reason: event.reason };
  const again = before.state === after.state && before.reason?.code === after.reason?.code;
  return [{ ...breaker, [guard]: after }, found.effects.filter((effect) => effect !== 'record_shut' || !again)];
}

/** The first guard that keeps the gate shut, in the order in which reasons are told; undefined when the gate is open, but for one perhaps. */
export function firstShut(
  breaker: Breaker,
  but?: Guard,
): { readonly guard: Guard; readonly standing: GuardStanding } | undefined {
  for (const guard of GUARDS)
    if (guard !== but && breaker[guard].state !== 'open') return { guard, standing: breaker[guard] };
  return undefined;
}

function deriveTable(): ReadonlyMap<Guard, Region> {
  return new Map(GUARDS.map((guard) => [guard, regionOf(guard)]));
}

/** What the machine's definition says, read and not executed: a gate starts with this, and clients wait for it. */
function regionOf(guard: Guard): Region {
  const region = new Map<GuardState, ReadonlyMap<BreakerFact, BreakerTransition>>();
  const nodes = breakerMachine.root.states[guard]?.states ?? {};
  for (const state of BREAKER_STATES) {
    const node = nodes[state];
    if (node === undefined) continue;
    const row = new Map<BreakerFact, BreakerTransition>();
    for (const fact of BREAKER_FACTS) {
      const [found, ...others] = node.on[`${guard}.${fact}`] ?? [];
      if (found === undefined) continue;
      if (others.length > 0 || found.guard !== undefined) throw new Defect(`${guard}.${fact} is not decided by itself`);
      const to = found.target === undefined ? state : stateOf(found.target);
      const actions = found.actions.map(String);
      row.set(fact, { to, effects: effectsOf(actions), nothingNew: actions.includes(NOTHING_NEW) });
    }
    region.set(state, row);
  }
  return region;
}

function stateOf([target, ...others]: readonly { readonly key: string }[]): GuardState {
  const state = BREAKER_STATES.find((known) => known === target?.key);
  if (state === undefined || others.length > 0)
    throw new Defect(`the breaker leads to an unknown state: ${target?.key}`);
  return state;
}

function effectsOf(actions: readonly string[]): BreakerEffectType[] {
  return actions.flatMap((type) => {
    if (type === NOTHING_NEW) return [];
    const effect = BREAKER_EFFECTS.find((known) => known === type);
    if (effect === undefined) throw new Defect(`the breaker names an unknown effect: ${type}`);
    return [effect];
  });
}
