// The progress of one request: strictly increasing, well-typed, and no more of it a second than anybody can look at.
// What passes keeps every member but the token, which is ours.

import type { JsonObject } from '../../../domain/json.ts';
import { Rate } from './rate.ts';

export class ProgressGuard {
  readonly #forward: (params: JsonObject) => void;
  readonly #rate: Rate;
  #last = Number.NEGATIVE_INFINITY;

  constructor(forward: (params: JsonObject) => void, perSecondMax: number, nowMs: () => number) {
    this.#forward = forward;
    this.#rate = new Rate(perSecondMax, nowMs);
  }

  /** Forwards the notification, or answers false. */
  offer(params: JsonObject): boolean {
    const { progress, total, message } = params;
    if (typeof progress !== 'number' || progress <= this.#last) return false;
    if (total !== undefined && typeof total !== 'number') return false;
    if (message !== undefined && typeof message !== 'string') return false;
    if (!this.#rate.take()) return false;
    this.#last = progress;
    const { progressToken: _token, ...said } = params;
    this.#forward(said);
    return true;
  }
}
