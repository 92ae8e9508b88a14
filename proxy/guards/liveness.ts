// Whether a tool that has not answered yet shows that it still works: by progress, in numbers that grow. What does not grow shows nothing, and neither
// does a second in which more came than anybody can look at. It never makes a call last longer than its deadline: that is not here.

/** Progress of one call in a second beyond which none of that second counts. */
export const PROGRESS_SIGNS_PER_SECOND_MAX = 25;

const WINDOW_MS = 1_000;

export class Liveness {
  readonly #idleTimeoutMs: number;
  #lastSignAt: number;
  /** The largest progress so far. */
  #reached = Number.NEGATIVE_INFINITY;
  #windowAt = Number.NEGATIVE_INFINITY;
  #inWindow = 0;
  /** The latest sign of the window that is open: it counts once it is known not to be part of a flood. */
  #signAt: number | undefined;

  /** Times are of one monotonic clock. */
  constructor(idleTimeoutMs: number, now: number) {
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#lastSignAt = now;
  }

  /** The tool said how far it is. */
  progress(value: unknown, now: number): void {
    if (now - this.#windowAt >= WINDOW_MS) {
      this.#close();
      this.#windowAt = now;
    }
    this.#inWindow += 1;
    if (typeof value !== 'number' || !(value > this.#reached)) return;
    this.#reached = value;
    this.#signAt = now;
  }

  /** Nothing is expected of the tool at the moment: it waits for somebody else. */
  excuse(now: number): void {
    this.#lastSignAt = now;
  }

  /** So much time passed that no clock of ours saw. */
  lapse(ms: number): void {
    this.#lastSignAt -= ms;
    if (this.#signAt !== undefined) this.#signAt -= ms;
  }

  isSilent(now: number): boolean {
    if (now - this.#windowAt >= WINDOW_MS) this.#close();
    const signAt = this.#isFlood() ? undefined : this.#signAt;
    return now - Math.max(this.#lastSignAt, signAt ?? this.#lastSignAt) >= this.#idleTimeoutMs;
  }

  #isFlood(): boolean {
    return this.#inWindow > PROGRESS_SIGNS_PER_SECOND_MAX;
  }

  #close(): void {
    if (this.#signAt !== undefined && !this.#isFlood()) this.#lastSignAt = Math.max(this.#lastSignAt, this.#signAt);
    this.#signAt = undefined;
    this.#inWindow = 0;
    this.#windowAt = Number.NEGATIVE_INFINITY;
  }
}
