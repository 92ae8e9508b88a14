// What an agent proves itself with: a key that it shows (good at the gate that knows its digest), or a key that it never shows and proves anew with every
// request (good at every gate that knows its thumbprint, which an agent needs that calls through several).

import { randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { generateApiKey } from '../../adapters/identity/api-key.ts';

export type Credential = { readonly apiKey: string } | { readonly proofKey: JWK };

/** A new one, and what a gate has to know of it. */
export function newApiKey(): { readonly credential: Credential; readonly auth: object } {
  const { key, digest } = generateApiKey();
  return { credential: { apiKey: key }, auth: { apiKey: digest } };
}

export async function newProofKey(): Promise<{ readonly credential: Credential; readonly auth: object }> {
  const { privateKey } = await generateKeyPair('Ed25519', { extractable: true });
  const proofKey = await exportJWK(privateKey);
  return { credential: { proofKey }, auth: { proofKey: await calculateJwkThumbprint(proofKey) } };
}

/** `fetch` as whoever has this credential. */
export function fetchAs(credential: Credential): typeof fetch {
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    if ('apiKey' in credential) headers.set('authorization', `Bearer ${credential.apiKey}`);
    else headers.set('dpop', await proof(credential.proofKey, init?.method ?? 'GET', String(input)));
    return fetch(input, { ...init, headers });
  };
}

/** RFC 9449: good for this method, this address, now, and once. */
async function proof(proofKey: JWK, method: string, url: string): Promise<string> {
  const { d: _, ...jwk } = proofKey;
  return new SignJWT({ htm: method, htu: url, jti: randomUUID() })
    .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk })
    .setIssuedAt()
    .sign(await importJWK(proofKey, 'Ed25519'));
}
