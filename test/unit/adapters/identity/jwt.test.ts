import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Authenticator } from '../../../../adapters/downstream/ports.ts';
import { openAuthenticator } from '../../../../adapters/identity/authenticator.ts';
import { type KeySet, openKeySet } from '../../../../adapters/identity/key-set.ts';
import { TOKEN_CHARACTERS_MAX } from '../../../../adapters/identity/limits.ts';
import type { Manifest } from '../../../../control-plane/policy/manifest.ts';
import { proves } from '../../../guarantees.ts';
import { selfSigned } from '../../../support/certificates.ts';

const ISSUER = 'https://issuer.example';
const RESOURCE = 'https://gate.example/mcp';
const NOW = 1_795_250_000;
const POST = { method: 'POST', url: RESOURCE };

const rsa = await generateKeyPair('RS256');
const ed = await generateKeyPair('Ed25519');
const stranger = await generateKeyPair('RS256');
const rsaJwk = await exportJWK(rsa.publicKey);
const keySet = JSON.stringify({
  keys: [
    { ...rsaJwk, kid: 'rsa', use: 'sig' },
    { ...(await exportJWK(ed.publicKey)), kid: 'ed', alg: 'Ed25519' },
    { ...(await exportJWK((await generateKeyPair('RS256')).publicKey)), kid: 'encryption', use: 'enc' },
    { kty: 'oct', kid: 'symmetric', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0' },
  ],
});

let server: Server;
let origin: string;
let folder: string;
let fetches = 0;
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  server = createServer((request, response) => {
    fetches += 1;
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  serve();
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function serve(): void {
  answer = (_, response) => response.setHeader('content-type', 'application/json').end(keySet);
}

function manifest(jwks: string, agents?: Manifest['agents']): Pick<Manifest, 'agents' | 'identity'> {
  return {
    identity: {
      jwt: [
        { issuer: ISSUER, audience: RESOURCE, jwks, algorithms: ['RS256', 'Ed25519'], scopes: [], atJwt: 'accepted' },
      ],
    },
    agents: agents ?? {
      coder: { roles: ['developer'], root: true, auth: { jwt: { sub: 'alice' } } },
      other: { roles: [], root: true, auth: { jwt: { sub: 'bob', claims: { groups: 'admins' } } } },
    },
  };
}

function open(jwks = `${origin}/jwks`, agents?: Manifest['agents']): Authenticator {
  const opened = openAuthenticator(manifest(jwks, agents), folder, () => NOW * 1000);
  if ('fault' in opened) throw new Error(opened.fault);
  return opened;
}

const good: JWTPayload = { iss: ISSUER, aud: RESOURCE, sub: 'alice', iat: NOW - 10, exp: NOW + 300 };
const goodHeader = { alg: 'RS256', kid: 'rsa', typ: 'at+jwt' };

function token(
  payload: JWTPayload = good,
  header: Record<string, unknown> = goodHeader,
  key: typeof rsa.privateKey | Uint8Array = rsa.privateKey,
) {
  return new SignJWT(payload).setProtectedHeader(header as typeof goodHeader).sign(key);
}

/** The good claims with some replaced; `undefined` takes one away. */
function withClaims(change: Record<string, unknown>): Promise<string> {
  return token(JSON.parse(JSON.stringify({ ...good, ...change })) as JWTPayload);
}

function unsigned(header: object, payload: object = good): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.`;
}

describe('an access token', () => {
  const refused: [string, () => string | Promise<string>][] = [
    ['that has expired', () => withClaims({ exp: NOW - 6 })],
    ['without an expiry', () => withClaims({ exp: undefined })],
    ['without the time of its issue', () => withClaims({ iat: undefined })],
    ['issued in the future', () => withClaims({ iat: NOW + 6 })],
    ['not valid yet', () => withClaims({ nbf: NOW + 6 })],
    ['valid for longer than a day', () => withClaims({ iat: NOW - 10, exp: NOW + 86_391 })],
    ['that expires before it was issued', () => withClaims({ iat: NOW + 3, exp: NOW + 2 })],
    ['whose expiry is text', () => withClaims({ exp: String(NOW + 300) })],
    ['of another issuer', () => withClaims({ iss: 'https://evil.example' })],
    ['of an issuer with a slash more', () => withClaims({ iss: `${ISSUER}/` })],
    ['without an issuer', () => withClaims({ iss: undefined })],
    ['for another audience', () => withClaims({ aud: 'https://other.example' })],
    ['for us and somebody else', () => withClaims({ aud: [RESOURCE, 'https://other.example'] })],
    ['for an empty list of audiences', () => withClaims({ aud: [] })],
    ['without an audience', () => withClaims({ aud: undefined })],
    ['for nobody', () => withClaims({ sub: undefined })],
    ['for somebody we do not know', () => withClaims({ sub: 'mallory' })],
    ['for an agent, without a claim that it must have', () => withClaims({ sub: 'bob' })],
    ['for an agent, with another value of a claim', () => withClaims({ sub: 'bob', groups: ['users', 'admins2'] })],
    ['bound to a key of which no proof came', () => withClaims({ cnf: { jkt: 'abc' } })],
    ['with padding behind it', async () => `${await token()}==`],
    ['with alg none', () => unsigned({ ...goodHeader, alg: 'none' })],
    ['with alg None', () => unsigned({ ...goodHeader, alg: 'None' })],
    [
      'with the public key as the secret of HS256',
      async () => {
        const pem = new TextEncoder().encode(await exportSPKI(rsa.publicKey));
        return token(good, { ...goodHeader, alg: 'HS256' }, pem);
      },
    ],
    [
      'with HS256 by a symmetric key of the key set',
      () => {
        const secret = Buffer.from('c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0', 'base64url');
        return token(good, { ...goodHeader, alg: 'HS256', kid: 'symmetric' }, secret);
      },
    ],
    [
      'with an algorithm that is not on the list',
      async () => {
        const { privateKey } = await generateKeyPair('ES256');
        return token(good, { ...goodHeader, alg: 'ES256' }, privateKey);
      },
    ],
    ['by a key that is not in the key set', () => token(good, goodHeader, stranger.privateKey)],
    ['with an unknown key id', () => token(good, { ...goodHeader, kid: 'unknown' })],
    ['by a key for encryption', () => token(good, { ...goodHeader, kid: 'encryption' })],
    [
      'that brings its own key',
      async () => {
        const jwk = await exportJWK(stranger.publicKey);
        return token(good, { ...goodHeader, jwk }, stranger.privateKey);
      },
    ],
    ['that says where its key is', () => token(good, { ...goodHeader, jku: `${origin}/evil` })],
    ['that brings a certificate', () => token(good, { ...goodHeader, x5c: ['AAAA'] })],
    ['of type ID token', () => token(good, { ...goodHeader, typ: 'id+jwt' })],
    ['that is one of our permits by type', () => token(good, { ...goodHeader, typ: 'portcullis-permit+jwt' })],
    ['without a type', () => token(good, { alg: 'RS256', kid: 'rsa' })],
    [
      'with a critical extension',
      () =>
        new SignJWT(good)
          .setProtectedHeader({ ...goodHeader, crit: ['urn:x'], 'urn:x': 1 })
          .sign(rsa.privateKey, { crit: { 'urn:x': true } }),
    ],
    ['longer than we read', () => withClaims({ padding: 'A'.repeat(TOKEN_CHARACTERS_MAX) })],
    [
      'with other claims under its signature',
      async () => {
        const [head, , signature] = (await token()).split('.');
        const [, body] = (await withClaims({ sub: 'bob', groups: 'admins' })).split('.');
        return `${head}.${body}.${signature}`;
      },
    ],
    ['without its signature', async () => `${(await token()).split('.').slice(0, 2).join('.')}.`],
    ['that is encrypted', async () => `${await token()}.AAAA.AAAA`],
    [
      'that is not JSON',
      () => `${Buffer.from('{').toString('base64url')}.${Buffer.from('{').toString('base64url')}.AAAA`,
    ],
    ['that is empty', () => '..'],
  ];

  for (const [what, make] of refused) {
    proves('G4', `${what} is refused`, async () => {
      const verdict = await open().authenticate({ ...POST, authorization: `Bearer ${await make()}` });
      expect(verdict).toMatchObject({ code: 'ID_UNAUTHENTICATED' });
    });
  }

  it('does not appear in its refusal', async () => {
    const bad = await withClaims({ exp: NOW - 6 });
    const verdict = JSON.stringify(await open().authenticate({ ...POST, authorization: `Bearer ${bad}` }));
    for (const part of bad.split('.')) expect(verdict).not.toContain(part);
  });

  it('that fits several agents is nobody’s', async () => {
    const twin = { roles: [], root: true, auth: { jwt: { sub: 'alice' } } };
    const verdict = await open(undefined, { one: twin, two: twin }).authenticate({
      ...POST,
      authorization: `Bearer ${await token()}`,
    });
    expect(verdict).toMatchObject({ code: 'ID_UNAUTHENTICATED' });
  });

  it.each([
    ['of either type and audience as text', () => token()],
    ['with the audience as a list of one', () => withClaims({ aud: [RESOURCE] })],
    ['of type JWT', () => token(good, { ...goodHeader, typ: 'JWT' })],
    ['by an Ed25519 key', () => token(good, { alg: 'Ed25519', kid: 'ed', typ: 'at+jwt' }, ed.privateKey)],
    ['in the last second of the tolerance', () => withClaims({ exp: NOW - 4 })],
  ])('%s stands for its agent', async (_, make) => {
    const principal = await open().authenticate({ ...POST, authorization: `Bearer ${await make()}` });
    expect(principal).toMatchObject({ agent: 'coder', roles: ['developer'], root: true, authentication: 'jwt' });
  });

  it('proves somebody until it ends, the tolerance included', async () => {
    const proven = await open().authenticate({
      ...POST,
      authorization: `Bearer ${await withClaims({ exp: NOW + 60 })}`,
    });
    expect(proven).toMatchObject({ until: (NOW + 65) * 1_000 });
  });

  it('with a list of groups stands for the agent that needs one of them', async () => {
    const bob = await withClaims({ sub: 'bob', groups: ['users', 'admins'] });
    expect(await open().authenticate({ ...POST, authorization: `Bearer ${bob}` })).toMatchObject({ agent: 'other' });
  });

  it('that follows another keeps the connection; one of another client does not', async () => {
    const connection = async (text: string) => {
      const principal = await open().authenticate({ ...POST, authorization: `Bearer ${text}` });
      return 'connection' in principal ? principal.connection : principal.code;
    };
    expect(await connection(await withClaims({ exp: NOW + 600 }))).toBe(await connection(await token()));
    expect(await connection(await withClaims({ client_id: 'x' }))).not.toBe(await connection(await token()));
  });
});

describe('a key set', () => {
  it.each([
    'http://issuer.example/jwks',
    'http://127.0.0.1.evil.example/jwks',
    'http://user:password@127.0.0.1/jwks',
    'ftp://127.0.0.1/jwks',
    'file:///etc/passwd',
    'no-such-file.json',
  ])('is not taken from %s', (jwks) => {
    expect(openAuthenticator(manifest(jwks), folder)).toHaveProperty('fault');
  });

  it('is not taken from a file that holds something else', () => {
    writeFileSync(join(folder, 'other.json'), '{"keys":1}');
    expect(openAuthenticator(manifest('other.json'), folder)).toHaveProperty('fault');
  });

  it('comes from a file as well', async () => {
    writeFileSync(join(folder, 'jwks.json'), keySet);
    expect(await open('jwks.json').authenticate({ ...POST, authorization: `Bearer ${await token()}` })).toMatchObject({
      agent: 'coder',
    });
  });

  const ailing: [string, typeof answer][] = [
    ['answers with an error', (_, response) => response.writeHead(500).end(keySet)],
    [
      'redirects',
      (request, response) => {
        if (request.url === '/real') response.end(keySet);
        else response.writeHead(302, { location: '/real' }).end();
      },
    ],
    ['answers with something else', (_, response) => response.end('<html>')],
    ['answers with too much', (_, response) => response.end(`${keySet.slice(0, -1)},"x":"${'A'.repeat(300_000)}"}`)],
    ['hangs up', (request) => request.socket.destroy()],
  ];

  for (const [how, behaviour] of ailing) {
    proves('G4', `whose server ${how} lets nobody in, and is asked once, not by every request`, async () => {
      answer = behaviour;
      fetches = 0;
      const authenticator = open();
      for (let count = 0; count < 5; count++) {
        const verdict = await authenticator.authenticate({ ...POST, authorization: `Bearer ${await token()}` });
        expect(verdict).toMatchObject({ code: 'ID_UNAUTHENTICATED' });
      }
      expect(fetches).toBe(1);
      serve();
    });
  }

  proves('G4', 'whose server never answers lets nobody in, and does not keep the request for ever', async () => {
    answer = () => {};
    const verdict = await open().authenticate({ ...POST, authorization: `Bearer ${await token()}` });
    expect(verdict).toMatchObject({ code: 'ID_UNAUTHENTICATED' });
    serve();
  });

  it('is fetched once for many requests, and unknown key ids do not change that', async () => {
    fetches = 0;
    const authenticator = open();
    const [one, other] = [await token(), await token(good, { ...goodHeader, kid: 'unknown' })];
    await Promise.all(
      [one, other, one, other].map((text) => authenticator.authenticate({ ...POST, authorization: `Bearer ${text}` })),
    );
    expect(fetches).toBe(1);
  });

  describe('behind a name', () => {
    const keyOf = (keys: KeySet) => keys({ alg: 'RS256', kid: 'rsa' }, { payload: '', signature: '' });
    let vouched: string;
    let secure: Server;
    let visits = 0;

    beforeAll(async () => {
      const certificate = selfSigned({ host: 'issuer.example' });
      vouched = certificate.cert;
      secure = createSecureServer(certificate, (_, response) => {
        visits += 1;
        response.end(keySet);
      });
      await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => secure.close());

    const opened = (addresses: readonly string[], network?: 'private') =>
      openKeySet(`https://issuer.example:${(secure.address() as AddressInfo).port}/jwks`, {
        network,
        resolve: async () => addresses,
        trusted: vouched,
      });

    for (const addresses of [['127.0.0.1'], ['10.1.2.3'], ['169.254.169.254'], ['203.0.114.1', '127.0.0.1']])
      proves('G4', `is not asked where the name leads to ${addresses.join(' and ')}`, async () => {
        visits = 0;
        await expect(keyOf(opened(addresses))).rejects.toThrow(/leads to an address in a \w+ network/);
        expect(visits).toBe(0);
      });

    it('is asked over TLS where the operator said that it is private, whatever proxies our environment names', async () => {
      const proxies = { HTTPS_PROXY: origin, https_proxy: origin, NODE_USE_ENV_PROXY: '1' };
      for (const [name, value] of Object.entries(proxies)) vi.stubEnv(name, value);
      fetches = 0;
      await expect(keyOf(opened(['127.0.0.1'], 'private'))).resolves.toMatchObject({ type: 'public' });
      vi.unstubAllEnvs();
      expect([visits, fetches]).toEqual([1, 0]);
    });
  });
});
