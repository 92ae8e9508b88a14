// Lines out of a stream of bytes. A line that grows beyond the bound is counted and thrown away while it streams, never kept.

import { Oversized } from '../oversized.ts';
import type { PipeHandlers } from '../ports.ts';

/** Lines shorter than this are never too large; asking for the bound is left out for them. */
const SMALL_BYTES = 64 * 1024;
const LF = 0x0a;
const CR = 0x0d;

type LineHandlers = Pick<PipeHandlers, 'onMessage' | 'messageBytesMax' | 'onTooLarge'>;

export class Lines {
  readonly #handlers: LineHandlers;
  readonly #discardBytesMax: number;
  readonly #onEndless: () => void;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #discarding: Oversized | undefined;

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
    this.#discarding = new Oversized(line, this.#heldBytes, (what) => this.#handlers.onTooLarge(what));
    this.#heldBytes = 0;
  }

  #discard(discarding: Oversized, part: Buffer): void {
    discarding.push(part);
    if (discarding.bytes > this.#discardBytesMax) this.#onEndless();
  }

  #endOfLine(): void {
    const discarded = this.#discarding;
    if (discarded !== undefined) {
      this.#discarding = undefined;
      discarded.end();
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
