// WebSocket for clients on real sockets, in front of conversations that answer by themselves.

import { afterEach, describe, expect, it } from 'vitest';
import { type HttpFrontOptions, listenHttp } from '../../adapters/downstream/http/http-front.ts';
import { deny } from '../../domain/denial.ts';
import type { Principal } from '../../domain/principal.ts';
import { EchoSessions } from '../support/echo-sessions.ts';
import { RawConnection, rawRequest } from '../support/raw-http.ts';
import { frame, WebSocketClient } from '../support/web-socket-client.ts';

const LOCAL: Principal = { agent: 'local', roles: [], root: true, authentication: 'local', connection: 'sha256:local' };
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}';
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const TEXT = 0x81;
const BINARY = 0x82;
const CONTINUATION = 0x00;

function call(id: number, name: string, args: unknown = {}): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
}

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Partial<HttpFrontOptions> = {}) {
  const sessions = new EchoSessions();
  const result = await listenHttp({
    host: '127.0.0.1',
    port: 0,
    sessions,
    access: { kind: 'local', principal: LOCAL },
    ...options,
    limits: { drainMs: 200, ...options.limits },
  });
  if (!result.ok) throw new Error(result.problem);
  const { front } = result;
  cleanups.push(() => front.close());
  const client = (more: ConstructorParameters<typeof WebSocketClient>[1] = {}, path = '/mcp'): WebSocketClient => {
    const made = new WebSocketClient(`ws://127.0.0.1:${front.port}${path}`, more);
    cleanups.push(() => made.socket.terminate());
    return made;
  };
  const open = async (more: ConstructorParameters<typeof WebSocketClient>[1] = {}): Promise<WebSocketClient> => {
    const made = client(more);
    expect(await made.opened()).toBe(101);
    made.send(INITIALIZE);
    await made.until((received) => received.length === 1);
    return made;
  };
  const base = (): Record<string, string | undefined> => ({
    host: `127.0.0.1:${front.port}`,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-protocol': 'mcp',
  });
  const raw = async (request: string | Uint8Array = rawRequest('GET', '/mcp', base())): Promise<RawConnection> => {
    const connection = await RawConnection.open(front.port);
    cleanups.push(() => connection.close());
    connection.send(request);
    return connection;
  };
  /** An open WebSocket whose frames are written by hand. */
  const rawOpen = async (): Promise<RawConnection> => {
    const connection = await raw();
    expect(await connection.status()).toBe(101);
    return connection;
  };
  return { front, sessions, client, open, raw, rawOpen, base };
}

/** The close code in the last frame of what a server wrote. */
function closeCode(received: string): number {
  const bytes = Buffer.from(received, 'latin1');
  const at = bytes.lastIndexOf(0x88);
  return bytes.readUInt16BE(at + 2);
}

describe('before the upgrade, it refuses', () => {
  const heads: [string, number, (port: number) => [string, string, Record<string, string | undefined>]][] = [
    ['another path', 404, () => ['GET', '/', {}]],
    ['a query', 404, () => ['GET', '/mcp?token=1', {}]],
    ['a path that climbs', 404, () => ['GET', '/mcp/../mcp', {}]],
    ['a host of somebody else', 403, () => ['GET', '/mcp', { host: 'evil.example' }]],
    ['our host with another port', 403, () => ['GET', '/mcp', { host: '127.0.0.1:1' }]],
    ['no host', 403, () => ['GET', '/mcp', { host: undefined }]],
    ['the origin of another page', 403, () => ['GET', '/mcp', { origin: 'http://evil.example' }]],
    ['an opaque origin', 403, () => ['GET', '/mcp', { origin: 'null' }]],
    ['our origin over another scheme', 403, (port) => ['GET', '/mcp', { origin: `https://localhost:${port}` }]],
    ['no subprotocol', 400, () => ['GET', '/mcp', { 'sec-websocket-protocol': undefined }]],
    ['another subprotocol', 400, () => ['GET', '/mcp', { 'sec-websocket-protocol': 'graphql-ws, MCP' }]],
    ['a subprotocol that is no name', 400, () => ['GET', '/mcp', { 'sec-websocket-protocol': 'mcp, a b' }]],
    ['no key', 400, () => ['GET', '/mcp', { 'sec-websocket-key': undefined }]],
    ['a key that is none', 400, () => ['GET', '/mcp', { 'sec-websocket-key': 'short' }]],
    ['another version', 426, () => ['GET', '/mcp', { 'sec-websocket-version': '8' }]],
    ['a body', 400, () => ['GET', '/mcp', { 'content-length': '2' }]],
    ['an ordinary GET', 406, () => ['GET', '/mcp', { connection: 'keep-alive', upgrade: undefined }]],
    ['an offer without the connection header', 406, () => ['GET', '/mcp', { connection: 'keep-alive' }]],
  ];
  it.each(heads)('%s', async (_name, status, head) => {
    const { front, sessions, raw, base } = await start();
    const [method, path, headers] = head(front.port);
    const connection = await raw(rawRequest(method, path, { ...base(), ...headers }));
    expect(await connection.status()).toBe(status);
    expect(connection.received.toLowerCase()).not.toContain('access-control');
    expect(connection.received.toLowerCase()).not.toContain('sec-websocket-accept');
    expect(sessions.opened.filter((session) => session.closedBy === undefined)).toEqual([]);
  });

  it.each(['Host', 'Origin', 'Authorization'])('a second %s header', async (name) => {
    const { front, sessions, raw, base } = await start();
    const value = name === 'Host' ? `127.0.0.1:${front.port}` : `http://127.0.0.1:${front.port}`;
    const connection = await raw(rawRequest('GET', '/mcp', { ...base(), [name.toLowerCase()]: value, [name]: value }));
    expect(await connection.status()).toBe(400);
    expect(sessions.opened).toEqual([]);
  });

  it('closes the connection with the refusal', async () => {
    const { raw, base } = await start();
    const connection = await raw(rawRequest('GET', '/mcp', { ...base(), origin: 'http://evil.example' }));
    await connection.until(() => false);
    expect(connection.closed).toBe(true);
    expect(connection.received).toContain('"Origin not allowed"');
  });

  it.each([
    ['OVERLOADED', 503],
    ['SERVER_UNAVAILABLE', 404],
    ['POLICY_NO_PERMIT', 403],
  ] as const)('a conversation that cannot be opened (%s)', async (code, status) => {
    const { client, sessions } = await start();
    sessions.refusal = deny(code, 'detail for the operator');
    expect(await client().opened()).toBe(status);
  });

  it('one connection more than a principal may have', async () => {
    const { client, open, sessions } = await start({ limits: { sessionsPerPrincipalMax: 2 } });
    await open();
    const second = await open();
    expect(await client().opened()).toBe(503);
    expect(sessions.opened).toHaveLength(2);
    second.socket.close();
    await expect.poll(() => sessions.last.closedBy).toBe('disconnect');
    await open();
  });
});

describe('who is asking', () => {
  const principals: Record<string, Principal> = {
    'Bearer a': { ...LOCAL, agent: 'a', authentication: 'api_key', connection: 'sha256:a' },
    'Bearer b': { ...LOCAL, agent: 'b', authentication: 'api_key', connection: 'sha256:b' },
  };
  const access = {
    kind: 'authenticated' as const,
    authenticator: {
      authenticate: async ({ authorization }: { authorization: string | undefined }) => {
        if (authorization === 'Bearer broken') throw new Error('the key server is away');
        return principals[authorization ?? ''] ?? deny('ID_UNAUTHENTICATED');
      },
    },
  };

  it.each([
    ['nothing', {}],
    ['an unknown credential', { authorization: 'Bearer c' }],
    ['a credential that cannot be checked', { authorization: 'Bearer broken' }],
    ['a cookie', { cookie: 'token=a' }],
  ])('refuses %s with 401 and says which scheme it takes', async (_name, headers: Record<string, string>) => {
    const { raw, base, sessions } = await start({ access });
    const connection = await raw(rawRequest('GET', '/mcp', { ...base(), ...headers }));
    expect(await connection.status()).toBe(401);
    expect(connection.received.toLowerCase()).toContain('www-authenticate: bearer');
    expect(sessions.opened).toEqual([]);
  });

  it('gives a conversation to whom the credential names, and counts each on his own', async () => {
    const { open, client, sessions } = await start({ access, limits: { sessionsPerPrincipalMax: 1 } });
    await open({ headers: { authorization: 'Bearer a' } });
    expect(sessions.last.identity.principal.agent).toBe('a');
    await open({ headers: { authorization: 'Bearer b' } });
    expect(sessions.last.identity.principal.agent).toBe('b');
    expect(await client({ headers: { authorization: 'Bearer a' } }).opened()).toBe(503);
  });

  it('does not wait for a credential that is being checked when it closes', async () => {
    const never = new Promise<never>(() => {});
    const authenticator = { authenticate: () => never };
    const { front, raw, sessions } = await start({ access: { kind: 'authenticated', authenticator } });
    const connection = await raw();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await front.close();
    await connection.until(() => false);
    expect(sessions.opened).toEqual([]);
  });
});

describe('on an open connection, it ends with the code that says why', () => {
  it.each<[string, number, string, () => Buffer[]]>([
    ['a binary frame', 1003, 'MESSAGE_MALFORMED', () => [frame(BINARY, PING)]],
    ['a message larger than allowed', 1009, 'MESSAGE_TOO_LARGE', () => [frame(TEXT, 'x'.repeat(1001))]],
    ['a frame that only claims to be large', 1009, 'MESSAGE_TOO_LARGE', () => [frame(TEXT, '', 2 ** 40)]],
    ['a length beyond all numbers', 1009, 'MESSAGE_TOO_LARGE', () => [frame(TEXT, '', 2 ** 60)]],
    [
      'fragments that together are too large',
      1009,
      'MESSAGE_TOO_LARGE',
      () => [frame(0x01, 'x'.repeat(600)), frame(CONTINUATION, 'x'.repeat(600))],
    ],
    [
      'a flood of fragments',
      1008,
      'MESSAGE_MALFORMED',
      () => [frame(0x01, ''), Buffer.concat(Array.from({ length: 5000 }, () => frame(CONTINUATION, '')))],
    ],
    ['text that is not UTF-8', 1007, 'MESSAGE_MALFORMED', () => [frame(TEXT, Buffer.from([0xff, 0xfe]))]],
    ['a frame without a mask', 1002, 'MESSAGE_MALFORMED', () => [frame(TEXT, PING, undefined, false)]],
    ['a compressed frame', 1002, 'MESSAGE_MALFORMED', () => [frame(0xc1, PING)]],
    ['a reserved opcode', 1002, 'MESSAGE_MALFORMED', () => [frame(0x83, PING)]],
    ['a continuation of nothing', 1002, 'MESSAGE_MALFORMED', () => [frame(0x80, PING)]],
    ['a ping in pieces', 1002, 'MESSAGE_MALFORMED', () => [frame(0x09, 'x')]],
    ['a close with a code that is none', 1002, 'MESSAGE_MALFORMED', () => [frame(0x88, Buffer.from([0, 1]))]],
  ])('%s', async (_name, code, recorded, frames) => {
    const { rawOpen, sessions } = await start({ limits: { messageBytesMax: 1000 } });
    const connection = await rawOpen();
    for (const bytes of frames()) connection.send(bytes);
    connection.send(frame(TEXT, PING));
    await connection.until(() => false);
    expect(closeCode(connection.received)).toBe(code);
    expect(sessions.last.refused).toEqual([recorded]);
    expect(sessions.last.received).toEqual([]);
    connection.close();
    await expect.poll(() => sessions.last.closedBy).toBe('disconnect');
  });

  it('a client that leaves pings unanswered', async () => {
    const { rawOpen, sessions } = await start({ limits: { heartbeatMs: 20 } });
    const connection = await rawOpen();
    await connection.until(() => false);
    expect(closeCode(connection.received)).toBe(1008);
    connection.close();
    await expect.poll(() => sessions.last.closedBy).toBe('disconnect');
  });

  it('a client that holds back the end of a frame', async () => {
    const { rawOpen, sessions } = await start({ limits: { heartbeatMs: 20 } });
    const connection = await rawOpen();
    connection.send(frame(TEXT, '{', 100));
    await connection.until(() => false);
    expect(sessions.last.received).toEqual([]);
    connection.close();
    await expect.poll(() => sessions.last.closedBy).toBe('disconnect');
  });

  it('a client that answers pings and holds back the end of a message', async () => {
    const { client, sessions } = await start({ limits: { heartbeatMs: 20 } });
    const held = client();
    await held.opened();
    held.socket.send('x'.repeat(10_000), { fin: false });
    expect(await held.end()).toBe(1008);
    expect(sessions.last.received).toEqual([]);
    await expect.poll(() => sessions.last.closedBy).toBe('disconnect');
  });

  it('a client that does not read', async () => {
    const { rawOpen, sessions } = await start({ limits: { streamBufferBytesMax: 100_000 } });
    const connection = await rawOpen();
    connection.socket.pause();
    const message = JSON.stringify({ jsonrpc: '2.0', method: 'm', params: { text: 'x'.repeat(90_000) } });
    for (let sent = 0; sent < 300; sent++) {
      sessions.last.notify(message);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => sessions.last.closedBy, { timeout: 5000 }).toBe('disconnect');
    connection.socket.resume();
    await connection.until(() => false);
    expect(connection.received.length).toBeLessThan(300 * 90_000);
  });

  it('a client that closed only its own side', async () => {
    const { rawOpen, sessions } = await start();
    const connection = await rawOpen();
    connection.send(frame(TEXT, call(1, 'mute')));
    await expect.poll(() => sessions.last.received.length).toBe(1);
    connection.socket.end();
    await connection.until(() => false);
    expect(sessions.last.closedBy).toBe('disconnect');
  });

  it('and leaves the others alone', async () => {
    const { open, rawOpen, sessions } = await start();
    const good = await open();
    const bad = await rawOpen();
    bad.send(frame(BINARY, PING));
    await bad.until(() => false);
    bad.close();
    await expect.poll(() => sessions.last.closedBy).toBe('disconnect');
    good.send(PING);
    expect((await good.until((received) => received.length === 2))[1]).toContain('"result":{}');
    expect(sessions.opened[0]!.closedBy).toBeUndefined();
  });
});

describe('a conversation', () => {
  it('sees the servers of its path, and speaks the subprotocol without extensions', async () => {
    const { client, sessions } = await start();
    const all = client({ protocols: ['other', 'mcp'], perMessageDeflate: true });
    await all.opened();
    expect(all.socket.protocol).toBe('mcp');
    expect(all.socket.extensions).toBe('');
    expect(sessions.last.view).toEqual({ kind: 'all' });
    await client({}, '/mcp/files').opened();
    expect(sessions.last.view).toEqual({ kind: 'server', server: 'files' });
  });

  it('takes the loopback names with the port, and pages served from there', async () => {
    const { front, raw, base } = await start();
    for (const name of ['127.0.0.1', 'localhost', '[::1]']) {
      const host = `${name}:${front.port}`;
      const connection = await raw(rawRequest('GET', '/mcp', { ...base(), host, origin: `http://${host}` }));
      expect(await connection.status(), name).toBe(101);
    }
  });

  it('hands over a message byte for byte, in one frame or in several', async () => {
    const { rawOpen, sessions } = await start();
    const connection = await rawOpen();
    const text = '{ "id":1,\t"method":"ping", "jsonrpc":"2.0","x":"é\\u2028" }';
    const bytes = Buffer.from(text);
    connection.send(frame(TEXT, bytes));
    // A ping may come between, and a letter may be cut in two.
    connection.send(frame(0x01, bytes.subarray(0, 49)));
    connection.send(frame(0x89, 'ping'));
    connection.send(frame(0x80, bytes.subarray(49)));
    await expect.poll(() => sessions.last.received).toEqual([text, text]);
  });

  it('takes what comes in the same packet as the request to upgrade', async () => {
    const { raw, base, sessions } = await start();
    const eager = await raw(Buffer.concat([Buffer.from(rawRequest('GET', '/mcp', base())), frame(TEXT, PING)]));
    await eager.until((received) => received.includes('"result":{}'));
    expect(sessions.last.received).toEqual([PING]);
  });

  it('answers many calls at once, as they become ready', async () => {
    const { open, sessions } = await start();
    const client = await open();
    client.send(call(1, 'slow'));
    for (let id = 2; id <= 50; id++) client.send(call(id, 'echo', { id }));
    await client.until((received) => received.length === 50);
    sessions.last.release();
    const answers = await client.until((received) => received.length === 51);
    expect(answers.map((answer) => JSON.parse(answer).id).sort((a, b) => a - b)).toEqual([
      0,
      ...Array.from({ length: 50 }, (_, index) => index + 1),
    ]);
    expect(JSON.parse(answers.at(-1)!).id).toBe(1);
  });

  it('stops reading while too many are in progress, and goes on when they are answered', async () => {
    const { open, sessions } = await start({ limits: { heartbeatMs: 20 } });
    const client = await open();
    for (let id = 1; id <= 3000; id++) client.send(call(id, 'slow', { text: 'x'.repeat(1000) }));
    await expect.poll(() => sessions.last.waiting, { timeout: 5000 }).toBeGreaterThanOrEqual(512);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sessions.last.waiting).toBeLessThan(1024);
    const drained = setInterval(() => sessions.last.release(), 5);
    await client.until((received) => received.length === 3001).finally(() => clearInterval(drained));
    expect(client.closed).toBeUndefined();
  });

  it('hears of what belongs to no request', async () => {
    const { open, sessions } = await start();
    const mine = await open();
    const [first] = sessions.opened;
    const other = await open();
    first!.notify('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
    await mine.until((received) => received.some((text) => text.includes('list_changed')));
    expect(other.received).toHaveLength(1);
  });

  it('lives while it answers pings', async () => {
    const { open, sessions } = await start({ limits: { heartbeatMs: 10 } });
    const client = await open();
    client.send(call(1, 'echo', { text: 'x'.repeat(10_000) }));
    let pings = 0;
    client.socket.on('ping', () => pings++);
    await expect.poll(() => pings).toBeGreaterThan(6);
    expect(sessions.last.closedBy).toBeUndefined();
  });

  it('takes thousands of messages in one packet as it can answer them, and others meanwhile', async () => {
    const { open, rawOpen, sessions } = await start();
    const other = await open();
    const connection = await rawOpen();
    const calls = Array.from({ length: 3_000 }, (_, id) => frame(TEXT, call(id, 'slow')));
    connection.send(Buffer.concat([frame(TEXT, INITIALIZE), ...calls]));
    const flooded = sessions.last;
    await expect.poll(() => flooded.waiting, { timeout: 5000 }).toBeGreaterThanOrEqual(512);
    other.send(call(7, 'echo'));
    await other.until((received) => received.length === 2);
    expect(flooded.waiting).toBe(512);
    const drained = setInterval(() => flooded.release(), 5);
    await connection.until((received) => received.includes('"id":2999'), 10_000).finally(() => clearInterval(drained));
    expect(flooded.received).toHaveLength(3_001);
  });

  it('answers the latest of a flood of pings, and goes on', async () => {
    const { rawOpen, sessions } = await start();
    const connection = await rawOpen();
    connection.send(Buffer.concat(Array<Buffer>(20_000).fill(frame(0x89, 'x'.repeat(100)))));
    connection.send(frame(0x89, 'the last'));
    connection.send(frame(TEXT, PING));
    await connection.until((received) => received.includes('the last') && received.includes('"result":{}'));
    expect(sessions.last.closedBy).toBeUndefined();
    expect(sessions.last.refused).toEqual([]);
  });

  it('ends when the client closes it', async () => {
    const { open, sessions } = await start();
    const client = await open();
    client.socket.close(1000);
    expect(await client.end()).toBe(1000);
    await expect.poll(() => sessions.last.closedBy).toBe('disconnect');
  });
});

describe('an offer of another protocol', () => {
  it('is ignored, and the request answered', async () => {
    const { front, raw, sessions } = await start();
    const headers = {
      host: `127.0.0.1:${front.port}`,
      connection: 'Upgrade, HTTP2-Settings',
      upgrade: 'h2c',
      'http2-settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'content-length': `${INITIALIZE.length}`,
    };
    const connection = await raw(rawRequest('POST', '/mcp', headers, INITIALIZE));
    expect(await connection.status()).toBe(200);
    expect(sessions.last.received).toEqual([INITIALIZE]);
    connection.send(rawRequest('POST', '/mcp', { ...headers, upgrade: undefined }, PING.padEnd(INITIALIZE.length)));
    await connection.until((received) => received.includes('not initialized') || received.includes('"result":{}'));
  });
});

describe('closing', () => {
  it('lets calls in progress finish, takes no new ones, and says that it goes away', async () => {
    const { front, open, client, sessions } = await start({ limits: { drainMs: 5000 } });
    const busy = await open();
    busy.send(call(1, 'slow'));
    await expect.poll(() => sessions.last.waiting).toBe(1);
    const closed = front.close();
    busy.send(call(2, 'echo'));
    await expect(client().opened()).rejects.toThrow();
    expect(sessions.last.closedBy).toBeUndefined();
    sessions.last.release();
    await busy.until((received) => received.length === 2);
    expect(await busy.end()).toBe(1001);
    await closed;
    expect(sessions.last.received).toEqual([INITIALIZE, call(1, 'slow')]);
    expect(sessions.last.closedBy).toBe('shutdown');
  });

  it('does not wait for ever, neither for a call nor for a client that says nothing', async () => {
    const { front, open, rawOpen, sessions } = await start({ limits: { drainMs: 30 } });
    const busy = await open();
    busy.send(call(1, 'mute')).send(call(2, 'slow'));
    await expect.poll(() => sessions.last.waiting).toBe(1);
    await rawOpen();
    await front.close();
    expect(sessions.opened.map((session) => session.closedBy)).toEqual(['shutdown', 'shutdown']);
    expect(await busy.end()).toBe(1001);
  });
});
