// The protected server of a ProtectedWorld on the transports of streams: HTTP+SSE and WebSocket, each at an address of its own.

import { createServer, type IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { bodyOf, type Message, type ProtectedWorld, resultOf } from './protected-server.ts';

export interface ProtectedStream {
  /** As a manifest has it. */
  readonly url: string;
  stop(): Promise<void>;
}

export async function protectedSse(world: ProtectedWorld): Promise<ProtectedStream> {
  let stream: ServerResponse | undefined;
  const at = await listen(world, '/sse', async (request, response, url) => {
    const text = await bodyOf(request);
    const message = text === '' ? undefined : (JSON.parse(text) as Message);
    const own = new URL(request.url ?? '/', url).href;
    if ((await world.admit(request, response, own, message?.method ?? 'GET')) === undefined) return;
    if (message === undefined) {
      stream = response.writeHead(200, { 'content-type': 'text/event-stream' });
      stream.write('event: endpoint\ndata: /messages\n\n');
      return;
    }
    response.writeHead(202).end();
    const answer = answerTo(world, message);
    if (answer !== undefined) stream?.write(`data: ${answer}\n\n`);
  });
  return { url: at.url, stop: at.stop };
}

export async function protectedWs(world: ProtectedWorld): Promise<ProtectedStream> {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'mcp' });
  const at = await listen(world, '/ws', async (_request, response) => void response.writeHead(426).end());
  at.server.on('upgrade', async (request, socket, head) => {
    if (!(socket instanceof Socket)) return;
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.on('finish', () => socket.end());
    if ((await world.admit(request, response, at.url, 'upgrade')) === undefined) return;
    response.detachSocket(socket);
    sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('message', (data) => {
        const answer = answerTo(world, JSON.parse(String(data)) as Message);
        if (answer !== undefined) client.send(answer);
      });
    });
  });
  return {
    url: at.url.replace('http:', 'ws:'),
    stop: async () => {
      for (const client of sockets.clients) client.terminate();
      await at.stop();
    },
  };
}

function answerTo(world: ProtectedWorld, { id, method }: Message): string | undefined {
  if (id === undefined) return undefined;
  if (method === 'tools/call') world.calls++;
  return JSON.stringify({ jsonrpc: '2.0', id, result: resultOf(method) });
}

async function listen(
  world: ProtectedWorld,
  path: string,
  handle: (request: IncomingMessage, response: ServerResponse, url: string) => Promise<void>,
) {
  let url = '';
  const server = createServer((request, response) => {
    if (request.url === `/.well-known/oauth-protected-resource${path}`) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(world.metadata(url)));
      return;
    }
    handle(request, response, url).catch((error: Error) => response.writeHead(500).end(error.message));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url, server, stop };
}
