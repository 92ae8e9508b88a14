// HTTP+SSE of 2024-11-05 as a pipe of messages: one stream on which the server writes everything, and a POST for each message to the address
// that the stream begins with. That address is on the stream's own origin or the pipe ends: a server does not say where else our secrets go.
// It follows no redirect, sends nothing a second time that may have run, and takes nothing up again: the end of the stream is the end of the pipe.

import type { IncomingMessage } from 'node:http';
import type { Endpoint } from '../http/endpoint.ts';
import { EventStream } from '../http/event-stream.ts';
import { mediaType, type Refused, type RequestAuthorization, type RequestLimits, Requests } from '../http/requests.ts';
import type { Exchange, Handover, MessagePipe, PipeHandlers } from '../ports.ts';
import { quoted } from '../unparsed.ts';

export interface SseLimits extends RequestLimits {
  /** From the answer to a POST to its end: nothing is expected in it. */
  readonly noticeTimeoutMs: number;
  /** Requests open at once. */
  readonly openMax: number;
  /** Of an answer to a POST; more is not read. */
  readonly noticeBytesMax: number;
  /** How much of one event that is too large is read to find its end. */
  readonly discardBytesMax: number;
  /** Messages that wait until the server can take them: those of the handshake. No call is among them. */
  readonly earlyMax: number;
  /** The longest address a server may name. */
  readonly addressBytesMax: number;
  /** A silent connection is asked by TCP whether its other end is there. */
  readonly keepAliveMs: number;
}

export const SSE_LIMITS: SseLimits = {
  connectTimeoutMs: 10_000,
  idleMs: 4_000,
  noticeTimeoutMs: 30_000,
  openMax: 2_048,
  noticeBytesMax: 64 * 1024,
  discardBytesMax: 64 * 1024 * 1024,
  earlyMax: 16,
  addressBytesMax: 4_096,
  keepAliveMs: 30_000,
};

export class SsePipe implements MessagePipe {
  readonly #endpoint: Endpoint;
  readonly #limits: SseLimits;
  readonly #handlers: PipeHandlers;
  readonly #requests: Requests;
  /** Where messages go, once the server has said so. */
  #messages: URL | undefined;
  /** The next notification is `initialized`. Until the server has it, it need not take anything else, so nothing may overtake it. */
  #introduction: 'to come' | 'under way' | undefined;
  #early: { readonly text: string; readonly exchange: Exchange | undefined }[] = [];
  #closed = false;

  constructor(endpoint: Endpoint, limits: SseLimits, handlers: PipeHandlers, authorization?: RequestAuthorization) {
    this.#endpoint = endpoint;
    this.#limits = limits;
    this.#handlers = handlers;
    this.#requests = new Requests(endpoint, limits, authorization);
    const headers = { accept: 'text/event-stream', 'cache-control': 'no-store' };
    this.#requests.send(
      { method: 'GET', headers },
      (response) => this.#listen(response),
      (detail) => this.#end(detail),
      (detail) => this.#end(detail),
    );
  }

  send(text: string, exchange?: Exchange): Handover {
    if (this.#closed) return 'closed';
    if (this.#messages === undefined || this.#introduction === 'under way') {
      if (this.#early.length >= this.#limits.earlyMax) return 'full';
      this.#early.push({ text, exchange });
      return 'sent';
    }
    if (this.#requests.open >= this.#limits.openMax) return 'full';
    if (exchange !== undefined || this.#introduction === undefined) {
      this.#post(this.#messages, text, exchange);
      return 'sent';
    }
    this.#introduction = 'under way';
    this.#post(this.#messages, text, undefined, () => {
      this.#introduction = undefined;
      this.#postEarly();
    });
    return 'sent';
  }

  agreed(_protocolVersion: string): void {
    this.#introduction = 'to come';
  }

  abandon(exchange: Exchange): void {
    exchange.held?.destroy();
    exchange.held = undefined;
  }

  close(): Promise<void> {
    this.#end('it was stopped');
    return Promise.resolve();
  }

  destroy(detail: string): void {
    // Never within the call that found the fault.
    setImmediate(() => this.#end(detail));
  }

  #end(detail: string): void {
    if (this.#closed) return;
    this.#closed = true;
    // With it every open request ends, the stream included.
    this.#requests.destroy();
    this.#handlers.onClose(detail);
  }

  #listen(response: IncomingMessage): void {
    const refuse = (detail: string): void => {
      response.on('error', () => undefined);
      response.destroy();
      this.#end(detail);
    };
    const status = response.statusCode ?? 0;
    if (status >= 300 && status < 400)
      return refuse(`it answered with a redirect (HTTP ${status}), and none is followed`);
    if (status !== 200) return refuse(`it answered with HTTP ${status}`);
    const encoding = response.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      return refuse('it answered with an encoding that was not asked for');
    const type = mediaType(response);
    if (type !== 'text/event-stream') return refuse(`it answered with the media type ${quoted(type)}`);
    response.socket.setKeepAlive(true, this.#limits.keepAliveMs);
    // The pause after which an idle connection is dropped is for those that wait for a request.
    response.socket.setTimeout(0);
    const events = new EventStream({
      onMessage: (data) => {
        if (!this.#closed) this.#handlers.onMessage(data);
      },
      onOther: (type, data) => {
        if (type === 'endpoint') this.#address(data);
      },
      eventBytesMax: () => this.#handlers.messageBytesMax(),
      onTooLarge: () => undefined,
      skip: {
        bytesMax: this.#limits.discardBytesMax,
        onTooLarge: (what) => this.#handlers.onTooLarge(what),
        onEndless: () => this.destroy('it wrote an event without an end'),
      },
    });
    let detail = 'its stream ended';
    response.on('error', (error) => {
      detail = `its stream broke: ${error.message}`;
    });
    response.on('data', (chunk: Buffer) => {
      if (!this.#closed) events.push(chunk);
    });
    response.on('close', () => this.#end(detail));
  }

  /** The server says where messages go: once, and not elsewhere. */
  #address(data: Buffer): void {
    if (this.#closed) return;
    if (this.#messages !== undefined) return this.destroy('it named a second address for messages');
    const { url: own } = this.#endpoint;
    const text = data.toString('utf8');
    const url =
      data.length <= this.#limits.addressBytesMax && URL.canParse(text, own.href) ? new URL(text, own) : undefined;
    if (url === undefined) return this.destroy('it named an address for messages that is none');
    if (url.origin !== own.origin || url.username !== '' || url.password !== '')
      return this.destroy(`it named an address for messages on another origin: ${quoted(url.origin)}`);
    this.#messages = url;
    this.#postEarly();
  }

  #postEarly(): void {
    const early = this.#early;
    this.#early = [];
    for (const { text, exchange } of early) {
      if (this.#messages !== undefined && !this.#closed) this.#post(this.#messages, text, exchange);
    }
  }

  /** `over`: the server has it, or will not have it. */
  #post(url: URL, body: string, exchange: Exchange | undefined, over: () => void = () => undefined): void {
    const failed = (detail: string): void => {
      over();
      this.#lost(exchange, detail);
    };
    const answered = (response: IncomingMessage): void => {
      const status = response.statusCode ?? 0;
      response.on('error', () => undefined);
      if (status < 200 || status >= 300) {
        response.destroy();
        return failed(`it answered a message with HTTP ${status}`);
      }
      over();
      // Only that it was taken is of interest; the answer comes on the stream.
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > this.#limits.noticeBytesMax) response.destroy();
      });
      const timer = setTimeout(() => response.destroy(), this.#limits.noticeTimeoutMs);
      timer.unref();
      response.on('close', () => clearTimeout(timer));
    };
    const refused: Refused = (detail, code) => {
      over();
      if (exchange === undefined || this.#closed) return;
      exchange.held = undefined;
      if (exchange.awaited) this.#handlers.onExchangeRefused(exchange.id, detail, code);
    };
    const headers = { accept: '*/*', ...exchange?.headers };
    const open = this.#requests.send({ method: 'POST', url, headers, body }, answered, failed, refused);
    // An exchange that is abandoned lets go of what still waits to be taken.
    if (exchange !== undefined) exchange.held = open;
  }

  #lost(exchange: Exchange | undefined, detail: string): void {
    if (exchange === undefined || this.#closed) return;
    exchange.held = undefined;
    if (exchange.awaited) this.#handlers.onExchangeLost(exchange.id, detail);
  }
}
