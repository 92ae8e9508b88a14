// What the configuration says of somebody's public key: its thumbprint (RFC 7638), by which a proof is known, and its pin, by which a certificate
// is. A private key is refused: it has no business with us.

import { createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { Digest } from '../../domain/digest.ts';
import { spkiPin } from '../crypto/spki-pin.ts';

export interface KeyNames {
  readonly thumbprint: string;
  readonly spki: Digest;
}

/** `text`: a certificate or a public key as PEM, or a public JWK. Rejects with a sentence for the operator. */
export async function namesOf(text: string): Promise<KeyNames> {
  const key = readPublicKey(text);
  return { thumbprint: await calculateJwkThumbprint(key.export({ format: 'jwk' }) as JWK), spki: spkiPin(key) };
}

function readPublicKey(text: string): KeyObject {
  const isJwk = text.trimStart().startsWith('{');
  if (isJwk ? isPrivateJwk(text) : text.includes('PRIVATE KEY'))
    throw new Error('this is a private key: give its public half, or a certificate');
  try {
    if (isJwk) return createPublicKey({ key: JSON.parse(text) as JsonWebKey, format: 'jwk' });
    return text.includes('BEGIN CERTIFICATE') ? new X509Certificate(text).publicKey : createPublicKey(text);
  } catch {
    throw new Error('this is neither a certificate nor a public key (PEM or JWK)');
  }
}

function isPrivateJwk(text: string): boolean {
  try {
    const jwk = JSON.parse(text) as object;
    return Object.hasOwn(jwk, 'd') || Object.hasOwn(jwk, 'k');
  } catch {
    return false;
  }
}
