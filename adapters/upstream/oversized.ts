// A message that turned out larger than anybody waits for: counted and thrown away while it streams. Its two edges are kept, to tell whose
// answer it was.

import type { PipeHandlers } from './ports.ts';

/** What is kept at the head and at the tail. */
const EDGE_BYTES = 256;

export class Oversized {
  readonly #head: string;
  readonly #onTooLarge: PipeHandlers['onTooLarge'];
  #tail: Buffer;
  #known: boolean;
  /** All of it so far. */
  bytes: number;

  /** `beginning`: what came of it so far, or at least its edges; `bytes` says how much that was. */
  constructor(beginning: Buffer, bytes: number, onTooLarge: PipeHandlers['onTooLarge']) {
    this.#head = beginning.toString('latin1', 0, EDGE_BYTES);
    this.#tail = Buffer.from(beginning.subarray(-EDGE_BYTES));
    this.#onTooLarge = onTooLarge;
    this.bytes = bytes;
    this.#known = onTooLarge({ head: this.#head });
  }

  push(part: Buffer): void {
    this.bytes += part.length;
    if (this.#known) return;
    this.#tail = Buffer.concat([this.#tail, part.subarray(-EDGE_BYTES)]).subarray(-EDGE_BYTES);
  }

  /** All of it was seen. */
  end(): void {
    if (this.#known) return;
    this.#known = true;
    this.#onTooLarge({ head: this.#head, tail: this.#tail.toString('latin1') });
  }
}
