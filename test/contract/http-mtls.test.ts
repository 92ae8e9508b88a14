// TLS and certificates of clients, on real sockets: a key is known by its pin, in every handshake anew, whoever signed for it.

import { request as plainRequest } from 'node:http';
import { Agent, request } from 'node:https';
import { type AddressInfo, connect as connectPlainly } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type HttpFrontLimits, listenHttp } from '../../adapters/downstream/http/http-front.ts';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { namesOf } from '../../adapters/identity/public-key.ts';
import { proves } from '../guarantees.ts';
import { type Certificate, newKeys, selfSigned } from '../support/certificates.ts';
import { EchoSessions } from '../support/echo-sessions.ts';
import { authenticatorOf } from '../support/manifest-authenticator.ts';

const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}';
const KINDS = 'accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n';
const own = selfSigned({ name: 'gate' });
const keys = newKeys();
const worker = selfSigned({ name: 'worker', keys });
const next = selfSigned({ name: 'worker' });
const other = selfSigned({ name: 'other' });
const stranger = selfSigned({ name: 'worker' });
const apiKey = generateApiKey();

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Front {
  readonly port: number;
  readonly sessions: EchoSessions;
}

async function front(agents = '', limits: Partial<HttpFrontLimits> = {}): Promise<Front> {
  const [pin, second, third] = await Promise.all(
    [worker, next, other].map(async ({ cert }) => (await namesOf(cert)).spki),
  );
  const authenticator = authenticatorOf(
    `apiVersion: portcullis/v1
listen: { tls: { cert: c, key: k } }
agents:
  worker: { roles: [w], root: false, auth: { spki: ["${pin}", "${second}"] } }
  other: { auth: { spki: "${third}" } }
${agents}`,
  );
  const sessions = new EchoSessions();
  const result = await listenHttp({
    host: '127.0.0.1',
    port: 0,
    sessions,
    access: { kind: 'authenticated', authenticator },
    tls: { cert: own.cert, key: own.key, asksClients: true },
    limits: { drainMs: 100, headersTimeoutMs: 1_000, ...limits },
  });
  if (!result.ok) throw new Error(result.problem);
  cleanups.push(() => result.front.close());
  expect(result.front.url).toBe(`https://127.0.0.1:${result.front.port}/mcp`);
  return { port: result.front.port, sessions };
}

type Options = Omit<ConnectionOptions, 'port'> & { readonly headers?: Record<string, string>; readonly agent?: Agent };

const shown = ({ cert, key }: Certificate): Options => ({ cert, key });

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

function post({ port }: Front, { headers, ...options }: Options): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      path: '/mcp',
      method: 'POST',
      ca: own.cert,
      agent: false,
      ...options,
      headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json', ...headers },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
    });
    sent.end(INITIALIZE);
  });
}

describe('a client over TLS', () => {
  it.each<[string, () => Options]>([
    ['without a certificate', () => ({})],
    ['with a key that nobody knows', () => shown(stranger)],
    [
      'with a known certificate and a wrong API key',
      () => ({ ...shown(worker), headers: { authorization: `Bearer ${apiKey.key}` } }),
    ],
  ])('is not let in %s', async (_, options) => {
    const at = await front();
    const { status, headers } = await post(at, options());
    expect([status, headers['www-authenticate']]).toEqual([401, undefined]);
    expect(at.sessions.opened).toEqual([]);
  });

  it.each<[string, Options]>([
    ['an older TLS', { ...shown(worker), maxVersion: 'TLSv1.2' }],
    ['another authority than it trusts', { ...shown(worker), ca: stranger.cert }],
  ])('and the gate do not come together with %s', async (_, options) => {
    const at = await front();
    await expect(post(at, options)).rejects.toThrow();
    expect(at.sessions.opened).toEqual([]);
  });

  it('is not heard in plain HTTP', async () => {
    const at = await front();
    const sent = plainRequest({ host: '127.0.0.1', port: at.port, path: '/mcp', method: 'POST' });
    await expect(
      new Promise((resolve, reject) => sent.on('error', reject).on('response', resolve).end(INITIALIZE)),
    ).rejects.toThrow();
    expect(at.sessions.opened).toEqual([]);
  });

  it('that begins to shake hands and says nothing is cut off', async () => {
    const at = await front();
    const silent = connectPlainly(at.port, '127.0.0.1');
    cleanups.push(() => silent.destroy());
    await new Promise((resolve) => silent.on('close', resolve).on('error', () => undefined));
  }, 20_000);

  it.each<[string, () => Options]>([
    ['by its key', () => shown(worker)],
    ['by the other of its two keys', () => shown(next)],
    ['when its certificate was renewed with the same key', () => shown(selfSigned({ name: 'renewed', keys }))],
    [
      'when its certificate has expired, because the pin has not',
      () => shown(selfSigned({ keys, notBefore: new Date(0) })),
    ],
  ])('is the agent %s', async (_, options) => {
    const at = await front();
    expect((await post(at, options())).status).toBe(200);
    expect(at.sessions.last.identity.principal).toMatchObject({
      agent: 'worker',
      roles: ['w'],
      root: false,
      authentication: 'mtls',
    });
  });

  it('has one identity with both of its keys, and no other has that', async () => {
    const at = await front();
    for (const one of [worker, next, other]) expect((await post(at, shown(one))).status).toBe(200);
    const [first, second, third] = at.sessions.opened.map(({ identity }) => identity.principal.connection);
    expect(first).toBe(second);
    expect(first).not.toBe(third);
    const opened = await post(at, shown(worker));
    const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
    expect((await post(at, { ...shown(other), headers: session })).status).toBe(404);
  });

  it('may come with another credential and no certificate', async () => {
    const at = await front(`  plain: { auth: { apiKey: "${apiKey.digest}" } }\n`);
    expect((await post(at, { headers: { authorization: `Bearer ${apiKey.key}` } })).status).toBe(200);
    expect(at.sessions.last.identity.principal).toMatchObject({ agent: 'plain', authentication: 'api_key' });
  });

  proves('G4', 'shows its key in every handshake: a session of TLS is never resumed', async () => {
    const at = await front();
    const first = await secure(at, shown(worker));
    const sessions: Buffer[] = [];
    first.on('session', (session: Buffer) => sessions.push(session));
    await said(first);
    first.destroy();
    const session = sessions.at(-1) ?? first.getSession();
    // Somebody who got hold of the session, and has no key.
    const thief = await secure(at, { ...(session === undefined ? {} : { session }) });
    expect(thief.isSessionReused()).toBe(false);
    expect(await said(thief)).toBe(401);
    thief.destroy();
    const again = await secure(at, { ...shown(worker), ...(session === undefined ? {} : { session }) });
    expect(again.isSessionReused()).toBe(false);
    expect(await said(again)).toBe(200);
    again.destroy();
  });

  it('keeps its identity on a connection that is used again', async () => {
    const at = await front();
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: own.cert, cert: worker.cert, key: worker.key });
    cleanups.push(() => agent.destroy());
    for (let times = 0; times < 3; times++) expect((await post(at, { agent })).status).toBe(200);
    expect(at.sessions.opened.map(({ identity }) => identity.principal.agent)).toEqual(['worker', 'worker', 'worker']);
  });

  it('cannot have more requests wait on one connection than in plain HTTP', async () => {
    const at = await front('', { requestsPerConnectionMax: 2 });
    const opened = await post(at, shown(worker));
    const socket = await secure(at, shown(worker));
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}';
    const head = `POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:${at.port}\r\nmcp-session-id: ${opened.headers['mcp-session-id']}\r\n${KINDS}`;
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined).resume();
    socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`.repeat(3));
    await closed;
  });

  it('may open a WebSocket', async () => {
    const at = await front();
    const open = (options: Options) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(`wss://127.0.0.1:${at.port}/mcp`, 'mcp', { ca: own.cert, ...options } as never);
        cleanups.push(() => socket.terminate());
        socket.on('error', () => undefined);
        socket.on('open', () => resolve(101));
        socket.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
      });
    expect(await open({})).toBe(401);
    expect(await open(shown(stranger))).toBe(401);
    expect(await open(shown(worker))).toBe(101);
    expect(at.sessions.last.identity.principal.agent).toBe('worker');
  });
});

function secure({ port }: Front, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: own.cert, ...options });
    cleanups.push(() => socket.destroy());
    socket.on('error', reject);
    socket.on('secureConnect', () => resolve(socket));
  });
}

/** What a request on this connection is answered. */
function said(socket: TLSSocket): Promise<number> {
  const { port } = socket.address() as AddressInfo;
  expect(port).toBeGreaterThan(0);
  const host = `127.0.0.1:${socket.remotePort}`;
  const head = `POST /mcp HTTP/1.1\r\nhost: ${host}\r\n${KINDS}`;
  return new Promise((resolve, reject) => {
    socket.on('data', (bytes: Buffer) => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(bytes.toString('latin1'))?.[1])));
    socket.on('error', reject);
    socket.write(`${head}content-length: ${INITIALIZE.length}\r\n\r\n${INITIALIZE}`);
  });
}
