// The machine, walked. Table and machine are compared on every simple path; the promises of the drawing are checked on the same walks.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { initialTransition, transition } from 'xstate';
import { createTestModel, getSimplePaths } from 'xstate/graph';
import { Defect } from '../../domain/defect.ts';
import { type EffectType, executionMachine } from '../../state-machines/execution.machine.ts';
import type { ExecutionEventType } from '../../state-machines/execution-events.ts';
import { begin, can, type Execution, step } from '../../state-machines/step.ts';
import { stateOf, TRANSITIONS } from '../../state-machines/transition-table.ts';
import { proves } from '../guarantees.ts';
import { EVENTS, REQUESTED } from '../support/execution-events.ts';

const TYPES = Object.keys(EVENTS) as ExecutionEventType[];
const FINAL = new Set(['audited', 'denied.recorded', 'denied.unrecorded']);
const PATHS = getSimplePaths(executionMachine, { events: TYPES.map((type) => ({ type })) });
const typesOf = (path: (typeof PATHS)[number]): ExecutionEventType[] =>
  path.steps.map((s) => s.event.type as string).filter((t): t is ExecutionEventType => t in EVENTS);

/** Folds events and keeps every state and effect on the way. */
function walk(types: readonly ExecutionEventType[]): { execution: Execution; states: string[]; effects: EffectType[] } {
  let [execution, effects] = begin(REQUESTED);
  const states: string[] = [execution.state];
  const all = effects.map((e) => e.type);
  for (const type of types) {
    [execution, effects] = step(execution, EVENTS[type]);
    states.push(execution.state);
    all.push(...effects.map((e) => e.type));
  }
  return { execution, states, effects: all };
}

describe('the table is the machine', () => {
  it('has exactly the paths that were reviewed, so that a lost or gained edge is noticed', () => {
    expect(PATHS.length).toBe(82);
    expect(TRANSITIONS.next.size).toBe(11);
  });

  it('agrees with it on every simple path: state, effects and their order', () => {
    for (const path of PATHS) {
      let [snapshot] = initialTransition(executionMachine);
      let [execution] = begin(REQUESTED);
      for (const type of typesOf(path)) {
        const [next, actions] = transition(executionMachine, snapshot, { type });
        const [folded, effects] = step(execution, EVENTS[type]);
        expect(folded.state).toBe(stateOf(next));
        expect(effects.map((e) => e.type)).toEqual(
          actions.map((a) => a.type as string).filter((t) => t !== 'too_late'),
        );
        snapshot = next;
        execution = folded;
      }
    }
  });

  it('refuses exactly the events that the machine ignores', () => {
    for (const path of PATHS) {
      let [snapshot] = initialTransition(executionMachine);
      let [execution] = begin(REQUESTED);
      for (const type of typesOf(path)) {
        [snapshot] = transition(executionMachine, snapshot, { type });
        [execution] = step(execution, EVENTS[type]);
      }
      for (const type of TYPES) {
        expect(can(execution, type)).toBe(snapshot.can({ type }));
        if (!snapshot.can({ type })) expect(() => step(execution, EVENTS[type])).toThrow(Defect);
      }
    }
  });

  it('can be tested by model: it has no invocation and no timer', () => {
    expect(createTestModel(executionMachine).getShortestPaths().length).toBeGreaterThan(5);
  });
});

describe('what the drawing promises', () => {
  proves('G1', 'no path reaches a tool without a verified permit and then a recorded intent', () => {
    for (const path of PATHS) {
      const types = typesOf(path);
      const { effects } = walk(types);
      if (!effects.includes('call_tool')) continue;
      expect(types.indexOf('permit.verified')).toBeGreaterThan(types.indexOf('decision.allowed'));
      expect(types.indexOf('intent.recorded')).toBeGreaterThan(types.indexOf('permit.verified'));
      expect(effects.filter((e) => e === 'call_tool')).toHaveLength(1);
    }
  });

  proves('G4', 'every failure edge ends in denied, and nothing is released on such a path', () => {
    const failures: ExecutionEventType[] = TYPES.filter(
      (t) =>
        ![
          'decision.allowed',
          'permit.verified',
          'intent.recorded',
          'tool.answered',
          'outcome.recorded',
          'denial.recorded',
        ].includes(t),
    );
    for (const path of PATHS) {
      const types = typesOf(path);
      let [execution] = begin(REQUESTED);
      let failed = false;
      let ending = false;
      for (const type of types) {
        // A failure counts unless the machine names it too late.
        const late = TRANSITIONS.next.get(execution.state)?.get(type)?.tooLate === true;
        if (!late && failures.includes(type)) failed = true;
        [execution] = step(execution, EVENTS[type]);
        ending = FINAL.has(execution.state);
      }
      if (failed) expect(execution.denial).toBeDefined();
      if (failed && ending) expect(execution.state).toMatch(/^denied\./);
      if (failed) expect(walk(types).effects).not.toContain('release_result');
    }
  });

  proves('G6', 'every complete path orders exactly one ending, and release comes only after it is recorded', () => {
    for (const path of PATHS) {
      const types = typesOf(path);
      const { execution, effects } = walk(types);
      if (!FINAL.has(execution.state)) continue;
      const endings = effects.filter((e) => e === 'record_outcome' || e === 'record_denial');
      if (execution.state === 'denied.unrecorded') {
        expect(effects).toContain('halt_gate');
        expect(endings.length).toBeLessThanOrEqual(1);
      } else {
        expect(endings).toHaveLength(1);
      }
      if (effects.includes('release_result')) expect(types.indexOf('outcome.recorded')).toBe(types.length - 1);
      expect(effects.filter((e) => e === 'release_result' || e === 'answer_denial')).toHaveLength(1);
    }
  });

  proves(
    'G6',
    'from every reachable state a final state can be reached, so no execution can hang for want of an edge',
    () => {
      const canEnd = new Set<string>(FINAL);
      for (let grew = true; grew; ) {
        grew = false;
        for (const [state, row] of TRANSITIONS.next) {
          if (!canEnd.has(state) && [...row.values()].some((t) => canEnd.has(t.to))) grew = canEnd.add(state) && true;
        }
      }
      expect([...TRANSITIONS.next.keys()].filter((state) => !canEnd.has(state))).toEqual([]);
    },
  );

  proves(
    'G6',
    'an undispatched call is never said to have run, and a dispatched one never said not to have run',
    () => {
      for (const path of PATHS) {
        const { execution, effects } = walk(typesOf(path));
        if (execution.outcome === undefined) continue;
        const refusedAtTheDoor = typesOf(path).includes('dispatch.refused');
        expect(execution.outcome.dispatched).toBe(effects.includes('call_tool') && !refusedAtTheDoor);
      }
    },
  );

  it('holds on random guided runs with many late events', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), (choices) => {
        let [execution] = begin(REQUESTED);
        const seen: EffectType[] = [];
        for (const choice of choices) {
          const possible = TYPES.filter((type) => can(execution, type));
          const type = possible[choice % Math.max(1, possible.length)];
          if (type === undefined) break;
          const [next, effects] = step(execution, EVENTS[type]);
          seen.push(...effects.map((e) => e.type));
          execution = next;
        }
        expect(seen.filter((e) => e === 'call_tool').length).toBeLessThanOrEqual(1);
        expect(seen.filter((e) => e === 'record_outcome' || e === 'record_denial').length).toBeLessThanOrEqual(1);
        if (seen.includes('release_result')) expect(execution.state).toBe('audited');
      }),
      { numRuns: 2_000 },
    );
  });
});
