// The frames that a WebSocket server writes (RFC 6455 section 5), watched on their way to the library that reads them: what belongs to a
// message larger than anybody waits for is taken out while it streams. Everything else passes byte for byte; whether it is well formed is for
// the library to say.

import { Oversized } from '../oversized.ts';
import type { PipeHandlers } from '../ports.ts';

/** Messages shorter than this are never too large; asking for the bound is left out for them. */
const SMALL_BYTES = 64 * 1024;
/** Kept of each message, to tell whose it was. */
const HEAD_BYTES = 256;
const FIN = 0x80;
const OPCODE = 0x0f;
const CONTINUATION = 0;
const FIRST_CONTROL = 8;
const MASK = 0x80;
const LENGTH = 0x7f;
const EMPTY = Buffer.alloc(0);
/** The end of a message whose beginning has passed already. */
const EMPTY_END = Buffer.from([FIN | CONTINUATION, 0]);

export interface FrameHandlers extends Pick<PipeHandlers, 'messageBytesMax' | 'onTooLarge'> {
  /** Bytes that go on. */
  onPassed(bytes: Buffer): void;
  /** More than `discardBytesMax` of one message were taken out, and it has no end. */
  onEndless(): void;
}

export class Frames {
  readonly #handlers: FrameHandlers;
  readonly #discardBytesMax: number;
  /** Of a header that is not whole yet. */
  #header: Buffer = EMPTY;
  /** Of the present frame: what has not come yet, and what it is. */
  #payloadLeft = 0;
  #isControl = false;
  #isLast = false;
  /** Of the present message: its bytes as far as they were announced, its beginning, whether it is taken out, whether a part had passed. */
  #messageBytes = 0;
  #head: Buffer = EMPTY;
  #takenOut = false;
  #begun = false;
  #oversized: Oversized | undefined;
  /** Messages have numbers, by which those are known of which only a beginning has passed. */
  readonly #cut = new Set<number>();
  #passed = 0;
  #read = 0;

  constructor(handlers: FrameHandlers, discardBytesMax: number) {
    this.#handlers = handlers;
    this.#discardBytesMax = discardBytesMax;
  }

  push(chunk: Buffer): void {
    let at = 0;
    /** From here on everything goes on, up to where something is taken out. */
    let run = 0;
    const endRun = (end: number, next: number): void => {
      if (end > run) this.#handlers.onPassed(chunk.subarray(run, end));
      run = next;
    };
    while (at < chunk.length) {
      const start = at;
      if (this.#payloadLeft > 0) {
        at = Math.min(chunk.length, at + this.#payloadLeft);
        this.#payloadLeft -= at - start;
        const goesOn = this.#payload(chunk.subarray(start, at));
        if (!goesOn) endRun(start, at);
      } else {
        const held = this.#header.length;
        at = this.#readHeader(chunk, at);
        const header = this.#header;
        if (headerBytes(header) > header.length) {
          // Whether it goes on is known when it is whole.
          endRun(start, chunk.length);
          return;
        }
        this.#header = EMPTY;
        const goesOn = this.#beginFrame(header);
        if (held > 0 || !goesOn) endRun(start, at);
        if (held > 0 && goesOn) this.#handlers.onPassed(header);
      }
      if (this.#payloadLeft === 0 && this.#endFrame()) {
        endRun(at, at);
        this.#handlers.onPassed(EMPTY_END);
      }
    }
    endRun(chunk.length, chunk.length);
  }

  /** To be asked about each message that the library reads, in order: true for one that is only a beginning and was dealt with here. */
  isCut(): boolean {
    return this.#cut.delete(this.#read++);
  }

  /** Takes what is missing of a header; says where it ends. */
  #readHeader(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && headerBytes(this.#header) > this.#header.length) {
      const end = Math.min(chunk.length, at + headerBytes(this.#header) - this.#header.length);
      const part = chunk.subarray(at, end);
      this.#header = this.#header.length === 0 ? part : Buffer.concat([this.#header, part]);
      at = end;
    }
    return at;
  }

  /** Whether the frame goes on. */
  #beginFrame(header: Buffer): boolean {
    const first = header.readUInt8(0);
    const opcode = first & OPCODE;
    const length = payloadBytes(header);
    this.#payloadLeft = length;
    this.#isLast = (first & FIN) !== 0;
    this.#isControl = opcode >= FIRST_CONTROL;
    if (this.#isControl) return true;
    if (opcode !== CONTINUATION) {
      this.#messageBytes = 0;
      this.#head = EMPTY;
      this.#takenOut = false;
      this.#begun = false;
      this.#oversized = undefined;
    }
    this.#messageBytes += length;
    if (!this.#takenOut && this.#messageBytes > SMALL_BYTES)
      this.#takenOut = this.#messageBytes > this.#handlers.messageBytesMax();
    if (!this.#takenOut) this.#begun = true;
    return !this.#takenOut;
  }

  /** Whether it goes on. */
  #payload(part: Buffer): boolean {
    if (this.#isControl) return true;
    const missing = HEAD_BYTES - this.#head.length;
    if (missing > 0) this.#head = Buffer.concat([this.#head, part.subarray(0, missing)]);
    if (!this.#takenOut) return true;
    if (this.#head.length < HEAD_BYTES) return false;
    this.#oversized ??= this.#tooLarge();
    this.#oversized.push(part.subarray(Math.max(0, missing)));
    if (this.#oversized.bytes > this.#discardBytesMax) this.#handlers.onEndless();
    return false;
  }

  /** Whether the end of a message is owed to the library. */
  #endFrame(): boolean {
    if (this.#isControl || !this.#isLast) return false;
    const number = this.#passed;
    if (this.#begun) this.#passed++;
    if (!this.#takenOut) return false;
    this.#takenOut = false;
    (this.#oversized ?? this.#tooLarge()).end();
    this.#oversized = undefined;
    if (this.#begun) this.#cut.add(number);
    return this.#begun;
  }

  #tooLarge(): Oversized {
    return new Oversized(this.#head, this.#head.length, (what) => this.#handlers.onTooLarge(what));
  }
}

/** How long the header is, as far as its beginning tells. */
function headerBytes(header: Buffer): number {
  if (header.length < 2) return 2;
  const second = header.readUInt8(1);
  const length = second & LENGTH;
  return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + ((second & MASK) === 0 ? 0 : 4);
}

function payloadBytes(header: Buffer): number {
  const length = header.readUInt8(1) & LENGTH;
  if (length === 126) return header.readUInt16BE(2);
  return length === 127 ? Number(header.readBigUInt64BE(2)) : length;
}
