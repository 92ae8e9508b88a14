// Time as the core sees it. Nothing else in the gate asks the platform.

import type { Clock } from '../proxy/ports.ts';

/** The platform's clocks and timers. A timer keeps the process alive: what it guards is still running. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};
