// Responses that wait for their turn on a connection (HTTP pipelining). Where the connection is closed, node:http tells only the response whose
// turn it is; the others would never learn that nobody hears them. It does not bound how many wait either.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type FrontServer, onConnection } from './transport.ts';

export class Connections {
  readonly #open = new WeakMap<Socket, Set<ServerResponse>>();
  readonly #requestsMax: number;

  constructor(server: FrontServer, requestsMax: number) {
    this.#requestsMax = requestsMax;
    onConnection(server, (socket) => {
      const responses = new Set<ServerResponse>();
      this.#open.set(socket, responses);
      socket.on('close', () => {
        for (const response of responses) abandon(response);
      });
    });
  }

  /**
   * From here on the response emits `close` once, whatever becomes of its connection. False when it is not to be answered: more requests wait
   * on their connection than whoever reads the answers would send, and it is broken off.
   */
  watch(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request;
    const responses = this.#open.get(socket);
    responses?.add(response);
    response.on('close', () => responses?.delete(response));
    if (responses !== undefined && responses.size > this.#requestsMax) socket.destroy();
    else if (socket.destroyed) abandon(response);
    return !socket.destroyed;
  }
}

function abandon(response: ServerResponse): void {
  // The one whose turn it is has the socket.
  if (response.socket !== null || response.destroyed) return;
  response.destroy();
  response.emit('close');
}
