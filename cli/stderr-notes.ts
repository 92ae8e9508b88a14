// What a server writes to its standard error, for the operator: whole lines, made visible, and no more of them than a person can read. What is
// left out is counted and said. The bytes themselves are kept elsewhere (adapters/upstream/stdio/stderr-tail.ts).

import { visibleText } from '../domain/visible-text.ts';

/** Of one server. A start may say a screenful at once. */
const LINES_PER_WINDOW_MAX = 40;
const WINDOW_MS = 2_000;
const LINE_CHARACTERS_MAX = 400;
/** Of a line that has no end yet. Its rest is thrown away. */
const HELD_BYTES_MAX = 4 * LINE_CHARACTERS_MAX;
const LF = 0x0a;
/** util-linux `unshare` says this of itself when the namespace around a server was killed, which nobody needs to know. */
const OF_THE_ENCLOSURE = 'unshare: sigprocmask unblock failed: Invalid argument';

export class StderrNotes {
  readonly #tell: (line: string) => void;
  readonly #nowMs: () => number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #inWindow = 0;
  #leftOut = 0;

  constructor(tell: (line: string) => void, nowMs: () => number) {
    this.#tell = tell;
    this.#nowMs = nowMs;
  }

  heard(bytes: Uint8Array): void {
    let start = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
      this.#hold(bytes.subarray(start, end));
      this.#line();
      start = end + 1;
    }
    this.#hold(bytes.subarray(start));
  }

  /** It says nothing more: the line that has no end is one, too. */
  ended(): void {
    this.#line();
    this.#tellLeftOut();
  }

  #hold(part: Uint8Array): void {
    const kept = part.subarray(0, HELD_BYTES_MAX - this.#heldBytes);
    if (kept.length === 0) return;
    this.#held.push(kept.slice());
    this.#heldBytes += kept.length;
  }

  #line(): void {
    if (this.#heldBytes === 0) return;
    const now = this.#nowMs();
    if (now - this.#windowStartMs >= WINDOW_MS) {
      this.#windowStartMs = now;
      this.#inWindow = 0;
      this.#tellLeftOut();
    }
    const parts = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#inWindow >= LINES_PER_WINDOW_MAX) {
      this.#leftOut++;
      return;
    }
    const text = new TextDecoder().decode(Buffer.concat(parts)).trimEnd();
    if (text === '' || text === OF_THE_ENCLOSURE) return;
    this.#inWindow++;
    this.#tell(visibleText(text, LINE_CHARACTERS_MAX));
  }

  #tellLeftOut(): void {
    if (this.#leftOut > 0) this.#tell(`(${this.#leftOut} more lines)`);
    this.#leftOut = 0;
  }
}
