// A WebSocket as a pipe of messages: a text frame is a message, both ways. It follows no redirect, asks for no compression, and keeps no more
// of a message than anybody waits for. It takes nothing up again: the end of the connection is the end of the pipe.

import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ClientOptions, WebSocket } from 'ws';
import { Defect } from '../../../domain/defect.ts';
import { openConnection, targetOf } from '../../network/guarded-connection.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { resourceUrl } from '../http/oauth/server-authorization.ts';
import type { RequestAuthorization } from '../http/requests.ts';
import type { Exchange, Handover, MessagePipe, PipeHandlers } from '../ports.ts';
import { Frames } from './frames.ts';
import { WatchedSocket } from './watched-socket.ts';

/** As the client libraries of MCP ask for it. */
const SUBPROTOCOL = 'mcp';
const NORMAL = 1000;

export interface WsLimits {
  readonly connectTimeoutMs: number;
  /** What may wait for a server that does not read. */
  readonly waitingBytesMax: number;
  /** How much of one message that is too large is read to find its end. */
  readonly discardBytesMax: number;
  /** Frames of one message. Some servers fragment by the 4 KiB of their buffers: 64 MiB pass. */
  readonly fragmentsMax: number;
  /** Pieces in which one frame may come in. */
  readonly chunksMax: number;
  /** A server that leaves two pings in a row unanswered is gone. */
  readonly pingIntervalMs: number;
  /** From our close frame to the end of the connection. */
  readonly closeGraceMs: number;
}

export const WS_LIMITS: WsLimits = {
  connectTimeoutMs: 10_000,
  waitingBytesMax: 16 * 1024 * 1024,
  discardBytesMax: 64 * 1024 * 1024,
  fragmentsMax: 16 * 1024,
  chunksMax: 256 * 1024,
  pingIntervalMs: 20_000,
  closeGraceMs: 1_000,
};

export class WsPipe implements MessagePipe {
  readonly #limits: WsLimits;
  readonly #handlers: PipeHandlers;
  readonly #socket: WebSocket;
  readonly #frames: Frames;
  readonly #gone: Promise<void>;
  readonly #heartbeat: NodeJS.Timeout;
  #watched: WatchedSocket | undefined;
  /** Texts handed over before the connection was open. */
  #early: string[] = [];
  #earlyCharacters = 0;
  #handOn: (bytes: Buffer) => void = () => undefined;
  #unanswered = 0;
  #why: string | undefined;
  #closing = false;
  #closed = false;

  /** Throws when there is no token to connect with. A connection that is open outlives its token, until the server ends it. */
  constructor(endpoint: Endpoint, limits: WsLimits, handlers: PipeHandlers, authorization?: RequestAuthorization) {
    const allowed = authorization?.outgoing('GET', resourceUrl(endpoint.url));
    if (allowed?.ok === false) throw new Error(allowed.detail);
    const { header, proof } = allowed ?? {};
    endpoint.secrets.keepToken(header, proof);
    this.#limits = limits;
    this.#handlers = handlers;
    this.#frames = new Frames(
      {
        messageBytesMax: () => handlers.messageBytesMax(),
        onTooLarge: (what) => handlers.onTooLarge(what),
        onPassed: (bytes) => this.#handOn(bytes),
        onEndless: () => this.destroy('it wrote a message without an end'),
      },
      limits.discardBytesMax,
    );
    const options: ClientOptions = {
      headers: {
        ...endpoint.headers,
        ...(header === undefined ? {} : { authorization: header }),
        ...(proof === undefined ? {} : { dpop: proof }),
      },
      handshakeTimeout: limits.connectTimeoutMs,
      createConnection: () =>
        openConnection(targetOf(endpoint.url), endpoint.route, { timeout: limits.connectTimeoutMs }),
      followRedirects: false,
      perMessageDeflate: false,
      // Behind our own bound, which changes with the calls in flight.
      maxPayload: limits.discardBytesMax,
      maxFragments: limits.fragmentsMax,
      maxBufferedChunks: limits.chunksMax,
      // The strict parser looks at the bytes, and only the call whose answer is not UTF-8 has to pay.
      skipUTF8Validation: true,
      finishRequest: (request) => this.#watch(request),
    };
    const socket = new WebSocket(endpoint.url, SUBPROTOCOL, options);
    this.#socket = socket;
    socket.on('open', () => {
      authorization?.accepted(header);
      this.#opened();
    });
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary)); // `nodebuffer` is the library's default.
    socket.on('ping', () => this.#heard());
    socket.on('pong', () => this.#heard());
    socket.on('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 0;
      this.#why ??= turnedAway(response, header, authorization);
      const redirect = status >= 300 && status < 400 ? ' (a redirect, and none is followed)' : '';
      this.#why ??= `it answered with HTTP ${status}${redirect} instead of opening a WebSocket`;
      socket.terminate();
    });
    socket.on('error', (error) => {
      this.#why ??= error.message;
    });
    this.#heartbeat = setInterval(() => this.#beat(), limits.pingIntervalMs);
    this.#heartbeat.unref();
    this.#gone = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        clearInterval(this.#heartbeat);
        this.#closed = true;
        const said = reason.length === 0 ? '' : `: ${JSON.stringify(reason.toString().slice(0, 200))}`;
        handlers.onClose(this.#why ?? `it closed the connection (code ${code}${said})`);
        resolve();
      });
    });
  }

  send(text: string, _exchange?: Exchange): Handover {
    const { readyState } = this.#socket;
    if (this.#closing || this.#closed || this.#why !== undefined) return 'closed';
    if (readyState === WebSocket.CONNECTING) {
      // Only the handshake of the protocol can come so early.
      if (this.#earlyCharacters + text.length > this.#limits.waitingBytesMax) return 'full';
      this.#early.push(text);
      this.#earlyCharacters += text.length;
      return 'sent';
    }
    if (readyState !== WebSocket.OPEN) return 'closed';
    const waiting = this.#watched?.bytesWaiting ?? 0;
    if (waiting > 0 && waiting + text.length > this.#limits.waitingBytesMax) return 'full';
    this.#socket.send(text);
    return 'sent';
  }

  agreed(_protocolVersion: string): void {}

  abandon(_exchange: Exchange): void {}

  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#why ??= 'it was stopped';
      if (this.#socket.readyState === WebSocket.CONNECTING) this.#socket.terminate();
      else this.#socket.close(NORMAL);
      setTimeout(() => this.#socket.terminate(), this.#limits.closeGraceMs).unref();
    }
    await this.#gone;
  }

  destroy(detail: string): void {
    this.#why ??= detail;
    // The socket is destroyed at once and says so later: never within the call that found the fault.
    this.#socket.terminate();
  }

  /** Once the server has agreed to upgrade, what it writes passes by us before the library reads it. */
  #watch(request: ClientRequest): void {
    const [complete] = request.listeners('upgrade') as ((
      response: IncomingMessage,
      socket: Duplex,
      head: Buffer,
    ) => void)[];
    if (complete === undefined) throw new Defect('the WebSocket library does not wait for the upgrade');
    request.removeAllListeners('upgrade');
    request.on('upgrade', (response, socket: Duplex, head) => {
      // The first bytes of the WebSocket may have come with the answer; they pass by us like all others.
      if (head.length > 0) socket.unshift(head);
      if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay();
      const watched = new WatchedSocket(socket, (chunk, handOn) => {
        this.#handOn = handOn;
        this.#frames.push(chunk);
      });
      this.#watched = watched;
      complete.call(request, response, watched, Buffer.alloc(0));
    });
    request.end();
  }

  #opened(): void {
    const early = this.#early;
    this.#early = [];
    for (const text of early) this.#socket.send(text);
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#heard();
    if (this.#frames.isCut() || this.#closed) return;
    if (isBinary) this.destroy('it wrote a binary message');
    else this.#handlers.onMessage(data);
  }

  #beat(): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#unanswered >= 2) return this.destroy('it did not answer a ping');
    this.#unanswered++;
    this.#socket.ping();
  }

  #heard(): void {
    this.#unanswered = 0;
  }
}

/** Why the server did not let us in, where that has to do with the token: the next connection then has what it wants. */
function turnedAway(
  { statusCode = 0, headers }: IncomingMessage,
  header: string | undefined,
  authorization: RequestAuthorization | undefined,
): string | undefined {
  const { 'www-authenticate': challenge, 'dpop-nonce': nonce } = headers;
  if (typeof nonce === 'string') {
    authorization?.heard(nonce);
    if (authorization?.lackedNonce(statusCode, challenge, nonce)) return 'it wants its nonce in the proof';
  }
  return statusCode === 401 || statusCode === 403
    ? authorization?.turnedAway(statusCode, challenge, header)
    : undefined;
}
