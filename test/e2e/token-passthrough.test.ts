// What a client proves itself with stays at the gate: a server over HTTP, which writes down every byte of every request, never hears of it.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { proves } from '../guarantees.ts';
import {
  type AuthorizationServer,
  generateProofKey,
  type ProofKey,
  startAuthorizationServer,
} from '../support/authorization-server.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { ALLOW_ALL, urlOf } from '../support/counter-gate.ts';
import { callsOf } from '../support/evidence.ts';
import { INITIALIZE } from '../support/raw-mcp.ts';

const OWN_TOKEN = 'the-credential-of-the-gate-itself';
/** Headers that the gate itself makes for its servers. */
const OWN_HEADERS = [
  'accept',
  'accept-encoding',
  'accept-language',
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'host',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
  'sec-fetch-mode',
  'transfer-encoding',
  'user-agent',
];
/** What a client sends besides its token and proof. The values are nowhere else. */
const CLIENT_HEADERS = {
  cookie: 'session=cookie-of-the-client',
  'proxy-authorization': 'Basic cHJveHktc2VjcmV0LW9mLXRoZS1jbGllbnQ=',
  'last-event-id': 'event-of-the-client',
  'x-api-key': 'key-of-the-client',
  'x-forwarded-for': '192.0.2.77',
  forwarded: 'for=192.0.2.77',
  'mcp-param-region': 'param-of-the-client',
  'x-unknown': 'header-of-the-client',
};

interface Heard {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const heard: Heard[] = [];
const upstream = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString();
    heard.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
    if (request.method !== 'POST') return response.writeHead(405).end();
    const { id, method } = JSON.parse(body) as { id?: number; method: string };
    const results: Record<string, unknown> = {
      initialize: {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'witness', version: '0' },
      },
      'tools/list': { tools: [{ name: 'look', inputSchema: { type: 'object' } }] },
      'tools/call': { content: [{ type: 'text', text: 'seen' }] },
    };
    if (id === undefined) return response.writeHead(202).end();
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'session-of-the-server' });
    const result = results[method];
    const answer = result === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result };
    return response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
  });
});

let server: AuthorizationServer;
let key: ProofKey;
let at: Installation;
let gate: RunningCommand;
let url: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  [server, key] = await Promise.all([startAuthorizationServer(), generateProofKey()]);
  at = installation();
  at.write('home/jwks.json', await (await fetch(server.jwks)).text());
  const { port } = upstream.address() as AddressInfo;
  at.configure(
    {
      agents: { coder: { roles: ['dev'], auth: { jwt: { sub: 'alice' } } } },
      identity: {
        jwt: [
          { issuer: server.issuer, audience: 'urn:gate', jwks: 'jwks.json', algorithms: ['ES256'], dpop: 'required' },
        ],
      },
      servers: { counter: { http: { url: `http://127.0.0.1:${port}/mcp`, auth: { env: 'UPSTREAM_TOKEN' } } } },
    },
    ALLOW_ALL,
  );
  gate = at.start(['serve', '--name', 'g', '--http', '127.0.0.1:0'], { env: { UPSTREAM_TOKEN: OWN_TOKEN } });
  url = `${await urlOf(gate)}/counter`;
}, 60_000);

afterAll(async () => {
  await gate?.stop();
  await closeInstallations();
  await server?.close();
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
});

/** One conversation with everything that a client could send, and what it sent that nobody else may hear. */
async function converse(): Promise<{ secrets: string[]; answer: string }> {
  const secrets: string[] = Object.values(CLIENT_HEADERS);
  const session: Record<string, string> = {};
  const post = async (message: object): Promise<Response> => {
    const token = await server.token({ aud: 'urn:gate', cnf: { jkt: key.jkt } });
    const proof = await key.prove({ method: 'POST', url, token });
    secrets.push(token, proof, ...token.split('.').slice(1), ...proof.split('.').slice(1));
    return fetch(url, {
      method: 'POST',
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        ...CLIENT_HEADERS,
        ...session,
        authorization: `DPoP ${token}`,
        dpop: proof,
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  };
  const opened = await post({ id: 1, method: 'initialize', params: INITIALIZE });
  const id = opened.headers.get('mcp-session-id') ?? '';
  expect(opened.status).toBe(200);
  expect(id).not.toBe('session-of-the-server');
  session['mcp-session-id'] = id;
  secrets.push(id);
  await post({ method: 'notifications/initialized' });
  const answer = await (await post({ id: 2, method: 'tools/call', params: { name: 'look', arguments: {} } })).text();
  return { secrets, answer };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : statSync(path).isFile() ? [path] : [];
  });
}

describe('the credentials of a client', () => {
  proves('G4', 'reach no server: no token, no proof, no cookie, no session, no header of its own', async () => {
    const { secrets, answer } = await converse();
    expect(answer).toContain('seen');
    const calls = heard.filter(({ body }) => body.includes('"tools/call"'));
    expect(calls).toHaveLength(1);
    const everything = JSON.stringify(heard);
    for (const secret of secrets) expect(everything).not.toContain(secret);
    for (const { headers } of heard) {
      expect(Object.keys(headers).filter((name) => !OWN_HEADERS.includes(name))).toEqual([]);
      expect(headers.authorization).toBe(`Bearer ${OWN_TOKEN}`);
      expect([undefined, 'session-of-the-server']).toContain(headers['mcp-session-id']);
    }
  });

  proves('G4', 'are written nowhere, while the permit of the call names the key', async () => {
    const { secrets } = await converse();
    const written = filesBelow(at.home).map((path) => readFileSync(path, 'latin1'));
    const all = `${written.join('\n')}\n${gate.stderr}`;
    for (const secret of secrets) expect(all).not.toContain(secret);
    const call = (await callsOf(at, 'g')).findLast(({ tool }) => tool === 'look');
    expect(call).toMatchObject({ agent: 'coder', status: 'completed' });
    const [, payload = ''] = /"permit":"[\w-]+\.([\w-]+)\.[\w-]+"/.exec(JSON.stringify(call?.intent)) ?? [];
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    expect(claims).toMatchObject({ sub: 'coder', cnf: { jkt: key.jkt } });
    for (const command of ['verify', 'replay']) {
      const { code, stdout, stderr } = await at.run([command, at.ledger('g')]);
      expect({ command, code, said: stdout + stderr }).toMatchObject({ code: 0 });
    }
  });

  it('without a proof open nothing, and no server hears of it', async () => {
    const before = heard.length;
    const token = await server.token({ aud: 'urn:gate', cnf: { jkt: key.jkt } });
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        authorization: `Bearer ${token}`,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE }),
    });
    expect(response.status).toBe(401);
    expect(heard).toHaveLength(before);
  });
});
