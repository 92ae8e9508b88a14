// Proof of possession by DPoP (RFC 9449): the client signs, for this request and this token, with the key that the token is bound to.
// It proves that the sender has the key now. It does not cover the body: that is what the connection is for.

import {
  calculateJwkThumbprint,
  decodeProtectedHeader,
  EmbeddedJWK,
  errors,
  type JWK,
  type JWTPayload,
  jwtVerify,
} from 'jose';
import { encodeBase64url } from '../../domain/base64url.ts';
import type { Denial } from '../../domain/denial.ts';
import { sha256 } from '../crypto/node-crypto.ts';
import {
  PROOF_AGE_SECONDS_MAX,
  PROOF_AHEAD_SECONDS_MAX,
  PROOF_CHARACTERS_MAX,
  PROOF_ID_CHARACTERS_MAX,
} from './limits.ts';
import type { ProofNonces } from './proof-nonces.ts';
import { SpentProofs } from './spent-proofs.ts';

/** By keys of which the client shows the public half. No `none`, nothing symmetric. */
export const PROOF_ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'PS384', 'PS512', 'RS256'];

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** Members of a JWK that only the owner of the key should know. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** What a proof must be about. */
export interface ProofSubject {
  readonly method: string;
  readonly url: string;
  /** The access token that came with it, which it has to name. */
  readonly token?: string;
  /** Where there is none: what else was shown that it may name. */
  readonly shown?: string | undefined;
  /** Thumbprint of the key that it must be by. */
  readonly key: string;
  /** Whose the key is: see spent-proofs.ts. */
  readonly holder: string;
}

export interface ProofRefusal {
  readonly error: 'invalid_dpop_proof' | 'use_dpop_nonce';
  readonly detail: string;
}

export class ProofChecks {
  readonly #nonces: ProofNonces;
  readonly #nonceRequired: boolean;
  /** Proofs from before were perhaps used on the process before us, which remembered them. */
  readonly #startedSeconds: number;
  readonly #spent = new SpentProofs();

  constructor(nonces: ProofNonces, nonceRequired: boolean, startedMs: number) {
    this.#nonces = nonces;
    this.#nonceRequired = nonceRequired;
    this.#startedSeconds = Math.floor(startedMs / 1000);
  }

  /** Undefined when the proof is good; it is spent then. Never rejects. */
  async check(
    proof: string | undefined,
    subject: ProofSubject,
    nowMs: number,
  ): Promise<ProofRefusal | Denial | undefined> {
    if (proof === undefined) return invalid('there is no proof');
    if (proof.length > PROOF_CHARACTERS_MAX) return invalid('the proof is too long');
    if (!COMPACT.test(proof)) return invalid('the proof is not in compact form');
    try {
      const problem = await headerProblem(proof, subject.key);
      if (problem !== undefined) return invalid(problem);
      const { payload } = await jwtVerify(proof, EmbeddedJWK, {
        algorithms: PROOF_ALGORITHMS,
        typ: 'dpop+jwt',
        requiredClaims: ['jti', 'htm', 'htu', 'iat', ...(subject.token === undefined ? [] : ['ath'])],
        currentDate: new Date(nowMs),
      });
      return this.#judge(payload, subject, nowMs / 1000);
    } catch (error) {
      return invalid(error instanceof errors.JOSEError ? error.code : 'the proof could not be verified');
    }
  }

  #judge(payload: JWTPayload, subject: ProofSubject, now: number): ProofRefusal | Denial | undefined {
    const { jti, iat, htm, htu, ath, nonce } = payload;
    if (typeof jti !== 'string' || jti === '' || jti.length > PROOF_ID_CHARACTERS_MAX)
      return invalid('the proof has no usable identifier');
    if (htm !== subject.method) return invalid('the proof is for another method');
    if (typeof htu !== 'string' || !isSameTarget(htu, subject.url)) return invalid('the proof is for another address');
    const shown = subject.token ?? subject.shown;
    // Without an access token it may be about something or not, but not about something else.
    const isFree = subject.token === undefined && ath === undefined;
    if (!isFree && (shown === undefined || ath !== digestOf(shown))) return invalid('the proof is for another token');
    if (nonce === undefined) {
      if (this.#nonceRequired) return challenge('the proof has no nonce');
    } else if (typeof nonce !== 'string' || !this.#nonces.isFresh(nonce, now)) {
      return challenge('the nonce is not one of ours, or not any more');
    }
    if (iat === undefined || !(iat >= now - PROOF_AGE_SECONDS_MAX && iat <= now + PROOF_AHEAD_SECONDS_MAX))
      return invalid('the proof was not made now');
    // With a nonce of this process it is of this process. Without, its time has to say so.
    if (nonce === undefined && iat < this.#startedSeconds) return challenge('the proof is older than this process');
    const id = encodeBase64url(sha256(Buffer.from(`${subject.key}\n${jti}`)));
    const spent = this.#spent.spend({ holder: subject.holder, id, iat }, now);
    if (spent === true) return undefined;
    return spent === false ? invalid('the proof was used before') : spent;
  }
}

/** The thumbprint of the key that a proof says it is by, unverified; undefined where it says none. */
export async function keyOfProof(proof: string): Promise<string | undefined> {
  if (proof.length > PROOF_CHARACTERS_MAX || !COMPACT.test(proof)) return undefined;
  try {
    const { jwk } = decodeProtectedHeader(proof);
    return typeof jwk === 'object' && jwk !== null ? await calculateJwkThumbprint(jwk as JWK) : undefined;
  } catch {
    return undefined;
  }
}

function digestOf(token: string): string {
  return encodeBase64url(sha256(Buffer.from(token)));
}

/** Before any arithmetic: the key has to be the one that the token is bound to. */
async function headerProblem(proof: string, key: string): Promise<string | undefined> {
  const { jwk, alg, typ } = decodeProtectedHeader(proof);
  if (typ !== 'dpop+jwt') return 'the proof is of another type';
  if (alg === undefined || !PROOF_ALGORITHMS.includes(alg)) return 'the algorithm is not on the list';
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return 'the proof shows no key';
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) return 'the proof shows a private key';
  if ((await calculateJwkThumbprint(jwk as JWK)) !== key) return 'the proof is by another key';
  return undefined;
}

/** RFC 9449 section 4.3: without query and fragment, after the normalisation of RFC 3986. */
function isSameTarget(claimed: string, url: string): boolean {
  if (!URL.canParse(claimed)) return false;
  const { origin, pathname, username, password } = new URL(claimed);
  const ours = new URL(url);
  return (
    username === '' && password === '' && origin !== 'null' && origin === ours.origin && pathname === ours.pathname
  );
}

function invalid(detail: string): ProofRefusal {
  return { error: 'invalid_dpop_proof', detail };
}

function challenge(detail: string): ProofRefusal {
  return { error: 'use_dpop_nonce', detail };
}
