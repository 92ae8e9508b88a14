// HTTP+SSE on the wire: what is sent where, and what a server cannot make us do.

import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import type { EndpointConfig } from '../../adapters/upstream/http/endpoint.ts';
import { type SseServerSurroundings, sseToolServer } from '../../adapters/upstream/sse/sse-tool-server.ts';
import type { ToolAnswer } from '../../proxy/tool-server.ts';
import { QUIET } from '../support/hooks.ts';
import { callOf, textOf } from './tool-server.contract.ts';

const undo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

function connect(
  url: string,
  config: Partial<EndpointConfig> = {},
  more: Partial<SseServerSurroundings> = {},
): Connection {
  const clientInfo = { name: 'portcullis', version: '0' };
  const server = sseToolServer({ name: 'remote', url, ...config }, { clientInfo, ...more });
  undo.push(() => server.stop());
  return server;
}

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface Odd {
  /** What the stream begins with. */
  readonly begin?: string;
  /** Instead of taking a call: the answer to its POST, or something on the stream. */
  onCall?(id: number, res: ServerResponse, stream: ServerResponse): void;
}

/** A server that behaves but for what it is told. */
async function oddServer({ begin = 'event: endpoint\ndata: /messages?s=1\n\n', onCall }: Odd = {}) {
  const seen: Seen[] = [];
  let stream: ServerResponse | undefined;
  const url = await listen((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ method: req.method, url: req.url, headers: req.headers, body });
      if (req.method === 'GET') {
        stream = res.writeHead(200, { 'content-type': 'text/event-stream' });
        return void res.write(begin);
      }
      const { id, method } = JSON.parse(body);
      const reply = (result: unknown): void => {
        res.writeHead(202).end('Accepted');
        stream?.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
      };
      const protocolVersion = '2024-11-05';
      const serverInfo = { name: 'odd', version: '0' };
      if (method === 'initialize') return reply({ protocolVersion, capabilities: { tools: {} }, serverInfo });
      if (method === 'tools/list') return reply({ tools: [] });
      if (method === 'ping') return reply({});
      if (method === 'tools/call' && onCall !== undefined && stream !== undefined) return onCall(id, res, stream);
      if (method === 'tools/call') return reply({ content: [{ type: 'text', text: 'ok' }] });
      return res.writeHead(202).end();
    });
  });
  return { url: `${url}/sse`, seen, origin: url };
}

const echo = (server: Connection): Promise<ToolAnswer> => server.dispatch(callOf('echo', { text: 'x' }), QUIET).answer;

describe('the address for messages', () => {
  it.each([
    ['another host', 'http://127.0.0.2:1/messages', /another origin/],
    ['another port', 'http://127.0.0.1:1/messages', /another origin/],
    ['another scheme', 'https://127.0.0.1/messages', /another origin/],
    ['a host behind slashes', '//169.254.169.254/latest/meta-data', /another origin/],
    ['a backslash for a slash', '/\\evil.example/messages', /another origin/],
    ['a file', 'file:///etc/passwd', /another origin/],
    ['a script', 'javascript:alert(1)', /another origin/],
    ['nothing that is an address', 'http://[', /that is none/],
    ['a longer text than any address', `/${'x'.repeat(5000)}`, /that is none/],
  ])('is refused when it is %s', async (_name, address, why) => {
    const { url, seen } = await oddServer({ begin: `event: endpoint\ndata: ${address}\n\n` });
    await expect(connect(url).start()).rejects.toThrow(why);
    expect(seen.map(({ method }) => method)).toEqual(['GET']);
  });

  it('is refused with credentials in it', async () => {
    const origin = await listen((req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(`event: endpoint\ndata: http://user:pass@${req.headers.host}/messages\n\n`);
    });
    await expect(connect(`${origin}/sse`).start()).rejects.toThrow(/another origin/);
  });

  it('is named once: another one later ends the connection', async () => {
    const { url, seen } = await oddServer({
      onCall: (_id, res, stream) => {
        res.writeHead(202).end();
        stream.write('event: endpoint\ndata: /elsewhere\n\n');
      },
    });
    const server = connect(url);
    await server.start();
    expect(await echo(server)).toMatchObject({ kind: 'lost', detail: expect.stringContaining('second address') });
    expect(seen.some((request) => request.url === '/elsewhere')).toBe(false);
  });

  it('is waited for as long as a start may take', async () => {
    const { url, seen } = await oddServer({ begin: ': hello\n\n' });
    await expect(connect(url, {}, { limits: { startTimeoutMs: 50 } }).start()).rejects.toThrow(/not ready/);
    expect(seen.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('the stream', () => {
  it.each<[string, RequestListener, RegExp]>([
    ['a redirect', (_req, res) => res.writeHead(307, { location: '/other' }).end(), /redirect/],
    ['405, as from a server that speaks something newer', (_req, res) => res.writeHead(405).end(), /HTTP 405/],
    [
      'another media type',
      (_req, res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
      /media type "text\/html"/,
    ],
    [
      'an encoding',
      (_req, res) => res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' }).end('x'),
      /encoding/,
    ],
    [
      'an end before the address',
      (_req, res) => res.writeHead(200, { 'content-type': 'text/event-stream' }).end(),
      /ended/,
    ],
  ])('cannot be %s', async (_name, handler, why) => {
    const asked: (string | undefined)[] = [];
    const origin = await listen((req, res) => {
      asked.push(req.url);
      handler(req, res);
    });
    await expect(connect(`${origin}/sse`).start()).rejects.toThrow(why);
    expect(asked).toEqual(['/sse']);
  });

  it('ends every call in flight with it', async () => {
    const { url } = await oddServer({
      onCall: (_id, res, stream) => {
        res.writeHead(202).end();
        stream.end();
      },
    });
    const server = connect(url);
    await server.start();
    expect(await echo(server)).toMatchObject({ kind: 'lost' });
    expect(server.description).toBeUndefined();
  });

  it('cannot be of plain http on another machine', async () => {
    await expect(connect('http://198.51.100.1/sse').start()).rejects.toThrow(/plain http/);
  });
});

describe('a message', () => {
  it('goes to the address with our headers and the configured ones, initialized before all that follows', async () => {
    const { url, seen } = await oddServer();
    const headers = { Authorization: { fromEnv: 'REMOTE_TOKEN', prefix: 'Bearer ' }, 'X-Team': 'tools' };
    const server = connect(url, { headers }, { ourEnvironment: { REMOTE_TOKEN: 'abc' } });
    await server.start();
    expect(textOf(await echo(server))).toBe('ok');
    expect(seen.map((request) => `${request.method} ${request.url}`)).toEqual([
      'GET /sse',
      ...Array.from({ length: 4 }, () => 'POST /messages?s=1'),
    ]);
    for (const request of seen)
      expect(request.headers).toMatchObject({ authorization: 'Bearer abc', 'x-team': 'tools' });
    const methods = seen.slice(1).map((request) => JSON.parse(request.body).method);
    expect(methods).toEqual(['initialize', 'notifications/initialized', 'tools/list', 'tools/call']);
  });

  it.each<[string, NonNullable<Odd['onCall']>]>([
    ['an error', (_id, res) => res.writeHead(500).end('no')],
    ['a redirect', (_id, res) => res.writeHead(307, { location: '/elsewhere' }).end()],
    ['nothing', (_id, res) => res.destroy()],
  ])('that is answered with %s is lost, not repeated, and the connection lives', async (_name, onCall) => {
    const { url, seen } = await oddServer({ onCall });
    const server = connect(url);
    await server.start();
    expect(await echo(server)).toMatchObject({ kind: 'lost' });
    expect(await echo(server)).toMatchObject({ kind: 'lost' });
    expect(seen.filter((request) => request.body.includes('tools/call'))).toHaveLength(2);
    expect(seen.some((request) => request.url === '/elsewhere')).toBe(false);
    expect(server.description).toBeDefined();
  });
});
