// A ledger on memory storage, and the questions that tests ask of what is left of one.

import { MemoryStore } from '../../adapters/storage/memory-store.ts';
import { type AuditOptions, type AuditReport, verifyLedger } from '../../ledger/audit.ts';
import { emptyHead, type Head } from '../../ledger/head.ts';
import { treeHasher } from '../../ledger/leaf.ts';
import { type OpenedWriter, type OpenOptions, openLedger } from '../../ledger/open.ts';
import { looksLikeCommit } from '../../ledger/segment.ts';
import { ORIGIN, sealer, sha256, systemClock, type TestKey } from './ledger.ts';

export const hasher = treeHasher(sha256);

export function openMemoryLedger(
  store: MemoryStore,
  key: TestKey,
  head: Head | undefined = emptyHead(ORIGIN),
  more: Partial<OpenOptions> = {},
): Promise<OpenedWriter> {
  return openLedger({ origin: ORIGIN, store, sha256, ...key, sealer, clock: systemClock, head, ...more });
}

/** A ledger of several batches in several segments, closed in order. */
export async function sampleLedger(key: TestKey, more: Partial<OpenOptions> = {}) {
  const store = new MemoryStore();
  const { writer } = await openMemoryLedger(store, key, undefined, { limits: { segmentEntries: 8 }, ...more });
  const notes = [writer.note];
  for (let call = 0; call < 8; call++) {
    await writer.append([
      { type: 'call.intent', call: `call-${call}`, tool: { server: 'files', name: 'read_file' } },
      ...(call % 3 === 0 ? [{ type: 'note', text: 'prev, seq and "prev":null inside of a text' }] : []),
      { type: 'call.ending', call: `call-${call}`, nested: { prev: 'not this one', seq: 99 } },
    ]);
    notes.push(writer.note);
  }
  await writer.close();
  const head = writer.head(true) as Head;
  return { files: store.contents(), notes, head, size: writer.size };
}

export function auditFiles(
  files: ReadonlyMap<string, Uint8Array>,
  key: TestKey,
  more: Partial<AuditOptions> = {},
): Promise<AuditReport> {
  const names = [...files.keys()].filter((path) => path.startsWith('seg/')).sort();
  const segments = names.map((path) => ({
    name: path.slice(4),
    async *read() {
      yield files.get(path) as Uint8Array;
    },
  }));
  return verifyLedger(segments, { hasher, origin: ORIGIN, verifier: key.verifier, ...more });
}

export interface FoundLine {
  readonly path: string;
  readonly line: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly commit: boolean;
  /** For an entry its position in the log; for a commit line the size it covers. */
  readonly seq: number;
}

export function linesOf(files: ReadonlyMap<string, Uint8Array>): readonly FoundLine[] {
  const lines: FoundLine[] = [];
  let seq = 0;
  for (const path of [...files.keys()].filter((each) => each.startsWith('seg/')).sort()) {
    const bytes = files.get(path) as Uint8Array;
    let line = 0;
    for (let offset = 0; offset < bytes.length; ) {
      const end = bytes.indexOf(0x0a, offset);
      const content = bytes.slice(offset, end);
      const commit = looksLikeCommit(content);
      line += 1;
      lines.push({ path, line, offset, bytes: content, commit, seq });
      if (!commit) seq += 1;
      offset = end + 1;
    }
  }
  return lines;
}

/** A copy of the files with the bytes of one of them replaced. */
export function tampered(
  files: ReadonlyMap<string, Uint8Array>,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array,
): Map<string, Uint8Array> {
  return new Map(files).set(path, change((files.get(path) as Uint8Array).slice()));
}

/** The bytes with those from `start` to `end` replaced. */
export function spliced(bytes: Uint8Array, start: number, end: number, replacement: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([bytes.subarray(0, start), replacement, bytes.subarray(end)]));
}
