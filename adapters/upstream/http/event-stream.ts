// Server-sent events out of a stream of bytes: the data of each message, and what is needed to take a broken stream up again.
// Lines end with LF or CRLF; a lone CR, which no MCP server writes, is part of its line.

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
  /** Nothing is read after this. */
  onTooLarge(): void;
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
    this.#held.push(part);
    this.#bytes += part.length;
    // The names of the fields are not worth counting apart.
    if (this.#bytes <= this.#handlers.eventBytesMax() + ID_CHARACTERS_MAX) return;
    this.#stopped = true;
    this.#held = [];
    this.#data = [];
    this.#handlers.onTooLarge();
  }

  #line(): void {
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
    if (first === undefined || (type !== '' && type !== 'message')) return;
    const whole =
      data.length === 1
        ? first
        : Buffer.concat(data.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from([LF]), part])));
    // An event without data only gives an id to begin with.
    if (whole.length > 0) this.#handlers.onMessage(whole);
  }
}
