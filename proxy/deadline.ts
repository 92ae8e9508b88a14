// The time that a call has left, by the monotonic clock. It can stand still for a while: whoever waits for somebody else does not pay for it.

import type { Clock } from './ports.ts';

export class Deadline {
  readonly #clock: Clock;
  readonly #passed: () => void;
  #stopTimer: () => void = () => {};
  #at = 0;
  #pausedAt: number | undefined;

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

  /** Time stands still. */
  pause(): void {
    this.#stopTimer();
    this.#pausedAt ??= this.#clock.monotonic();
  }

  /** What was left runs on. Without a pause before it nothing changes. */
  resume(): void {
    if (this.#pausedAt !== undefined) this.set(Math.max(0, this.#at - this.#pausedAt));
  }

  /** It will not pass any more. */
  stop(): void {
    this.#stopTimer();
    this.#pausedAt = undefined;
  }
}
