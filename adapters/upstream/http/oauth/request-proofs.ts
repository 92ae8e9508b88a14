// What goes with a request to a tool server for its token: the header, and, for a token that is bound to a key, a proof of its own with the nonce
// that the server gave last. Whether there is a token, and whether it is still good, is for whoever asks.

import type { Credential } from './credentials.ts';
import { ProofKey } from './proof-key.ts';

/** RFC 9449 section 8.1; longer ones are not kept. */
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/;

export interface TokenHeaders {
  readonly header: string;
  readonly proof?: string;
}

export class RequestProofs {
  /** The key of the token that was used last. */
  #key: { readonly pem: string; readonly key: ProofKey } | undefined;
  #nonce: string | undefined;

  headers(held: Credential, method: string, url: URL, nowMs: number): TokenHeaders {
    const { accessToken: token, proofKey } = held.tokens;
    const header = headerOf(held);
    if (proofKey === undefined) return { header };
    if (this.#key?.pem !== proofKey) this.#key = { pem: proofKey, key: new ProofKey(proofKey) };
    return { header, proof: this.#key.key.proof({ method, url, token, nonce: this.#nonce }, nowMs) };
  }

  /** The server said what the next proof has to hold. What is no nonce is left out. */
  heard(nonce: string): void {
    if (isNonce(nonce)) this.#nonce = nonce;
  }
}

/** A nonce that a server gave and that can be said back to it. */
export function isNonce(text: string): boolean {
  return NONCE.test(text);
}

/** The scheme says whether a proof goes with it. */
export function headerOf({ tokens }: Credential): string {
  return `${tokens.proofKey === undefined ? 'Bearer' : 'DPoP'} ${tokens.accessToken}`;
}
