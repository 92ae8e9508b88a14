// Permits burn once. This file remembers which have burnt, for as long as they could still be valid; what it has forgotten it treats as
// burnt, so that a clock set back opens no window. It does not decide whether a permit is good: see permit-checks.ts.
// In memory, because a permit names the start of the gate it is for: after a restart every permit of before is void.

import { type Denial, deny } from '../domain/denial.ts';

/** A gate at 4,000 calls a second with the longest life of a permit, 60 s, holds 240,000; an entry takes about 150 bytes. */
export const SPENT_PERMITS_MAX = 262_144;

export class SpentPermits {
  readonly #capacity: number;
  readonly #spent = new Set<string>();
  /** The ids by the second in which they expire, to forget them without a search. */
  readonly #bySecond = new Map<number, string[]>();
  /** Everything that expires at or before this second may have been forgotten. */
  #forgottenUpTo = 0;

  constructor(capacity: number = SPENT_PERMITS_MAX) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#spent.size;
  }

  /** Whether the permit has burnt, or may have: `exp` is its expiry in seconds. */
  has(jti: string, exp: number): boolean {
    // Written so that an expiry that is not a number counts as burnt.
    return this.#spent.has(jti) || !(exp > this.#forgottenUpTo);
  }

  /** Whether there is no room for another. Nothing that may still be valid is ever given up to make some. */
  full(nowMs: number): boolean {
    if (this.#spent.size < this.#capacity) return false;
    this.#forget(nowMs);
    return this.#spent.size >= this.#capacity;
  }

  /** Burns the permit, or says why it cannot be. An id has one expiry, because both are signed. Synchronous: nobody comes between the question and the answer. */
  burn(jti: string, exp: number, nowMs: number): Denial | undefined {
    if (!(exp * 1000 > nowMs)) return deny('PERMIT_EXPIRED');
    if (this.has(jti, exp)) return deny('PERMIT_REPLAYED');
    this.#forget(nowMs);
    if (this.#spent.size >= this.#capacity) return deny('GOV_REPLAY_CACHE');
    this.#spent.add(jti);
    const second = this.#bySecond.get(exp);
    if (second === undefined) this.#bySecond.set(exp, [jti]);
    else second.push(jti);
    return undefined;
  }

  #forget(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (!(second > this.#forgottenUpTo)) return;
    // At most one list for each second of the longest life, so this is short; and it runs once a second.
    for (const [exp, ids] of this.#bySecond) {
      if (exp > second) continue;
      for (const jti of ids) this.#spent.delete(jti);
      this.#bySecond.delete(exp);
    }
    this.#forgottenUpTo = second;
  }
}
