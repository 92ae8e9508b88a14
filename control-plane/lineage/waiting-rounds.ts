// Calls that their client may go on with, as the ledger tells it: each once, and not for ever. Bounded in time and number.

import type { RecordedPlace } from './recorded-place.ts';

/** Longer than a client has to come back, and than its call then waits for its turn. */
const WAITS_MS = 60 * 60_000;
/** More than any gate has waiting at once. */
const WAITING_MAX = 100_000;

export interface WaitingRound {
  readonly place: RecordedPlace;
  /** The rounds that it went on with itself. */
  readonly rounds: readonly string[];
}

export class WaitingRounds {
  readonly #waiting = new Map<string, WaitingRound & { readonly until: number }>();
  #isShort = false;

  /** Whether some were not remembered: that one is not known says nothing then. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** `ts`: of the entry that says so. */
  add({ place, rounds }: WaitingRound, ts: string): void {
    const now = Date.parse(ts);
    this.#forget(now);
    if (this.#waiting.size >= WAITING_MAX) this.#isShort = true;
    else this.#waiting.set(place.call, { place, rounds, until: now + WAITS_MS });
  }

  /** The one that is gone on with; it waits no more. */
  take(call: string, ts: string): WaitingRound | undefined {
    this.#forget(Date.parse(ts));
    const round = this.#waiting.get(call);
    this.#waiting.delete(call);
    return round;
  }

  #forget(now: number): void {
    for (const [call, { until }] of this.#waiting) {
      if (until > now) return;
      this.#waiting.delete(call);
    }
  }
}
