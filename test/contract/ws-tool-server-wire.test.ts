// WebSocket to a server on the wire: what is sent, and what a server cannot make us do.

import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Connection } from '../../adapters/upstream/connection.ts';
import type { EndpointConfig } from '../../adapters/upstream/http/endpoint.ts';
import { type WsServerSurroundings, wsToolServer } from '../../adapters/upstream/ws/ws-tool-server.ts';
import type { ToolAnswer } from '../../proxy/tool-server.ts';
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
  more: Partial<WsServerSurroundings> = {},
): Connection {
  const clientInfo = { name: 'portcullis', version: '0' };
  const server = wsToolServer({ name: 'remote', url, ...config }, { clientInfo, ...more });
  undo.push(() => server.stop());
  return server;
}

/** A server that behaves until a tool is called, and then does what it is told. */
async function oddServer(
  onCall: (id: number, socket: WebSocket, raw: Socket) => void,
  options: { autoPong?: boolean; subprotocol?: string | false } = {},
) {
  const requests: IncomingMessage[] = [];
  const { autoPong = true, subprotocol = 'mcp' } = options;
  const settings = { autoPong, handleProtocols: () => subprotocol, perMessageDeflate: true };
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...settings });
  server.on('connection', (socket, request) => {
    requests.push(request);
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      const { id, method } = JSON.parse(String(data));
      const reply = (result: unknown): void => socket.send(JSON.stringify({ jsonrpc: '2.0', id, result }));
      const serverInfo = { name: 'odd', version: '0' };
      if (method === 'initialize') reply({ protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo });
      else if (method === 'tools/list') reply({ tools: [] });
      else if (method === 'ping') reply({});
      else if (method === 'tools/call') onCall(id, socket, request.socket);
    });
  });
  await new Promise<void>((resolve) => server.once('listening', resolve));
  undo.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, requests };
}

const call = (server: Connection, outputBytesMax?: number): Promise<ToolAnswer> =>
  server.dispatch(callOf('echo', { text: 'x' }, outputBytesMax), QUIET).answer;

const answer = (id: number, text: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }] } });

describe('before it is open', () => {
  it.each([
    [301, /redirect/],
    [307, /redirect/],
    [401, /HTTP 401/],
    [200, /HTTP 200/],
  ])('HTTP %i is no WebSocket, and nothing is followed', async (status, why) => {
    const asked: (string | undefined)[] = [];
    const server = createServer((req, res) => {
      asked.push(req.url);
      res.writeHead(status, { location: '/elsewhere' }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    undo.push(() => server.close());
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    await expect(connect(url).start()).rejects.toThrow(why);
    expect(asked).toEqual(['/mcp']);
  });

  it('a server that does not agree to the subprotocol is refused', async () => {
    const { url } = await oddServer(() => undefined, { subprotocol: false });
    await expect(connect(url).start()).rejects.toThrow(/subprotocol/);
  });

  it.each([
    ['plain ws to another machine', 'ws://198.51.100.1/mcp', {}, /plain ws/],
    ['another scheme', 'http://127.0.0.1/mcp', {}, /neither wss nor ws/],
    ['credentials in the address', 'wss://user:pass@host.example/', {}, /credentials/],
    ['a fragment', 'wss://host.example/#part', {}, /fragment/],
    ['a header of the protocol', 'wss://host.example/', { 'Sec-WebSocket-Protocol': 'x' }, /not the configuration's/],
    ['a secret that is not there', 'wss://host.example/', { Authorization: { fromEnv: 'NOWHERE' } }, /not set/],
  ])('%s is refused', async (_name, url, headers, why) => {
    await expect(connect(url, { headers }, { ourEnvironment: {} }).start()).rejects.toThrow(why);
  });

  it('a certificate that nobody vouches for is not accepted, and nothing is sent', async () => {
    const { key, cert } = selfSigned();
    let asked = 0;
    const tls = createTlsServer({ key, cert });
    tls.on('upgrade', () => asked++);
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    undo.push(() => tls.close());
    const server = connect(`wss://127.0.0.1:${(tls.address() as AddressInfo).port}/mcp`);
    await expect(server.start()).rejects.toThrow(/self-signed certificate/);
    expect(asked).toBe(0);
  });

  it('a server that never answers is given up', async () => {
    const server = createServer();
    server.on('upgrade', (_request, socket) => undo.push(() => socket.destroy()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    undo.push(() => server.close());
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    await expect(connect(url, {}, { wsLimits: { connectTimeoutMs: 50 } }).start()).rejects.toThrow(/timed out/);
  });

  it('it asks with our headers and the configured ones, without compression', async () => {
    const { url, requests } = await oddServer((id, socket) => socket.send(answer(id, 'é€')));
    const headers = { Authorization: { fromEnv: 'REMOTE_TOKEN', prefix: 'Bearer ' } };
    const server = connect(url, { headers }, { ourEnvironment: { REMOTE_TOKEN: 'abc' } });
    await server.start();
    expect(textOf(await call(server))).toBe('é€');
    expect(requests[0]?.headers).toMatchObject({ authorization: 'Bearer abc', 'sec-websocket-protocol': 'mcp' });
    expect(requests[0]?.headers['sec-websocket-extensions']).toBeUndefined();
    expect(requests[0]?.headers.origin).toBeUndefined();
  });
});

describe('an open connection', () => {
  it.each<[string, (id: number, socket: WebSocket, raw: Socket) => void, RegExp]>([
    ['a binary message', (id, socket) => socket.send(Buffer.from(answer(id, 'x'))), /binary/],
    ['a frame that is masked', (_id, _socket, raw) => raw.write(Buffer.from([0x81, 0x80, 0, 0, 0, 0])), /MASK/],
    ['a frame that is compressed', (_id, _socket, raw) => raw.write(Buffer.from([0xc1, 0])), /RSV1/],
    ['text that is no message', (_id, socket) => socket.send('hello'), /not a JSON message/],
    ['a close with a reason', (_id, socket) => socket.close(4000, 'no more'), /code 4000: "no more"/],
    ['the end of the connection', (_id, socket) => socket.terminate(), /code 1006/],
    ['an end without a close', (_id, _socket, raw) => raw.end(), /code 1006/],
  ])('ends with %s, and the calls in flight are lost', async (_name, onCall, why) => {
    const { url } = await oddServer(onCall);
    const server = connect(url);
    await server.start();
    expect(await call(server)).toMatchObject({ kind: 'lost', detail: expect.stringMatching(why) });
    expect(server.description).toBeUndefined();
  });

  it('ends when the server leaves pings unanswered', async () => {
    const { url } = await oddServer(() => undefined, { autoPong: false });
    const server = connect(url, {}, { wsLimits: { pingIntervalMs: 20 } });
    await server.start();
    expect(await call(server)).toMatchObject({ kind: 'lost', detail: expect.stringContaining('ping') });
  });

  it('ends when one message has no end', async () => {
    const { url } = await oddServer((_id, socket) => {
      for (let sent = 0; sent < 50; sent++) socket.send('x'.repeat(100_000), { fin: false });
    });
    const server = connect(url, {}, { wsLimits: { discardBytesMax: 3_000_000 } });
    await server.start();
    const ended = await call(server);
    expect(ended.kind).not.toBe('result');
    await expect.poll(() => server.description).toBeUndefined();
  });

  it('lives on where only an answer is not UTF-8', async () => {
    let first = true;
    const { url } = await oddServer((id, socket) => {
      const bytes = Buffer.from(answer(id, 'x~x'));
      if (first) bytes[bytes.indexOf('~')] = 0xff;
      first = false;
      socket.send(bytes, { binary: false });
    });
    const server = connect(url);
    await server.start();
    expect(await call(server)).toMatchObject({ kind: 'refused', code: 'OUTPUT_INVALID' });
    expect(textOf(await call(server))).toBe('x~x');
  });
});
