// Two gates that feed each other, for tests: keys, hellos, and a session as each side sees it. Clocks are moved by hand.

import {
  generateSigningKey,
  randomBytes,
  type SigningKey,
  sha256,
  Verifier,
} from '../../adapters/crypto/node-crypto.ts';
import { Feed, type Moment, type PeerKey, sayHello } from '../../control-plane/lineage/feed.ts';
import type { TokenSigner } from '../../control-plane/lineage/token.ts';
import { encodeBase64url } from '../../domain/base64url.ts';
import type { Announced, HelloClaims } from '../../domain/feed-message.ts';
import { type CallId, ulid } from '../../domain/ids.ts';
import { digestOf } from './permits.ts';

export const NOW = 1_795_250_000_000;

export interface Side {
  readonly issuer: string;
  readonly key: SigningKey;
  readonly signer: TokenSigner;
  /** As the other side knows it. */
  readonly peer: PeerKey;
}

export function sideOf(issuer: string): Side {
  const key = generateSigningKey();
  const verifier = new Verifier();
  verifier.register(key.publicKey);
  return {
    issuer,
    key,
    signer: { kid: key.kid, sign: key.sign, sha256 },
    peer: { issuer, verify: verifier.verify },
  };
}

export function helloOf(from: Side, to: Side, more: Partial<HelloClaims> = {}): string {
  const nonce = encodeBase64url(randomBytes(32));
  const claims = { iss: from.issuer, aud: to.issuer, boot: ulid(NOW, randomBytes(10)), nonce, ...more };
  return sayHello(claims, from.signer);
}

/** Both ends of one session. */
export function sessionOf(dialling: Side, dialled: Side, helloAt = 0): { readonly one: Feed; readonly other: Feed } {
  const hellos = [helloOf(dialling, dialled), helloOf(dialled, dialling)] as const;
  return {
    one: new Feed({ hellos, helloAt, signer: dialling.signer, peer: dialled.peer }),
    other: new Feed({ hellos, helloAt, signer: dialled.signer, peer: dialling.peer }),
  };
}

export const at = (monotonic: number): Moment => ({ now: NOW + monotonic, monotonic });

export function callId(number: number): CallId {
  return `01KAJ0000000000000000${String(number).padStart(5, '0')}`;
}

export function announced(number: number, more: Partial<Announced> = {}): Announced {
  return {
    root: callId(0),
    node: callId(number),
    left: 10_000,
    token: digestOf(`token ${number}`),
    entry: { log: 'portcullis.local/one/serve', seq: number, leaf: digestOf(`leaf ${number}`) },
    ...more,
  };
}
