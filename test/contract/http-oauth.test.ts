// The whole way of an OAuth client, on real sockets: from a refusal to the metadata, to the authorization server's token, to a session. And
// the ways that do not lead in.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as sdk from '@modelcontextprotocol/client';
import * as legacySdk from '@modelcontextprotocol/sdk/client/auth.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listenHttp } from '../../adapters/downstream/http/http-front.ts';
import { openAuthenticator } from '../../adapters/identity/authenticator.ts';
import { parseManifest } from '../../control-plane/policy/parse-manifest.ts';
import { proves } from '../guarantees.ts';
import {
  type AuthorizationServer,
  generateProofKey,
  type ProofKey,
  startAuthorizationServer,
} from '../support/authorization-server.ts';
import { EchoSessions } from '../support/echo-sessions.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}';
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const PUBLIC = 'https://gate.example';

let folder: string;
let server: AuthorizationServer;
let key: ProofKey;
let thief: ProofKey;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  [server, key, thief] = await Promise.all([startAuthorizationServer(), generateProofKey(), generateProofKey()]);
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await server.close();
});
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Gate {
  readonly url: string;
  readonly sessions: EchoSessions;
  send(
    headers?: Record<string, string>,
    options?: { path?: string; method?: string; body?: string },
  ): Promise<Response>;
}

/** A front with `agents` and `identity` as a manifest would say them. `publicUrl` null: the one of the listener itself. */
async function gate(issuer = '', more = '', publicUrl: string | null = PUBLIC, agents = ''): Promise<Gate> {
  const listen = publicUrl === null ? '' : `listen: { publicUrl: "${publicUrl}" }\n`;
  const text = `apiVersion: portcullis/v1
${listen}identity: { jwt: [{ issuer: "${server.issuer}", jwks: "https://replaced.example", algorithms: [ES256], ${issuer} }] ${more} }
agents:
  coder: { roles: [dev], auth: { jwt: { sub: alice } } }
  writer: { auth: { jwt: { sub: bob, claims: { scope: "files:write files:read" } } } }
${agents}`;
  const parsed = parseManifest(text, 'p.yaml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { manifest } = parsed;
  for (const entry of manifest.identity.jwt) entry.jwks = server.jwks;
  const authenticator = openAuthenticator(manifest, folder);
  if ('fault' in authenticator) throw new Error(authenticator.fault);
  const sessions = new EchoSessions();
  const result = await listenHttp({
    host: '127.0.0.1',
    port: 0,
    sessions,
    access: { kind: 'authenticated', authenticator },
    ...(publicUrl === null ? {} : { publicUrl }),
    limits: { drainMs: 100 },
  });
  if (!result.ok) throw new Error(result.problem);
  cleanups.push(() => result.front.close());
  const url = `http://127.0.0.1:${result.front.port}`;
  const send: Gate['send'] = (headers = {}, { path = '/mcp', method = 'POST', body = INITIALIZE } = {}) => {
    const accept = 'application/json, text/event-stream';
    const all = { accept, ...(method === 'POST' ? { 'content-type': 'application/json' } : {}), ...headers };
    return fetch(url + path, { method, headers: all, ...(method === 'POST' ? { body } : {}) });
  };
  return { url, sessions, send };
}

const aud = `${PUBLIC}/mcp`;
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const challenge = (response: Response): string => response.headers.get('www-authenticate') ?? '';

async function bound(holder = key, more: Record<string, unknown> = {}): Promise<string> {
  return server.token({ aud, cnf: { jkt: holder.jkt }, ...more });
}

async function proved(
  token: string,
  holder = key,
  claims: Record<string, unknown> = {},
  path = '/mcp',
  method = 'POST',
) {
  const dpop = await holder.prove({ method, url: PUBLIC + path, token }, claims);
  return { authorization: `DPoP ${token}`, dpop };
}

describe('a token', () => {
  proves('G4', 'opens the path that it is for, and no other', async () => {
    const { send } = await gate();
    const one = bearer(await server.token({ aud: `${PUBLIC}/mcp/fs` }));
    expect((await send(one)).status).toBe(401);
    expect((await send(one, { path: '/mcp/git' })).status).toBe(401);
    expect((await send(one, { path: '/mcp/fs' })).status).toBe(200);
    const all = bearer(await server.token({ aud }));
    expect((await send(all)).status).toBe(200);
    expect((await send(all, { path: '/mcp/fs' })).status).toBe(200);
  });

  const elsewhere: [string, Record<string, unknown>][] = [
    ['the host alone', { aud: PUBLIC }],
    ['the path of another host', { aud: 'https://other.example/mcp' }],
    ['us and somebody else', { aud: [aud, 'https://other.example/mcp'] }],
    ['nobody in particular', { aud: undefined }],
    ['its own authorization server', { aud: 'c1' }],
  ];
  for (const [whom, claims] of elsewhere) {
    proves('G4', `that is for ${whom} lets nobody in`, async () => {
      const { send } = await gate();
      const response = await send(bearer(await server.token(claims)));
      expect(response.status).toBe(401);
      expect(challenge(response)).toMatch(/^Bearer error="invalid_token", resource_metadata=/);
    });
  }

  it('for the name in the Host header is not one for us, where no address is configured', async () => {
    const { send, url } = await gate('audience: "urn:gate"', '', null);
    expect((await send(bearer(await server.token({ aud: `${url}/mcp` })))).status).toBe(401);
    expect((await send(bearer(await server.token({ aud: 'urn:gate' })))).status).toBe(200);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['without an expiry', { aud, exp: undefined }, {}],
    ['of type JWT where access tokens must say so', { aud }, { typ: 'JWT' }],
  ])('%s lets nobody in', async (_, claims, header) => {
    const { send } = await gate('atJwt: required');
    expect((await send(bearer(await server.token(claims, header)))).status).toBe(401);
    expect((await send(bearer(await server.token({ aud })))).status).toBe(200);
  });
});

describe('scopes', () => {
  it('are asked for at once, of somebody without a credential', async () => {
    const { send } = await gate('scopes: ["mcp:use", "mcp:list"]');
    const response = await send();
    expect(response.status).toBe(401);
    expect(challenge(response)).toBe(`Bearer resource_metadata="${PUBLIC}${WELL_KNOWN}/mcp", scope="mcp:use mcp:list"`);
  });

  const missing: [string, string, Record<string, unknown>, string][] = [
    ['none', 'alice', {}, 'mcp:use mcp:list'],
    ['one', 'alice', { scope: 'mcp:use' }, 'mcp:use mcp:list'],
    ['words that contain them', 'alice', { scope: 'mcp:use2 xmcp:list' }, 'mcp:use mcp:list'],
    ['words in other case', 'alice', { scope: 'MCP:USE mcp:list' }, 'mcp:use mcp:list'],
    ['something that is no list', 'alice', { scope: { 'mcp:use': true } }, 'mcp:use mcp:list'],
    [
      'all but those of the agent',
      'bob',
      { scope: 'mcp:use mcp:list files:read' },
      'mcp:use mcp:list files:write files:read',
    ],
  ];
  for (const [what, sub, claims, wanted] of missing) {
    proves('G4', `of which a token has ${what}: 403, which names all that ${sub} needs`, async () => {
      const { send, sessions } = await gate('scopes: ["mcp:use", "mcp:list"]');
      const response = await send(bearer(await server.token({ aud, sub, ...claims })));
      expect(response.status).toBe(403);
      expect(challenge(response)).toBe(
        `Bearer error="insufficient_scope", resource_metadata="${PUBLIC}${WELL_KNOWN}/mcp", scope="${wanted}"`,
      );
      expect(sessions.opened).toEqual([]);
    });
  }

  it.each<[string, Record<string, unknown>, string]>([
    ['all and more', { scope: 'x mcp:list mcp:use' }, 'coder'],
    ['all as a list', { scope: ['mcp:use', 'mcp:list'] }, 'coder'],
    ['all of an agent', { sub: 'bob', scope: 'files:write files:read mcp:use mcp:list' }, 'writer'],
  ])('of which a token has %s let it in', async (_, claims, agent) => {
    const { send, sessions } = await gate('scopes: ["mcp:use", "mcp:list"]');
    expect((await send(bearer(await server.token({ aud, ...claims })))).status).toBe(200);
    expect(sessions.last.identity.principal.agent).toBe(agent);
  });
});

describe('proof of possession', () => {
  const refused: [string, string, (token: string) => Promise<Record<string, string>>][] = [
    ['a bound token as a bearer token', 'Bearer error="invalid_token"', async (token) => bearer(token)],
    [
      'a bound token as a bearer token, with a proof',
      'Bearer error="invalid_token"',
      async (token) => ({ ...(await proved(token)), ...bearer(token) }),
    ],
    [
      'a bound token without a proof',
      'DPoP error="invalid_dpop_proof"',
      async (token) => ({ authorization: `DPoP ${token}` }),
    ],
    ['a proof by another key', 'DPoP error="invalid_dpop_proof"', (token) => proved(token, thief)],
    ['a proof for another path', 'DPoP error="invalid_dpop_proof"', (token) => proved(token, key, {}, '/mcp/fs')],
    ['a proof for another method', 'DPoP error="invalid_dpop_proof"', (token) => proved(token, key, {}, '/mcp', 'GET')],
    [
      'a proof for another token',
      'DPoP error="invalid_dpop_proof"',
      async (token) => ({ ...(await proved(await bound())), authorization: `DPoP ${token}` }),
    ],
    [
      'a proof for the address of the listener itself',
      'DPoP error="invalid_dpop_proof"',
      (token) => proved(token, key, { htu: 'http://127.0.0.1/mcp' }),
    ],
    ['a token that is not bound', 'DPoP error="invalid_token"', async () => proved(await server.token({ aud }))],
    [
      'a token that is bound by a certificate',
      'DPoP error="invalid_token"',
      async () => proved(await server.token({ aud, cnf: { 'x5t#S256': 'a' } })),
    ],
    [
      'a token that is bound in two ways',
      'DPoP error="invalid_token"',
      async () => proved(await server.token({ aud, cnf: { jkt: key.jkt, kid: 'x' } })),
    ],
    [
      'a token that is bound to something like a key',
      'DPoP error="invalid_token"',
      async () => proved(await server.token({ aud, cnf: { jkt: `${key.jkt}=` } })),
    ],
    ['an API key', 'DPoP error="invalid_token"', async () => ({ authorization: `DPoP pck_${'A'.repeat(43)}` })],
  ];
  for (const [what, said, make] of refused) {
    proves('G4', `${what} is refused`, async () => {
      const { send, sessions } = await gate();
      const response = await send(await make(await bound()));
      expect(response.status).toBe(401);
      expect(challenge(response)).toContain(said);
      expect(challenge(response)).toContain(`resource_metadata="${PUBLIC}${WELL_KNOWN}/mcp"`);
      expect(sessions.opened).toEqual([]);
    });
  }

  proves('G4', 'a request that was overheard is of no use a second time', async () => {
    const { send } = await gate();
    const request = await proved(await bound());
    expect((await send(request)).status).toBe(200);
    const again = await send(request);
    expect(again.status).toBe(401);
    expect(challenge(again)).toContain('invalid_dpop_proof');
  });

  it('lets in, and the principal has the key', async () => {
    const { send, sessions } = await gate();
    expect((await send(await proved(await bound()))).status).toBe(200);
    expect(sessions.last.identity.principal).toMatchObject({
      agent: 'coder',
      proofKey: key.jkt,
      authentication: 'jwt',
    });
    expect((await send(bearer(await server.token({ aud })))).status).toBe(200);
    expect(sessions.last.identity.principal).not.toHaveProperty('proofKey');
    const [one, other] = sessions.opened.map(({ identity }) => identity.principal.connection);
    expect(one).not.toBe(other);
  });

  proves('G4', 'where it is required a bearer token does not do, and the challenge says what does', async () => {
    const { send, url } = await gate('dpop: required');
    const response = await send(bearer(await server.token({ aud })));
    expect(response.status).toBe(401);
    expect(challenge(response)).toMatch(/^DPoP .*algs="ES256 /);
    expect(challenge(response)).not.toContain('Bearer');
    expect((await send(await proved(await bound()))).status).toBe(200);
    const metadata = await (await fetch(`${url}${WELL_KNOWN}/mcp`)).json();
    expect(metadata).toMatchObject({ dpop_bound_access_tokens_required: true, bearer_methods_supported: ['header'] });
  });

  it('where a nonce is required the first proof is answered with one, and the second is good', async () => {
    const { send } = await gate('dpop: accepted', ', dpopNonce: required');
    const token = await bound();
    const first = await send(await proved(token));
    expect(first.status).toBe(401);
    expect(challenge(first)).toContain('DPoP error="use_dpop_nonce"');
    const nonce = first.headers.get('dpop-nonce');
    const second = await send(await proved(token, key, { nonce }));
    expect(second.status).toBe(200);
    expect(second.headers.get('dpop-nonce')).toBe(nonce);
    expect((await send()).headers.get('dpop-nonce')).toBe(nonce);
  });
});

describe('a session', () => {
  proves('G4', 'is for requests that prove the same key, whichever token they bring', async () => {
    const { send } = await gate();
    const opened = await send(await proved(await bound()));
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    const ping = async (headers: Record<string, string>) =>
      (await send({ ...session, ...headers }, { body: PING })).status;
    expect(await ping(await proved(await bound(thief), thief))).toBe(404);
    expect(await ping(bearer(await server.token({ aud })))).toBe(404);
    expect(await ping({})).toBe(401);
    const end = await send(
      { ...session, ...(await proved(await bound(thief), thief, {}, '/mcp', 'DELETE')) },
      { method: 'DELETE' },
    );
    expect(end.status).toBe(404);
    expect(await ping(await proved(await bound()))).toBe(200);
  });

  it('that was opened without a proof does not go on with one', async () => {
    const { send } = await gate();
    const opened = await send(bearer(await server.token({ aud })));
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    expect((await send({ ...session, ...(await proved(await bound())) }, { body: PING })).status).toBe(404);
    expect((await send({ ...session, ...bearer(await server.token({ aud })) }, { body: PING })).status).toBe(200);
  });
});

describe('a WebSocket', () => {
  proves('G4', 'opens for who proves the key, and the refusal shows the way', async () => {
    const { url, sessions } = await gate('dpop: accepted');
    const at = `${url.replace('http', 'ws')}/mcp/fs`;
    const token = await bound();
    const open = async (headers: Record<string, string>): Promise<number> => {
      const client = new WebSocketClient(at, { headers });
      cleanups.push(async () => client.socket.terminate());
      return client.opened();
    };
    expect(await open({})).toBe(401);
    expect(await open(bearer(token))).toBe(401);
    expect(await open(await proved(token, key, {}, '/mcp/fs', 'POST'))).toBe(401);
    expect(sessions.opened).toEqual([]);
    const request = await proved(token, key, {}, '/mcp/fs', 'GET');
    expect(await open(request)).toBe(101);
    expect(sessions.last.identity.principal.proofKey).toBe(key.jkt);
    expect(await open(request)).toBe(401);
  });
});

describe('client libraries find the way', () => {
  it.each([
    ['of the sessions', legacySdk],
    ['of the newest revision', sdk],
  ])('those %s', async (_, library) => {
    const { url, send } = await gate('audience: "urn:gate", scopes: ["mcp:use"], dpop: accepted', '', null);
    const refused = await send({}, { path: '/mcp/fs' });
    const { resourceMetadataUrl, scope } = library.extractWWWAuthenticateParams(refused);
    expect(String(resourceMetadataUrl)).toBe(`${url}${WELL_KNOWN}/mcp/fs`);
    expect(scope).toBe('mcp:use');
    for (const path of ['/mcp', '/mcp/fs']) {
      const metadata = await library.discoverOAuthProtectedResourceMetadata(url + path);
      expect(metadata).toMatchObject({
        resource: url + path,
        authorization_servers: [server.issuer],
        scopes_supported: ['mcp:use', 'files:write', 'files:read'],
        bearer_methods_supported: ['header'],
        dpop_signing_alg_values_supported: expect.arrayContaining(['ES256']),
      });
      const [found = ''] = metadata.authorization_servers ?? [];
      const described = await library.discoverAuthorizationServerMetadata(found);
      expect(described).toMatchObject({ issuer: server.issuer, jwks_uri: server.jwks });
    }
  });
});
