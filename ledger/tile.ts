// Tiles (C2SP tlog-tiles): the tree cut into files of 256 hashes, and the entries in bundles of 256, so that monitors and witnesses can
// follow a log with plain GET requests. Tiles are derived: nothing here is needed for durability.

import { Defect } from '../domain/defect.ts';
import { HASH_BYTES, type TreeHasher } from './leaf.ts';
import type { NodeRef } from './merkle-tree.ts';

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
const ENTRY_BYTES_MAX = 0xffff;

export interface TileRef {
  /** 0 for hashes of entries; one up stands for eight levels of the tree. */
  readonly level: number;
  readonly index: number;
  /** 256 for a full tile, fewer for a partial one. */
  readonly width: number;
}

/** `tile/<level>/<index>` with the index in groups of three digits and `.p/<width>` for a partial tile. */
export function tilePath(tile: TileRef): string {
  return `tile/${tile.level}/${indexPath(tile)}`;
}

/** `tile/entries/<index>`, cut like the tiles of level 0. */
export function bundlePath(tile: Omit<TileRef, 'level'>): string {
  return `tile/entries/${indexPath(tile)}`;
}

/** The tiles that the tree of `size` has and the tree of `since` did not, level by level. */
export function tilesSince(since: number, size: number): readonly TileRef[] {
  const tiles: TileRef[] = [];
  for (let level = 0, unit = 1; unit <= size; level++, unit *= TILE_WIDTH) {
    const before = Math.floor(since / unit);
    const now = Math.floor(size / unit);
    if (before === now) continue;
    const full = Math.floor(now / TILE_WIDTH);
    for (let index = Math.floor(before / TILE_WIDTH); index < full; index++)
      tiles.push({ level, index, width: TILE_WIDTH });
    if (now % TILE_WIDTH !== 0) tiles.push({ level, index: full, width: now % TILE_WIDTH });
  }
  return tiles;
}

/** The tile, as the tree of `size` has it, from which the hash of a complete node follows. */
export function tileOf(node: NodeRef, size: number): TileRef {
  const level = Math.floor(node.level / TILE_HEIGHT);
  const unit = TILE_WIDTH ** level;
  const first = node.index * 2 ** (node.level % TILE_HEIGHT);
  const index = Math.floor(first / TILE_WIDTH);
  const width = Math.min(TILE_WIDTH, Math.floor(size / unit) - index * TILE_WIDTH);
  if (first + 2 ** (node.level % TILE_HEIGHT) > index * TILE_WIDTH + width)
    throw new Defect('the node is not complete');
  return { level, index, width };
}

/** The hash of a complete node from the bytes of its tile, or undefined when the tile is too short. */
export function nodeFromTile(hasher: TreeHasher, node: NodeRef, tile: Uint8Array): Uint8Array | undefined {
  const height = node.level % TILE_HEIGHT;
  const first = (node.index * 2 ** height) % TILE_WIDTH;
  const hashes: Uint8Array[] = [];
  for (let slot = first; slot < first + 2 ** height; slot++) {
    if ((slot + 1) * HASH_BYTES > tile.length) return undefined;
    hashes.push(tile.slice(slot * HASH_BYTES, (slot + 1) * HASH_BYTES));
  }
  return tileRoot(hasher, hashes);
}

/** The root over a power of two of hashes. */
export function tileRoot(hasher: TreeHasher, hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes;
  while (row.length > 1) {
    const parents: Uint8Array[] = [];
    for (let at = 0; at < row.length; at += 2)
      parents.push(hasher.node(row[at] as Uint8Array, row[at + 1] as Uint8Array));
    row = parents;
  }
  return row[0] ?? hasher.empty();
}

/** Entries, each behind its length in two bytes. Throws `Defect` for an entry over 65,535 bytes. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const entry of entries) {
    if (entry.length > ENTRY_BYTES_MAX) throw new Defect('an entry is too long for a bundle');
    length += 2 + entry.length;
  }
  const bundle = new Uint8Array(length);
  const view = new DataView(bundle.buffer);
  let at = 0;
  for (const entry of entries) {
    view.setUint16(at, entry.length);
    bundle.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return bundle;
}

/** The entries of a bundle, or undefined when the lengths do not fit its end. */
export function decodeBundle(bundle: Uint8Array): readonly Uint8Array[] | undefined {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bundle.length; ) {
    if (at + 2 > bundle.length) return undefined;
    const end = at + 2 + view.getUint16(at);
    if (end > bundle.length) return undefined;
    entries.push(bundle.slice(at + 2, end));
    at = end;
  }
  return entries;
}

function indexPath(tile: Omit<TileRef, 'level'>): string {
  const groups: string[] = [];
  let rest = tile.index;
  do {
    groups.unshift(`${groups.length === 0 ? '' : 'x'}${String(rest % 1000).padStart(3, '0')}`);
    rest = Math.floor(rest / 1000);
  } while (rest > 0);
  return tile.width === TILE_WIDTH ? groups.join('/') : `${groups.join('/')}.p/${tile.width}`;
}
