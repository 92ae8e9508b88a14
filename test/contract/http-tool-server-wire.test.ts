// What goes over the wire to a remote server, and what of its answers is not followed.

import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import type { EndpointConfig } from '../../adapters/upstream/http/endpoint.ts';
import { type HttpServerSurroundings, httpToolServer } from '../../adapters/upstream/http/http-tool-server.ts';
import type { ToolAnswer } from '../../proxy/tool-server.ts';
import { type HttpCounter, startHttpCounter } from '../fixtures/servers/http-counter.ts';
import { selfSigned } from '../support/certificates.ts';
import { QUIET } from '../support/hooks.ts';
import { callOf, textOf } from './tool-server.contract.ts';

const undo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

function connect(
  url: string,
  config: Partial<EndpointConfig> = {},
  more: Partial<HttpServerSurroundings> = {},
): Connection {
  const server = httpToolServer(
    { name: 'remote', url, ...config },
    { clientInfo: { name: 'portcullis', version: '0' }, ...more },
  );
  undo.push(() => server.stop());
  return server;
}

async function counter(env: Record<string, string> = {}): Promise<HttpCounter> {
  const started = await startHttpCounter(env);
  undo.push(() => started.stop());
  return started;
}

interface Seen {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function seenBy({ port }: HttpCounter): Promise<Seen[]> {
  return (await fetch(`http://127.0.0.1:${port}/requests`)).json() as Promise<Seen[]>;
}

const echo = (server: Connection, text: string): Promise<ToolAnswer> =>
  server.dispatch(callOf('echo', { text }), QUIET).answer;

const INITIALIZED = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'odd', version: '0' },
};

/** A server that behaves until a tool is called, and then does what it is told. */
async function oddServer(onCall: RequestListener): Promise<string> {
  const server = createServer((req, res) => {
    if (req.method !== 'POST') return void res.writeHead(405).end();
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { id, method } = JSON.parse(Buffer.concat(chunks).toString());
      const reply = (result: unknown) =>
        res
          .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's-1' })
          .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      if (method === 'initialize') return reply(INITIALIZED);
      if (method === 'tools/list') return reply({ tools: [] });
      if (method === 'ping') return reply({});
      if (method === 'tools/call') return onCall(Object.assign(req, { rpcId: id }), res);
      return res.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

describe('what is sent', () => {
  it('is our own headers and the configured ones, the session and the revision, and a DELETE at the end', async () => {
    const remote = await counter();
    const headers = { Authorization: { fromEnv: 'REMOTE_TOKEN', prefix: 'Bearer ' }, 'X-Team': 'tools' };
    const server = connect(
      `http://127.0.0.1:${remote.port}/mcp`,
      { headers },
      { ourEnvironment: { REMOTE_TOKEN: 'abc' } },
    );
    await server.start();
    expect(textOf(await echo(server, 'é€'))).toBe('é€');
    await vi.waitFor(async () => expect((await seenBy(remote)).map((request) => request.method)).toContain('GET'));
    await server.stop();
    const seen = await seenBy(remote);
    expect(seen.map((request) => request.method).filter((method) => method !== 'GET')).toEqual([
      'POST',
      'POST',
      'POST',
      'POST',
      'DELETE',
    ]);
    const session = seen.at(-1)?.headers['mcp-session-id'];
    expect(session).toMatch(/^[-0-9a-f]{36}$/);
    for (const [i, request] of seen.entries()) {
      expect(request.headers).toMatchObject({ authorization: 'Bearer abc', 'x-team': 'tools' });
      expect(request.headers['mcp-session-id']).toBe(i === 0 ? undefined : session);
      expect(request.headers['mcp-protocol-version']).toBe(i === 0 ? undefined : '2025-11-25');
      if (request.method !== 'POST') continue;
      const known = ['accept', 'authorization', 'connection', 'content-length', 'content-type', 'host', 'x-team'];
      const names = Object.keys(request.headers).filter((name) => !name.startsWith('mcp-'));
      expect(names.sort()).toEqual(known);
      expect(request.headers.accept).toBe('application/json, text/event-stream');
      expect(request.headers['content-type']).toBe('application/json');
    }
  });

  for (const [config, detail] of [
    [{ url: 'not a url' }, /not a URL/],
    [{ url: 'ftp://127.0.0.1/mcp' }, /neither https nor http/],
    [{ url: 'file:///etc/passwd' }, /neither https nor http/],
    [{ url: 'http://user:secret@127.0.0.1/mcp' }, /holds credentials/],
    [{ url: 'http://tools.example/mcp' }, /plain http/],
    [{ url: 'http://127.0.0.1.example/mcp' }, /plain http/],
    [{ headers: { Host: 'evil.example' } }, /not the configuration's to set/],
    [{ headers: { 'Mcp-Session-Id': 'mine' } }, /not the configuration's to set/],
    [{ headers: { 'Transfer-Encoding': 'chunked' } }, /not the configuration's to set/],
    [{ headers: { 'X-A': 'a\r\nX-B: b' } }, /not a valid header/],
    [{ headers: { 'X A': 'a' } }, /not a valid header/],
    [{ headers: { 'X-A': { fromEnv: 'ABSENT' } } }, /environment variable ABSENT, which is not set/],
  ] as const) {
    it(`is nothing at all for ${JSON.stringify(config)}`, async () => {
      const server = connect('http://127.0.0.1:9/mcp', config, { ourEnvironment: {} });
      await expect(server.start()).rejects.toThrow(detail);
    });
  }
});

describe('an answer over HTTP', () => {
  const write = (status: number, headers: Record<string, string>, body: string): RequestListener => {
    return (req, res) =>
      res.writeHead(status, headers).end(body.replace('$ID', String((req as unknown as { rpcId: number }).rpcId)));
  };
  const json = { 'content-type': 'application/json' };
  const sse = { 'content-type': 'text/event-stream' };
  const good = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"good"}]}}';

  for (const [what, onCall, expected] of [
    [
      'a redirect',
      write(307, { location: '/elsewhere' }, ''),
      { kind: 'lost', detail: expect.stringContaining('redirect') },
    ],
    ['HTTP 500', write(500, json, good), { kind: 'lost', detail: 'it answered with HTTP 500' }],
    ['HTTP 401', write(401, json, good), { kind: 'lost', detail: 'it answered with HTTP 401' }],
    ['HTTP 202 to a request', write(202, {}, ''), { kind: 'lost', detail: 'it answered with HTTP 202' }],
    [
      'another media type',
      write(200, { 'content-type': 'text/html' }, good),
      { kind: 'lost', detail: expect.stringContaining('text/html') },
    ],
    ['no media type', write(200, {}, good), { kind: 'lost', detail: expect.stringContaining('media type') }],
    [
      'a compressed body',
      write(200, { ...json, 'content-encoding': 'gzip' }, good),
      { kind: 'lost', detail: expect.stringContaining('encoding') },
    ],
    ['an empty body', write(200, json, ''), { kind: 'lost', detail: expect.stringContaining('empty') }],
    [
      'an answer to another request',
      write(200, json, '{"jsonrpc":"2.0","id":1,"result":{}}'),
      { kind: 'lost', detail: expect.stringContaining('another request') },
    ],
    [
      'a stream without an answer',
      write(200, sse, ': nothing\n\n'),
      { kind: 'lost', detail: expect.stringContaining('ended without an answer') },
    ],
    [
      'a stream cut in the middle of its answer',
      write(200, sse, `data: ${good}`),
      { kind: 'lost', detail: expect.stringContaining('ended without an answer') },
    ],
    [
      'duplicate members',
      write(200, json, '{"jsonrpc":"2.0","id":$ID,"result":{"a":1,"a":2}}'),
      { kind: 'refused', code: 'OUTPUT_INVALID' },
    ],
    [
      'HTTP 400 that names the request',
      write(400, json, '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32602,"message":"no"}}'),
      { kind: 'error' },
    ],
    [
      'HTTP 400 that does not',
      write(400, json, '{"error":"no"}'),
      { kind: 'lost', detail: 'it answered with HTTP 400' },
    ],
    ['plain JSON', write(200, { 'content-type': 'Application/JSON; charset=utf-8' }, good), { kind: 'result' }],
    ['an event', write(200, sse, `event: message\r\ndata: ${good}\r\n\r\n`), { kind: 'result' }],
    ['an event of two data lines', write(200, sse, `data: ${good.replace(',', ',\ndata: ')}\n\n`), { kind: 'result' }],
  ] as const) {
    it(`that is ${what} counts as ${expected.kind}`, async () => {
      const server = connect(await oddServer(onCall));
      await server.start();
      expect(await echo(server, 'x')).toMatchObject(expected);
      expect(server.description).toBeDefined();
    });
  }

  it('that is cut off is lost, and the server is asked whether it lives', async () => {
    const server = connect(
      await oddServer((_req, res) => {
        res.writeHead(200, { ...json, 'content-length': '100' }).write('{"jsonrpc":');
        setTimeout(() => res.destroy(), 10);
      }),
    );
    await server.start();
    expect(await echo(server, 'x')).toMatchObject({ kind: 'lost' });
    expect(server.description).toBeDefined();
  });
});

describe('a session', () => {
  it('that the server has forgotten ends, and the next start opens another', async () => {
    const remote = await counter();
    const server = connect(`http://127.0.0.1:${remote.port}/mcp`);
    await server.start();
    await fetch(`http://127.0.0.1:${remote.port}/forget`);
    expect(await echo(server, 'x')).toMatchObject({ kind: 'lost', detail: 'the server has ended the session' });
    expect(server.description).toBeUndefined();
    await server.start();
    expect(textOf(await echo(server, 'back'))).toBe('back');
  });

  it('asks for no more of a stream that has given its answer', async () => {
    const remote = await counter({ COUNTER_HTTP: 'sse' });
    const server = connect(`http://127.0.0.1:${remote.port}/mcp`, {}, { httpLimits: { resumeDelayMs: 1 } });
    await server.start();
    for (let i = 0; i < 20; i++) expect(textOf(await echo(server, `n${i}`))).toBe(`n${i}`);
    expect((await seenBy(remote)).filter((request) => 'last-event-id' in request.headers)).toEqual([]);
  });

  it('takes up a stream that broke before its answer, and does not repeat the call', async () => {
    const remote = await counter({ COUNTER_HTTP: 'polling' });
    const server = connect(`http://127.0.0.1:${remote.port}/mcp`);
    await server.start();
    for (const count of ['1', '2', '3']) {
      expect(textOf(await server.dispatch(callOf('count', {}), QUIET).answer)).toBe(count);
    }
    expect((await seenBy(remote)).filter((request) => 'last-event-id' in request.headers)).toHaveLength(3);
  });

  it('needs no stream of its own', async () => {
    const remote = await counter({ COUNTER_HTTP_GET: 'none' });
    const server = connect(`http://127.0.0.1:${remote.port}/mcp`);
    await server.start();
    await vi.waitFor(async () => expect((await seenBy(remote)).map((request) => request.method)).toContain('GET'));
    expect(textOf(await echo(server, 'x'))).toBe('x');
  });

  it('lives on where a GET is answered with 404', async () => {
    const remote = await counter({ COUNTER_HTTP_GET: 'unknown' });
    const server = connect(`http://127.0.0.1:${remote.port}/mcp`);
    await server.start();
    await vi.waitFor(async () => expect((await seenBy(remote)).map((request) => request.method)).toContain('GET'));
    expect(textOf(await echo(server, 'x'))).toBe('x');
  });

  it('reads the list of tools anew when its stream had a gap', async () => {
    const remote = await counter({ COUNTER_HTTP_GET: 'short' });
    const server = connect(`http://127.0.0.1:${remote.port}/mcp`, {}, { httpLimits: { resumeDelayMs: 5 } });
    const changes: string[] = [];
    server.onChange((change) => changes.push(change));
    await server.start();
    await vi.waitFor(() => expect(changes).toContain('tools'));
  });

  it('cannot be opened where nobody listens, and that is explained', async () => {
    const remote = await counter();
    await remote.stop();
    await expect(connect(`http://127.0.0.1:${remote.port}/mcp`).start()).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('a certificate that nobody vouches for', () => {
  it('is not accepted, and nothing is sent', async () => {
    const { key, cert } = selfSigned();
    const requests: string[] = [];
    const tls = createTlsServer({ key, cert }, (req, res) => {
      requests.push(req.url ?? '');
      res.end();
    });
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    undo.push(() => tls.close());
    const server = connect(`https://127.0.0.1:${(tls.address() as AddressInfo).port}/mcp`);
    await expect(server.start()).rejects.toThrow(/self-signed certificate/);
    expect(requests).toEqual([]);
  });
});
