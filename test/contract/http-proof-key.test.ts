// A key by itself as a credential, on real sockets: what a proof without a token must be, and what it is not good for.

import { createHash } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listenHttp } from '../../adapters/downstream/http/http-front.ts';
import { proves } from '../guarantees.ts';
import { generateProofKey, type ProofKey } from '../support/authorization-server.ts';
import { EchoSessions } from '../support/echo-sessions.ts';
import { authenticatorOf } from '../support/manifest-authenticator.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}';
const TOKEN = 'eyJ.lineage.c2ln';

let key: ProofKey;
let other: ProofKey;
let stranger: ProofKey;
beforeAll(async () => {
  [key, other, stranger] = await Promise.all([generateProofKey(), generateProofKey('EdDSA'), generateProofKey()]);
});
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Front {
  readonly url: string;
  readonly sessions: EchoSessions;
  send(headers: Record<string, string>, path?: string): Promise<Response>;
  /** A good proof for this front, its claims laid over. */
  prove(by: ProofKey, claims?: Record<string, unknown>): Promise<string>;
}

async function front(identity = '{}'): Promise<Front> {
  const authenticator = authenticatorOf(
    `apiVersion: portcullis/v1
identity: ${identity}
agents:
  worker: { roles: [w], root: false, auth: { proofKey: "${key.jkt}" } }
  other: { auth: { proofKey: "${other.jkt}" } }
`,
  );
  const sessions = new EchoSessions();
  const result = await listenHttp({
    host: '127.0.0.1',
    port: 0,
    sessions,
    access: { kind: 'authenticated', authenticator },
    limits: { drainMs: 100 },
  });
  if (!result.ok) throw new Error(result.problem);
  cleanups.push(() => result.front.close());
  const url = `http://127.0.0.1:${result.front.port}/mcp`;
  return {
    url,
    sessions,
    send: (headers, path = '') =>
      fetch(url + path, {
        method: 'POST',
        headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json', ...headers },
        body: INITIALIZE,
      }),
    prove: (by, claims = {}) => by.prove({ method: 'POST', url }, claims),
  };
}

const athOf = (token: string): string => createHash('sha256').update(token).digest('base64url');
const challenge = (response: Response): string => response.headers.get('www-authenticate') ?? '';

describe('a proof without a token', () => {
  const refused: [string, string, (at: Front) => Promise<Record<string, string>>][] = [
    ['no proof', 'DPoP algs=', async () => ({})],
    ['a proof that is none', 'invalid_dpop_proof', async () => ({ dpop: 'x' })],
    ['an unknown key', 'invalid_dpop_proof', async (at) => ({ dpop: await at.prove(stranger) })],
    [
      "a known agent's public key over a stranger's signature",
      'invalid_dpop_proof',
      async ({ url }) => ({ dpop: await stranger.prove({ method: 'POST', url }, {}, { jwk: key.publicJwk }) }),
    ],
    ['another method', 'invalid_dpop_proof', async (at) => ({ dpop: await at.prove(key, { htm: 'GET' }) })],
    ['another address', 'invalid_dpop_proof', async (at) => ({ dpop: await at.prove(key, { htu: `${at.url}/fs` }) })],
    ['no identifier', 'invalid_dpop_proof', async (at) => ({ dpop: await at.prove(key, { jti: undefined }) })],
    ['an old proof', 'invalid_dpop_proof', async (at) => ({ dpop: await at.prove(key, { iat: 1 }) })],
    ['a nonce that is not ours', 'use_dpop_nonce', async (at) => ({ dpop: await at.prove(key, { nonce: 'x' }) })],
    [
      'a proof about a lineage token that was not shown',
      'invalid_dpop_proof',
      async (at) => ({ dpop: await at.prove(key, { ath: athOf(TOKEN) }) }),
    ],
    [
      'a proof about nothing, said as something',
      'invalid_dpop_proof',
      async (at) => ({ dpop: await at.prove(key, { ath: athOf('') }) }),
    ],
    [
      'a proof about another lineage token than is shown',
      'invalid_dpop_proof',
      async (at) => ({ dpop: await at.prove(key, { ath: athOf('x') }), 'portcullis-lineage': TOKEN }),
    ],
    [
      'a good proof beside a wrong API key',
      'DPoP algs=',
      async (at) => ({ dpop: await at.prove(key), authorization: `Bearer pck_${'A'.repeat(43)}` }),
    ],
  ];
  it.each(refused)('does not let in %s', async (_, error, headers) => {
    const at = await front();
    const response = await at.send(await headers(at));
    expect(response.status).toBe(401);
    expect(challenge(response)).toContain(error);
    expect(at.sessions.opened).toEqual([]);
  });

  proves('G4', 'is good for one request, and for no other one', async () => {
    const at = await front();
    const dpop = await at.prove(key);
    expect((await at.send({ dpop })).status).toBe(200);
    expect((await at.send({ dpop })).status).toBe(401);
    expect((await at.send({ dpop: await at.prove(key) }, '/fs')).status).toBe(401);
  });

  it('lets in whose key it is, and each request proves it anew', async () => {
    const at = await front();
    const opened = await at.send({ dpop: await at.prove(key), 'portcullis-lineage': TOKEN });
    expect(opened.status).toBe(200);
    expect(at.sessions.last.identity.principal).toMatchObject({
      agent: 'worker',
      roles: ['w'],
      root: false,
      authentication: 'proof_key',
      proofKey: key.jkt,
    });
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    expect((await at.send(session)).status).toBe(401);
    // Who has another key has nothing of this session.
    expect((await at.send({ ...session, dpop: await at.prove(other) })).status).toBe(404);
    const about = { dpop: await at.prove(key, { ath: athOf(TOKEN) }), 'portcullis-lineage': TOKEN };
    expect((await at.send({ ...session, ...about })).status).toBe(200);
  });

  it('carries a nonce where that is required', async () => {
    const at = await front('{ dpopNonce: required }');
    const first = await at.send({ dpop: await at.prove(key) });
    expect([first.status, challenge(first)]).toEqual([401, expect.stringContaining('use_dpop_nonce')]);
    const nonce = first.headers.get('dpop-nonce');
    expect((await at.send({ dpop: await at.prove(key, { nonce }) })).status).toBe(200);
  });

  it('opens a WebSocket once', async () => {
    const at = await front();
    const dpop = await key.prove({ method: 'GET', url: at.url });
    const connect = () => new WebSocketClient(at.url.replace('http', 'ws'), { headers: { dpop } });
    const client = connect();
    cleanups.unshift(async () => client.socket.terminate());
    expect(await client.opened()).toBe(101);
    expect(await connect().opened()).toBe(401);
  });
});
