// The key that our tokens for one server are bound to, and the proofs that we have it (RFC 9449): one for each request, never used twice. A proof
// for a tool server is signed at once, because a request leaves in the tick in which it was recorded. The key is stored with its token alone.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
  webcrypto,
} from 'node:crypto';
import { encodeBase64url } from '../../../../domain/base64url.ts';
import { sha256 } from '../../../crypto/node-crypto.ts';
import type { Sdk } from './discovery.ts';

/** What everybody has who has any of it. */
export const PROOF_ALGORITHM = 'ES256';
const CURVE = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** What a proof is good for. */
export interface ProofAbout {
  readonly method: string;
  readonly url: URL;
  readonly token: string;
  /** What the server said last that it wants to read in it. */
  readonly nonce: string | undefined;
}

type SdkSession = Awaited<ReturnType<Sdk['DpopSession']['create']>>;

export class ProofKey {
  readonly #key: KeyObject;
  readonly #jwk: { readonly crv: string; readonly kty: string; readonly x: string; readonly y: string };
  readonly #header: string;

  /** Throws when it is not a private key of this kind. */
  constructor(pem: string) {
    this.#key = createPrivateKey(pem);
    if (this.#key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('not a key for ES256');
    const { crv = '', kty = '', x = '', y = '' } = createPublicKey(this.#key).export({ format: 'jwk' });
    this.#jwk = { crv, kty, x, y };
    this.#header = encoded({ alg: PROOF_ALGORITHM, jwk: this.#jwk, typ: 'dpop+jwt' });
  }

  static generate(): ProofKey {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: CURVE.namedCurve });
    return new ProofKey(pemOf(privateKey));
  }

  /** PKCS #8. For the sealed store and nowhere else. */
  get pem(): string {
    return pemOf(this.#key);
  }

  /** A proof for one request to a tool server. The query is no part of it. */
  proof({ method, url, token, nonce }: ProofAbout, nowMs: number): string {
    const claims = {
      jti: randomUUID(),
      htm: method,
      htu: `${url.origin}${url.pathname}`,
      iat: Math.floor(nowMs / 1_000),
      ath: encodeBase64url(sha256(Buffer.from(token))),
      ...(nonce === undefined ? {} : { nonce }),
    };
    const signed = `${this.#header}.${encoded(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: this.#key, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${encodeBase64url(signature)}`;
  }

  /** The same key as the SDK proves it at a token endpoint, nonces of that endpoint included. */
  async session(sdk: Sdk): Promise<SdkSession> {
    const { subtle } = webcrypto;
    const der = this.#key.export({ type: 'pkcs8', format: 'der' });
    const { crv, kty, x, y } = this.#jwk;
    const keyPair = {
      privateKey: await subtle.importKey('pkcs8', der, CURVE, false, ['sign']),
      publicKey: await subtle.importKey('jwk', this.#jwk, CURVE, true, ['verify']),
      publicJwk: this.#jwk,
      // RFC 7638: these members, in this order.
      thumbprint: encodeBase64url(sha256(Buffer.from(JSON.stringify({ crv, kty, x, y })))),
      alg: PROOF_ALGORITHM,
    } as const;
    return sdk.DpopSession.create({ keyPair });
  }
}

function encoded(part: object): string {
  return encodeBase64url(Buffer.from(JSON.stringify(part)));
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
