// What a client keeps open, when the credential that opened it ends: WebSockets and streams, on real sockets with a clock moved by hand.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HttpFront, listenHttp } from '../../adapters/downstream/http/http-front.ts';
import type { Proven } from '../../adapters/downstream/ports.ts';
import { proves } from '../guarantees.ts';
import { EchoSessions } from '../support/echo-sessions.ts';
import { ManualClock } from '../support/ledger.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const BOTH = 'application/json, text/event-stream';
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}';
const SLOW = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{}}}';
const PING = '{"jsonrpc":"2.0","id":2,"method":"ping"}';
const TOKEN_MS = 60_000;

let clock: ManualClock;
let sessions: EchoSessions;
let front: HttpFront;
let sockets: WebSocketClient[];

beforeEach(async () => {
  clock = new ManualClock();
  sessions = new EchoSessions();
  sockets = [];
  const proven: Proven = { agent: 'a', roles: [], root: true, authentication: 'jwt', connection: 'sha256:a' };
  // A fresh token at each request, as clients get them; and one that does not end.
  const authenticate = async ({ authorization }: { authorization: string | undefined }) =>
    authorization === 'Bearer endless' ? proven : { ...proven, until: clock.now() + TOKEN_MS };
  const access = { kind: 'authenticated', authenticator: { authenticate } } as const;
  const result = await listenHttp({
    host: '127.0.0.1',
    port: 0,
    sessions,
    access,
    clock,
    limits: { drainMs: 10_000 },
  });
  if (!result.ok) throw new Error(result.problem);
  front = result.front;
});

afterEach(async () => {
  for (const { socket } of sockets) socket.terminate();
  for (const session of sessions.opened) session.release();
  await front.close();
});

async function connect(authorization = 'Bearer token'): Promise<WebSocketClient> {
  const client = new WebSocketClient(`ws://127.0.0.1:${front.port}/mcp`, { headers: { authorization } });
  sockets.push(client);
  expect(await client.opened()).toBe(101);
  client.send(INITIALIZE);
  await client.until((received) => received.length === 1);
  return client;
}

const post = (body: string, headers: Record<string, string> = {}) =>
  fetch(front.url, {
    method: 'POST',
    body,
    headers: { accept: BOTH, 'content-type': 'application/json', authorization: 'Bearer token', ...headers },
  });

describe('a WebSocket', () => {
  proves('G9', 'takes no message any more when its token has ended, and that is recorded', async () => {
    const client = await connect();
    clock.advance(TOKEN_MS - 1);
    client.send(PING);
    await client.until((received) => received.length === 2);
    clock.advance(1);
    client.send(PING);
    expect(await client.end()).toBe(1008);
    const session = sessions.last;
    expect(session.refused).toEqual(['ID_UNAUTHENTICATED']);
    expect(session.closedBy).toBe('disconnect');
    expect(client.received).toHaveLength(2);
    expect(session.received).toHaveLength(2);
  });

  it('lets what was begun before finish and be heard', async () => {
    const client = await connect();
    client.send(SLOW);
    await expect.poll(() => sessions.last.waiting).toBe(1);
    clock.advance(TOKEN_MS);
    await expect.poll(() => sessions.last.refused).toEqual(['ID_UNAUTHENTICATED']);
    expect(client.closed).toBeUndefined();
    sessions.last.release();
    expect(await client.end()).toBe(1008);
    expect(client.received.at(-1)).toContain('"id":1');
  });

  it('whose credential does not end stays, and so does one whose client left before', async () => {
    const staying = await connect('Bearer endless');
    const leaving = await connect();
    const left = sessions.last;
    leaving.socket.close();
    await expect.poll(() => left.closedBy).toBe('disconnect');
    clock.advance(TOKEN_MS * 1_000);
    staying.send(PING);
    await staying.until((received) => received.length === 2);
    expect(left.refused).toEqual([]);
  });
});

describe('over HTTP', () => {
  proves(
    'G9',
    'the stream of a session ends with the token that opened it, and the session goes on with the next',
    async () => {
      const id = (await post(INITIALIZE)).headers.get('mcp-session-id') ?? '';
      const headers = { accept: 'text/event-stream', authorization: 'Bearer token', 'mcp-session-id': id };
      const stream = await fetch(front.url, { headers });
      clock.advance(TOKEN_MS - 1);
      sessions.last.notify('{"jsonrpc":"2.0","method":"notifications/message"}');
      clock.advance(1);
      expect(await stream.text()).toContain('notifications/message');
      expect((await post(PING, { 'mcp-session-id': id })).status).toBe(200);
      const again = await fetch(front.url, { headers });
      expect(again.status).toBe(200);
      await again.body?.cancel();
    },
  );

  it('whoever answers a message without a session is told when its token ends', async () => {
    await post(PING, { 'mcp-protocol-version': '2026-07-28' });
    await post(PING, { 'mcp-protocol-version': '2026-07-28', authorization: 'Bearer endless' });
    expect(sessions.last.deliveries.map((delivery) => delivery?.until)).toEqual([clock.now() + TOKEN_MS, undefined]);
  });
});
