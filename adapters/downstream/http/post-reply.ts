// The answer to one POST. What is said at once is one JSON document; when something comes before the answer, all of it is an event stream.
// A client that stopped listening is not an error: what is said to it is dropped.

import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Defect } from '../../../domain/defect.ts';

export const SECURITY_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

export const JSON_HEADERS = { 'content-type': 'application/json', ...SECURITY_HEADERS } as const;

export interface ReplyHead {
  readonly status: number;
  readonly headers?: OutgoingHttpHeaders;
}

export class PostReply {
  readonly #response: ServerResponse;
  readonly #bufferBytesMax: number;
  /** Asked once, when the first byte has to be written: only then is it known whether the message opened a session. */
  readonly #head: () => ReplyHead;
  #first: string | undefined;
  /** What the first thing said has as its status, where whoever said it knows. */
  #status: number | undefined;
  #waiting: NodeJS.Immediate | undefined;
  #streaming = false;
  #ended = false;

  constructor(response: ServerResponse, bufferBytesMax: number, head: () => ReplyHead) {
    this.#response = response;
    this.#bufferBytesMax = bufferBytesMax;
    this.#head = head;
  }

  /** Whether all of it is an event stream by now. */
  get isStreaming(): boolean {
    return this.#streaming && !this.#ended;
  }

  /** Says that the stream lives. */
  keepAlive(): void {
    if (this.isStreaming && !this.#response.destroyed) this.#response.write(': alive\n\n');
  }

  readonly send = (json: string, status?: number): void => {
    if (this.#ended || this.#response.destroyed) return;
    if (this.#streaming) return this.#event(json);
    if (this.#first === undefined) {
      // Whether this is the whole answer is known as soon as the session is done with the message, usually in this very turn.
      this.#first = json;
      this.#status = status;
      this.#waiting = setImmediate(() => this.#stream());
      return;
    }
    this.#stream();
    this.#event(json);
  };

  /** Nothing more will be said. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#waiting !== undefined) clearImmediate(this.#waiting);
    // Already answered: the edge itself had something to say instead.
    if (this.#response.destroyed || this.#response.writableEnded) return;
    if (this.#streaming) {
      this.#response.end();
      return;
    }
    const { status, headers } = this.#head();
    const json = this.#first;
    if (json === undefined) {
      // Nothing to say: notifications, responses, and requests that the client itself has cancelled.
      this.#response.writeHead(status === 200 ? 202 : status, { ...SECURITY_HEADERS, ...headers, 'content-length': 0 });
      this.#response.end();
      return;
    }
    const own = { ...JSON_HEADERS, 'content-length': Buffer.byteLength(json) };
    this.#response.writeHead(this.#status ?? status, headers === undefined ? own : { ...own, ...headers });
    this.#response.end(json);
  }

  #stream(): void {
    if (this.#streaming || this.#ended || this.#first === undefined) return;
    this.#streaming = true;
    if (this.#waiting !== undefined) clearImmediate(this.#waiting);
    const { status, headers } = this.#head();
    this.#response.writeHead(status, { ...EVENT_STREAM_HEADERS, ...headers });
    this.#event(this.#first);
  }

  #event(json: string): void {
    writeEvent(this.#response, json, this.#bufferBytesMax);
  }
}

export const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  ...SECURITY_HEADERS,
  // Asks reverse proxies not to hold events back.
  'x-accel-buffering': 'no',
} as const;

/** Writes one message as an event. A client that does not read is cut off rather than kept in memory. */
export function writeEvent(response: ServerResponse, json: string, bufferBytesMax: number): void {
  // A line break would let the message's author write events of his own.
  if (json.includes('\n') || json.includes('\r'))
    throw new Defect('a message on an event stream contains a line break');
  if (response.destroyed || response.writableEnded) return;
  response.write(`event: message\ndata: ${json}\n\n`);
  if (response.writableLength > bufferBytesMax) response.destroy();
}
