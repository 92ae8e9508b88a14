// How many of something pass in a second. What is beyond that is for the caller to drop or to punish.

export class Rate {
  readonly #perSecondMax: number;
  readonly #nowMs: () => number;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #inWindow = 0;

  constructor(perSecondMax: number, nowMs: () => number) {
    this.#perSecondMax = perSecondMax;
    this.#nowMs = nowMs;
  }

  /** Counts one more; false when it is one too many. */
  take(): boolean {
    const now = this.#nowMs();
    if (now - this.#windowStartMs >= 1_000) {
      this.#windowStartMs = now;
      this.#inWindow = 0;
    }
    if (this.#inWindow >= this.#perSecondMax) return false;
    this.#inWindow++;
    return true;
  }
}
