import { describe, expect, it } from 'vitest';
import { Deadline } from '../../../proxy/deadline.ts';
import { CALL_WAITS_FOR_CLIENT_MS } from '../../../proxy/limits.ts';
import { proves } from '../../guarantees.ts';
import { ManualClock } from '../../support/ledger.ts';

function call(ms: number) {
  const clock = new ManualClock();
  let passed = 0;
  const deadline = new Deadline(clock, () => {
    passed += 1;
  });
  deadline.set(ms);
  return { clock, deadline, passed: () => passed };
}

describe('the time of a call', () => {
  it('passes once, on its last millisecond', () => {
    const { clock, passed } = call(100);
    clock.advance(99);
    expect(passed()).toBe(0);
    clock.advance(1);
    clock.advance(1_000);
    expect(passed()).toBe(1);
  });

  it('stands still while somebody else is waited for, and then runs on', () => {
    const { clock, deadline, passed } = call(100);
    clock.advance(60);
    deadline.pause();
    deadline.pause();
    clock.advance(5_000);
    deadline.resume();
    deadline.resume();
    clock.advance(39);
    expect(passed()).toBe(0);
    clock.advance(1);
    expect(passed()).toBe(1);
  });

  proves('G4', 'does not stand still for ever, in one wait or in many', () => {
    const one = call(100);
    one.deadline.pause();
    one.clock.advance(CALL_WAITS_FOR_CLIENT_MS - 1);
    expect(one.passed()).toBe(0);
    one.clock.advance(1);
    expect(one.passed()).toBe(1);
    const many = call(100);
    for (let wait = 0; wait < 3; wait += 1) {
      many.deadline.pause();
      many.clock.advance(CALL_WAITS_FOR_CLIENT_MS / 4);
      many.deadline.resume();
    }
    expect(many.passed()).toBe(0);
    many.deadline.pause();
    many.clock.advance(CALL_WAITS_FOR_CLIENT_MS / 4);
    expect(many.passed()).toBe(1);
  });

  it('does not pass once it was stopped, paused or not', () => {
    for (const pause of [true, false]) {
      const { clock, deadline, passed } = call(100);
      if (pause) deadline.pause();
      deadline.stop();
      deadline.resume();
      clock.advance(2 * CALL_WAITS_FOR_CLIENT_MS);
      expect(passed()).toBe(0);
    }
  });
});
