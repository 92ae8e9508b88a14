// The last head of a ledger, kept as a state document outside of the ledger's folder: whoever brings back an old copy of the folder does
// not bring back this.

import { z } from 'zod';
import type { Digest } from '../../domain/digest.ts';
import { isDigest } from '../../domain/digest.ts';
import type { JsonObject } from '../../domain/json.ts';
import { HEAD_SPANS_MAX, type Head } from '../../ledger/head.ts';
import { openStateDocument, type StateDocument } from './state-document.ts';

const count = z.number().int().nonnegative();
const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
const span = z.strictObject({ segment: z.string(), offset: count, bytes: count, leaf: digest }).readonly();

const head = z
  .strictObject({
    origin: z.string(),
    epoch: count,
    size: count,
    note: z.string(),
    peaks: z.array(digest).max(53).readonly(),
    lastLeaf: digest.nullable(),
    lastTs: count,
    segment: z.string(),
    offset: count,
    line: count,
    open: z.array(span).max(HEAD_SPANS_MAX).readonly(),
    closed: z.boolean(),
  })
  .readonly();

/** What the document holds: nothing before the ledger's first start. */
export type HeadDocument = StateDocument<{ readonly head: (Head & JsonObject) | null }>;

/** Opens `heads.json`. */
export function openHeads(path: string, mac: (bytes: Uint8Array) => Uint8Array): Promise<HeadDocument> {
  return openStateDocument({
    path,
    kind: 'ledger-head',
    initial: { head: null },
    parse: (value) => {
      const parsed = z.strictObject({ head: head.nullable() }).readonly().safeParse(value);
      // Every member of a head is JSON: numbers, strings, a boolean, and lists and objects of them.
      return parsed.success ? (parsed.data as { head: (Head & JsonObject) | null }) : undefined;
    },
    mac,
  });
}
