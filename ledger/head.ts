// A head: how far a ledger had come, kept outside of its folder. It catches a ledger that was rolled back, and spares a restart from
// reading what was already verified.

import type { Digest } from '../domain/digest.ts';

/** An entry that opened a span which was still open. */
export interface HeadSpan {
  readonly segment: string;
  readonly offset: number;
  readonly bytes: number;
  readonly leaf: Digest;
}

export interface Head {
  readonly origin: string;
  readonly epoch: number;
  readonly size: number;
  /** The signed note at this size. */
  readonly note: string;
  /** Roots of the complete subtrees, largest first. */
  readonly peaks: readonly Digest[];
  readonly lastLeaf: Digest | null;
  readonly lastTs: number;
  /** Just behind the commit line of the note. */
  readonly segment: string;
  readonly offset: number;
  readonly line: number;
  readonly open: readonly HeadSpan[];
  /** Whether the writer closed here. Otherwise it went on, and its end is not known. */
  readonly closed: boolean;
}

/** Above this many open spans no head is taken: an older one is as true, and a head stays small. */
export const HEAD_SPANS_MAX = 1024;

/** The head of a ledger that has no entries yet. Kept before the first one is written, so that a missing head is a sign of tampering. */
export function emptyHead(origin: string): Head {
  return {
    origin,
    epoch: 0,
    size: 0,
    note: '',
    peaks: [],
    lastLeaf: null,
    lastTs: 0,
    segment: '',
    offset: 0,
    line: 0,
    open: [],
    closed: false,
  };
}
