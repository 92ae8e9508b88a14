// An authorization server on a real socket, as far as a resource server has to do with one: its metadata, its keys, and tokens in its name.
// And clients of it that hold a key.

import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

export interface AuthorizationServer {
  readonly issuer: string;
  readonly jwks: string;
  /** An access token: what it says, laid over what every good one says. `undefined` takes a claim away. */
  token(claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

export async function startAuthorizationServer(
  nowSeconds = () => Math.floor(Date.now() / 1000),
): Promise<AuthorizationServer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] });
  let issuer = '';
  const server = createServer((request, response) => {
    const metadata = {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
    };
    response.setHeader('content-type', 'application/json');
    if (request.url === '/jwks') response.end(keys);
    else if (request.url === '/.well-known/oauth-authorization-server') response.end(JSON.stringify(metadata));
    else response.writeHead(404).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    jwks: `${issuer}/jwks`,
    token: (claims = {}, header = {}) => {
      const now = nowSeconds();
      const all = {
        iss: issuer,
        sub: 'alice',
        client_id: 'c1',
        jti: randomUUID(),
        iat: now - 5,
        exp: now + 300,
        ...claims,
      };
      return new SignJWT(JSON.parse(JSON.stringify(all)) as JWTPayload)
        .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'at+jwt', ...header })
        .sign(privateKey);
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface ProofKey {
  readonly alg: string;
  readonly jkt: string;
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
  /** A proof for this request: claims and header laid over the good ones. `undefined` takes one away. */
  prove(about: ProofAbout, claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
}

export interface ProofAbout {
  readonly method: string;
  readonly url: string;
  /** None where the proof stands by itself. */
  readonly token?: string;
  readonly nowSeconds?: number;
}

export async function generateProofKey(alg = 'ES256'): Promise<ProofKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  return {
    alg,
    publicJwk,
    privateJwk: await exportJWK(privateKey),
    jkt: await calculateJwkThumbprint(publicJwk),
    prove: ({ method, url, token, nowSeconds = Math.floor(Date.now() / 1000) }, claims = {}, header = {}) => {
      const ath = token === undefined ? undefined : createHash('sha256').update(token).digest('base64url');
      const all = { jti: randomUUID(), htm: method, htu: url, iat: nowSeconds, ath, ...claims };
      return new SignJWT(JSON.parse(JSON.stringify(all)) as JWTPayload)
        .setProtectedHeader(
          JSON.parse(JSON.stringify({ typ: 'dpop+jwt', alg, jwk: publicJwk, ...header })) as { alg: string },
        )
        .sign(privateKey);
    },
  };
}
