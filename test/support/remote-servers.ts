// The smallest tool servers there are, over Streamable HTTP, HTTP+SSE and a WebSocket, in this process, so that a test can do as it likes with
// what they see and say. `plan` answers a call; everything else they answer well.

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Connection } from '../../adapters/upstream/connection.ts';
import { httpToolServer } from '../../adapters/upstream/http/http-tool-server.ts';
import type { RemoteServerConfig } from '../../adapters/upstream/http/oauth/server-authorization.ts';
import type { RemoteSurroundings } from '../../adapters/upstream/http/remote-server.ts';
import { sseToolServer } from '../../adapters/upstream/sse/sse-tool-server.ts';
import { wsToolServer } from '../../adapters/upstream/ws/ws-tool-server.ts';
import type { Certificate } from './certificates.ts';

export const WAYS = ['http', 'sse', 'ws'] as const;
export type Way = (typeof WAYS)[number];

interface Message {
  readonly id?: number;
  readonly method: string;
  readonly params?: { readonly name?: string };
}

/** What a server does with a call: the members of its answer, or undefined when it has answered by itself. */
export type Plan = (call: Message, say: (message: object) => void, request: IncomingMessage) => object | undefined;

export interface RemoteOptions {
  readonly tls?: Certificate | undefined;
  readonly plan?: Plan;
  /** Has a conversation on a WebSocket before the server has. */
  readonly onSocket?: (socket: WebSocket, request: IncomingMessage) => void;
  /** Its tools; one called `look` when absent. */
  readonly tools?: readonly string[];
  /** Answers a request instead of the server; true when it did. */
  readonly instead?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export class RemoteFixture {
  /** Requests that were heard, upgrades among them. */
  readonly requests: { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers'] }[] =
    [];
  /** Connections, whatever came of them. */
  connections = 0;
  readonly #server: Server | TlsServer;
  readonly #secure: boolean;
  readonly #options: RemoteOptions;
  readonly #sockets = new Set<Socket>();
  #stream: ServerResponse | undefined;

  private constructor(options: RemoteOptions) {
    this.#options = options;
    this.#secure = options.tls !== undefined;
    const listener = (request: IncomingMessage, response: ServerResponse): void => this.#serve(request, response);
    this.#server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
    this.#server.on('connection', (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    });
    const sockets = new WebSocketServer({ noServer: true });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#note(request);
      const response = new ServerResponse(request);
      response.assignSocket(socket);
      if (this.#options.instead?.(request, response) === true) return;
      response.detachSocket(socket);
      sockets.handleUpgrade(request, socket, head, (client) => this.#converse(client, request));
    });
  }

  static async start(options: RemoteOptions = {}): Promise<RemoteFixture> {
    const made = new RemoteFixture(options);
    await new Promise<void>((resolve) => made.#server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(way: Way, host = '127.0.0.1'): string {
    return `${way === 'ws' ? 'ws' : 'http'}${this.#secure ? 's' : ''}://${host}:${this.port}/${way === 'sse' ? 'sse' : 'mcp'}`;
  }

  /** New connections are with this key. */
  exchangeKey(tls: Certificate): void {
    (this.#server as TlsServer).setSecureContext(tls);
  }

  /** Ends the connections there are. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #note({ method = '', url = '', headers }: IncomingMessage): void {
    this.requests.push({ method, url, headers });
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.#note(request);
    if (this.#options.instead?.(request, response) === true) return;
    if (request.method === 'GET' && request.url === '/sse') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /messages\n\n');
      this.#stream = response;
      return;
    }
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const message = JSON.parse(Buffer.concat(chunks).toString()) as Message;
      const onStream = request.url === '/messages';
      if (onStream || message.id === undefined) response.writeHead(202).end();
      const say = (said: object): void => {
        if (onStream) this.#stream?.write(`data: ${JSON.stringify(said)}\n\n`);
        else if (!('method' in said) && !response.headersSent)
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
        else {
          if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.write(`data: ${JSON.stringify(said)}\n\n`);
          if (!('method' in said)) response.end();
        }
      };
      this.#answer(message, say, request);
    });
  }

  #converse(client: WebSocket, request: IncomingMessage): void {
    client.on('error', () => undefined);
    this.#options.onSocket?.(client, request);
    client.on('message', (data) => {
      this.#answer(JSON.parse(String(data)) as Message, (said) => client.send(JSON.stringify(said)), request);
    });
  }

  #answer(message: Message, say: (said: object) => void, request: IncomingMessage): void {
    const { id, method } = message;
    if (id === undefined) return;
    const results: Record<string, object> = {
      initialize: {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'f', version: '0' },
      },
      'tools/list': {
        tools: (this.#options.tools ?? ['look']).map((name) => ({ name, inputSchema: { type: 'object' } })),
      },
      ping: {},
    };
    const raw = (said: object): void => say(said);
    const answer =
      method === 'tools/call' && this.#options.plan !== undefined
        ? this.#options.plan(message, raw, request)
        : { result: results[method] ?? { content: [{ type: 'text', text: 'seen' }] } };
    if (answer !== undefined) say({ jsonrpc: '2.0', id, ...answer });
  }
}

/** A connection of ours to one of them, as the gate makes it. */
export function remoteConnection(
  way: Way,
  config: Omit<RemoteServerConfig, 'name'>,
  surroundings: RemoteSurroundings = {},
): Connection {
  const make = { http: httpToolServer, sse: sseToolServer, ws: wsToolServer }[way];
  return make({ name: 'remote', ...config }, { clientInfo: { name: 'portcullis', version: '0' }, ...surroundings });
}
