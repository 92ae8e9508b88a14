// Server-sent events out of a stream of bytes: the data of each message, and what is needed to take a broken stream up again.
// Lines end with LF or CRLF; a lone CR, which no MCP server writes, is part of its line.

import { Oversized } from '../oversized.ts';
import type { PipeHandlers } from '../ports.ts';

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
/** An id is sent back in a header. */
const ID_CHARACTERS_MAX = 1024;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

export interface EventStreamHandlers {
  onMessage(data: Buffer): void;
  /** The most bytes that one event may have. */
  eventBytesMax(): number;
  /** Nothing is read after this. Not called where `skip` is there. */
  onTooLarge(): void;
  /** For streams that live on after an event that is too large: it is thrown away while it streams. */
  readonly skip?: {
    readonly onTooLarge: PipeHandlers['onTooLarge'];
    /** How much of one event is read to find its end, and what is called when there is none by then. */
    readonly bytesMax: number;
    onEndless(): void;
  };
  /** An event of another type than `message`. */
  onOther?(type: string, data: Buffer): void;
}

export class EventStream {
  /** The last id the server gave, and the pause it asked for. */
  lastEventId: string | undefined;
  retryMs: number | undefined;
  readonly #handlers: EventStreamHandlers;
  #held: Buffer[] = [];
  /** Of the event being read: what is held and what its data lines have. */
  #bytes = 0;
  #data: Buffer[] = [];
  #type = '';
  #first = true;
  #stopped = false;
  #skipped: Oversized | undefined;
  /** Of the line being skipped, besides a carriage return. */
  #skippedLineBytes = 0;

  constructor(handlers: EventStreamHandlers) {
    this.#handlers = handlers;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0 && !this.#stopped; end = chunk.indexOf(LF, start)) {
      this.#hold(chunk.subarray(start, end));
      if (!this.#stopped) this.#line();
      start = end + 1;
    }
    if (start < chunk.length && !this.#stopped) this.#hold(chunk.subarray(start));
  }

  #hold(part: Buffer): void {
    if (this.#skipped !== undefined) return this.#skip(this.#skipped, part);
    this.#held.push(part);
    this.#bytes += part.length;
    // The names of the fields are not worth counting apart.
    if (this.#bytes <= this.#handlers.eventBytesMax() + ID_CHARACTERS_MAX) return;
    const { skip } = this.#handlers;
    const data = [...this.#data, withoutField(Buffer.concat(this.#held))];
    this.#data = [];
    this.#held = [];
    if (skip === undefined) {
      this.#stopped = true;
      this.#handlers.onTooLarge();
      return;
    }
    this.#skipped = new Oversized(Buffer.concat(data), this.#bytes, skip.onTooLarge);
    this.#skippedLineBytes = 1;
  }

  #skip(skipped: Oversized, part: Buffer): void {
    const { skip } = this.#handlers;
    // The end of a line, of whatever kind, is no part of what was said.
    const text = part[part.length - 1] === CR ? part.subarray(0, -1) : part;
    skipped.push(text);
    this.#skippedLineBytes += text.length;
    if (skip === undefined || skipped.bytes <= skip.bytesMax) return;
    this.#stopped = true;
    skip.onEndless();
  }

  #line(): void {
    if (this.#skipped !== undefined) {
      const ended = this.#skippedLineBytes === 0;
      this.#skippedLineBytes = 0;
      if (!ended) return;
      this.#skipped.end();
      this.#skipped = undefined;
      this.#type = '';
      this.#bytes = 0;
      return;
    }
    const [only] = this.#held;
    let line = this.#held.length === 1 && only !== undefined ? only : Buffer.concat(this.#held);
    this.#held = [];
    if (this.#first && line.subarray(0, 3).equals(BOM)) line = line.subarray(3);
    this.#first = false;
    if (line[line.length - 1] === CR) line = line.subarray(0, -1);
    if (line.length === 0) {
      this.#endOfEvent();
      return;
    }
    const colon = line.indexOf(COLON);
    if (colon === 0) {
      // A comment, which keeps a connection alive: its bytes do not count towards any event.
      this.#bytes -= line.length;
      return;
    }
    const field = (colon < 0 ? line : line.subarray(0, colon)).toString('latin1');
    let value = colon < 0 ? line.subarray(line.length) : line.subarray(colon + 1);
    if (value[0] === SPACE) value = value.subarray(1);
    switch (field) {
      case 'data':
        this.#data.push(value);
        return;
      case 'event':
        this.#type = value.toString('latin1');
        return;
      case 'id':
        if (value.length <= ID_CHARACTERS_MAX && !value.includes(0)) this.lastEventId = value.toString('latin1');
        return;
      case 'retry': {
        const ms = Number(value.toString('latin1'));
        if (Number.isSafeInteger(ms) && ms >= 0) this.retryMs = ms;
        return;
      }
    }
  }

  #endOfEvent(): void {
    const data = this.#data;
    const type = this.#type;
    this.#data = [];
    this.#type = '';
    this.#bytes = 0;
    const [first] = data;
    if (first === undefined) return;
    const whole =
      data.length === 1
        ? first
        : Buffer.concat(data.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from([LF]), part])));
    if (type !== '' && type !== 'message') {
      this.#handlers.onOther?.(type, whole);
      return;
    }
    // An event without data only gives an id to begin with.
    if (whole.length > 0) this.#handlers.onMessage(whole);
  }
}

/** What a line of data says, as far as it is there. */
function withoutField(line: Buffer): Buffer {
  const name = /^data: ?/.exec(line.toString('latin1', 0, 6))?.[0] ?? '';
  return line.subarray(name.length, line[line.length - 1] === CR ? -1 : undefined);
}
