// The entries of a ledger from some position on, for whoever keeps a sum of all that came before it. Nothing is verified: the writer's own recovery has
// looked at what is there. Read it while nobody writes.

import type { Digest } from '../../domain/digest.ts';
import type { Entry } from '../../domain/entry.ts';
import { toDigest } from '../../ledger/base64.ts';
import { treeHasher } from '../../ledger/leaf.ts';
import { LineSplitter, looksLikeCommit, parseSegmentName } from '../../ledger/segment.ts';
import { sha256 } from '../crypto/node-crypto.ts';
import { ledgerSegments } from './ledger-reader.ts';

/** An entry of one ledger and no other. */
export interface LedgerPosition {
  readonly seq: number;
  readonly leaf: Digest;
}

/**
 * Hands over every entry after that position, in order, and resolves with the position of the last one. Without a position it is all of them.
 * Undefined, and nothing was handed over, where the ledger has another entry there, or none.
 */
export async function readTail(
  dir: string,
  after: LedgerPosition | undefined,
  take: (entry: Entry) => void,
): Promise<{ readonly last: LedgerPosition | undefined } | undefined> {
  const hasher = treeHasher(sha256);
  const segments = await ledgerSegments(dir);
  const first = segments.findLastIndex(({ name }) => (parseSegmentName(name) ?? 0) <= (after?.seq ?? 0));
  let seq = parseSegmentName(segments[first]?.name ?? '') ?? 0;
  let isThere = after === undefined;
  let isElsewhere = false;
  let last: { readonly seq: number; readonly line: Uint8Array } | undefined;
  for (const segment of segments.slice(Math.max(0, first))) {
    const splitter = new LineSplitter(0, (line) => {
      if (isElsewhere || looksLikeCommit(line)) return;
      if (after !== undefined && seq === after.seq) {
        isThere = toDigest(hasher.leaf(line)) === after.leaf;
        isElsewhere = !isThere;
      } else if (isThere) {
        take(JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString()) as Entry);
        last = { seq, line: line.slice() };
      }
      seq += 1;
    });
    for await (const chunk of segment.read()) splitter.push(chunk);
  }
  if (!isThere) return undefined;
  return { last: last === undefined ? after : { seq: last.seq, leaf: toDigest(hasher.leaf(last.line)) } };
}
