// Takes in other gates on the listener of the HTTP front. There is no credential besides what they sign: a connection may say hello, and is ended when
// that is not one of a gate that the manifest trusts. Browsers are turned away.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { PeerChannel, PeerLine } from '../../proxy/peer-session.ts';
import type { HttpRefusal } from '../downstream/http/request-checks.ts';
import { checkUpgrade } from '../downstream/ws/upgrade-request.ts';
import { PEER_LIMITS, PEER_PATH, PEER_SUBPROTOCOL, type PeerLimits } from './limits.ts';
import { serveChannel } from './ws-channel.ts';

export class WsPeerFront {
  readonly #connect: (channel: PeerChannel) => PeerLine;
  readonly #limits: PeerLimits;
  readonly #server: WebSocketServer;
  /** Oldest first. */
  readonly #sockets = new Map<WebSocket, PeerLine>();
  #closed = false;

  constructor(connect: (channel: PeerChannel) => PeerLine, limits: Partial<PeerLimits> = {}) {
    this.#connect = connect;
    this.#limits = { ...PEER_LIMITS, ...limits };
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      allowSynchronousEvents: false,
      maxPayload: this.#limits.messageBytesMax,
      handleProtocols: () => PEER_SUBPROTOCOL,
    });
  }

  /** Whether a request is for us. */
  isMeant(request: IncomingMessage): boolean {
    return request.url === PEER_PATH;
  }

  /** Takes the request over, or says why not. It was meant for this listener; that was checked. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): HttpRefusal | undefined {
    if (request.headers.origin !== undefined) return { status: 403, message: 'Not for browsers' };
    const refusal = checkUpgrade(request, PEER_SUBPROTOCOL);
    if (refusal !== undefined) return refusal;
    if (this.#closed || !this.#makeRoom()) return { status: 503, message: 'Too many connections' };
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      this.#sockets.set(webSocket, serveChannel(webSocket, this.#limits, this.#connect));
      webSocket.on('close', () => this.#sockets.delete(webSocket));
    });
    return undefined;
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.keys()) socket.terminate();
  }

  /** Whoever has proved nothing makes room for the next: a crowd of such keeps no gate out. */
  #makeRoom(): boolean {
    if (this.#sockets.size < this.#limits.connectionsMax) return true;
    for (const [socket, line] of this.#sockets) {
      if (line.isProven) continue;
      this.#sockets.delete(socket);
      socket.terminate();
      return true;
    }
    return false;
  }
}
