// What stays open after the request that opened it ends when the credential of that request does. The client opens another with a new one.

import type { Clock } from '../../../proxy/ports.ts';

/** Wall clock and timers, as far as the end of a credential has to do with them. */
export type TokenClock = Pick<Clock, 'now' | 'timer'>;

/** Nothing here keeps the process alive. */
export const PLATFORM_CLOCK: TokenClock = {
  now: () => Date.now(),
  timer: (ms, then) => {
    const timer = setTimeout(then, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Calls `end` once at that time, or soon where it has passed; never without one. Returns how to call it off. */
export function whenOver(clock: TokenClock, until: number | undefined, end: () => void): () => void {
  return until === undefined ? () => {} : clock.timer(Math.max(0, until - clock.now()), end);
}
