// Nonces for proofs of possession (RFC 9449 section 9): whoever puts one into a proof made it after we said it, and not long ago. They are
// computed from the time and a secret of this process, so that handing them out costs no memory.

import { encodeBase64url } from '../../domain/base64url.ts';
import { equalBytes, hmacSha256 } from '../crypto/node-crypto.ts';
import { NONCE_SECONDS } from './limits.ts';

export class ProofNonces {
  readonly #secret: Uint8Array;

  /** `secret` is 32 random bytes that no other process has. */
  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  newest(nowSeconds: number): string {
    return this.#of(Math.floor(nowSeconds / NONCE_SECONDS));
  }

  /** Whether this is the newest nonce or the one before. */
  isFresh(nonce: string, nowSeconds: number): boolean {
    const period = Math.floor(nowSeconds / NONCE_SECONDS);
    return [period, period - 1].some((candidate) => equalBytes(Buffer.from(nonce), Buffer.from(this.#of(candidate))));
  }

  #of(period: number): string {
    return encodeBase64url(hmacSha256(this.#secret, Buffer.from(`portcullis/proof-nonce/v1\n${period}`)));
  }
}
