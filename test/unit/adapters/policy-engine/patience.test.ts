import { describe, expect, it } from 'vitest';
import { Patience } from '../../../../adapters/policy-engine/patience.ts';

const DEADLINE = 250;

/** A thread that is silent, on a machine that gives it a share of a processor. Returns when it is given up, by the clock. */
function givenUpAfter(share: number, told: readonly number[] = []): number {
  let now = 0;
  const words = [...told];
  const patience = new Patience(DEADLINE, { now: () => now, processor: () => now * share });
  for (;;) {
    const wait = patience.next();
    if (wait === undefined) return now;
    const word = words[0];
    if (word !== undefined && word <= now + wait) {
      words.shift();
      now = word;
      patience.heard();
    } else {
      now += wait;
    }
  }
}

describe('a deciding thread that is silent', () => {
  it('is given up when it has run for as long as the deadline', () => {
    expect(givenUpAfter(1)).toBe(DEADLINE);
  });

  it.each([
    [0.5, 450],
    [0.25, 850],
    [0.1, 2050],
  ])('and has only %d of a processor is waited for in proportion', (share, after) => {
    const given = givenUpAfter(share);
    expect(given).toBeGreaterThanOrEqual(after);
    expect(given).toBeLessThanOrEqual(after + 60);
  });

  it('and hardly runs is given up all the same after ten times the deadline', () => {
    expect(givenUpAfter(0)).toBeGreaterThanOrEqual(10 * DEADLINE);
    expect(givenUpAfter(0)).toBeLessThanOrEqual(11 * DEADLINE);
  });

  it('is waited for from its last word', () => {
    expect(givenUpAfter(1, [40, 200, 430])).toBe(430 + DEADLINE);
  });
});
