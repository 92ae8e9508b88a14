// How a refusal leaves: one JSON-RPC error as the body of an HTTP response, the same whatever was asked for.

import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { JSON_HEADERS } from './post-reply.ts';
import type { HttpRefusal } from './request-checks.ts';

/** JSON-RPC: the message sent is not a valid request. */
const INVALID_REQUEST = -32600;

/** `told` is what the session said about it, where there is one to ask. Says nothing to a client that has an answer already. */
export function writeRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: HttpRefusal,
  told?: string,
): void {
  if (response.headersSent || response.destroyed) return;
  const { status, message, headers, code = INVALID_REQUEST } = refusal;
  // Without an id, as the specification says: nobody has looked for one.
  const json = told ?? JSON.stringify({ jsonrpc: '2.0', error: { code, message } });
  response.writeHead(status, {
    ...JSON_HEADERS,
    'content-length': Buffer.byteLength(json),
    // A client that waits for our go-ahead will now not send its body, or send it after all: that connection is of no more use.
    ...(request.headers.expect === undefined ? {} : { connection: 'close' }),
    ...headers,
  });
  response.end(json);
}

/** Refuses on a connection whose requests are no longer read, and closes it. */
export function refuseUpgrade(request: IncomingMessage, socket: Socket, refusal: HttpRefusal): void {
  if (socket.destroyed) return;
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.on('finish', () => socket.destroySoon());
  writeRefusal(request, response, refusal);
}
