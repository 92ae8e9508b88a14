// Lines out of chunks of bytes, wherever the chunks are cut. A line beyond the bound is thrown away while it streams, never kept.
// It does not decode: a character that two chunks share stays whole, because only line feeds are looked for.

const LF = 0x0a;
const CR = 0x0d;

export interface LineHandlers {
  /** One line without its end; never empty. The bytes are the receiver's to keep. */
  onLine(line: Uint8Array): void;
  /** The end of a line that had `bytes` bytes, more than allowed. Called once for each. */
  onTooLarge(bytes: number): void;
}

export class Lines {
  readonly #bytesMax: number;
  readonly #handlers: LineHandlers;
  /** The beginning of a line whose end has not come. Grows by doubling, so that a byte at a time costs no more than a block. */
  #held: Buffer = Buffer.alloc(0);
  #heldBytes = 0;
  /** Bytes of the current line already thrown away; 0 while it may still fit. */
  #skippedBytes = 0;

  constructor(bytesMax: number, handlers: LineHandlers) {
    this.#bytesMax = bytesMax;
    this.#handlers = handlers;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      this.#finish(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
  }

  /** The stream is over: what is held is the last line. */
  end(): void {
    this.#finish(Buffer.alloc(0));
  }

  #finish(rest: Buffer): void {
    // A carriage return before the line feed belongs to the end of the line, so it may exceed the bound by that one.
    const bytes = this.#skippedBytes + this.#heldBytes + rest.length;
    if (this.#skippedBytes > 0 || bytes > this.#bytesMax + 1) return this.#tooLarge(bytes);
    let line = rest;
    if (this.#heldBytes > 0) {
      this.#reserve(rest);
      line = this.#held.subarray(0, this.#heldBytes);
      this.#held = Buffer.alloc(0);
      this.#heldBytes = 0;
    }
    if (line.at(-1) === CR) line = line.subarray(0, -1);
    if (line.length > this.#bytesMax) return this.#tooLarge(bytes);
    // An empty line says nothing; some clients end their lines twice.
    if (line.length > 0) this.#handlers.onLine(line);
  }

  #hold(part: Buffer): void {
    if (this.#skippedBytes === 0 && this.#heldBytes + part.length <= this.#bytesMax + 1) return this.#reserve(part);
    this.#skippedBytes += this.#heldBytes + part.length;
    this.#held = Buffer.alloc(0);
    this.#heldBytes = 0;
  }

  #reserve(part: Buffer): void {
    const needed = this.#heldBytes + part.length;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(2 * needed, this.#bytesMax + 1)));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    part.copy(this.#held, this.#heldBytes);
    this.#heldBytes = needed;
  }

  #tooLarge(bytes: number): void {
    this.#skippedBytes = 0;
    this.#held = Buffer.alloc(0);
    this.#heldBytes = 0;
    this.#handlers.onTooLarge(bytes);
  }
}
