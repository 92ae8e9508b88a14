// Tokens whose signature was found good, by the digest of their whole text: issuer, key and signature are part of that, so the same text is good again. An
// agent shows the same token with every call, and a signature is most of what a call in a chain costs. Nothing else of a token is remembered.

import type { Digest } from '../../domain/digest.ts';

export const GENUINE_TOKENS_MAX = 4_096;

export class GenuineTokens {
  readonly #digests = new Set<Digest>();

  has(digest: Digest): boolean {
    return this.#digests.has(digest);
  }

  /** Forgets the oldest when there are too many: that is looked at again. */
  add(digest: Digest): void {
    const [oldest] = this.#digests;
    if (oldest !== undefined && this.#digests.size >= GENUINE_TOKENS_MAX) this.#digests.delete(oldest);
    this.#digests.add(digest);
  }
}
