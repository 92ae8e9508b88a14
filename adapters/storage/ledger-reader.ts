// Reads a ledger's folder without the writer's lock: for audits, for replay, for proofs, also while the gate is writing. It sees what is
// covered by a commit line and nothing after it. It verifies what it hands out as a proof; what it hands out as entries it does not.

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest, Sha256 } from '../../domain/digest.ts';
import type { Entry } from '../../domain/entry.ts';
import { type AuditOptions, type AuditReport, type SegmentSource, verifyLedger } from '../../ledger/audit.ts';
import { toDigest } from '../../ledger/base64.ts';
import { openCheckpoint } from '../../ledger/checkpoint.ts';
import { decodeEntry } from '../../ledger/entry-line.ts';
import { treeHasher } from '../../ledger/leaf.ts';
import { GrowingTree, type NodeRef, planInclusion, proofFrom, verifyInclusion } from '../../ledger/merkle-tree.ts';
import { LedgerRefused } from '../../ledger/open.ts';
import type { Sealer } from '../../ledger/ports.ts';
import type { Proof, ProvenLine } from '../../ledger/proof.ts';
import { LineSplitter, looksLikeCommit, parseCommitLine, parseSegmentName } from '../../ledger/segment.ts';
import type { NoteVerifier } from '../../ledger/signed-note.ts';
import { bundlePath, decodeBundle, nodeFromTile, TILE_WIDTH, tileOf, tilePath } from '../../ledger/tile.ts';
import { FrameSplitter, openFrame, type Payload } from '../../ledger/vault.ts';
import { sha256 } from '../crypto/node-crypto.ts';
import { readChunks } from './ledger-files.ts';

export interface LedgerLine {
  readonly seq: number;
  /** The line without its line feed: the leaf. */
  readonly bytes: Uint8Array;
}

/** Verifies the ledger in a folder, whether or not it is being written. */
export async function verifyLedgerFolder(dir: string, options: Omit<AuditOptions, 'hasher'>): Promise<AuditReport> {
  return verifyLedger(await ledgerSegments(dir), { hasher: treeHasher(sha256), ...options });
}

/** The segments in order, as `verifyLedger` reads them. */
export async function ledgerSegments(dir: string): Promise<readonly SegmentSource[]> {
  const names = (await readdir(join(dir, 'seg'))).filter((name) => parseSegmentName(name) !== undefined);
  names.sort((a, b) => (parseSegmentName(a) ?? 0) - (parseSegmentName(b) ?? 0));
  return names.map((name) => ({ name, read: () => readChunks(join(dir, 'seg', name), 0) }));
}

/** One batch: its lines, and the signed note over everything up to here. */
export interface LedgerBatch {
  readonly lines: readonly LedgerLine[];
  readonly note: string;
}

/** All batches that have their commit line. */
export async function* readBatches(dir: string): AsyncGenerator<LedgerBatch> {
  let seq = 0;
  for (const segment of await ledgerSegments(dir)) {
    let lines: LedgerLine[] = [];
    const batches: LedgerBatch[] = [];
    const splitter = new LineSplitter(0, (line) => {
      if (looksLikeCommit(line)) {
        batches.push({ lines, note: parseCommitLine(line) ?? '' });
        lines = [];
      } else {
        lines.push({ seq, bytes: line.slice() });
        seq += 1;
      }
    });
    for await (const chunk of segment.read()) {
      splitter.push(chunk);
      yield* batches.splice(0);
    }
  }
}

/** The entries in order. Stops at a line that is not an entry: `verifyLedger` says what is wrong with it. */
export async function* readEntries(dir: string): AsyncGenerator<Entry> {
  for await (const { lines } of readBatches(dir)) {
    for (const { bytes } of lines) {
      const entry = decodeEntry(bytes);
      if (entry === undefined) return;
      yield entry;
    }
  }
}

/** The entries in order, each with its leaf hash. */
export async function* readLeaves(dir: string): AsyncGenerator<readonly [entry: Entry, leaf: Digest]> {
  const hasher = treeHasher(sha256);
  for await (const { lines } of readBatches(dir)) {
    for (const { bytes } of lines) {
      const entry = decodeEntry(bytes);
      if (entry === undefined) return;
      yield [entry, toDigest(hasher.leaf(bytes))];
    }
  }
}

/** Reads the entries at some positions, with their leaf hashes. Which ones is asked of the log that the first entry names. */
export async function readEntriesAt(
  dir: string,
  wanted: (log: string) => ReadonlySet<number>,
  read: (entry: Entry, leaf: Digest) => void,
): Promise<void> {
  const hasher = treeHasher(sha256);
  let seqs: ReadonlySet<number> | undefined;
  for await (const { lines } of readBatches(dir)) {
    const [first] = lines;
    seqs ??= wanted(first === undefined ? '' : (decodeEntry(first.bytes)?.log ?? ''));
    if (seqs.size === 0) return;
    for (const { seq, bytes } of lines) {
      const entry = seqs.has(seq) ? decodeEntry(bytes) : undefined;
      if (entry !== undefined) read(entry, toDigest(hasher.leaf(bytes)));
    }
  }
}

/**
 * The last entry of one of these types, or undefined where there is none. Reads from the end, segment by segment. Rejects with
 * `LedgerRefused` when what is in its place is no such entry.
 */
export async function newestEntryOf(dir: string, types: readonly string[]): Promise<Entry | undefined> {
  if (!existsSync(join(dir, 'seg'))) return undefined;
  // An entry is canonical JSON: this is how its type, or that of one of its events, is written, and no text in it can look like this.
  const wanted = types.map((type) => Buffer.from(`"type":${JSON.stringify(type)}`));
  for (const segment of (await ledgerSegments(dir)).toReversed()) {
    let last: Uint8Array | undefined;
    const splitter = new LineSplitter(0, (line) => {
      const bytes = Buffer.from(line.buffer, line.byteOffset, line.length);
      if (wanted.some((text) => bytes.includes(text))) last = line.slice();
    });
    for await (const chunk of segment.read()) splitter.push(chunk);
    if (last === undefined) continue;
    const entry = decodeEntry(last);
    if (entry === undefined || !types.includes(entry.type))
      throw new LedgerRefused(`${segment.name}: the last ${types.join(' or ')} was altered`);
    return entry;
  }
  return undefined;
}

/** The lines that hold this text somewhere, as JSON: a call's id finds the entries of the call. */
export async function findLines(dir: string, text: string): Promise<readonly LedgerLine[]> {
  const wanted = Buffer.from(JSON.stringify(text));
  const found: LedgerLine[] = [];
  for await (const { lines } of readBatches(dir)) {
    for (const line of lines)
      if (Buffer.from(line.bytes.buffer, line.bytes.byteOffset, line.bytes.length).includes(wanted)) found.push(line);
  }
  return found;
}

export interface ProveOptions {
  readonly origin: string;
  readonly verifier: NoteVerifier;
  readonly sha256: Sha256;
  readonly disclosures?: readonly Payload[];
}

/** A proof of the entries at these positions, or undefined when the log does not hold them. From tiles if they suffice, else by reading all. */
export async function proveEntries(
  dir: string,
  seqs: readonly number[],
  options: ProveOptions,
): Promise<Proof | undefined> {
  const sorted = [...new Set(seqs)].sort((a, b) => a - b);
  const proof = (await proveFromTiles(dir, sorted, options)) ?? (await proveFromSegments(dir, sorted, options));
  return proof === undefined ? undefined : { ...proof, disclosures: options.disclosures ?? [] };
}

async function proveFromTiles(dir: string, seqs: readonly number[], options: ProveOptions): Promise<Proof | undefined> {
  const { origin, verifier, sha256 } = options;
  const hasher = treeHasher(sha256);
  const files = new Map<string, Promise<Uint8Array>>();
  const read = (path: string) => {
    const file = files.get(path) ?? readFile(join(dir, path));
    files.set(path, file);
    return file;
  };
  try {
    const note = (await readFile(join(dir, 'checkpoint'))).toString();
    const checkpoint = openCheckpoint(note, origin, verifier);
    if (checkpoint === undefined) return undefined;
    const { size, root } = checkpoint;
    const entries: ProvenLine[] = [];
    for (const index of seqs) {
      if (index >= size) return undefined;
      const bundle = Math.floor(index / TILE_WIDTH);
      const width = Math.min(TILE_WIDTH, size - bundle * TILE_WIDTH);
      const line = decodeBundle(await read(bundlePath({ index: bundle, width })))?.[index % TILE_WIDTH];
      const plan = planInclusion(index, size);
      const nodes = await Promise.all(
        plan.nodes.map(async (node) => nodeFromTile(hasher, node, await read(tilePath(tileOf(node, size))))),
      );
      if (line === undefined || nodes.includes(undefined)) return undefined;
      const hashes = proofFrom(hasher, plan, nodes as Uint8Array[]);
      if (!verifyInclusion(hasher, index, size, hasher.leaf(line), hashes, root)) return undefined;
      entries.push({ index, line, hashes });
    }
    return { origin, checkpoint: note, entries, disclosures: [] };
  } catch {
    // Tiles may be missing, behind or torn; the segments are the truth.
    return undefined;
  }
}

async function proveFromSegments(
  dir: string,
  seqs: readonly number[],
  options: ProveOptions,
): Promise<Proof | undefined> {
  const { origin, verifier, sha256 } = options;
  const hasher = treeHasher(sha256);
  const lines = new Map<number, Uint8Array>();
  let size = 0;
  let note = '';
  for await (const batch of readBatches(dir)) {
    for (const { seq, bytes } of batch.lines) if (seqs.includes(seq)) lines.set(seq, bytes);
    size += batch.lines.length;
    note = batch.note;
  }
  const checkpoint = openCheckpoint(note, origin, verifier);
  if (checkpoint?.size !== size || lines.size !== seqs.length) return undefined;
  const plans = seqs.map((seq) => planInclusion(seq, size));
  const wanted = new Map<string, Uint8Array | undefined>();
  for (const node of plans.flatMap((plan) => plan.nodes)) wanted.set(nameOf(node), undefined);
  const tree = new GrowingTree(hasher);
  for await (const batch of readBatches(dir)) {
    for (const { bytes } of batch.lines) {
      if (tree.size === size) break;
      tree.append(hasher.leaf(bytes), (node, hash) => {
        if (wanted.has(nameOf(node))) wanted.set(nameOf(node), hash);
      });
    }
  }
  const entries: ProvenLine[] = [];
  for (const [at, index] of seqs.entries()) {
    const plan = plans[at] as (typeof plans)[number];
    const line = lines.get(index) as Uint8Array;
    const hashes = proofFrom(
      hasher,
      plan,
      plan.nodes.map((node) => wanted.get(nameOf(node)) ?? new Uint8Array(0)),
    );
    if (!verifyInclusion(hasher, index, size, hasher.leaf(line), hashes, checkpoint.root)) return undefined;
    entries.push({ index, line, hashes });
  }
  return { origin, checkpoint: note, entries, disclosures: [] };
}

function nameOf(node: NodeRef): string {
  return `${node.level}/${node.index}`;
}

/** The payloads of these commitments, as far as the vault still holds them and the key opens them. */
export async function readPayloads(
  dir: string,
  commitments: ReadonlySet<Digest>,
  sealer: Sealer,
  sha256: Sha256,
): Promise<ReadonlyMap<Digest, Payload>> {
  const found = new Map<Digest, Payload>();
  for (const name of (await readdir(join(dir, 'vault'))).sort()) {
    const splitter = new FrameSplitter((frame) => {
      if (!commitments.has(frame.commitment) || found.has(frame.commitment)) return;
      const payload = openFrame(frame, sealer, sha256);
      if (payload !== undefined) found.set(frame.commitment, payload);
    });
    for await (const chunk of readChunks(join(dir, 'vault', name), 0)) splitter.push(chunk);
    if (found.size === commitments.size) break;
  }
  return found;
}
