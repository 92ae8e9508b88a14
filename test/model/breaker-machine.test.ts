// The breaker, walked. Every state of every guard is reached from every other order of facts; table and machine are compared on the way.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { initialTransition, transition } from 'xstate';
import { createTestModel, getSimplePaths } from 'xstate/graph';
import { Defect } from '../../domain/defect.ts';
import {
  BREAKER_FACTS,
  type BreakerFact,
  breakerMachine,
  GUARDS,
  type Guard,
  WAYS,
} from '../../state-machines/breaker.machine.ts';
import {
  BREAKER_TABLE,
  type Breaker,
  type BreakerEvent,
  beginBreaker,
  canHappen,
  firstShut,
  stepBreaker,
} from '../../state-machines/breaker.ts';
import { proves } from '../guarantees.ts';

const reason = { code: 'GOV_NOT_READY', detail: 'a test' } as const;
const eventOf = (guard: Guard, fact: BreakerFact): BreakerEvent =>
  fact === 'opened' ? { guard, fact } : { guard, fact, reason };
const statesOf = (breaker: Breaker) => Object.fromEntries(GUARDS.map((guard) => [guard, breaker[guard].state]));
const allOpen = (): Breaker =>
  GUARDS.reduce((breaker, guard) => stepBreaker(breaker, { guard, fact: 'opened' })[0], beginBreaker());

describe('the table is the machine', () => {
  it('has exactly the states that were reviewed', () => {
    expect([...BREAKER_TABLE].map(([guard, region]) => [guard, ...region.keys()].sort().join(' '))).toEqual(
      [
        'broken open operator starting',
        'halt held open starting',
        'failed ledger open starting',
        'broken open revocations starting',
        'failed open stall starting',
        'failed open servers starting',
        'failed held open policy starting',
        'engine failed open starting',
      ].map((text) => text.split(' ').sort().join(' ')),
    );
  });

  it.each(GUARDS)('agrees with it on every simple path of %s, with the others as they are', (guard) => {
    const events = BREAKER_FACTS.map((fact) => ({ type: `${guard}.${fact}` }));
    const paths = getSimplePaths(breakerMachine, { events });
    expect(paths.length).toBeGreaterThan(2);
    for (const path of paths) {
      let [snapshot] = initialTransition(breakerMachine);
      let breaker = beginBreaker();
      for (const { event } of path.steps) {
        const fact = String(event.type).split('.')[1] as BreakerFact;
        if (!BREAKER_FACTS.includes(fact)) continue;
        const [next, actions] = transition(breakerMachine, snapshot, { type: event.type as string });
        const before = breaker[guard];
        const [after, effects] = stepBreaker(breaker, eventOf(guard, fact));
        expect(statesOf(after)).toEqual(next.value);
        const again = before.state === after[guard].state;
        expect(effects).toEqual(
          actions
            .map(({ type }) => type as string)
            .filter((type) => type !== 'nothing_new' && !(again && type === 'record_shut')),
        );
        snapshot = next;
        breaker = after;
      }
      for (const fact of BREAKER_FACTS) {
        expect(canHappen(breaker, guard, fact)).toBe(snapshot.can({ type: `${guard}.${fact}` }));
        if (!canHappen(breaker, guard, fact)) expect(() => stepBreaker(breaker, eventOf(guard, fact))).toThrow(Defect);
      }
    }
  });

  it('agrees with it where guards change in turn, whatever their order', () => {
    const happens = fc.tuple(fc.constantFrom(...GUARDS), fc.constantFrom(...BREAKER_FACTS));
    fc.assert(
      fc.property(fc.array(happens, { maxLength: 40 }), (history) => {
        let [snapshot] = initialTransition(breakerMachine);
        let breaker = beginBreaker();
        for (const [guard, fact] of history) {
          expect(canHappen(breaker, guard, fact)).toBe(snapshot.can({ type: `${guard}.${fact}` }));
          if (!canHappen(breaker, guard, fact)) continue;
          [snapshot] = transition(breakerMachine, snapshot, { type: `${guard}.${fact}` });
          [breaker] = stepBreaker(breaker, eventOf(guard, fact));
          expect(statesOf(breaker)).toEqual(snapshot.value);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('can be tested by model: it has no invocation and no timer', () => {
    const events = (['ledger', 'policy'] as const).flatMap((guard) =>
      BREAKER_FACTS.map((fact) => ({ type: `${guard}.${fact}` })),
    );
    expect(createTestModel(breakerMachine).getShortestPaths({ events }).length).toBeGreaterThan(8);
  });
});

describe('what the drawing promises', () => {
  proves('G4', 'the gate is open only while every guard is, and any guard alone shuts it', () => {
    expect(firstShut(beginBreaker())?.guard).toBe(GUARDS[0]);
    expect(firstShut(allOpen())).toBeUndefined();
    for (const guard of GUARDS)
      for (const way of WAYS[guard]) {
        const [shut] = stepBreaker(allOpen(), { guard, fact: way, reason });
        expect(firstShut(shut)?.guard).toBe(guard);
      }
  });

  proves('G4', 'no fact of any guard opens another one', () => {
    for (const shut of GUARDS)
      for (const way of WAYS[shut]) {
        let [breaker] = stepBreaker(allOpen(), { guard: shut, fact: way, reason });
        for (const guard of GUARDS)
          for (const fact of BREAKER_FACTS) {
            if (guard === shut || !canHappen(breaker, guard, fact)) continue;
            [breaker] = stepBreaker(breaker, eventOf(guard, fact));
            expect(breaker[shut].state).toBe(way);
          }
      }
  });

  proves('G4', 'what is broken stays so whatever happens', () => {
    for (const guard of GUARDS.filter((each) => WAYS[each].includes('broken')))
      for (const fact of BREAKER_FACTS) {
        const [broken] = stepBreaker(allOpen(), { guard, fact: 'broken', reason });
        if (canHappen(broken, guard, fact)) expect(stepBreaker(broken, eventOf(guard, fact))[0]).toBe(broken);
      }
  });

  it('every other way of being shut has a way out', () => {
    for (const guard of GUARDS)
      for (const way of WAYS[guard].filter((each) => each !== 'broken')) {
        const [shut] = stepBreaker(allOpen(), { guard, fact: way, reason });
        expect(stepBreaker(shut, { guard, fact: 'opened' })[0][guard]).toEqual({ state: 'open' });
      }
  });

  it('every change between open and shut is recorded, and a first opening is none', () => {
    for (const guard of GUARDS) {
      expect(stepBreaker(beginBreaker(), { guard, fact: 'opened' })[1]).toEqual(['tell']);
      for (const way of WAYS[guard]) {
        const [shut, effects] = stepBreaker(allOpen(), { guard, fact: way, reason });
        expect(effects).toEqual(['tell', 'record_shut']);
        expect(stepBreaker(beginBreaker(), { guard, fact: way, reason })[1]).toEqual(['tell', 'record_shut']);
        if (way !== 'broken')
          expect(stepBreaker(shut, { guard, fact: 'opened' })[1]).toEqual(['tell', 'record_opened']);
      }
    }
  });

  it('another reason is recorded, the same reason in other words is not', () => {
    const [shut] = stepBreaker(allOpen(), {
      guard: 'policy',
      fact: 'held',
      reason: { code: 'GOV_POLICY_MISSING', detail: '' },
    });
    const said = (code: 'GOV_POLICY_MISSING' | 'GOV_POLICY_INVALID') =>
      stepBreaker(shut, { guard: 'policy', fact: 'held', reason: { code, detail: 'in other words' } })[1];
    expect(said('GOV_POLICY_INVALID')).toContain('record_shut');
    expect(said('GOV_POLICY_MISSING')).toEqual(['tell']);
  });
});
