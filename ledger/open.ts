// Opens a ledger: verifies it from the last head, puts aside what a crash left, and starts the writer of the next generation.
// It refuses what it cannot explain. Everything before the head is left to `verifyLedger`.

import type { Sha256 } from '../domain/digest.ts';
import type { Entry, EntryBody } from '../domain/entry.ts';
import { fromDigest, toDigest } from './base64.ts';
import { concatBytes, equalBytes, fromUtf8, utf8 } from './bytes.ts';
import { openCheckpoint } from './checkpoint.ts';
import { decodeEntry } from './entry-line.ts';
import type { Head, HeadSpan } from './head.ts';
import { type TreeHasher, treeHasher } from './leaf.ts';
import { foldPeaks } from './merkle-tree.ts';
import { CALL_SPANS, OpenSpans, type SpanRule } from './open-spans.ts';
import type { Clock, Sealer, SegmentStore, StoredFile } from './ports.ts';
import { planRecovery, type Tail } from './recovery.ts';
import { LogScan, type ScanState } from './scan.ts';
import { commitLine, LineSplitter, parseCommitLine, parseSegmentName, segmentName } from './segment.ts';
import { isKeyName, type NoteSigner, type NoteVerifier } from './signed-note.ts';
import { LedgerWriter, WRITER_LIMITS, type WriterLimits, type WriterStart } from './writer.ts';

/** The ledger may not be used as it is. Nothing was changed, except for what an interrupted recovery left. */
export class LedgerRefused extends Error {
  override readonly name: string = 'LedgerRefused';
}

/** Somebody else is writing this ledger now. */
export class LedgerInUse extends LedgerRefused {}

export interface OpenOptions {
  readonly origin: string;
  readonly store: SegmentStore;
  readonly sha256: Sha256;
  readonly signer: NoteSigner;
  readonly verifier: NoteVerifier;
  /** The public key as text, for the first entry. */
  readonly verifierKey: string;
  readonly sealer: Sealer;
  readonly clock: Clock;
  /** The last head that was kept; undefined when none ever was. */
  readonly head: Head | undefined;
  readonly spans?: SpanRule;
  readonly limits?: Partial<WriterLimits>;
  readonly onCommitted?: () => void;
}

export interface OpenedWriter {
  readonly writer: LedgerWriter;
  readonly epoch: number;
  readonly discardedBytes: number;
  /** Entries that opened a span which nothing closed. */
  readonly open: readonly { readonly key: string; readonly entry: Entry }[];
}

/** What a recovery may read at once: more than any batch can leave behind. */
const TAIL_BYTES_MAX = 64 * 1024 * 1024;
const ORIGIN_BYTES_MAX = 256;
const UNFINISHED = '.new';

/** Resolves with a writer whose first entry, genesis or recovered, is durable. Rejects with `LedgerRefused` or with the store's error. */
export async function openLedger(options: OpenOptions): Promise<OpenedWriter> {
  const { origin, store, head } = options;
  if (!isKeyName(origin) || utf8(origin).length > ORIGIN_BYTES_MAX)
    throw new LedgerRefused('the origin is not a key name');
  if (head !== undefined && head.origin !== origin)
    throw new LedgerRefused(`the head is of another log: ${head.origin}`);
  const hasher = treeHasher(options.sha256);
  const names = await listSegments(store);
  const scanned = await scanFrom(options, hasher, names);
  const { good } = scanned;

  const plan = planRecovery(scanned);
  if (plan.action === 'refuse') throw new LedgerRefused(plan.reason);
  const name = scanned.lastSegment ?? segmentName(0);
  const kept = name === good.segment ? good.offset : 0;
  let file: StoredFile;
  if (scanned.lastSegment === undefined) {
    file = await store.create(`seg/${name}`);
    await file.sync();
    await store.syncFolder('seg');
  } else if (plan.action === 'keep') {
    file = await store.open(`seg/${name}`);
  } else {
    if (scanned.tailBytes.length > 0) await quarantine(store, name, kept, scanned.tailBytes);
    file = await rehome(store, name, kept);
  }

  const started = good.frontier.size > 0;
  const epoch = Math.max(good.epoch, head?.epoch ?? 0) + 1;
  const start: WriterStart = {
    epoch,
    frontier: good.frontier,
    lastLeaf: good.lastLeaf,
    lastTs: good.lastTs,
    note: good.note,
    segment: {
      name,
      file,
      bytes: kept,
      lines: kept === 0 ? 0 : good.line,
      entries: good.frontier.size - (parseSegmentName(name) ?? 0),
    },
    open: scanned.open.list().map(({ key, place }) => ({ key, place: place.place })),
    burntSizes: new Set(
      [...scanned.tailNotes, ...(await quarantinedNotes(store))].flatMap((note) => sizeOf(note, options) ?? []),
    ),
  };
  const writer = new LedgerWriter({
    origin,
    store,
    hasher,
    signer: options.signer,
    sealer: options.sealer,
    clock: options.clock,
    spans: options.spans ?? CALL_SPANS,
    limits: { ...WRITER_LIMITS, ...options.limits },
    start,
    ...(options.onCommitted === undefined ? {} : { onCommitted: options.onCommitted }),
  });
  const discarded = scanned.tailBytes;
  const first: EntryBody = started
    ? {
        type: 'log.recovered',
        after: plan.action === 'keep' ? 'close' : 'crash',
        discarded:
          discarded.length === 0 ? null : { bytes: discarded.length, digest: toDigest(options.sha256(discarded)) },
      }
    : { type: 'log.genesis', format: 'portcullis-ledger/v1', key: options.verifierKey };
  try {
    await writer.append([first]);
  } catch (error) {
    await writer.close();
    throw error;
  }
  const open = scanned.open.list().map(({ key, place }) => ({ key, entry: place.entry }));
  return { writer, epoch, discardedBytes: discarded.length, open };
}

/** The segments in order. What an interrupted recovery left is removed; anything else that is not a segment is refused. */
async function listSegments(store: SegmentStore): Promise<readonly string[]> {
  const names: string[] = [];
  for (const name of await store.list('seg')) {
    if (name.endsWith(UNFINISHED)) await store.remove(`seg/${name}`);
    else if (parseSegmentName(name) === undefined) throw new LedgerRefused(`a file that is no segment: seg/${name}`);
    else names.push(name);
  }
  return names.sort((a, b) => (parseSegmentName(a) ?? 0) - (parseSegmentName(b) ?? 0));
}

interface OpenPlace {
  readonly place: HeadSpan;
  readonly entry: Entry;
}

interface Scanned {
  readonly good: ScanState;
  readonly findings: LogScan['findings'];
  readonly tail: Tail;
  readonly tailBytes: Uint8Array;
  readonly tailInLastSegment: boolean;
  readonly closedHere: boolean;
  /** Notes of commit lines in the tail. */
  readonly tailNotes: readonly string[];
  readonly lastSegment: string | undefined;
  readonly open: OpenSpans<OpenPlace>;
}

async function scanFrom(options: OpenOptions, hasher: TreeHasher, names: readonly string[]): Promise<Scanned> {
  const { store, head, origin, verifier } = options;
  const open = new OpenSpans<OpenPlace>(options.spans ?? CALL_SPANS);
  const from = head === undefined || head.size === 0 ? undefined : await resume(options, hasher, names, head, open);
  if (head === undefined && names.length > 0) {
    throw new LedgerRefused('there is a ledger but no record of its last head: it may have been rolled back');
  }
  const scan = new LogScan({
    hasher,
    origin,
    verifier,
    signatures: 'every',
    deep: true,
    ...(from === undefined ? {} : { from }),
    onEntry: (entry, place, leaf) => {
      const { segment, offset, bytes } = place;
      open.noteEntry(entry, { entry, place: { segment, offset, bytes, leaf: toDigest(leaf) } });
    },
  });
  const todo = from === undefined ? names : names.slice(names.indexOf(from.segment));
  for (const name of todo) {
    const resumed = name === from?.segment ? from : undefined;
    // A segment begins where the one before ended, so a tail can only be in the last one.
    if (resumed === undefined && parseSegmentName(name) !== scan.good.frontier.size) {
      throw new LedgerRefused(`seg/${name} does not begin at entry ${scan.good.frontier.size}`);
    }
    scan.enter(name, resumed?.line ?? 0);
    const splitter = new LineSplitter(resumed?.offset ?? 0, (line, offset) => scan.line(line, offset));
    for await (const chunk of store.read(`seg/${name}`, resumed?.offset ?? 0)) splitter.push(chunk);
  }
  const { good } = scan;
  const lastSegment = names.at(-1);
  const kept = lastSegment === good.segment ? good.offset : 0;
  const tailBytes = lastSegment === undefined ? new Uint8Array(0) : await readFrom(store, `seg/${lastSegment}`, kept);
  const goodIsLast = good.segment === '' || good.segment === lastSegment;
  const gap = goodIsLast ? 0 : (await store.size(`seg/${good.segment}`)) - good.offset;
  const commits = commitsIn(tailBytes);
  return {
    good,
    findings: scan.findings,
    tail: {
      bytes: tailBytes.length,
      commits: commits.filter((commit) => commit.whole).length,
      holes: tailBytes.includes(0),
    },
    tailBytes,
    tailInLastSegment: gap === 0,
    closedHere:
      head?.closed === true &&
      head.segment === lastSegment &&
      head.offset === good.offset &&
      head.size === good.frontier.size,
    tailNotes: commits.map((commit) => commit.note),
    lastSegment,
    open,
  };
}

/** The state at the head, once the ledger was seen to hold exactly that head there. */
async function resume(
  options: OpenOptions,
  hasher: TreeHasher,
  names: readonly string[],
  head: Head,
  open: OpenSpans<OpenPlace>,
): Promise<ScanState> {
  const { store, origin, verifier, spans = CALL_SPANS } = options;
  const rolledBack = new LedgerRefused(
    `the ledger does not hold the head of ${head.size} entries: rolled back, cut off or replaced`,
  );
  if (!names.includes(head.segment)) throw rolledBack;
  const checkpoint = openCheckpoint(head.note, origin, verifier);
  const peaks = head.peaks.map((peak) => fromDigest(peak) ?? new Uint8Array(0));
  if (checkpoint?.size !== head.size || !equalBytes(foldPeaks(hasher, peaks), checkpoint.root)) {
    throw new LedgerRefused('the record of the last head contradicts itself');
  }
  const line = utf8(`${commitLine(head.note)}\n`);
  const at = head.offset - line.length;
  if (at < 0 || (await store.size(`seg/${head.segment}`)) < head.offset) throw rolledBack;
  if (!equalBytes(await readPart(store, `seg/${head.segment}`, at, line.length), line)) throw rolledBack;
  for (const place of head.open) {
    const bytes = await readPart(store, `seg/${place.segment}`, place.offset, place.bytes);
    const entry = toDigest(hasher.leaf(bytes)) === place.leaf ? decodeEntry(bytes) : undefined;
    const key = entry?.[spans.key];
    if (entry === undefined || typeof key !== 'string') {
      throw new LedgerRefused(`an open entry was changed: seg/${place.segment}, byte ${place.offset}`);
    }
    open.open(key, { place, entry });
  }
  return {
    frontier: { size: head.size, peaks },
    lastLeaf: head.lastLeaf,
    lastTs: head.lastTs,
    epoch: head.epoch,
    segment: head.segment,
    offset: head.offset,
    line: head.line,
    note: head.note,
  };
}

/** Commit lines anywhere in a tail. `whole` says whether the line feed is there, `note` is empty where it cannot be read. */
function commitsIn(tail: Uint8Array): readonly { readonly note: string; readonly whole: boolean }[] {
  const text = fromUtf8(tail) ?? Array.from(tail, (byte) => String.fromCharCode(byte)).join('');
  const commits: { note: string; whole: boolean }[] = [];
  for (let at = text.indexOf('["cp","'); at >= 0; at = text.indexOf('["cp","', at + 1)) {
    const end = text.indexOf('"]', at);
    if (end < 0) continue;
    commits.push({ note: parseCommitLine(utf8(text.slice(at, end + 2))) ?? '', whole: text[end + 2] === '\n' });
  }
  return commits;
}

/**
 * What was discarded may hold signed roots. Somebody could show one of them beside ours for the same size, as if we had told two stories;
 * so these sizes are never signed again.
 */
async function quarantinedNotes(store: SegmentStore): Promise<readonly string[]> {
  const notes: string[] = [];
  for (const name of await store.list('quarantine')) {
    notes.push(...commitsIn(await readFrom(store, `quarantine/${name}`, 0)).map((commit) => commit.note));
  }
  return notes;
}

function sizeOf(note: string, { origin, verifier }: OpenOptions): number | undefined {
  return openCheckpoint(note, origin, verifier)?.size;
}

async function quarantine(store: SegmentStore, segment: string, offset: number, tail: Uint8Array): Promise<void> {
  const existing = await store.list('quarantine');
  let name = '';
  for (let attempt = 0; name === '' || existing.includes(name); attempt++)
    name = `${segment}-${offset}-${attempt}.torn`;
  const file = await store.create(`quarantine/${name}`);
  await writeWhole(file, tail);
  await file.close();
  await store.syncFolder('quarantine');
}

/**
 * Writes the good prefix of a segment to a new file that takes its place. Pages that survived a failed sync look clean and may never
 * reach the disk; these are written again.
 */
async function rehome(store: SegmentStore, segment: string, bytes: number): Promise<StoredFile> {
  const prefix = bytes === 0 ? new Uint8Array(0) : await readPart(store, `seg/${segment}`, 0, bytes);
  const file = await store.create(`seg/${segment}${UNFINISHED}`);
  await writeWhole(file, prefix);
  await store.rename(`seg/${segment}${UNFINISHED}`, `seg/${segment}`);
  await store.syncFolder('seg');
  return file;
}

async function writeWhole(file: StoredFile, bytes: Uint8Array): Promise<void> {
  if ((await file.write(bytes, 0)) !== bytes.length) throw new Error('the disk is full');
  await file.sync();
}

async function readFrom(store: SegmentStore, path: string, from: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of store.read(path, from)) {
    bytes += chunk.length;
    if (bytes > TAIL_BYTES_MAX)
      throw new LedgerRefused(`more than ${TAIL_BYTES_MAX} bytes behind the last checkpoint in ${path}`);
    parts.push(chunk.slice());
  }
  return concatBytes(parts);
}

async function readPart(store: SegmentStore, path: string, from: number, length: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of store.read(path, from)) {
    parts.push(chunk.slice(0, length - bytes));
    bytes += parts.at(-1)?.length ?? 0;
    if (bytes >= length) break;
  }
  return concatBytes(parts);
}
