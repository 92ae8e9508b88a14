// The ledger in a folder: lock, segments, vault, quarantine, and beside them what is derived (tiles, the latest checkpoint). Opening takes
// the lock, recovers and writes the first entry of this start; after that it appends until it is closed or fails.
// After a failure the process lives on with a ledger that refuses. Close it and open again to recover.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Sha256 } from '../../domain/digest.ts';
import type { Entry, EntryBody } from '../../domain/entry.ts';
import type { JsonObject } from '../../domain/json.ts';
import { emptyHead, type Head } from '../../ledger/head.ts';
import { LedgerInUse, LedgerRefused, openLedger } from '../../ledger/open.ts';
import type { SpanRule } from '../../ledger/open-spans.ts';
import type { Clock, Sealer } from '../../ledger/ports.ts';
import type { NoteSigner, NoteVerifier } from '../../ledger/signed-note.ts';
import type { Payload } from '../../ledger/vault.ts';
import type { LedgerFailure, LedgerWriter, Receipt, WriterLimits } from '../../ledger/writer.ts';
import { acquireFileLock, type FileLock } from './file-lock.ts';
import { type HeadDocument, openHeads } from './heads.ts';
import { ledgerFiles, makeFolder } from './ledger-files.ts';
import { TilePublisher } from './tile-publisher.ts';

export interface Ledger {
  readonly origin: string;
  readonly epoch: number;
  /** Entries that are durable under a signed head. */
  readonly size: number;
  /**
   * Appends the bodies of one caller together, in order, and its payloads; resolves once all are on disk under a signed head. If it
   * rejects (always with a `LedgerFailure`), and its code is `unwritable`, the entries may still be there: stop, do not retry.
   */
  append(bodies: readonly EntryBody[], payloads?: readonly Payload[]): Promise<readonly Receipt[]>;
  /** The latest signed note. */
  checkpoint(): string;
  /** Called once, at the moment at which the ledger can no longer be written. */
  onFailure(listener: (failure: LedgerFailure) => void): void;
  /** Waits for what was accepted, keeps the head and lets go of the lock. */
  close(): Promise<void>;
}

export interface OpenedLedger {
  readonly ledger: Ledger;
  readonly recovered: {
    readonly discardedBytes: number;
    /** Calls with an intent and no ending, oldest first: they may have run. */
    readonly openCalls: readonly { readonly call: string; readonly entry: Entry }[];
  };
}

export interface FileLedgerOptions {
  readonly dir: string;
  /** Path of the head document. Keep it outside of `dir`, best on another volume. */
  readonly heads: string;
  /** Authenticates the head document. */
  readonly headsMac: (bytes: Uint8Array) => Uint8Array;
  readonly origin: string;
  readonly sha256: Sha256;
  readonly signer: NoteSigner;
  readonly verifier: NoteVerifier;
  /** The public key as a note verifier key, written into the first entry. */
  readonly verifierKey: string;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly spans?: SpanRule;
  readonly limits?: Partial<WriterLimits>;
}

/** At most so often the head document is written. A restart reads again what was appended since. */
const HEAD_EVERY_MS = 1_000;
const TILES_EVERY_MS = 5_000;

/** Rejects with `LedgerRefused` when the ledger is in use or is not what its last head says; with the system's error when that fails. */
export async function openFileLedger(options: FileLedgerOptions): Promise<OpenedLedger> {
  const { dir, origin } = options;
  await refuseTheTakenAway(options);
  makeFolder(dir);
  const locked = acquireFileLock(join(dir, 'LOCK'));
  if (!locked.ok) throw locked.reason === 'held' ? new LedgerInUse(locked.detail) : new LedgerRefused(locked.detail);
  const { lock } = locked;
  try {
    const heads = await openHeads(options.heads, options.headsMac);
    const store = ledgerFiles(dir, lock);
    // Before the ledger has its first entry there is a head, so that a ledger without one is known to be rolled back.
    if (heads.value.head === null && (await store.list('seg')).length === 0) {
      await heads.replace({ head: asJson(emptyHead(origin)) });
    }
    let ledger: FileLedger | undefined;
    const opened = await openLedger({
      ...options,
      store,
      head: heads.value.head ?? undefined,
      onCommitted: () => ledger?.committed(),
    });
    const tiles = new TilePublisher({ ...options, store, dir });
    ledger = new FileLedger(options, opened.writer, opened.epoch, heads, tiles, lock);
    await ledger.keepHead(false);
    const openCalls = opened.open.map(({ key, entry }) => ({ call: key, entry }));
    return { ledger, recovered: { discardedBytes: opened.discardedBytes, openCalls } };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** A ledger that was taken away is not begun anew, and nothing is put in its place: it may come back. */
async function refuseTheTakenAway({ dir, heads, headsMac }: FileLedgerOptions): Promise<void> {
  if (existsSync(dir)) return;
  const { value } = await openHeads(heads, headsMac);
  if ((value.head?.size ?? 0) > 0)
    throw new LedgerRefused(`the ledger was taken away or rolled back: ${dir} is gone, its last head is not`);
}

class FileLedger implements Ledger {
  readonly origin: string;
  readonly epoch: number;
  readonly #clock: Clock;
  readonly #writer: LedgerWriter;
  readonly #heads: HeadDocument;
  readonly #tiles: TilePublisher;
  readonly #lock: FileLock;
  #headDue: (() => void) | undefined;
  #tilesDue: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    options: Pick<FileLedgerOptions, 'origin' | 'clock'>,
    writer: LedgerWriter,
    epoch: number,
    heads: HeadDocument,
    tiles: TilePublisher,
    lock: FileLock,
  ) {
    this.origin = options.origin;
    this.epoch = epoch;
    this.#clock = options.clock;
    this.#writer = writer;
    this.#heads = heads;
    this.#tiles = tiles;
    this.#lock = lock;
  }

  get size(): number {
    return this.#writer.size;
  }

  append(bodies: readonly EntryBody[], payloads: readonly Payload[] = []): Promise<readonly Receipt[]> {
    return this.#writer.append(bodies, payloads);
  }

  checkpoint(): string {
    return this.#writer.note;
  }

  onFailure(listener: (failure: LedgerFailure) => void): void {
    this.#writer.onFailure(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** A batch is durable. What is derived from it can wait. */
  committed(): void {
    if (this.#closing !== undefined) return;
    this.#headDue ??= this.#clock.timer(HEAD_EVERY_MS, () => {
      this.#headDue = undefined;
      void this.keepHead(false);
    });
    this.#tilesDue ??= this.#clock.timer(TILES_EVERY_MS, () => {
      this.#tilesDue = undefined;
      void this.#tiles.publish(this.#writer.size, this.#writer.note);
    });
  }

  /** Writes the head document. Where that fails the ledger fails: without it a later rollback would go unseen. */
  async keepHead(closed: boolean): Promise<void> {
    const head = this.#writer.head(closed);
    if (head === undefined || this.#writer.failure !== undefined) return;
    try {
      await this.#heads.replace({ head: asJson(head) });
    } catch (error) {
      this.#writer.fail(error);
    }
  }

  async #close(): Promise<void> {
    this.#headDue?.();
    this.#tilesDue?.();
    await this.#writer.close();
    if (this.#writer.failure === undefined) {
      await this.#tiles.publish(this.#writer.size, this.#writer.note);
      await this.keepHead(true);
    }
    await this.#tiles.stop();
    this.#lock.release();
  }
}

/** A head is JSON by its types; only its interfaces do not say so. */
function asJson(head: Head): Head & JsonObject {
  return { ...head, open: head.open.map((place) => ({ ...place })) } as Head & JsonObject;
}
