// Keeps a WebSocket open to another gate: dials, and dials anew when the connection has ended, less and less often while that is of no use.

import { WebSocket } from 'ws';
import type { PeerChannel, PeerLine } from '../../proxy/peer-session.ts';
import { PEER_LIMITS, PEER_SUBPROTOCOL, type PeerLimits } from './limits.ts';
import { serveChannel } from './ws-channel.ts';

export interface DiallerOptions {
  readonly url: string;
  readonly connect: (channel: PeerChannel) => PeerLine;
  /** Told why there is no connection, once until there is one. */
  readonly onFailed: (reason: string) => void;
  readonly limits?: Partial<PeerLimits>;
}

export class WsDialler {
  readonly #options: DiallerOptions;
  readonly #limits: PeerLimits;
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #againAfterMs: number;
  #failure: string | undefined;
  #closed = false;

  constructor(options: DiallerOptions) {
    this.#options = options;
    this.#limits = { ...PEER_LIMITS, ...options.limits };
    this.#againAfterMs = this.#limits.againAfterMs;
    this.#dial();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.terminate();
  }

  #dial(): void {
    const { url, connect } = this.#options;
    const { connectTimeoutMs, messageBytesMax, againAfterMs, againAfterMsMax } = this.#limits;
    const socket = new WebSocket(url, PEER_SUBPROTOCOL, {
      followRedirects: false,
      // Said here, because our environment could say otherwise for the whole process.
      rejectUnauthorized: true,
      handshakeTimeout: connectTimeoutMs,
      perMessageDeflate: false,
      maxPayload: messageBytesMax,
    });
    this.#socket = socket;
    let openedAt: number | undefined;
    socket.on('unexpected-response', (_request, { statusCode }) => {
      this.#failed(`it answers with HTTP ${statusCode}`);
      socket.terminate();
    });
    socket.on('error', ({ message }) => {
      if (openedAt === undefined) this.#failed(message);
    });
    socket.on('open', () => {
      openedAt = performance.now();
      this.#failure = undefined;
      serveChannel(socket, this.#limits, connect);
    });
    socket.on('close', () => {
      if (this.#closed) return;
      const lasted = openedAt !== undefined && performance.now() - openedAt > againAfterMsMax;
      this.#againAfterMs = lasted ? againAfterMs : Math.min(2 * this.#againAfterMs, againAfterMsMax);
      this.#timer = setTimeout(() => this.#dial(), this.#againAfterMs).unref();
    });
  }

  #failed(reason: string): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = reason;
    this.#options.onFailed(reason);
  }
}
