// A proof that others can check (c2sp.org/tlog-proof@v1): index, inclusion proof and signed checkpoint of one entry as text.
// It does not hold the entry, and proves nothing until its checkpoint was opened with a pinned key.

import { fromBase64, toBase64 } from './base64.ts';
import { HASH_BYTES } from './leaf.ts';

const HEADER = 'c2sp.org/tlog-proof@v1';

export interface TlogProof {
  readonly index: number;
  readonly hashes: readonly Uint8Array[];
  /** The signed note. */
  readonly checkpoint: string;
  readonly extra?: Uint8Array;
}

export function formatTlogProof(proof: TlogProof): string {
  const extra = proof.extra === undefined ? '' : `extra ${toBase64(proof.extra)}\n`;
  const hashes = proof.hashes.map((hash) => `${toBase64(hash)}\n`).join('');
  return `${HEADER}\n${extra}index ${proof.index}\n${hashes}\n${proof.checkpoint}`;
}

/** Undefined when the text is not a proof, or not written as we would write it. */
export function parseTlogProof(text: string): TlogProof | undefined {
  const gap = text.indexOf('\n\n');
  if (gap < 0) return undefined;
  const lines = text.slice(0, gap).split('\n');
  if (lines.shift() !== HEADER) return undefined;
  let extra: Uint8Array | undefined;
  if (lines[0]?.startsWith('extra ')) {
    extra = fromBase64((lines.shift() as string).slice('extra '.length));
    if (extra === undefined) return undefined;
  }
  const index = Number(/^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '')?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(index)) return undefined;
  const hashes: Uint8Array[] = [];
  for (const line of lines) {
    const hash = fromBase64(line);
    if (hash?.length !== HASH_BYTES) return undefined;
    hashes.push(hash);
  }
  const checkpoint = text.slice(gap + 2);
  const proof = extra === undefined ? { index, hashes, checkpoint } : { index, hashes, checkpoint, extra };
  return checkpoint.endsWith('\n') && formatTlogProof(proof) === text ? proof : undefined;
}
