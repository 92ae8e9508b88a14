// The last bytes a server wrote to its standard error, kept as they came. They are hostile data: quote them, never print them.

export class StderrTail {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): void {
    // A copy, so that a short chunk does not hold the whole buffer it was read into.
    const kept = Buffer.from(chunk.subarray(-this.#bytesMax));
    this.#chunks.push(kept);
    this.#bytes += kept.length;
    for (
      let first = this.#chunks[0];
      first !== undefined && this.#bytes - first.length >= this.#bytesMax;
      first = this.#chunks[0]
    ) {
      this.#bytes -= first.length;
      this.#chunks.shift();
    }
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks).subarray(-this.#bytesMax);
  }

  /** The last line that is not blank. */
  lastLine(): string {
    const lines = this.bytes().toString('utf8').split(/\r?\n/);
    return lines.findLast((line) => line.trim() !== '') ?? '';
  }
}
