// A proof is good for one request. This file remembers which have been used, for as long as they could still pass for fresh: per holder of a
// token, so that nobody can crowd out another, and bounded. It forgets with the process; what that means is dpop.ts.

import { type Denial, deny } from '../../domain/denial.ts';
import { PROOF_AGE_SECONDS_MAX, PROOF_AHEAD_SECONDS_MAX, PROOFS_MAX, PROOFS_PER_HOLDER_MAX } from './limits.ts';

export interface UsedProof {
  /** One of the subjects that the configuration names, so that there are not arbitrarily many. */
  readonly holder: string;
  /** Identifies the proof among all of this holder: its key and its `jti`. */
  readonly id: string;
  /** When it says it was made, in seconds. */
  readonly iat: number;
}

interface Remembered {
  readonly iat: number;
  readonly until: number;
}

export class SpentProofs {
  readonly #holders = new Map<string, Map<string, Remembered>>();
  #size = 0;
  /** The latest time of making of a proof that we have forgotten. */
  #forgottenUpTo = Number.NEGATIVE_INFINITY;

  get size(): number {
    return this.#size;
  }

  /** True for one presentation of this proof, and never again. Call it last: what was spent on a request that is refused is gone. */
  spend({ holder, id, iat }: UsedProof, nowSeconds: number): boolean | Denial {
    this.#forget(nowSeconds);
    // A clock that was set back makes old proofs fresh again, and we may have forgotten them.
    if (iat <= this.#forgottenUpTo) return false;
    const spent = this.#holders.get(holder) ?? new Map<string, Remembered>();
    if (spent.has(id)) return false;
    if (spent.size >= PROOFS_PER_HOLDER_MAX || this.#size >= PROOFS_MAX) return deny('OVERLOADED', 'too many proofs');
    spent.set(id, { iat, until: nowSeconds + PROOF_AGE_SECONDS_MAX + PROOF_AHEAD_SECONDS_MAX });
    this.#holders.set(holder, spent);
    this.#size += 1;
    return true;
  }

  /** In order of arrival, which is the order in which they end. */
  #forget(nowSeconds: number): void {
    for (const [holder, spent] of this.#holders) {
      for (const [id, { iat, until }] of spent) {
        if (until >= nowSeconds) break;
        spent.delete(id);
        this.#size -= 1;
        this.#forgottenUpTo = Math.max(this.#forgottenUpTo, iat);
      }
      if (spent.size === 0) this.#holders.delete(holder);
    }
  }
}
