// The HTTP front on real sockets, in front of conversations that answer by themselves.

import { afterEach, describe, expect, it } from 'vitest';
import { type HttpFrontOptions, listenHttp } from '../../adapters/downstream/http/http-front.ts';
import { deny } from '../../domain/denial.ts';
import type { Principal } from '../../domain/principal.ts';
import { proves } from '../guarantees.ts';
import { EchoSessions } from '../support/echo-sessions.ts';
import { RawConnection, rawRequest } from '../support/raw-http.ts';

const LOCAL: Principal = { agent: 'local', roles: [], root: true, authentication: 'local', connection: 'sha256:local' };
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}';
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const JSON_AND_EVENTS = 'application/json, text/event-stream';

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
  const headers = (more: Record<string, string | undefined> = {}): Record<string, string> => {
    const all = { accept: JSON_AND_EVENTS, 'content-type': 'application/json', ...more };
    return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
  };
  const post = (body: string, more: Record<string, string | undefined> = {}, path = '/mcp'): Promise<Response> =>
    fetch(`http://127.0.0.1:${front.port}${path}`, { method: 'POST', body, headers: headers(more) });
  const request = (method: string, more: Record<string, string | undefined> = {}, path = '/mcp'): Promise<Response> =>
    fetch(`http://127.0.0.1:${front.port}${path}`, {
      method,
      headers: headers({ 'content-type': undefined, ...more }),
    });
  const open = async (more: Record<string, string> = {}, path = '/mcp'): Promise<string> => {
    const response = await post(INITIALIZE, more, path);
    expect(response.status).toBe(200);
    return response.headers.get('mcp-session-id')!;
  };
  const raw = async (): Promise<RawConnection> => {
    const connection = await RawConnection.open(front.port);
    cleanups.push(() => connection.close());
    return connection;
  };
  /** A POST as bytes, complete and welcome unless told otherwise. */
  const rawPost = (more: Record<string, string | undefined> = {}, body = PING, version = '1.1'): string => {
    const length = 'transfer-encoding' in more ? undefined : `${Buffer.byteLength(body)}`;
    const base = { host: `127.0.0.1:${front.port}`, accept: JSON_AND_EVENTS, 'content-type': 'application/json' };
    return rawRequest('POST', '/mcp', { ...base, 'content-length': length, ...more }, body, version);
  };
  return { front, sessions, post, request, open, raw, rawPost };
}

describe('where it listens', () => {
  it.each(['0.0.0.0', '::', '192.0.2.1', 'gate.example'])(
    'does not listen on %s without authentication',
    async (host) => {
      const access = { kind: 'local', principal: LOCAL } as const;
      const result = await listenHttp({ host, port: 0, sessions: new EchoSessions(), access });
      expect(result).toMatchObject({ ok: false });
    },
  );

  it('says why it cannot listen', async () => {
    const { front } = await start();
    const access = { kind: 'local', principal: LOCAL } as const;
    const result = await listenHttp({ host: '127.0.0.1', port: front.port, sessions: new EchoSessions(), access });
    expect(result).toMatchObject({ ok: false, problem: expect.stringContaining('EADDRINUSE') });
  });

  it('listens everywhere when every request proves who sends it', async () => {
    const authenticator = { authenticate: async () => deny('ID_UNAUTHENTICATED') };
    const { post } = await start({ host: '0.0.0.0', access: { kind: 'authenticated', authenticator } });
    expect((await post(INITIALIZE)).status).toBe(401);
  });
});

describe('before anybody is asked, it refuses', () => {
  type Head = [string, number, (port: number) => [string, string, Record<string, string | undefined>]];
  const heads: Head[] = [
    ['another path', 404, () => ['POST', '/', {}]],
    ['the root of another', 404, () => ['POST', '/mcp/', {}]],
    ['a query', 404, () => ['POST', '/mcp?a=1', {}]],
    ['a path that climbs', 404, () => ['POST', '/mcp/../mcp', {}]],
    ['an escaped path', 404, () => ['POST', '/mcp/%66s', {}]],
    ['a doubled slash', 404, () => ['POST', '//mcp', {}]],
    ['an absolute target', 404, (port) => ['POST', `http://127.0.0.1:${port}/mcp`, {}]],
    ['OPTIONS', 405, () => ['OPTIONS', '/mcp', { 'access-control-request-method': 'POST' }]],
    ['PUT', 405, () => ['PUT', '/mcp', {}]],
    ['HEAD', 405, () => ['HEAD', '/mcp', {}]],
    ['TRACE', 405, () => ['TRACE', '/mcp', { 'content-length': undefined }]],
    ['a host of somebody else', 403, () => ['POST', '/mcp', { host: 'evil.example' }]],
    ['our host with another port', 403, () => ['POST', '/mcp', { host: '127.0.0.1:1' }]],
    ['our host without the port', 403, () => ['POST', '/mcp', { host: '127.0.0.1' }]],
    ['a host that ends like ours', 403, (port) => ['POST', '/mcp', { host: `x127.0.0.1:${port}` }]],
    ['our host with something behind', 403, (port) => ['POST', '/mcp', { host: `localhost:${port}.evil.example` }]],
    ['an empty host', 403, () => ['POST', '/mcp', { host: '' }]],
    ['no host', 400, () => ['POST', '/mcp', { host: undefined }]],
    ['the origin of another page', 403, () => ['POST', '/mcp', { origin: 'http://evil.example' }]],
    ['an opaque origin', 403, () => ['POST', '/mcp', { origin: 'null' }]],
    ['an empty origin', 403, () => ['POST', '/mcp', { origin: '' }]],
    ['a page of this machine on another port', 403, () => ['POST', '/mcp', { origin: 'http://localhost:1' }]],
    ['our origin over another scheme', 403, (port) => ['POST', '/mcp', { origin: `https://localhost:${port}` }]],
    ['plain text', 415, () => ['POST', '/mcp', { 'content-type': 'text/plain' }]],
    ['a form', 415, () => ['POST', '/mcp', { 'content-type': 'application/x-www-form-urlencoded' }]],
    ['no content type', 415, () => ['POST', '/mcp', { 'content-type': undefined }]],
    [
      'JSON in another character set',
      415,
      () => ['POST', '/mcp', { 'content-type': 'application/json; charset=utf-16' }],
    ],
    ['a relative of JSON', 415, () => ['POST', '/mcp', { 'content-type': 'application/json-patch+json' }]],
    ['two content types in one', 415, () => ['POST', '/mcp', { 'content-type': 'text/plain, application/json' }]],
    ['a compressed body', 415, () => ['POST', '/mcp', { 'content-encoding': 'gzip' }]],
    [
      'another transfer encoding',
      501,
      () => ['POST', '/mcp', { 'transfer-encoding': 'gzip, chunked', 'content-length': undefined }],
    ],
    ['an empty body', 400, () => ['POST', '/mcp', { 'content-length': '0' }]],
    ['a body with GET', 400, () => ['GET', '/mcp', { 'content-length': '2' }]],
    ['a client that takes only JSON', 406, () => ['POST', '/mcp', { accept: 'application/json' }]],
    ['a client that takes only events', 406, () => ['POST', '/mcp', { accept: 'text/event-stream' }]],
    ['a client that takes anything', 406, () => ['POST', '/mcp', { accept: '*/*' }]],
    [
      'a client that rejects events',
      406,
      () => ['POST', '/mcp', { accept: 'application/json, text/event-stream;q=0' }],
    ],
    ['a client that says nothing', 406, () => ['POST', '/mcp', { accept: undefined }]],
    ['GET without events', 406, () => ['GET', '/mcp', { accept: 'application/json', 'content-length': undefined }]],
    ...['GET', 'DELETE'].flatMap((method): Head[] => [
      [
        `${method} of a revision that is not served`,
        400,
        () => [method, '/mcp', { 'mcp-protocol-version': '1999-01-01', 'content-length': undefined }],
      ],
      [
        `${method} of the revision that has only POST`,
        405,
        () => [method, '/mcp', { 'mcp-protocol-version': '2026-07-28', 'content-length': undefined }],
      ],
    ]),
    ['a session that never was', 404, () => ['POST', '/mcp', { 'mcp-session-id': 'AAAAAAAAAAAAAAAAAAAAAA' }]],
    ['an empty session', 404, () => ['POST', '/mcp', { 'mcp-session-id': '' }]],
    ['GET without a session', 400, () => ['GET', '/mcp', { 'content-length': undefined }]],
    ['DELETE without a session', 400, () => ['DELETE', '/mcp', { 'content-length': undefined }]],
  ];
  it.each(heads)('%s', async (_name, status, head) => {
    const { front, sessions, raw } = await start();
    const [method, path, headers] = head(front.port);
    const base = {
      host: `127.0.0.1:${front.port}`,
      accept: JSON_AND_EVENTS,
      'content-type': 'application/json',
      'content-length': '2',
    };
    const connection = await raw();
    connection.send(rawRequest(method, path, { ...base, ...headers }));
    expect(await connection.status()).toBe(status);
    expect(connection.received.toLowerCase()).not.toContain('access-control');
    expect(sessions.opened).toEqual([]);
  });

  it.each(['host', 'origin', 'content-type', 'authorization', 'mcp-session-id', 'mcp-protocol-version'])(
    'a second %s header',
    async (name) => {
      const { front, sessions, raw, rawPost } = await start();
      const values: Record<string, string> = {
        host: `127.0.0.1:${front.port}`,
        origin: `http://127.0.0.1:${front.port}`,
        'content-type': 'application/json',
      };
      const value = values[name] ?? 'x';
      const connection = await raw();
      connection.send(rawPost({ [name]: value, [name.toUpperCase()]: value }, INITIALIZE));
      expect(await connection.status()).toBe(400);
      expect(sessions.opened).toEqual([]);
    },
  );

  it('a header that hides behind thousands of others', async () => {
    const { sessions, raw, rawPost } = await start({ limits: { headerBytesMax: 64 * 1024 } });
    const connection = await raw();
    const many = Object.fromEntries(Array.from({ length: 4000 }, (_, index) => [`x${index}`, '']));
    connection.send(rawPost({ ...many, origin: 'http://evil.example' }, INITIALIZE));
    expect(await connection.status()).toBe(403);
    expect(sessions.opened).toEqual([]);
  });

  const desync: [string, Record<string, string | undefined>, string][] = [
    ['a length and a transfer encoding', { 'transfer-encoding': 'chunked', 'content-length': '5' }, '0\r\n\r\n'],
    ['two lengths', { 'content-length': '40', 'Content-Length': '41' }, PING],
    ['a length with a sign', { 'content-length': '+40' }, PING],
    ['a negative length', { 'content-length': '-1' }, PING],
    ['a length in hexadecimal', { 'content-length': '0x28' }, PING],
    ['a space before the colon', { 'x-a ': '1' }, PING],
    ['a chunk without a size', { 'transfer-encoding': 'chunked' }, 'zz\r\n{}\r\n0\r\n\r\n'],
  ];
  it.each(desync)('%s', async (_name, headers, body) => {
    const { sessions, raw, rawPost } = await start();
    const connection = await raw();
    connection.send(rawPost(headers, body));
    expect(await connection.status()).toBe(400);
    await connection.until(() => false).catch(() => {});
    expect(connection.closed).toBe(true);
    expect(sessions.opened.flatMap((session) => session.received)).toEqual([]);
  });

  it('headers larger than allowed', async () => {
    const { raw, rawPost } = await start({ limits: { headerBytesMax: 2048 } });
    const connection = await raw();
    connection.send(rawPost({ 'x-large': 'x'.repeat(4096) }));
    expect(await connection.status()).toBe(431);
  });

  it('headers that do not come to an end in time', async () => {
    const { raw } = await start({ limits: { headersTimeoutMs: 50 } });
    const connection = await raw();
    connection.send('POST /mcp HTTP/1.1\r\nhost: a\r\n');
    await connection.until(() => false);
    expect(connection.received).toContain('408');
  });
});

describe('who is asking', () => {
  const principals: Record<string, Principal> = {
    'Bearer a': { ...LOCAL, agent: 'a', authentication: 'api_key', connection: 'sha256:a' },
    'Bearer b': { ...LOCAL, agent: 'b', authentication: 'api_key', connection: 'sha256:b' },
    'Bearer a-with-fewer-roles': {
      ...LOCAL,
      agent: 'a',
      root: false,
      authentication: 'api_key',
      connection: 'sha256:a',
    },
  };
  const authenticated = (asked: (string | undefined)[] = []) => ({
    kind: 'authenticated' as const,
    authenticator: {
      authenticate: async ({ authorization }: { authorization: string | undefined }) => {
        asked.push(authorization);
        if (authorization === 'Bearer broken') throw new Error('the key server is away');
        return principals[authorization ?? ''] ?? deny('ID_UNAUTHENTICATED');
      },
    },
  });

  it.each([
    ['nothing', {}],
    ['an unknown credential', { authorization: 'Bearer c' }],
    ['a credential in another scheme', { authorization: 'Basic a' }],
    ['a credential that cannot be checked', { authorization: 'Bearer broken' }],
  ])('refuses %s with 401 and says which scheme it takes', async (_name, headers: Record<string, string>) => {
    const { post, sessions } = await start({ access: authenticated() });
    const response = await post(INITIALIZE, headers);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(sessions.opened).toEqual([]);
  });

  it('refuses before it has read the body', async () => {
    const asked: (string | undefined)[] = [];
    const { raw, rawPost } = await start({ access: authenticated(asked) });
    const connection = await raw();
    connection.send(rawPost({ 'content-length': '1000' }, '{'));
    expect(await connection.status()).toBe(401);
    expect(asked).toEqual([undefined]);
  });

  it('asks nobody about a request that its head already rules out', async () => {
    const asked: (string | undefined)[] = [];
    const { post } = await start({ access: authenticated(asked) });
    expect((await post(INITIALIZE, { origin: 'http://evil.example', authorization: 'Bearer a' })).status).toBe(403);
    expect(asked).toEqual([]);
  });

  for (const method of ['POST', 'GET', 'DELETE']) {
    proves('G9', `${method} on the session of another principal is answered like one that never was`, async () => {
      const { request, post, open, sessions } = await start({ access: authenticated() });
      const id = await open({ authorization: 'Bearer a' });
      for (const authorization of ['Bearer b', 'Bearer a-with-fewer-roles']) {
        const headers = { authorization, 'mcp-session-id': id };
        const foreign = method === 'POST' ? await post(PING, headers) : await request(method, headers);
        const unknown = { authorization, 'mcp-session-id': 'AAAAAAAAAAAAAAAAAAAAAA' };
        const missing = method === 'POST' ? await post(PING, unknown) : await request(method, unknown);
        expect(foreign.status).toBe(404);
        expect(await foreign.text()).toBe(await missing.text());
      }
      expect(sessions.last.received).toEqual([INITIALIZE]);
      expect(sessions.last.closedBy).toBeUndefined();
      expect((await post(PING, { authorization: 'Bearer a', 'mcp-session-id': id })).status).toBe(200);
    });
  }

  it('answers a session on another path like one that never was', async () => {
    const { post, open } = await start();
    const id = await open({}, '/mcp/files');
    expect((await post(PING, { 'mcp-session-id': id })).status).toBe(404);
    expect((await post(PING, { 'mcp-session-id': id }, '/mcp/other')).status).toBe(404);
    expect((await post(PING, { 'mcp-session-id': id }, '/mcp/files')).status).toBe(200);
  });
});

describe('a message', () => {
  it('without a session that is not initialize is refused, and no session stays', async () => {
    const { post, sessions } = await start();
    for (const body of [PING, call(1, 'echo'), INITIALIZED, 'garbage']) {
      const response = await post(body);
      expect(response.status, body).toBe(400);
      expect(response.headers.get('mcp-session-id')).toBeNull();
      expect(sessions.last.closedBy).toBe('disconnect');
    }
  });

  it('that declares to be too large is refused without being read', async () => {
    const { open, raw, rawPost, sessions } = await start({ limits: { messageBytesMax: 1000 } });
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id, 'content-length': '1001' }, '{'));
    expect(await connection.status()).toBe(413);
    expect(sessions.last.refused).toEqual(['MESSAGE_TOO_LARGE']);
  });

  it('that turns out to be too large is refused, and the rest of it is not kept', async () => {
    const { open, raw, rawPost, sessions } = await start({ limits: { messageBytesMax: 1000 } });
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id, 'transfer-encoding': 'chunked' }, ''));
    const chunk = `200\r\n${'x'.repeat(512)}\r\n`;
    connection.send(chunk).send(chunk);
    expect(await connection.status()).toBe(413);
    for (let more = 0; more < 20 && !connection.closed; more++) {
      connection.send(chunk);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await connection.until(() => false);
    expect(sessions.last.refused).toEqual(['MESSAGE_TOO_LARGE']);
    expect(sessions.last.received).toEqual([INITIALIZE]);
  });

  it('that comes too slowly is refused, and the connection is closed', async () => {
    const { open, raw, rawPost, sessions } = await start({ limits: { bodyTimeoutMs: 50 } });
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id, 'content-length': '100' }, '{'));
    expect(await connection.status()).toBe(408);
    await connection.until(() => false);
    expect(sessions.last.received).toEqual([INITIALIZE]);
  });

  it('whose sender hangs up halfway never reaches the session', async () => {
    const { open, post, raw, rawPost, sessions } = await start();
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id, 'content-length': '100' }, PING));
    await new Promise((resolve) => setTimeout(resolve, 20));
    connection.close();
    expect((await post(PING, { 'mcp-session-id': id })).status).toBe(200);
    expect(sessions.last.received).toEqual([INITIALIZE, PING]);
  });

  it('in another revision than the one agreed is refused', async () => {
    const { post, open } = await start();
    const id = await open();
    expect((await post(PING, { 'mcp-session-id': id, 'mcp-protocol-version': '2025-06-18' })).status).toBe(400);
    expect((await post(PING, { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' })).status).toBe(200);
  });

  it('is handed over byte for byte and its answer comes back byte for byte', async () => {
    const { post, open, sessions } = await start();
    const id = await open();
    const text = call(7, 'echo', { text: 'žluť \u{1f600} \u2028', spaced: ' ' }).replace('{', '{ \n');
    const response = await post(text, { 'mcp-session-id': id, 'content-type': 'application/json; charset="UTF-8"' });
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toMatchObject({ id: 7, result: { content: [{ type: 'text' }] } });
    expect(sessions.last.received.at(-1)).toBe(text);
  });

  it('that needs no answer gets 202', async () => {
    const { post, open } = await start();
    const id = await open();
    const response = await post(INITIALIZED, { 'mcp-session-id': id });
    expect(response.status).toBe(202);
    expect(await response.text()).toBe('');
  });

  it('whose answer is preceded by something else is answered as an event stream', async () => {
    const { post, open } = await start();
    const id = await open();
    const response = await post(call(3, 'progress'), { 'mcp-session-id': id });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const events = (await response.text()).split('\n\n').filter((event) => event !== '');
    expect(events.map((event) => event.split('\n')[0])).toEqual(['event: message', 'event: message', 'event: message']);
    expect(events.at(-1)).toContain('"id":3');
  });

  it('in an array is one answer in an array', async () => {
    const { post, open } = await start();
    const id = await open();
    const response = await post(`[${call(1, 'echo')},${INITIALIZED},${call(2, 'echo')}]`, { 'mcp-session-id': id });
    expect(((await response.json()) as { id: number }[]).map((answer) => answer.id)).toEqual([1, 2]);
  });

  it('in chunks, in pieces and after a go-ahead is the same message', async () => {
    const { open, raw, rawPost, sessions } = await start();
    const id = await open();
    const chunked = await raw();
    chunked.send(rawPost({ 'mcp-session-id': id, 'transfer-encoding': 'chunked' }, ''));
    for (const byte of PING) chunked.send(`1;ext=1\r\n${byte}\r\n`);
    chunked.send('0\r\nhost: evil.example\r\n\r\n');
    expect(await chunked.status()).toBe(200);
    const pieces = await raw();
    for (const byte of rawPost({ 'mcp-session-id': id })) pieces.send(byte);
    expect(await pieces.status()).toBe(200);
    const patient = await raw();
    patient.send(rawPost({ 'mcp-session-id': id, expect: '100-continue', 'content-length': `${PING.length}` }, ''));
    await patient.until((received) => received.includes('100 Continue'));
    patient.send(PING);
    await patient.until((received) => received.includes('"result":{}'));
    expect(sessions.last.received.slice(1)).toEqual([PING, PING, PING]);
  });

  it('is refused before the go-ahead, not after', async () => {
    const { raw, rawPost } = await start();
    const connection = await raw();
    const headers = { 'mcp-session-id': 'AAAAAAAAAAAAAAAAAAAAAA', expect: '100-continue', 'content-length': '10' };
    connection.send(rawPost(headers, ''));
    expect(await connection.status()).toBe(404);
    await connection.until(() => false);
    expect(connection.received).not.toContain('100 Continue');
  });

  it.each([
    ['0.9', 505, {}, PING],
    ['2.0', 505, {}, PING],
    ['1.0', 400, { 'transfer-encoding': 'chunked' }, `${PING.length.toString(16)}\r\n${PING}\r\n0\r\n\r\n`],
  ] as const)('in HTTP/%s is answered with %i and read by nobody', async (version, status, more, body) => {
    const { open, raw, rawPost } = await start();
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id, ...more }, body, version));
    expect(await connection.status()).toBe(status);
    expect(connection.received).not.toContain('"result"');
  });

  it('over HTTP/1.0 passes the same checks', async () => {
    const { open, raw, rawPost } = await start();
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id }, PING, '1.0'));
    await connection.until(() => false);
    expect(connection.received).toContain('"result":{}');
    const nameless = await raw();
    nameless.send(rawPost({ 'mcp-session-id': id, host: undefined }, PING, '1.0'));
    expect(await nameless.status()).toBe(403);
  });

  it('sent before the last was answered is answered in turn, and the first does not hold up other connections', async () => {
    const { open, post, raw, rawPost, sessions } = await start();
    const id = await open();
    const connection = await raw();
    const headers = { 'mcp-session-id': id };
    connection.send(rawPost(headers, call(1, 'slow')) + rawPost(headers, call(2, 'echo')) + rawPost({}, 'x', '1.1'));
    await connection.until(() => sessions.opened[0]!.waiting === 1);
    expect((await post(PING, headers)).status).toBe(200);
    expect(connection.received).toBe('');
    sessions.opened[0]!.release();
    await connection.until((received) => (received.match(/HTTP\/1\.1/g) ?? []).length === 3);
    expect([...connection.received.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual([
      '200',
      '200',
      '400',
    ]);
    expect(connection.received.indexOf('"id":1')).toBeLessThan(connection.received.indexOf('"id":2'));
  });

  it('that waits behind another is given up with its connection', async () => {
    const { front, open, raw, rawPost, sessions } = await start({ limits: { drainMs: 20_000 } });
    const id = await open();
    const connection = await raw();
    const headers = { 'mcp-session-id': id };
    connection.send(rawPost(headers, call(1, 'slow')) + rawPost(headers, call(2, 'slow')));
    await connection.until(() => sessions.last.waiting === 2);
    const gone: number[] = [];
    for (const [index, delivery] of sessions.last.deliveries.slice(1).entries())
      delivery?.onGone?.(() => gone.push(index));
    connection.close();
    await expect.poll(() => gone).toHaveLength(2);
    sessions.last.release();
    // Nothing is left that a shutdown would wait for.
    await front.close();
  }, 15_000);

  it('one more than may wait on a connection breaks it off, and is heard by nobody', async () => {
    const { open, post, raw, rawPost, sessions } = await start({ limits: { requestsPerConnectionMax: 3 } });
    const id = await open();
    const headers = { 'mcp-session-id': id };
    const connection = await raw();
    connection.send([1, 2, 3].map((one) => rawPost(headers, call(one, 'slow'))).join(''));
    await connection.until(() => sessions.last.waiting === 3);
    expect((await post(PING, headers)).status).toBe(200);
    connection.send(rawPost(headers, call(4, 'slow')));
    await connection.until(() => false);
    expect(sessions.last.received.slice(1)).toEqual([call(1, 'slow'), call(2, 'slow'), call(3, 'slow'), PING]);
    expect((await post(PING, headers)).status).toBe(200);
  });

  it('whose sender closes his writing side is carried out once and harms nobody', async () => {
    const { open, post, raw, rawPost, sessions } = await start();
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id }, call(1, 'slow')));
    connection.socket.end();
    await connection.until(() => sessions.last.waiting === 1);
    sessions.last.release();
    expect((await post(PING, { 'mcp-session-id': id })).status).toBe(200);
    expect(sessions.last.received).toEqual([INITIALIZE, call(1, 'slow'), PING]);
  });

  it('whose sender no longer listens is finished all the same: going away is not cancelling', async () => {
    const { open, post, raw, rawPost, sessions } = await start();
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id }, call(1, 'slow')));
    await connection.until(() => sessions.last.waiting === 1);
    connection.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sessions.last.closedBy).toBeUndefined();
    sessions.last.release();
    expect((await post(PING, { 'mcp-session-id': id })).status).toBe(200);
  });
});

describe('what a known sender is refused is recorded as his', () => {
  type Known = [string, number, string, (id: string) => [string, Record<string, string | undefined>, string]];
  const known: Known[] = [
    ['plain text', 415, 'MESSAGE_MALFORMED', () => ['POST', { 'content-type': 'text/plain' }, PING]],
    ['a compressed body', 415, 'MESSAGE_MALFORMED', () => ['POST', { 'content-encoding': 'gzip' }, PING]],
    ['an empty body', 400, 'MESSAGE_MALFORMED', () => ['POST', {}, '']],
    ['a client that takes no events', 406, 'MESSAGE_MALFORMED', () => ['POST', { accept: 'application/json' }, PING]],
    ['a session that never was', 404, 'NOT_INITIALIZED', () => ['POST', { 'mcp-session-id': 'A' }, PING]],
    ['GET without a session', 400, 'NOT_INITIALIZED', () => ['GET', { 'mcp-session-id': undefined }, '']],
    [
      'the revision of another session',
      400,
      'HEADER_MISMATCH',
      () => ['POST', { 'mcp-protocol-version': '2024-11-05' }, PING],
    ],
    ['GET at no revision', 400, 'HEADER_MISMATCH', () => ['GET', { 'mcp-protocol-version': '1' }, '']],
    ['two names', 400, 'HEADER_MISMATCH', () => ['POST', { 'mcp-name': 'a', 'Mcp-Name': 'b' }, PING]],
    ['two of a parameter', 400, 'HEADER_MISMATCH', () => ['POST', { 'mcp-param-a': 'a', 'MCP-Param-A': 'a' }, PING]],
  ];
  it.each(known)('%s', async (_name, status, code, request) => {
    const { front, open, raw, sessions } = await start();
    const id = await open();
    const [method, headers, body] = request(id);
    const base = {
      host: `127.0.0.1:${front.port}`,
      accept: JSON_AND_EVENTS,
      'content-type': 'application/json',
      ...(method === 'POST' ? { 'content-length': `${body.length}` } : {}),
      'mcp-session-id': id,
    };
    const connection = await raw();
    connection.send(rawRequest(method, '/mcp', { ...base, ...headers }, body));
    expect(await connection.status()).toBe(status);
    expect(sessions.refused).toEqual([code]);
    expect(sessions.last.received).toEqual([INITIALIZE]);
    await connection.until((received) => received.includes('}}'));
    const told = JSON.parse(connection.received.split('\r\n\r\n')[1] ?? '') as object;
    expect(told).toMatchObject({
      jsonrpc: '2.0',
      error: { code: code === 'HEADER_MISMATCH' && 'mcp-name' in headers ? -32020 : expect.any(Number) },
    });
    expect(told).not.toHaveProperty('id');
  });

  const broken: [string, string, boolean][] = [
    ['breaks off', '28\r\n{"jsonrpc"', true],
    ['has a chunk that is longer than it says', `5\r\n${PING}\r\n0\r\n\r\n`, false],
    ['has a chunk of no size', `zz\r\n${PING}\r\n0\r\n\r\n`, false],
    ['ends without its last chunk', `${PING.length.toString(16)}\r\n${PING}\r\n`, true],
  ];
  it.each(broken)('a body that %s', async (_name, body, end) => {
    const { open, raw, rawPost, sessions } = await start();
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id, 'transfer-encoding': 'chunked' }, body));
    if (end) connection.socket.end();
    await expect.poll(() => sessions.last.refused).toEqual(['MESSAGE_MALFORMED']);
    await connection.until(() => false);
    expect(sessions.last.received).toEqual([INITIALIZE]);
  });

  it('a body that does not come in time', async () => {
    const { open, raw, rawPost, sessions } = await start({ limits: { bodyTimeoutMs: 50 } });
    const id = await open();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': id, 'content-length': '100' }, '{'));
    expect(await connection.status()).toBe(408);
    expect(sessions.last.refused).toEqual(['MESSAGE_MALFORMED']);
  });

  it('and of nobody known nothing', async () => {
    const authenticator = { authenticate: async () => deny('ID_UNAUTHENTICATED') };
    const { post, sessions } = await start({ access: { kind: 'authenticated', authenticator } });
    expect((await post(PING, { 'content-type': 'text/plain' })).status).toBe(415);
    expect(sessions.refused).toEqual([]);
  });
});

describe('what it cannot do it says', () => {
  it('a tunnel', async () => {
    const { front, raw } = await start();
    const connection = await raw();
    connection.send(`CONNECT 127.0.0.1:${front.port} HTTP/1.1\r\nhost: 127.0.0.1:${front.port}\r\n\r\n`);
    expect(await connection.status()).toBe(405);
    await connection.until(() => false);
  });

  it('an expectation', async () => {
    const { open, raw, rawPost, sessions } = await start();
    const connection = await raw();
    connection.send(rawPost({ 'mcp-session-id': await open(), expect: 'a-miracle' }));
    expect(await connection.status()).toBe(417);
    expect(connection.received).toContain('"error"');
    expect(sessions.last.received).toEqual([INITIALIZE]);
  });
});

describe('bodies that are held back', () => {
  it('make room for those that come in, the oldest first', async () => {
    const { open, post, raw, rawPost, sessions } = await start({ limits: { bodiesBytesMax: 100_000 } });
    const id = await open();
    const held = [await raw(), await raw(), await raw()];
    for (const connection of held) {
      connection.send(rawPost({ 'mcp-session-id': id, 'content-length': '50000' }, 'x'.repeat(40_000)));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await held[0]!.status()).toBe(503);
    expect(held[0]!.received).toContain('OVERLOADED');
    expect(held[1]!.received).toBe('');
    expect(sessions.last.refused).toEqual(['OVERLOADED']);
    const text = 'x'.repeat(50_000);
    expect((await post(call(1, 'echo', { text }), { 'mcp-session-id': id })).status).toBe(200);
    expect(await held[1]!.status()).toBe(503);
    expect(held[2]!.received).toBe('');
  });

  it('take no session of anybody, nor does what opens none', async () => {
    const { open, post, raw, rawPost } = await start({ limits: { sessionsPerPrincipalMax: 2, sessionsMax: 2 } });
    const ids = [await open(), await open()];
    const held = await Promise.all(Array.from({ length: 5 }, () => raw()));
    for (const connection of held) connection.send(rawPost({ 'content-length': '100' }, '{'));
    const nonsense = await Promise.all(Array.from({ length: 5 }, () => post(PING)));
    for (const { status } of nonsense) expect([400, 503]).toContain(status);
    for (const id of ids) expect((await post(PING, { 'mcp-session-id': id })).status).toBe(200);
  });
});

describe('names and origins', () => {
  it('takes the loopback names with the port, and pages served from there', async () => {
    const { front, raw, rawPost } = await start();
    for (const name of ['127.0.0.1', 'localhost', 'LocalHost', '[::1]']) {
      const connection = await raw();
      const origin = `http://${name}:${front.port}`.toLowerCase();
      connection.send(rawPost({ host: `${name}:${front.port}`, origin }, INITIALIZE));
      expect(await connection.status(), name).toBe(200);
    }
  });

  it('takes what is configured, exactly', async () => {
    const { raw, rawPost } = await start({ publicHosts: ['gate.example'], origins: ['https://app.example'] });
    for (const [host, origin, status] of [
      ['gate.example', 'https://app.example', 200],
      ['gate.example:443', 'https://app.example', 403],
      ['gate.example', 'https://app.example:444', 403],
      ['gate.example', 'https://gate.example', 403],
      ['a.gate.example', 'https://app.example', 403],
    ] as const) {
      const connection = await raw();
      connection.send(rawPost({ host, origin }, INITIALIZE));
      expect(await connection.status(), `${host} ${origin}`).toBe(status);
    }
  });
});

describe('a session', () => {
  it('has an id of 128 random bits that no other session has', async () => {
    const { open } = await start();
    const ids = await Promise.all(Array.from({ length: 20 }, () => open()));
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(Buffer.from(id, 'base64url')).toHaveLength(16);
  });

  it('sees the servers of its path', async () => {
    const { open, sessions } = await start();
    await open();
    expect(sessions.last.view).toEqual({ kind: 'all' });
    await open({}, '/mcp/files');
    expect(sessions.last.view).toEqual({ kind: 'server', server: 'files' });
  });

  it.each([
    ['OVERLOADED', 503],
    ['GOV_HALTED', 503],
    ['SERVER_UNAVAILABLE', 404],
    ['ID_UNAUTHENTICATED', 401],
    ['POLICY_NO_PERMIT', 403],
  ] as const)('that cannot be opened (%s) is answered with %i', async (code, status) => {
    const { post, sessions } = await start();
    sessions.refusal = deny(code, 'detail for the operator');
    const response = await post(INITIALIZE);
    expect(response.status).toBe(status);
    expect(await response.text()).not.toContain('detail for the operator');
  });

  it('ends with DELETE, and is then unknown', async () => {
    const { request, post, open, sessions } = await start();
    const id = await open();
    expect((await request('DELETE', { 'mcp-session-id': id })).status).toBe(204);
    expect(sessions.last.closedBy).toBe('client');
    expect((await post(PING, { 'mcp-session-id': id })).status).toBe(404);
    expect((await request('DELETE', { 'mcp-session-id': id })).status).toBe(404);
  });

  it('ends when it is not used', async () => {
    const { post, open, sessions } = await start({ limits: { sessionIdleMs: 40 } });
    const id = await open();
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(sessions.last.closedBy).toBe('disconnect');
    expect((await post(PING, { 'mcp-session-id': id })).status).toBe(404);
  });

  it('makes room for a new one of the same principal when it is idle, and does not when it is in use', async () => {
    const { post, open, sessions } = await start({ limits: { sessionsPerPrincipalMax: 2 } });
    const first = await open();
    const second = await open();
    const busy = post(call(1, 'slow'), { 'mcp-session-id': first });
    await expect.poll(() => sessions.opened[0]!.waiting).toBe(1);
    const third = await open();
    expect((await post(PING, { 'mcp-session-id': second })).status).toBe(404);
    const alsoBusy = post(call(1, 'slow'), { 'mcp-session-id': third });
    await expect.poll(() => sessions.opened[2]!.waiting).toBe(1);
    expect((await post(INITIALIZE)).status).toBe(503);
    for (const session of sessions.opened) session.release();
    expect((await busy).status).toBe(200);
    expect((await alsoBusy).status).toBe(200);
  });

  it('delivers what belongs to no request on its own stream only', async () => {
    const { request, open, sessions } = await start({ limits: { heartbeatMs: 10 } });
    const mine = await request('GET', { 'mcp-session-id': await open(), 'last-event-id': '5' });
    const [first] = sessions.opened;
    const other = await request('GET', { 'mcp-session-id': await open() });
    expect(mine.headers.get('content-type')).toBe('text/event-stream');
    first!.notify('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
    expect(await readUntil(mine, 'list_changed')).toContain(
      'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n',
    );
    expect(await readUntil(other, ': alive')).not.toContain('list_changed');
  });

  it('has one stream: a second one ends the first', async () => {
    const { request, open, sessions } = await start();
    const id = await open();
    const first = await request('GET', { 'mcp-session-id': id });
    const second = await request('GET', { 'mcp-session-id': id });
    expect(await first.text()).toBe('');
    sessions.last.notify('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
    expect(await readUntil(second, 'list_changed')).toContain('list_changed');
  });

  it('cuts off a listener that does not read', async () => {
    const { front, open, raw, sessions } = await start({ limits: { streamBufferBytesMax: 100_000 } });
    const id = await open();
    const connection = await raw();
    const headers = { host: `127.0.0.1:${front.port}`, accept: 'text/event-stream', 'mcp-session-id': id };
    connection.send(rawRequest('GET', '/mcp', headers));
    await connection.status();
    connection.socket.pause();
    const message = JSON.stringify({ jsonrpc: '2.0', method: 'm', params: { text: 'x'.repeat(90_000) } });
    for (let sent = 0; sent < 300; sent++) {
      sessions.last.notify(message);
      await new Promise((resolve) => setImmediate(resolve));
    }
    connection.socket.resume();
    await connection.until(() => false);
    expect(connection.received.length).toBeLessThan(300 * 90_000);
  });
});

describe('closing', () => {
  it('lets calls in progress finish and takes no new ones', async () => {
    const { front, open, post, raw, rawPost, sessions } = await start({ limits: { drainMs: 5000 } });
    const id = await open();
    const kept = await raw();
    kept.send(rawPost({ 'mcp-session-id': id }));
    await kept.until((received) => received.includes('"result":{}'));
    const answer = post(call(1, 'slow'), { 'mcp-session-id': id });
    await expect.poll(() => sessions.last.waiting).toBe(1);
    const closed = front.close();
    kept.send(rawPost({ 'mcp-session-id': id }));
    await kept.until((received) => received.includes('503'));
    expect(sessions.last.received).toEqual([INITIALIZE, PING, call(1, 'slow')]);
    expect(sessions.last.closedBy).toBeUndefined();
    sessions.last.release();
    expect(await (await answer).json()).toMatchObject({ id: 1 });
    await closed;
    expect(sessions.last.closedBy).toBe('shutdown');
    await expect(post(PING)).rejects.toThrow();
  });

  it('does not wait for ever', async () => {
    const { front, open, post, request, sessions } = await start({ limits: { drainMs: 30 } });
    const id = await open();
    const stream = await request('GET', { 'mcp-session-id': id });
    const answer = post(call(1, 'slow'), { 'mcp-session-id': id });
    await expect.poll(() => sessions.last.waiting).toBe(1);
    await front.close();
    expect(sessions.last.closedBy).toBe('shutdown');
    expect((await answer).status).toBe(200);
    expect(await stream.text()).toBe('');
  });
});

async function readUntil(response: Response, part: string): Promise<string> {
  let text = '';
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (!text.includes(part)) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text;
}
