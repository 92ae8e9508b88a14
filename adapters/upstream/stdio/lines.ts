// Lines out of a stream of bytes. A line that grows beyond the bound is counted and thrown away while it streams, never kept.

import type { PipeHandlers } from '../ports.ts';

/** What is kept of an oversized line, at its head and at its tail, to tell whose it was. */
const EDGE_BYTES = 256;
/** Lines shorter than this are never too large; asking for the bound is left out for them. */
const SMALL_BYTES = 64 * 1024;
const LF = 0x0a;
const CR = 0x0d;

type LineHandlers = Pick<PipeHandlers, 'onMessage' | 'messageBytesMax' | 'onTooLarge'>;

interface Discarding {
  readonly head: string;
  tail: Buffer;
  bytes: number;
  known: boolean;
}

export class Lines {
  readonly #handlers: LineHandlers;
  readonly #discardBytesMax: number;
  readonly #onEndless: () => void;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #discarding: Discarding | undefined;

  /** `onEndless`: more than `discardBytesMax` of one line were thrown away and it still has no end. */
  constructor(handlers: LineHandlers, discardBytesMax: number, onEndless: () => void) {
    this.#handlers = handlers;
    this.#discardBytesMax = discardBytesMax;
    this.#onEndless = onEndless;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      this.#part(chunk.subarray(start, end));
      this.#endOfLine();
      start = end + 1;
    }
    if (start < chunk.length) this.#part(start === 0 ? chunk : chunk.subarray(start));
  }

  #part(part: Buffer): void {
    if (this.#discarding !== undefined) {
      this.#discard(this.#discarding, part);
      return;
    }
    this.#held.push(part);
    this.#heldBytes += part.length;
    if (this.#heldBytes <= SMALL_BYTES || this.#heldBytes <= this.#handlers.messageBytesMax()) return;
    const line = Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    const head = line.toString('latin1', 0, EDGE_BYTES);
    const tail = Buffer.from(line.subarray(-EDGE_BYTES));
    this.#discarding = { head, tail, bytes: this.#heldBytes, known: this.#handlers.onTooLarge({ head }) };
    this.#heldBytes = 0;
  }

  #discard(discarding: Discarding, part: Buffer): void {
    discarding.bytes += part.length;
    discarding.tail = Buffer.concat([discarding.tail, part.subarray(-EDGE_BYTES)]).subarray(-EDGE_BYTES);
    if (discarding.bytes > this.#discardBytesMax) this.#onEndless();
  }

  #endOfLine(): void {
    const discarded = this.#discarding;
    if (discarded !== undefined) {
      this.#discarding = undefined;
      if (!discarded.known)
        this.#handlers.onTooLarge({ head: discarded.head, tail: discarded.tail.toString('latin1') });
      return;
    }
    const [first] = this.#held;
    if (first === undefined) return;
    let line = this.#held.length === 1 ? first : Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    if (line[line.length - 1] === CR) line = line.subarray(0, -1);
    // An empty line says nothing; some servers end their lines twice.
    if (line.length > 0) this.#handlers.onMessage(line);
  }
}
