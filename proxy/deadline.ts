// The time that a call has left, by the monotonic clock. It can stand still for a while: whoever waits for somebody else does not pay for it.
// All such waiting together has a bound of its own, so that no call lasts for ever.

import { CALL_WAITS_FOR_CLIENT_MS } from './limits.ts';
import type { Clock } from './ports.ts';

export class Deadline {
  readonly #clock: Clock;
  readonly #passed: () => void;
  #stopTimer: () => void = () => {};
  #at = 0;
  #pausedAt: number | undefined;
  #waitedMs = 0;

  constructor(clock: Clock, passed: () => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** From now on it passes after so many milliseconds, whatever was said before. */
  set(ms: number): void {
    this.stop();
    this.#at = this.#clock.monotonic() + ms;
    this.#stopTimer = this.#clock.timer(ms, this.#passed);
  }

  /** Time stands still, up to the bound. */
  pause(): void {
    if (this.#pausedAt !== undefined) return;
    this.#stopTimer();
    this.#pausedAt = this.#clock.monotonic();
    this.#stopTimer = this.#clock.timer(Math.max(0, CALL_WAITS_FOR_CLIENT_MS - this.#waitedMs), this.#passed);
  }

  /** What was left runs on. Without a pause before it nothing changes. */
  resume(): void {
    if (this.#pausedAt === undefined) return;
    this.#waitedMs += this.#clock.monotonic() - this.#pausedAt;
    this.set(Math.max(0, this.#at - this.#pausedAt));
  }

  /** It will not pass any more. */
  stop(): void {
    this.#stopTimer();
    this.#pausedAt = undefined;
  }
}
