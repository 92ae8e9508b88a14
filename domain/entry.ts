// What the ledger remembers, as values. The header is the ledger's; the body is whoever appends it. docs/formats/entry.md is the
// specification.

import type { Digest } from './digest.ts';
import type { JsonObject } from './json.ts';

/** Set by the writer; every entry has all of it. */
export interface EntryHeader {
  readonly v: 1;
  /** Origin of the log: a schema-less URL (C2SP tlog-checkpoint). */
  readonly log: string;
  /** Position in the log, from 0. */
  readonly seq: number;
  /** Leaf hash of entry seq − 1; null for the first. Names the exact entry that was edited, which the tree alone cannot. */
  readonly prev: Digest | null;
  /** Generation of the writer: grows by one with every start. */
  readonly epoch: number;
  /** RFC 3339, UTC, milliseconds; never decreases within a log. */
  readonly ts: string;
  /** Microseconds since this writer started, by the monotonic clock. */
  readonly mono: number;
}

/** What an appender supplies: a type and its fields, none of which may be named like a header field. */
export type EntryBody = { readonly type: string } & JsonObject;

export type Entry = EntryHeader & EntryBody;
