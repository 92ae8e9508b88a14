// Writes tiles, entry bundles and the latest checkpoint beside the ledger, so that monitors and witnesses can follow it, and so that a
// proof needs three small files instead of the whole log. All of it is derived: it is checked against the signed root when it is taken up
// again, and made anew when it does not fit.

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { concatBytes, equalBytes } from '../../ledger/bytes.ts';
import { openCheckpoint } from '../../ledger/checkpoint.ts';
import { HASH_BYTES, type TreeHasher, treeHasher } from '../../ledger/leaf.ts';
import { foldPeaks, peaksOf } from '../../ledger/merkle-tree.ts';
import type { SegmentStore } from '../../ledger/ports.ts';
import { LineSplitter, looksLikeCommit, parseSegmentName } from '../../ledger/segment.ts';
import type { NoteVerifier } from '../../ledger/signed-note.ts';
import {
  bundlePath,
  decodeBundle,
  encodeBundle,
  nodeFromTile,
  TILE_WIDTH,
  tileOf,
  tilePath,
  tileRoot,
} from '../../ledger/tile.ts';
import { sha256 } from '../crypto/node-crypto.ts';

export interface TilePublisherOptions {
  readonly dir: string;
  readonly store: SegmentStore;
  readonly origin: string;
  readonly verifier: NoteVerifier;
}

/** Systems write back what is half a minute old; this is four times as long. */
const WRITTEN_BACK_MS = 120_000;

/** Where an entry begins. */
interface Cursor {
  readonly segment: string;
  readonly offset: number;
  readonly seq: number;
}

export class TilePublisher {
  readonly #options: TilePublisherOptions;
  readonly #hasher: TreeHasher;
  /** For each level the hashes of its last, unfinished tile. */
  #edge: Uint8Array[][] = [];
  #bundle: Uint8Array[] = [];
  #size = 0;
  #cursor: Cursor | undefined;
  #takenUp = false;
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(options: TilePublisherOptions) {
    this.#options = options;
    this.#hasher = treeHasher(sha256);
  }

  /** Writes what is missing up to `size`. One at a time; failures are left for the next time, since nothing depends on it. */
  async publish(size: number, note: string): Promise<void> {
    await this.#running;
    if (this.#stopped) return;
    this.#running = this.#publish(size, note).catch(() => {
      this.#takenUp = false;
    });
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #publish(size: number, note: string): Promise<void> {
    if (!this.#takenUp) await this.#takeUp();
    if (size <= this.#size) return;
    await this.#read(size);
    for (const [level, hashes] of this.#edge.entries()) {
      if (hashes.length > 0)
        await this.#write(
          tilePath({ level, index: this.#tileIndex(level), width: hashes.length }),
          concatBytes(hashes),
        );
    }
    if (this.#bundle.length > 0) {
      await this.#write(
        bundlePath({ index: this.#tileIndex(0), width: this.#bundle.length }),
        encodeBundle(this.#bundle),
      );
    }
    // Last: whoever reads it finds all that it covers.
    await this.#write('checkpoint', new TextEncoder().encode(note));
  }

  /** Goes on from the published checkpoint if the tiles have its root; otherwise from nothing. */
  async #takeUp(): Promise<void> {
    this.#edge = [];
    this.#bundle = [];
    this.#size = 0;
    this.#cursor = undefined;
    this.#takenUp = true;
    const { origin, verifier } = this.#options;
    try {
      const checkpoint = openCheckpoint(await this.#readFile('checkpoint'), origin, verifier);
      if (checkpoint === undefined) return;
      const { size, root } = checkpoint;
      const peaks: Uint8Array[] = [];
      for (const node of peaksOf(size)) {
        const hash = nodeFromTile(this.#hasher, node, await this.#readFile(tilePath(tileOf(node, size))));
        if (hash === undefined) return;
        peaks.push(hash);
      }
      if (!equalBytes(foldPeaks(this.#hasher, peaks), root) || !(await this.#isWhole(size))) return;
      const edge: Uint8Array[][] = [];
      for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
        const width = count % TILE_WIDTH;
        const tile =
          width === 0
            ? new Uint8Array(0)
            : await this.#readFile(tilePath({ level, index: Math.floor(count / TILE_WIDTH), width }));
        edge.push(Array.from({ length: width }, (_, slot) => tile.slice(slot * HASH_BYTES, (slot + 1) * HASH_BYTES)));
      }
      // The unfinished bundle is read again from the segments.
      edge[0] = [];
      this.#edge = edge;
      this.#size = size - (size % TILE_WIDTH);
    } catch {
      // Missing or unreadable: made anew.
    }
  }

  /**
   * Whether the full tiles that were written last are what the tiles above them say. A power failure tears only what the system had not
   * written back yet; what is older was.
   */
  async #isWhole(size: number): Promise<boolean> {
    let newest = 0;
    for (let level = 0, unit = TILE_WIDTH; unit <= size; level++, unit *= TILE_WIDTH) {
      for (let index = Math.floor(size / unit) - 1; index >= 0; index--) {
        const path = tilePath({ level, index, width: TILE_WIDTH });
        const { mtimeMs } = await stat(join(this.#options.dir, path));
        newest = Math.max(newest, mtimeMs);
        if (mtimeMs < newest - WRITTEN_BACK_MS) break;
        const tile = await this.#readFile(path);
        const node = { level: 8 * (level + 1), index };
        const above = nodeFromTile(this.#hasher, node, await this.#readFile(tilePath(tileOf(node, size))));
        const hashes = Array.from({ length: TILE_WIDTH }, (_, slot) =>
          tile.slice(slot * HASH_BYTES, (slot + 1) * HASH_BYTES),
        );
        if (above === undefined || !equalBytes(tileRoot(this.#hasher, hashes), above)) return false;
        if (level > 0) continue;
        const bundle = decodeBundle(await this.#readFile(bundlePath({ index, width: TILE_WIDTH }))) ?? [];
        if (!equalBytes(concatBytes(bundle.map((entry) => this.#hasher.leaf(entry))), tile)) return false;
      }
    }
    return true;
  }

  /** Reads entries from the segments up to `size`, and writes every tile that gets full. */
  async #read(size: number): Promise<void> {
    // The unfinished first tile and bundle are read again: holding only hashes would not do for the bundle.
    const from = this.#size - (this.#size % TILE_WIDTH);
    this.#size = from;
    this.#bundle = [];
    this.#edge[0] = [];
    const names = (await this.#options.store.list('seg')).filter((name) => parseSegmentName(name) !== undefined);
    const startName = this.#cursor?.segment ?? names.filter((name) => (parseSegmentName(name) ?? 0) <= from).at(-1);
    for (const name of names.slice(names.indexOf(startName ?? ''))) {
      const resumed = name === this.#cursor?.segment ? this.#cursor : undefined;
      let seq = resumed?.seq ?? parseSegmentName(name) ?? 0;
      const full: (() => Promise<void>)[] = [];
      const splitter = new LineSplitter(resumed?.offset ?? 0, (line, offset) => {
        if (looksLikeCommit(line) || seq >= size) return;
        if (seq >= from) {
          if (seq % TILE_WIDTH === 0) this.#cursor = { segment: name, offset, seq };
          this.#append(line.slice(), full);
        }
        seq += 1;
      });
      for await (const chunk of this.#options.store.read(`seg/${name}`, resumed?.offset ?? 0)) {
        splitter.push(chunk);
        for (const write of full.splice(0)) await write();
        if (seq >= size) break;
      }
      if (seq >= size) break;
    }
    if (this.#size !== size) throw new Error(`the segments hold ${this.#size} of ${size} entries`);
  }

  #append(line: Uint8Array, full: (() => Promise<void>)[]): void {
    this.#bundle.push(line);
    this.#push(0, this.#hasher.leaf(line), full);
    this.#size += 1;
    if (this.#bundle.length < TILE_WIDTH) return;
    const bundle = encodeBundle(this.#bundle);
    const index = Math.floor((this.#size - 1) / TILE_WIDTH);
    this.#bundle = [];
    full.push(() => this.#writeFull(bundlePath({ index, width: TILE_WIDTH }), bundle));
  }

  #push(level: number, hash: Uint8Array, full: (() => Promise<void>)[]): void {
    this.#edge[level] ??= [];
    const hashes = this.#edge[level];
    hashes.push(hash);
    if (hashes.length < TILE_WIDTH) return;
    const tile = concatBytes(hashes);
    const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
    this.#edge[level] = [];
    const path = tilePath({ level, index, width: TILE_WIDTH });
    full.push(() => this.#writeFull(path, tile));
    this.#push(level + 1, tileRoot(this.#hasher, hashes), full);
  }

  #tileIndex(level: number): number {
    return Math.floor(this.#size / TILE_WIDTH ** (level + 1));
  }

  #readFile(path: string): Promise<Uint8Array> {
    return readFile(join(this.#options.dir, path));
  }

  async #writeFull(path: string, bytes: Uint8Array): Promise<void> {
    await this.#write(path, bytes);
    // Partial tiles may go once the full one is there.
    await rm(join(this.#options.dir, `${path}.p`), { recursive: true, force: true });
  }

  /** Renamed, so that no reader sees half of it. Not synced: that would slow down what must be synced, and see `#isWhole`. */
  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const target = join(this.#options.dir, path);
    const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await writeFile(temporary, bytes, { mode: 0o600 });
    await rename(temporary, target);
  }
}
