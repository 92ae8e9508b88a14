// Streamable HTTP (2025-03-26 to 2026-07-28) as a pipe of messages: a POST for each, the answer on its own response, a stream for the rest.
// It follows no redirect, sends nothing a second time that may have run, and keeps no more of an answer than the call allows. A stream that breaks is taken
// up again where the server gave event ids; that asks for the rest of an answer, never for the call.

import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { MODERN_REVISION } from '../../../proxy/method-table.ts';
import { type Exchange, type Handover, type MessagePipe, NO_EXCHANGE, type PipeHandlers } from '../ports.ts';
import { outline, quoted } from '../unparsed.ts';
import type { Endpoint } from './endpoint.ts';
import { EventStream } from './event-stream.ts';
import {
  mediaType,
  type OpenRequest,
  type Refused,
  type RequestAuthorization,
  type RequestLimits,
  Requests,
} from './requests.ts';

export interface HttpLimits extends RequestLimits {
  /** For what has no answer worth waiting for: notifications and our answers. */
  readonly noticeTimeoutMs: number;
  /** For the last word when stopping. */
  readonly deleteTimeoutMs: number;
  /** Requests open at once, notices included. */
  readonly openMax: number;
  readonly messageBytesMax: number;
  /** How often the answer of one call is asked for again after its stream broke. */
  readonly resumesMax: number;
  readonly resumeDelayMs: number;
  readonly resumeDelayMaxMs: number;
}

export const HTTP_LIMITS: HttpLimits = {
  connectTimeoutMs: 10_000,
  noticeTimeoutMs: 30_000,
  deleteTimeoutMs: 1_000,
  openMax: 2_048,
  idleMs: 4_000,
  messageBytesMax: 1024 * 1024,
  resumesMax: 20,
  resumeDelayMs: 1_000,
  resumeDelayMaxMs: 30_000,
};

const SESSION_ID = /^[\x21-\x7e]{1,1024}$/;

/** The revision that knows neither sessions nor streams of their own, and whose every request says so; undefined for those before it. */
export type Stateless = typeof MODERN_REVISION | undefined;

/** Where a stateless server's error is told by its body. Who is not let in, or not now, was told nothing about the request. */
const EXPLAINED: readonly number[] = [404, 405, 406, 409, 410, 413, 415, 422];

type Method = 'POST' | 'GET' | 'DELETE';

export class HttpPipe implements MessagePipe {
  readonly #requests: Requests;
  readonly #limits: HttpLimits;
  readonly #handlers: PipeHandlers;
  readonly #stateless: boolean;
  #sessionId: string | undefined;
  #protocolVersion: string | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;
  /** The stream for what belongs to no request was open once. */
  #listened = false;

  constructor(
    endpoint: Endpoint,
    limits: HttpLimits,
    handlers: PipeHandlers,
    authorization?: RequestAuthorization,
    stateless?: Stateless,
  ) {
    this.#stateless = stateless !== undefined;
    this.#protocolVersion = stateless;
    this.#requests = new Requests(endpoint, limits, authorization);
    this.#limits = limits;
    this.#handlers = handlers;
  }

  send(text: string, exchange?: Exchange): Handover {
    if (this.#closed || this.#closing !== undefined) return 'closed';
    if (this.#requests.open >= this.#limits.openMax) return 'full';
    if (exchange === undefined) {
      const open = this.#request(
        'POST',
        {},
        text,
        (response) => this.#notice(response),
        () => undefined,
      );
      setTimeout(() => open.destroy(), this.#limits.noticeTimeoutMs).unref();
      return 'sent';
    }
    const answered = (response: IncomingMessage) => this.#answer(response, exchange, 0);
    const refused: Refused = (detail, code) => this.#refused(exchange, detail, code);
    const lost = (detail: string) => this.#lost(exchange, detail);
    exchange.held = this.#request('POST', { ...exchange.headers }, text, answered, lost, refused);
    return 'sent';
  }

  agreed(protocolVersion: string): void {
    if (this.#stateless) return;
    this.#protocolVersion = protocolVersion;
    // The server learns of `initialized` first.
    setImmediate(() => this.#listen(undefined, this.#limits.resumeDelayMs));
  }

  abandon(exchange: Exchange): void {
    exchange.held?.destroy();
    exchange.held = undefined;
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeInOrder();
    return this.#closing;
  }

  destroy(detail: string): void {
    // Never within the call that found the fault.
    setImmediate(() => this.#end(detail));
  }

  async #closeInOrder(): Promise<void> {
    if (this.#sessionId !== undefined && !this.#closed) {
      await new Promise<void>((resolve) => {
        const gone = () => resolve();
        const answered = (response: IncomingMessage) => response.resume().on('close', gone);
        const open = this.#request('DELETE', {}, undefined, answered, gone);
        setTimeout(() => open.destroy(), this.#limits.deleteTimeoutMs).unref();
      });
    }
    this.#end('it was stopped');
  }

  #end(detail: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#requests.destroy();
    this.#handlers.onClose(detail);
  }

  /** Says nothing when the answer has come. */
  #lost(exchange: Exchange, detail: string, status?: number): void {
    exchange.held = undefined;
    if (!this.#closed && exchange.awaited) this.#handlers.onExchangeLost(exchange.id, detail, status);
  }

  #refused(exchange: Exchange, detail: string, code: Parameters<Refused>[1]): void {
    exchange.held = undefined;
    if (!this.#closed && exchange.awaited) this.#handlers.onExchangeRefused(exchange.id, detail, code);
  }

  #request(
    method: Method,
    more: OutgoingHttpHeaders,
    body: string | undefined,
    answered: (response: IncomingMessage) => void,
    failed: (detail: string) => void,
    refused?: Refused,
  ): OpenRequest {
    const headers: OutgoingHttpHeaders = { accept: 'application/json, text/event-stream', ...more };
    if (this.#sessionId !== undefined) headers['mcp-session-id'] = this.#sessionId;
    if (this.#protocolVersion !== undefined) headers['mcp-protocol-version'] = this.#protocolVersion;
    const received = (response: IncomingMessage): void => {
      if (method === 'POST' && this.#hasEndedSession(response)) return;
      answered(response);
    };
    return this.#requests.send({ method, headers, body }, received, failed, refused);
  }

  /** 404 to a POST with a session id says that the session is no more. To a GET it may only say that there is no stream. */
  #hasEndedSession(response: IncomingMessage): boolean {
    if (response.statusCode !== 404 || this.#sessionId === undefined || this.#closing !== undefined) return false;
    response.destroy();
    this.#end('the server has ended the session');
    return true;
  }

  #notice(response: IncomingMessage): void {
    response.on('error', () => undefined);
    // Nothing is expected; what comes is not read for long.
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > this.#limits.messageBytesMax) response.destroy();
    });
  }

  #answer(response: IncomingMessage, exchange: Exchange, resumed: number): void {
    const status = response.statusCode ?? 0;
    const type = mediaType(response);
    const refuse = (detail: string) => {
      response.on('error', () => undefined);
      response.destroy();
      this.#lost(exchange, detail, status);
    };
    if (status >= 300 && status < 400)
      return refuse(`it answered with a redirect (HTTP ${status}), and none is followed`);
    const encoding = response.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      return refuse('it answered with an encoding that was not asked for');
    const mayExplain = status === 400 || (this.#stateless && EXPLAINED.includes(status));
    if (mayExplain && type === 'application/json') return this.#body(response, exchange, status);
    if (status !== 200) return refuse(`it answered with HTTP ${status}`);
    if (!this.#keepSessionId(response)) return refuse('it gave a session id that is not one');
    if (type === 'application/json') return this.#body(response, exchange, undefined);
    if (type === 'text/event-stream') return this.#stream(response, exchange, resumed);
    return refuse(`it answered with the media type ${quoted(type)}`);
  }

  /** The first answer may give the session its id; afterwards it stays. */
  #keepSessionId(response: IncomingMessage): boolean {
    const given = response.headers['mcp-session-id'];
    if (given === undefined || this.#protocolVersion !== undefined) return true;
    if (typeof given !== 'string' || !SESSION_ID.test(given)) return false;
    this.#sessionId = given;
    return true;
  }

  /** `fault` set: an answer of failure, which counts only if it names the request, or says that it could not read which it was. */
  #body(response: IncomingMessage, exchange: Exchange, fault: number | undefined): void {
    const { id } = exchange;
    const bytesMax = Math.max(exchange.bytesMax, fault === undefined ? 0 : this.#limits.messageBytesMax);
    const chunks: Buffer[] = [];
    let bytes = 0;
    let tooLarge = false;
    let detail = 'the connection ended in the middle of an answer';
    response.on('error', (error) => {
      detail = error.message;
    });
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax) {
        if (tooLarge) return;
        tooLarge = true;
        chunks.length = 0;
        this.#handlers.onTooLarge({ exchange: id });
        response.destroy();
        return;
      }
      chunks.push(chunk);
    });
    response.on('end', () => {
      if (tooLarge) return;
      const [only] = chunks;
      const whole = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
      if (fault !== undefined && !this.#isAbout(whole, id)) detail = `it answered with HTTP ${fault}`;
      else if (bytes > 0 && !this.#closed) {
        detail = 'its answer was to another request';
        this.#handlers.onMessage(whole, id);
      } else detail = 'it answered with an empty body';
    });
    // After an answer was delivered the exchange is settled, and this says nothing new.
    response.on('close', () => this.#lost(exchange, detail, fault));
  }

  #isAbout(body: Uint8Array, id: number): boolean {
    const seen = outline(body);
    return this.#stateless ? seen?.hasError === true && (seen.id ?? id) === id : seen?.id === id;
  }

  #stream(response: IncomingMessage, exchange: Exchange, resumed: number): void {
    const { id } = exchange;
    const events = new EventStream({
      onMessage: (data) => {
        if (!this.#closed) this.#handlers.onMessage(data, id);
      },
      eventBytesMax: () => Math.max(exchange.bytesMax, this.#limits.messageBytesMax),
      onTooLarge: () => {
        this.#handlers.onTooLarge({ exchange: id });
        exchange.held = undefined;
        response.destroy();
      },
    });
    response.on('error', () => undefined);
    response.on('data', (chunk: Buffer) => events.push(chunk));
    response.on('close', () => {
      const { lastEventId, retryMs } = events;
      if (this.#closed || !exchange.awaited) return;
      if (this.#stateless || lastEventId === undefined || lastEventId === '' || resumed >= this.#limits.resumesMax) {
        this.#lost(exchange, 'its stream ended without an answer');
        return;
      }
      const delayMs = Math.min(retryMs ?? this.#limits.resumeDelayMs, this.#limits.resumeDelayMaxMs);
      const timer = setTimeout(() => this.#resume(exchange, lastEventId, resumed + 1), delayMs);
      timer.unref();
      exchange.held = { destroy: () => clearTimeout(timer) };
    });
  }

  #resume(exchange: Exchange, lastEventId: string, resumed: number): void {
    if (this.#closed || !exchange.awaited) return;
    const lost = (detail: string) => this.#lost(exchange, detail);
    const more = { 'last-event-id': lastEventId };
    const open = this.#request('GET', more, undefined, (response) => this.#answer(response, exchange, resumed), lost);
    exchange.held = open;
  }

  /** The stream for what belongs to no request. A server need not have one. */
  #listen(lastEventId: string | undefined, delayMs: number): void {
    if (this.#closed || this.#closing !== undefined) return;
    const later = (last: string | undefined, ms: number) => {
      const waitMs = Math.min(ms, this.#limits.resumeDelayMaxMs);
      setTimeout(() => this.#listen(last, Math.max(this.#limits.resumeDelayMs, waitMs * 2)), waitMs).unref();
    };
    const answered = (response: IncomingMessage) => {
      response.on('error', () => undefined);
      // Whether a token is good is found out by what matters more.
      if (response.statusCode === 401) again();
      if (response.statusCode !== 200 || mediaType(response) !== 'text/event-stream') {
        response.destroy();
        return;
      }
      if (this.#listened) this.#handlers.onGap();
      this.#listened = true;
      const events = new EventStream({
        onMessage: (data) => {
          if (!this.#closed) this.#handlers.onMessage(data, NO_EXCHANGE);
        },
        eventBytesMax: () => this.#limits.messageBytesMax,
        onTooLarge: () => this.#end('it wrote an event that is too large'),
      });
      response.on('data', (chunk: Buffer) => events.push(chunk));
      response.on('close', () =>
        later(events.lastEventId ?? lastEventId, events.retryMs ?? this.#limits.resumeDelayMs),
      );
    };
    const more = lastEventId === undefined || lastEventId === '' ? {} : { 'last-event-id': lastEventId };
    const again = () => later(lastEventId, delayMs);
    this.#request('GET', { ...more, accept: 'text/event-stream' }, undefined, answered, again);
  }
}
