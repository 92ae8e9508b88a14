// The one writer of a ledger. Callers that wait at the same time share one write and one sync: the next batch is whatever queued while
// the last one was made durable. No timer decides when.
// Any error ends the writer for good: the batch in flight and the queue are rejected, nothing is synced again, and what was written may
// or may not be there. Whoever opens the ledger next finds out.

import { Defect } from '../domain/defect.ts';
import type { Digest } from '../domain/digest.ts';
import type { EntryBody, EntryHeader } from '../domain/entry.ts';
import type { Json } from '../domain/json.ts';
import { toDigest } from './base64.ts';
import { concatBytes, utf8 } from './bytes.ts';
import { signCheckpoint } from './checkpoint.ts';
import { ENTRY_BYTES_MAX, encodeEntry, HEADER_BYTES_MAX, type PreparedBody, prepareBody } from './entry-line.ts';
import { HEAD_SPANS_MAX, type Head, type HeadSpan } from './head.ts';
import type { TreeHasher } from './leaf.ts';
import { type Frontier, GrowingTree } from './merkle-tree.ts';
import { OpenSpans, type SpanRule } from './open-spans.ts';
import type { Clock, Sealer, SegmentStore, StoredFile } from './ports.ts';
import { commitLine, SEGMENT_BYTES_MAX, SEGMENT_ENTRIES_MAX, segmentName } from './segment.ts';
import type { NoteSigner } from './signed-note.ts';
import { encodeFrame, type Payload } from './vault.ts';

/** Where an entry landed. */
export interface Receipt {
  readonly seq: number;
  readonly ts: string;
  readonly leafHash: Digest;
}

export type LedgerFailureCode =
  /** The ledger cannot be written. The entries may be there: stop, do not retry. */
  | 'unwritable'
  /** Too much is waiting, or it waited too long. Nothing was written. */
  | 'overloaded'
  /** An entry is larger than entries may be. Nothing was written. */
  | 'oversized'
  | 'closed';

export class LedgerFailure extends Error {
  override readonly name = 'LedgerFailure';
  readonly code: LedgerFailureCode;

  constructor(code: LedgerFailureCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export interface WriterLimits {
  /** Entries and bytes of one batch. More only when one caller brings more. */
  readonly batchEntries: number;
  readonly batchBytes: number;
  /** Entries and bytes that may wait. */
  readonly queueEntries: number;
  readonly queueBytes: number;
  /** How long an append may wait before it is written. */
  readonly deadlineMs: number;
  /** How long one batch may take to become durable before the disk counts as lost. */
  readonly stallMs: number;
  readonly segmentBytes: number;
  readonly segmentEntries: number;
  readonly vaultBytes: number;
  /** A difference between the two clocks from which on it is recorded. */
  readonly clockStepMs: number;
}

/**
 * A batch of 512 entries encodes in about 10 ms, so that others are not kept waiting. The queue holds several seconds of work at the
 * slowest disk measured; what is beyond is better refused at once.
 */
export const WRITER_LIMITS: WriterLimits = {
  batchEntries: 512,
  batchBytes: 8 * 1024 * 1024,
  queueEntries: 4096,
  queueBytes: 64 * 1024 * 1024,
  deadlineMs: 2_000,
  stallMs: 10_000,
  segmentBytes: SEGMENT_BYTES_MAX,
  segmentEntries: SEGMENT_ENTRIES_MAX,
  vaultBytes: 64 * 1024 * 1024,
  clockStepMs: 2_000,
};

/** What a writer continues. */
export interface WriterStart {
  readonly epoch: number;
  readonly frontier: Frontier;
  readonly lastLeaf: Digest | null;
  readonly lastTs: number;
  readonly note: string;
  readonly segment: {
    readonly name: string;
    readonly file: StoredFile;
    readonly bytes: number;
    readonly lines: number;
    readonly entries: number;
  };
  readonly open: readonly { readonly key: string; readonly place: HeadSpan }[];
  /** Sizes for which discarded batches held signed roots: never to be signed with others. */
  readonly burntSizes: ReadonlySet<number>;
}

export interface WriterOptions {
  readonly origin: string;
  readonly store: SegmentStore;
  readonly hasher: TreeHasher;
  readonly signer: NoteSigner;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly spans: SpanRule;
  readonly limits: WriterLimits;
  readonly start: WriterStart;
  /** Called after each durable batch. Must not throw. */
  readonly onCommitted?: () => void;
}

interface Waiting {
  readonly bodies: readonly PreparedBody[];
  /** The span field of each body. */
  readonly keys: readonly (Json | undefined)[];
  readonly payloads: readonly Payload[];
  readonly bytes: number;
  readonly since: number;
  /**
   * It ends what began durably. That is never refused for want of room or time, since every beginning must get its ending; there are no
   * more of these than there are open spans.
   */
  readonly ending: boolean;
  /** It may wait: what it says has happened, and whoever brings it shuts the gate when it cannot be said. How many there are they bound. */
  readonly patient: boolean;
  readonly resolve: (receipts: readonly Receipt[]) => void;
  readonly reject: (failure: LedgerFailure) => void;
}

interface Line {
  readonly receipt: Receipt;
  readonly bytes: Uint8Array;
  readonly type: string;
  readonly key: Json | undefined;
}

export class LedgerWriter {
  readonly #options: WriterOptions;
  readonly #tree: GrowingTree;
  readonly #spans: OpenSpans<HeadSpan>;
  readonly #startedAt: number;
  readonly #listeners: ((failure: LedgerFailure) => void)[] = [];
  #queue: Waiting[] = [];
  #queueEntries = 0;
  #queueBytes = 0;
  #inFlight: readonly Waiting[] = [];
  #running: Promise<void> | undefined;
  #failure: LedgerFailure | undefined;
  #closed = false;
  #expiry: (() => void) | undefined;
  readonly #died: Promise<void>;
  #signalDeath: () => void = () => undefined;
  #lastLeaf: Digest | null;
  #lastTs: number;
  #note: string;
  #segment: { name: string; file: StoredFile; bytes: number; lines: number; entries: number };
  #vault: { file: StoredFile; bytes: number } | undefined;
  #committed: Head;
  #clockBase: { readonly wallMs: number; readonly monotonic: number };

  constructor(options: WriterOptions) {
    const { start, clock } = options;
    this.#options = options;
    this.#tree = new GrowingTree(options.hasher, start.frontier);
    this.#spans = new OpenSpans(options.spans);
    for (const { key, place } of start.open) this.#spans.open(key, place);
    this.#lastLeaf = start.lastLeaf;
    this.#lastTs = start.lastTs;
    this.#note = start.note;
    this.#segment = { ...start.segment };
    this.#startedAt = clock.monotonic();
    this.#clockBase = { wallMs: clock.now(), monotonic: this.#startedAt };
    this.#committed = this.#takeHead(false);
    this.#died = new Promise((resolve) => {
      this.#signalDeath = resolve;
    });
  }

  get size(): number {
    return this.#committed.size;
  }

  /** The signed note over everything that was acknowledged. */
  get note(): string {
    return this.#committed.note;
  }

  get failure(): LedgerFailure | undefined {
    return this.#failure;
  }

  onFailure(listener: (failure: LedgerFailure) => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves once the entries and payloads are on disk under a signed head. The bodies are captured before it returns. */
  append(bodies: readonly EntryBody[], payloads: readonly Payload[] = []): Promise<readonly Receipt[]> {
    if (bodies.length === 0) throw new Defect('nothing to append');
    const prepared = bodies.map(prepareBody);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(new LedgerFailure('closed', 'the ledger is closed'));
    if (prepared.some((body) => body.bytes > ENTRY_BYTES_MAX - HEADER_BYTES_MAX)) {
      return Promise.reject(new LedgerFailure('oversized', 'an entry is larger than entries may be'));
    }
    let bytes = 0;
    for (const body of prepared) bytes += body.bytes + HEADER_BYTES_MAX;
    for (const payload of payloads) bytes += payload.bytes.length;
    const keys = bodies.map((body) => body[this.#options.spans.key]);
    const ending = prepared.every((body, index) => this.#spans.closes(body.type, keys[index]));
    const patient = prepared.every(({ type }) => this.#spans.isLast(type));
    const { queueEntries, queueBytes } = this.#options.limits;
    const full = this.#queueEntries + bodies.length > queueEntries || this.#queueBytes + bytes > queueBytes;
    if (full && !ending && this.#queue.length > 0) {
      return Promise.reject(new LedgerFailure('overloaded', 'too much is waiting to be written'));
    }
    return new Promise((resolve, reject) => {
      const since = this.#options.clock.monotonic();
      this.#queue.push({ bodies: prepared, keys, payloads, bytes, since, ending, patient, resolve, reject });
      this.#queueEntries += bodies.length;
      this.#queueBytes += bytes;
      // One turn later: whoever appends in the same tick shares the batch.
      this.#running ??= Promise.resolve().then(() => this.#run());
    });
  }

  /** How far the log is durable, or undefined while too much is open to say it briefly. */
  head(closed = false): Head | undefined {
    return this.#spans.size > HEAD_SPANS_MAX ? undefined : { ...this.#committed, open: this.#openPlaces(), closed };
  }

  /** Something that the ledger depends on failed outside of the writer. */
  fail(cause: unknown): void {
    this.#die(cause);
  }

  /** Waits for what was accepted, then lets go of the files. Rejects nothing; a dead writer only lets go. */
  async close(): Promise<void> {
    this.#closed = true;
    // What hangs in a dead writer may hang for ever.
    await Promise.race([this.#running, this.#died]);
    await this.#release();
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0 && this.#failure === undefined) await this.#commit(this.#take());
    } catch (error) {
      this.#die(error);
    }
    this.#running = undefined;
  }

  #take(): readonly Waiting[] {
    const { batchEntries, batchBytes, deadlineMs } = this.#options.limits;
    const now = this.#options.clock.monotonic();
    const batch: Waiting[] = [];
    let entries = 0;
    let bytes = 0;
    let taken = 0;
    for (const waiting of this.#queue) {
      if (!waiting.patient && now - waiting.since >= deadlineMs) {
        this.#refuseLate(waiting);
        taken += 1;
        continue;
      }
      if (entries > 0 && (entries + waiting.bodies.length > batchEntries || bytes + waiting.bytes > batchBytes)) {
        break;
      }
      batch.push(waiting);
      entries += waiting.bodies.length;
      bytes += waiting.bytes;
      taken += 1;
      this.#queueEntries -= waiting.bodies.length;
      this.#queueBytes -= waiting.bytes;
    }
    this.#queue = this.#queue.slice(taken);
    return batch;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    if (batch.length === 0) return;
    const { store, clock, limits } = this.#options;
    this.#inFlight = batch;
    const cancelStall = clock.timer(limits.stallMs, () =>
      this.#die(new Error(`not durable within ${limits.stallMs} ms`)),
    );
    this.#expiry ??= clock.timer(limits.deadlineMs, () => this.#expire());
    try {
      await store.assertOwned();
      await this.#rotateIfFull();
      const frames = batch.flatMap((waiting) =>
        waiting.payloads.map((payload) => encodeFrame(payload, this.#options.sealer)),
      );
      const vault = frames.length === 0 ? undefined : await this.#openVault();
      const { lines, receipts } = this.#encode(batch);
      const note = signCheckpoint(
        { origin: this.#options.origin, size: this.#tree.size, root: this.#tree.root() },
        this.#options.signer,
      );
      const buffer = concatBytes([...lines.map((line) => line.bytes), utf8(`${commitLine(note)}\n`)]);
      if (this.#failure !== undefined) return;
      // From the first byte written on, this batch may be found after a crash, acknowledged or not.
      const segment = this.#segment;
      await Promise.all([
        writeDurably(segment.file, buffer, segment.bytes),
        vault === undefined ? undefined : writeDurably(vault.file, concatBytes(frames), vault.bytes),
      ]);
      if (this.#failure !== undefined) return;
      let offset = segment.bytes;
      for (const { bytes, receipt, type, key } of lines) {
        this.#spans.note(type, key, { segment: segment.name, offset, bytes: bytes.length - 1, leaf: receipt.leafHash });
        offset += bytes.length;
      }
      segment.bytes += buffer.length;
      segment.lines += lines.length + 1;
      segment.entries += lines.length;
      if (vault !== undefined) vault.bytes += frames.reduce((sum, frame) => sum + frame.length, 0);
      this.#note = note;
      this.#committed = this.#takeHead(false);
      this.#inFlight = [];
      for (const [index, waiting] of batch.entries()) waiting.resolve(receipts[index] as readonly Receipt[]);
      this.#options.onCommitted?.();
    } finally {
      cancelStall();
      this.#expiry?.();
      this.#expiry = undefined;
    }
  }

  /** The disk is slow. Whoever waited too long is told; what is in flight goes on until it counts as stalled. */
  #expire(): void {
    this.#expiry = undefined;
    if (this.#failure !== undefined) return;
    const { clock, limits } = this.#options;
    const now = clock.monotonic();
    const late = this.#queue.filter((waiting) => !waiting.patient && now - waiting.since >= limits.deadlineMs);
    this.#queue = this.#queue.filter((waiting) => !late.includes(waiting));
    for (const waiting of late) this.#refuseLate(waiting);
    // Once more at the moment when everybody who waits now has waited too long; after that nothing is left to tell.
    if (this.#queue.length > 0) this.#expiry = clock.timer(limits.deadlineMs, () => this.#expire());
  }

  #refuseLate(waiting: Waiting): void {
    this.#queueEntries -= waiting.bodies.length;
    this.#queueBytes -= waiting.bytes;
    waiting.reject(new LedgerFailure('overloaded', `not written within ${this.#options.limits.deadlineMs} ms`));
  }

  #encode(batch: readonly Waiting[]): {
    readonly lines: readonly Line[];
    readonly receipts: readonly (readonly Receipt[])[];
  } {
    const lines: Line[] = [];
    const step = this.#clockStep();
    if (step !== undefined) lines.push(this.#line(prepareBody(step), undefined));
    const receipts = batch.map((waiting) =>
      waiting.bodies.map((body, index) => {
        const line = this.#line(body, waiting.keys[index]);
        lines.push(line);
        return line.receipt;
      }),
    );
    while (this.#options.start.burntSizes.has(this.#tree.size)) {
      lines.push(this.#line(prepareBody({ type: 'log.skipped', size: this.#tree.size }), undefined));
    }
    return { lines, receipts };
  }

  #line(body: PreparedBody, key: Json | undefined): Line {
    const { clock, origin, start, hasher } = this.#options;
    // Never back: an approval that expired stays expired.
    this.#lastTs = Math.max(this.#lastTs, Math.floor(clock.now()));
    const header: EntryHeader = {
      v: 1,
      log: origin,
      seq: this.#tree.size,
      prev: this.#lastLeaf,
      epoch: start.epoch,
      ts: new Date(this.#lastTs).toISOString(),
      mono: Math.max(0, Math.floor((clock.monotonic() - this.#startedAt) * 1000)),
    };
    const bytes = utf8(`${encodeEntry(header, body)}\n`);
    const leaf = hasher.leaf(bytes.subarray(0, -1));
    this.#tree.append(leaf);
    this.#lastLeaf = toDigest(leaf);
    return { receipt: { seq: header.seq, ts: header.ts, leafHash: this.#lastLeaf }, bytes, type: body.type, key };
  }

  /** The wall clock jumped against the monotonic one: durations and expiries around this entry deserve a second look. */
  #clockStep(): EntryBody | undefined {
    const { clock, limits } = this.#options;
    const monotonic = clock.monotonic();
    const wallMs = clock.now();
    const stepMs = Math.round(wallMs - this.#clockBase.wallMs - (monotonic - this.#clockBase.monotonic));
    this.#clockBase = { wallMs, monotonic };
    return Math.abs(stepMs) < limits.clockStepMs ? undefined : { type: 'clock.stepped', stepMs };
  }

  async #rotateIfFull(): Promise<void> {
    const { store, limits } = this.#options;
    const full = this.#segment;
    if (full.bytes < limits.segmentBytes && full.entries < limits.segmentEntries) return;
    const name = segmentName(this.#tree.size);
    const file = await store.create(`seg/${name}`);
    await file.sync();
    // Before the name is durable nothing may be acknowledged in this file: it could be gone after a crash.
    await store.syncFolder('seg');
    this.#segment = { name, file, bytes: 0, lines: 0, entries: 0 };
    await full.file.close();
    await store.seal(`seg/${full.name}`);
  }

  /** A new vault file for each writer: where an earlier one was torn does not matter. */
  async #openVault(): Promise<{ file: StoredFile; bytes: number }> {
    const { store, limits, start } = this.#options;
    if (this.#vault !== undefined && this.#vault.bytes < limits.vaultBytes) return this.#vault;
    const name = `${String(start.epoch).padStart(8, '0')}-${String(this.#tree.size).padStart(12, '0')}.vault`;
    const file = await store.create(`vault/${name}`);
    await store.syncFolder('vault');
    await this.#vault?.file.close();
    this.#vault = { file, bytes: 0 };
    return this.#vault;
  }

  #takeHead(closed: boolean): Head {
    const { size, peaks } = this.#tree.frontier();
    const { name, bytes, lines } = this.#segment;
    return {
      origin: this.#options.origin,
      epoch: this.#options.start.epoch,
      size,
      note: this.#note,
      peaks: peaks.map(toDigest),
      lastLeaf: this.#lastLeaf,
      lastTs: this.#lastTs,
      segment: name,
      offset: bytes,
      line: lines,
      open: [],
      closed,
    };
  }

  #openPlaces(): readonly HeadSpan[] {
    return this.#spans.list().map(({ place }) => place);
  }

  #die(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const failure = new LedgerFailure(
      'unwritable',
      cause instanceof Error ? cause.message : 'the ledger cannot be written',
      cause,
    );
    this.#failure = failure;
    for (const waiting of [...this.#inFlight, ...this.#queue]) waiting.reject(failure);
    this.#inFlight = [];
    this.#queue = [];
    this.#signalDeath();
    for (const listener of this.#listeners) listener(failure);
  }

  async #release(): Promise<void> {
    for (const file of [this.#segment.file, this.#vault?.file]) {
      try {
        await file?.close();
      } catch {
        // Nothing unacknowledged is worth an error any more, and what was acknowledged is durable.
      }
    }
  }
}

/** One durable write at the end, all of it. Rejects when the file is not as long as we left it: somebody else wrote. */
async function writeDurably(file: StoredFile, bytes: Uint8Array, position: number): Promise<void> {
  const size = await file.size();
  if (size !== position) throw new Error(`the file has ${size} bytes where we left ${position}: another writer`);
  const written = await file.write(bytes, position);
  if (written !== bytes.length)
    throw new Error(`only ${written} of ${bytes.length} bytes were written: the disk is full`);
}
