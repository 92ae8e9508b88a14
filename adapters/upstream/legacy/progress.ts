// The progress of one call: strictly increasing, well-typed, and no more of it a second than anybody can look at.
// What passes keeps every member but the token, which is ours.

import type { JsonObject } from '../../../domain/json.ts';

export class ProgressGuard {
  readonly #forward: (params: JsonObject) => void;
  readonly #perSecondMax: number;
  readonly #nowMs: () => number;
  #last = Number.NEGATIVE_INFINITY;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #inWindow = 0;

  constructor(forward: (params: JsonObject) => void, perSecondMax: number, nowMs: () => number) {
    this.#forward = forward;
    this.#perSecondMax = perSecondMax;
    this.#nowMs = nowMs;
  }

  /** Forwards the notification, or answers false. */
  offer(params: JsonObject): boolean {
    const { progress, total, message } = params;
    if (typeof progress !== 'number' || progress <= this.#last) return false;
    if (total !== undefined && typeof total !== 'number') return false;
    if (message !== undefined && typeof message !== 'string') return false;
    const now = this.#nowMs();
    if (now - this.#windowStartMs >= 1_000) {
      this.#windowStartMs = now;
      this.#inWindow = 0;
    }
    if (this.#inWindow >= this.#perSecondMax) return false;
    this.#inWindow++;
    this.#last = progress;
    const { progressToken: _token, ...said } = params;
    this.#forward(said);
    return true;
  }
}
