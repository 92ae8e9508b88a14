// Responses that wait for their turn on a connection (HTTP pipelining). Where the connection is closed, node:http tells only the response whose
// turn it is; the others would never learn that nobody hears them.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export class Connections {
  readonly #open = new WeakMap<Socket, Set<ServerResponse>>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      const responses = new Set<ServerResponse>();
      this.#open.set(socket, responses);
      socket.on('close', () => {
        for (const response of responses) abandon(response);
      });
    });
  }

  /** From here on the response emits `close` once, whatever becomes of its connection. */
  watch(request: IncomingMessage, response: ServerResponse): void {
    const responses = this.#open.get(request.socket);
    responses?.add(response);
    response.on('close', () => responses?.delete(response));
    if (request.socket.destroyed) abandon(response);
  }
}

function abandon(response: ServerResponse): void {
  // The one whose turn it is has the socket.
  if (response.socket !== null || response.destroyed) return;
  response.destroy();
  response.emit('close');
}
