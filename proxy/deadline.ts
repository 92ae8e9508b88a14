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
  /** When it passes, as things stand. */
  #endsAt = 0;
  #isSet = false;

  constructor(clock: Clock, passed: () => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** From now on it passes after so many milliseconds, whatever was said before. */
  set(ms: number): void {
    this.stop();
    this.#at = this.#clock.monotonic() + ms;
    this.#endsAt = this.#at;
    this.#isSet = true;
    this.#stopTimer = this.#clock.timer(ms, this.#passed);
  }

  /** Time stands still, up to the bound. */
  pause(): void {
    if (this.#pausedAt !== undefined) return;
    this.#stopTimer();
    this.#pausedAt = this.#clock.monotonic();
    const waitMs = Math.max(0, CALL_WAITS_FOR_CLIENT_MS - this.#waitedMs);
    this.#endsAt = this.#pausedAt + waitMs;
    this.#stopTimer = this.#clock.timer(waitMs, this.#passed);
  }

  /** What was left runs on. Without a pause before it nothing changes. */
  resume(): void {
    if (this.#pausedAt === undefined) return;
    this.#waitedMs += this.#clock.monotonic() - this.#pausedAt;
    this.set(Math.max(0, this.#at - this.#pausedAt));
  }

  /** Time stands still: somebody else is waited for. */
  get isPaused(): boolean {
    return this.#pausedAt !== undefined;
  }

  /** Whether it should have passed by now, whatever became of its timer. */
  get isOver(): boolean {
    return this.#isSet && this.#clock.monotonic() >= this.#endsAt;
  }

  /** So much time passed that the monotonic clock did not see. */
  lapse(ms: number): void {
    this.#endsAt -= ms;
    if (this.#pausedAt === undefined) this.#at -= ms;
    else this.#waitedMs += ms;
  }

  /** It will not pass any more. */
  stop(): void {
    this.#stopTimer();
    this.#isSet = false;
    this.#pausedAt = undefined;
  }
}
