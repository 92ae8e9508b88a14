// Segments: files of lines, named for their first sequence number. A line is an entry or, at the end of each batch, a commit line that
// holds the signed checkpoint over everything before it.

import { canonicalJson } from '../domain/canonical-json.ts';
import { isJsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { concatBytes, equalBytes, utf8 } from './bytes.ts';

/** A segment is closed when it has this many bytes or entries: small enough to re-home in one go, large enough to be few. */
export const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;
export const SEGMENT_ENTRIES_MAX = 65_536;

/** Longer than any entry or commit line: whatever has no line feed for so long is not ours. */
export const LINE_BYTES_MAX = 65_536;

const COMMIT_LIMITS = { bytesMax: LINE_BYTES_MAX, depthMax: 1, nodesMax: 3 };
const LINE_FEED = 0x0a;

export function segmentName(firstSeq: number): string {
  return `${String(firstSeq).padStart(12, '0')}.jsonl`;
}

/** The first sequence number of a segment, or undefined when the name is not one of ours. */
export function parseSegmentName(name: string): number | undefined {
  const digits = /^(\d{12,16})\.jsonl$/.exec(name)?.[1];
  const seq = Number(digits);
  return digits !== undefined && segmentName(seq) === name ? seq : undefined;
}

/** `["cp","<signed note>"]`, without its line feed. */
export function commitLine(note: string): string {
  return canonicalJson(['cp', note]);
}

/** Entries begin with a brace, commit lines with a bracket. */
export function looksLikeCommit(line: Uint8Array): boolean {
  return line[0] === 0x5b;
}

/** The note of a commit line, or undefined unless the line is exactly how we would write it. */
export function parseCommitLine(line: Uint8Array): string | undefined {
  const parsed = parseStrictJson(line, COMMIT_LIMITS);
  if (!parsed.ok || !Array.isArray(parsed.value) || isJsonObject(parsed.value)) return undefined;
  const [tag, note, ...more] = parsed.value;
  if (tag !== 'cp' || typeof note !== 'string' || more.length > 0) return undefined;
  return equalBytes(utf8(commitLine(note)), line) ? note : undefined;
}

/** Cuts chunks into lines. A line is handed on without its line feed, with the offset of its first byte; it is only lent. */
export class LineSplitter {
  readonly #onLine: (line: Uint8Array, offset: number) => void;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #offset: number;

  constructor(offset: number, onLine: (line: Uint8Array, offset: number) => void) {
    this.#offset = offset;
    this.#onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const bytes = this.#heldBytes + end - start;
      let line = chunk.subarray(start, end);
      if (this.#heldBytes > 0) line = concatBytes([...this.#held, line]);
      this.#held = [];
      this.#heldBytes = 0;
      // Of a line that was too long to keep, only its end is handed on: enough to see that it is not ours.
      this.#onLine(line, this.#offset);
      this.#offset += bytes + 1;
      start = end + 1;
    }
    if (start < chunk.length) {
      // A copy: the reader may use its buffer again.
      const rest = chunk.slice(start);
      this.#heldBytes += rest.length;
      // What is too long to be a line stays counted and is not kept.
      if (this.#heldBytes <= LINE_BYTES_MAX) this.#held.push(rest);
      else this.#held = [];
    }
  }

  /** Bytes after the last line feed, and where they begin. */
  get rest(): { readonly offset: number; readonly bytes: number } {
    return { offset: this.#offset, bytes: this.#heldBytes };
  }

  /** The unfinished line itself, as far as it was kept. */
  restBytes(): Uint8Array {
    return concatBytes(this.#held);
  }
}
