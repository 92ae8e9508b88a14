// A proof of possession as a server checks it (RFC 9449 section 4.3), by a library that the gate's own proofs are not made with.

import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, type JWK, jwtVerify } from 'jose';

export interface CheckedProof {
  /** Thumbprint of the key that made it. */
  readonly jkt: string;
  readonly jti: string;
  readonly nonce: string | undefined;
}

/** Rejects unless it is a proof for this request and, where there is one, this token. */
export async function checkProof(
  proof: string,
  about: { readonly method: string; readonly url: string; readonly token?: string },
): Promise<CheckedProof> {
  const { payload } = await jwtVerify(proof, EmbeddedJWK, {
    algorithms: ['ES256'],
    typ: 'dpop+jwt',
    requiredClaims: ['jti', 'htm', 'htu', 'iat'],
    maxTokenAge: 60,
  });
  const ath = about.token === undefined ? undefined : createHash('sha256').update(about.token).digest('base64url');
  const { htm, htu, jti, nonce } = payload;
  if (htm !== about.method || htu !== about.url || payload.ath !== ath)
    throw new Error('the proof is for another request');
  const jwk = decodeProtectedHeader(proof).jwk as JWK;
  if ('d' in jwk) throw new Error('the proof shows a private key');
  return {
    jkt: await calculateJwkThumbprint(jwk),
    jti: String(jti),
    nonce: typeof nonce === 'string' ? nonce : undefined,
  };
}
