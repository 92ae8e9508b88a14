// Splits a byte stream at LF. Shared by the bench's server, relay and load client, so that none of them pays for a long line twice.
// It bounds nothing: everything that speaks to it was started by the bench.

const LF = 0x0a;

export class LineReader {
  readonly #onLine: (line: string) => void;
  #pending: Buffer[] = [];

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      const piece = chunk.subarray(from, at);
      from = at + 1;
      if (this.#pending.length === 0) {
        this.#onLine(piece.toString('utf8'));
        continue;
      }
      this.#pending.push(piece);
      const line = Buffer.concat(this.#pending).toString('utf8');
      this.#pending = [];
      this.#onLine(line);
    }
    if (from < chunk.length) this.#pending.push(chunk.subarray(from));
  }
}
