// What shuts the gate and how it opens again, as an XState machine. It is the only definition: the table that the gate runs on (breaker.ts), the
// words that `doctor` says and the tests of every path are derived from it.
// The guards stand beside each other and know nothing of each other: each is a region, and the gate is open while every region is `open`. There
// is no guard condition, no context and no timer: which state follows is decided by the type of the event alone.

import { createMachine } from 'xstate';

/** Who may shut the gate, in the order in which their reasons are told. */
export const GUARDS = ['operator', 'halt', 'ledger', 'revocations', 'stall', 'servers', 'policy', 'engine'] as const;
export type Guard = (typeof GUARDS)[number];

/**
 * How a gate that a guard shut opens again. `starting` waits for the first word. `failed`: whoever shut it goes on trying, and opens it by
 * itself. `held`: a person has to do something. `broken`: not in this run; nothing that happens opens it.
 */
export const BREAKER_STATES = ['starting', 'open', 'failed', 'held', 'broken'] as const;
export type GuardState = (typeof BREAKER_STATES)[number];

/** What can happen at a guard. */
export const BREAKER_FACTS = ['opened', 'failed', 'held', 'broken'] as const;
export type BreakerFact = (typeof BREAKER_FACTS)[number];
export type BreakerEventType = `${Guard}.${BreakerFact}`;

/** The ways in which each guard can shut the gate. What is not here cannot happen. */
export const WAYS: Readonly<Record<Guard, readonly Exclude<BreakerFact, 'opened'>[]>> = {
  /** A defect of ours: whatever the gate believes may be wrong. */
  operator: ['broken'],
  /** Its operator halted it. */
  halt: ['held'],
  /** It cannot be written; it is opened anew until it can. */
  ledger: ['failed'],
  /** Nobody knows any more what was taken away. */
  revocations: ['broken'],
  /** The process stood still. */
  stall: ['failed'],
  /** None is there. */
  servers: ['failed'],
  /** It could not come into force yet; or it is missing or wrong. */
  policy: ['failed', 'held'],
  /** What decides is gone; it is started anew. */
  engine: ['failed'],
};

/** Orders to whoever keeps the breaker, in the order in which they are to be begun. */
export const BREAKER_EFFECTS = ['tell', 'record_shut', 'record_opened'] as const;
export type BreakerEffectType = (typeof BREAKER_EFFECTS)[number];

/** Marks a fact that changes nothing: a named no-op. */
export const NOTHING_NEW = 'nothing_new';

type Actions = readonly (BreakerEffectType | typeof NOTHING_NEW)[];
const to = (target: GuardState, ...actions: Actions) => ({ target, actions: [...actions] });

function region(guard: Guard) {
  const on = (fact: BreakerFact): BreakerEventType => `${guard}.${fact}`;
  const shut = Object.fromEntries(WAYS[guard].map((way) => [on(way), to(way, 'tell', 'record_shut')]));
  const opened = { [on('opened')]: to('open', 'tell', 'record_opened') };
  const nothing = { actions: [NOTHING_NEW] };
  return {
    initial: 'starting',
    states: {
      // That it opens for the first time is no change: the start of the gate is in the ledger already.
      starting: { on: { ...shut, [on('opened')]: to('open', 'tell') } },
      open: { on: { ...shut, [on('opened')]: nothing } },
      ...(WAYS[guard].includes('failed') ? { failed: { on: { ...shut, ...opened } } } : {}),
      ...(WAYS[guard].includes('held') ? { held: { on: { ...shut, ...opened } } } : {}),
      // The first reason stands, and there is no way out.
      ...(WAYS[guard].includes('broken') ? { broken: { on: { [on('broken')]: nothing } } } : {}),
    },
  };
}

export const breakerMachine = createMachine({
  id: 'breaker',
  type: 'parallel',
  states: Object.fromEntries(GUARDS.map((guard) => [guard, region(guard)])),
});
