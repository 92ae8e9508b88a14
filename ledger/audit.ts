// Is this the ledger that was written? Answers with findings, each naming the entry, the file, the line and the byte. No findings against
// a checkpoint that the reader kept from earlier means: nothing up to it was changed, dropped, reordered or cut off.
// Without such a checkpoint a ledger cut off behind a commit line looks complete; nothing inside a ledger can show that.

import type { Checkpoint } from './checkpoint.ts';
import type { TreeHasher } from './leaf.ts';
import { type Finding, LogScan, type ScanOptions } from './scan.ts';
import { LineSplitter, parseSegmentName } from './segment.ts';
import type { NoteVerifier } from './signed-note.ts';

export interface AuditOptions {
  readonly hasher: TreeHasher;
  readonly origin: string;
  /** The log's key, pinned by whoever asks; never taken from the ledger. */
  readonly verifier: NoteVerifier;
  /** Checkpoints kept from earlier or from elsewhere, already opened with the pinned key. */
  readonly trusted?: readonly Checkpoint[];
  readonly signatures?: 'every' | 'last';
  /** Also parse every entry strictly: slower, and shows entries that never were in form. */
  readonly deep?: boolean;
  readonly onEntry?: NonNullable<ScanOptions['onEntry']>;
}

/** One segment file as its reader hands it over. */
export interface SegmentSource {
  readonly name: string;
  read(): AsyncIterable<Uint8Array>;
}

export interface AuditReport {
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  /** Entries up to the last commit line that was in order together with everything before it. */
  readonly size: number;
  /** The signed note at that size; empty when there is none. */
  readonly checkpoint: string;
}

/** Reads all segments, in the order of their names. */
export async function verifyLedger(segments: Iterable<SegmentSource>, options: AuditOptions): Promise<AuditReport> {
  const scan = new LogScan({ signatures: 'every', deep: false, ...options });
  const names: Finding[] = [];
  let rest = { offset: 0, bytes: 0 };
  let expected = 0;
  for (const segment of segments) {
    if (rest.bytes > 0) {
      // The line does not go on in the next file.
      names.push({
        kind: 'malformed',
        segment: segment.name,
        line: 1,
        offset: 0,
        detail: 'the segment before ends within a line',
      });
    }
    if (parseSegmentName(segment.name) !== expected) {
      names.push({
        kind: 'missing',
        seq: expected,
        segment: segment.name,
        line: 1,
        offset: 0,
        detail: 'a segment is not there',
      });
    }
    scan.enter(segment.name);
    const splitter = new LineSplitter(0, (line, offset) => scan.line(line, offset));
    for await (const chunk of segment.read()) splitter.push(chunk);
    rest = splitter.rest;
    expected = scan.size;
  }
  scan.end(rest);
  const findings = [...names, ...scan.findings];
  const { frontier, note } = scan.good;
  return { ok: findings.length === 0, findings, size: frontier.size, checkpoint: note };
}
