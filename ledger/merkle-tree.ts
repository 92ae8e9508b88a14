// The tree of RFC 6962: append, root, inclusion and consistency proofs, and their verification (RFC 9162 section 2.1).
// A node (level, index) is the root of the 2^level leaves from index * 2^level, all present: such a node never changes again.
// Sizes are safe integers; arithmetic is by division, because shifts stop at 32 bits.

import { Defect } from '../domain/defect.ts';
import { equalBytes } from './bytes.ts';
import { HASH_BYTES, type TreeHasher } from './leaf.ts';

export interface NodeRef {
  readonly level: number;
  readonly index: number;
}

/** Finds the hashes of complete nodes, in the order asked. */
export type HashReader = (nodes: readonly NodeRef[]) => readonly Uint8Array[];

/** What suffices to go on appending: the roots of the complete subtrees, largest first. */
export interface Frontier {
  readonly size: number;
  readonly peaks: readonly Uint8Array[];
}

export const EMPTY_FRONTIER: Frontier = { size: 0, peaks: [] };

/** A tree that only grows. It holds its frontier, not its leaves: at most 53 hashes. */
export class GrowingTree {
  readonly #hasher: TreeHasher;
  readonly #peaks: Uint8Array[];
  #size: number;

  constructor(hasher: TreeHasher, from: Frontier = EMPTY_FRONTIER) {
    if (from.peaks.length !== onesIn(from.size))
      throw new Defect('a frontier has one peak for each one bit of its size');
    this.#hasher = hasher;
    this.#peaks = [...from.peaks];
    this.#size = from.size;
  }

  get size(): number {
    return this.#size;
  }

  /** `completed` hears of every node that this leaf completes, the leaf itself first. */
  append(leafHash: Uint8Array, completed?: (node: NodeRef, hash: Uint8Array) => void): void {
    let hash = leafHash;
    let index = this.#size;
    let level = 0;
    completed?.({ level, index }, hash);
    while (index % 2 === 1) {
      hash = this.#hasher.node(this.#peaks.pop() as Uint8Array, hash);
      index = (index - 1) / 2;
      level += 1;
      completed?.({ level, index }, hash);
    }
    this.#peaks.push(hash);
    this.#size += 1;
  }

  root(): Uint8Array {
    return foldPeaks(this.#hasher, this.#peaks);
  }

  frontier(): Frontier {
    return { size: this.#size, peaks: [...this.#peaks] };
  }
}

/** The root over peaks, largest first. */
export function foldPeaks(hasher: TreeHasher, peaks: readonly Uint8Array[]): Uint8Array {
  let root = peaks.at(-1);
  if (root === undefined) return hasher.empty();
  for (let index = peaks.length - 2; index >= 0; index--) root = hasher.node(peaks[index] as Uint8Array, root);
  return root;
}

/** A proof before its hashes are known: each element is the fold of one or more complete nodes. */
export interface ProofPlan {
  /** All nodes to read, in order. */
  readonly nodes: readonly NodeRef[];
  /** How many consecutive nodes make up each element of the proof. */
  readonly groups: readonly number[];
}

/** The nodes that prove leaf `index` in the tree of `size`. Throws `Defect` unless 0 <= index < size. */
export function planInclusion(index: number, size: number): ProofPlan {
  if (!isSize(index) || !isSize(size) || index >= size)
    throw new Defect('inclusion: the index lies outside of the tree');
  const ranges: (readonly [number, number])[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitOf(end - start);
    if (index < middle) {
      ranges.push([middle, end]);
      end = middle;
    } else {
      ranges.push([start, middle]);
      start = middle;
    }
  }
  return planOf(ranges.reverse());
}

/** The nodes that prove the tree of `first` to be a prefix of the tree of `second`. Throws `Defect` unless 0 < first <= second. */
export function planConsistency(first: number, second: number): ProofPlan {
  if (!isSize(first) || !isSize(second) || first === 0 || first > second)
    throw new Defect('consistency: no such sizes');
  const ranges: (readonly [number, number])[] = [];
  let start = 0;
  let end = second;
  let whole = true; // The range from `start` to `first` is the whole old tree, whose root the verifier has.
  while (end !== first) {
    const middle = start + splitOf(end - start);
    if (first <= middle) {
      ranges.push([middle, end]);
      end = middle;
    } else {
      ranges.push([start, middle]);
      start = middle;
      whole = false;
    }
  }
  if (!whole) ranges.push([start, end]);
  return planOf(ranges.reverse());
}

/** The elements of a planned proof, from the hashes of its nodes. */
export function proofFrom(hasher: TreeHasher, plan: ProofPlan, hashes: readonly Uint8Array[]): readonly Uint8Array[] {
  const proof: Uint8Array[] = [];
  let at = 0;
  for (const count of plan.groups) {
    proof.push(foldPeaks(hasher, hashes.slice(at, at + count)));
    at += count;
  }
  return proof;
}

export function inclusionProof(
  hasher: TreeHasher,
  index: number,
  size: number,
  read: HashReader,
): readonly Uint8Array[] {
  const plan = planInclusion(index, size);
  return proofFrom(hasher, plan, read(plan.nodes));
}

export function consistencyProof(
  hasher: TreeHasher,
  first: number,
  second: number,
  read: HashReader,
): readonly Uint8Array[] {
  const plan = planConsistency(first, second);
  return proofFrom(hasher, plan, read(plan.nodes));
}

/** Whether `proof` shows `leafHash` to be leaf `index` of the tree with this size and root. */
export function verifyInclusion(
  hasher: TreeHasher,
  index: number,
  size: number,
  leafHash: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isSize(index) || !isSize(size) || index >= size || !areHashes([leafHash, root, ...proof])) return false;
  let node = index;
  let last = size - 1;
  let hash = leafHash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = hasher.node(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = half(last);
      }
    } else {
      hash = hasher.node(hash, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && equalBytes(hash, root);
}

/**
 * Whether `proof` shows the tree of `firstRoot` to be a prefix of the tree of `secondRoot`. An old size of 0 is refused: everything
 * extends the empty tree, so there is nothing to prove.
 */
export function verifyConsistency(
  hasher: TreeHasher,
  first: number,
  second: number,
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!isSize(first) || !isSize(second) || first === 0 || first > second) return false;
  if (first === second) return proof.length === 0 && equalBytes(firstRoot, secondRoot);
  if (!areHashes([firstRoot, secondRoot, ...proof])) return false;
  const path = isPowerOfTwo(first) ? [firstRoot, ...proof] : proof;
  let node = first - 1;
  let last = second - 1;
  while (node % 2 === 1) {
    node = half(node);
    last = half(last);
  }
  let oldHash = path[0];
  if (oldHash === undefined) return false;
  let newHash = oldHash;
  for (const sibling of path.slice(1)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = hasher.node(sibling, oldHash);
      newHash = hasher.node(sibling, newHash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = half(last);
      }
    } else {
      newHash = hasher.node(newHash, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && equalBytes(oldHash, firstRoot) && equalBytes(newHash, secondRoot);
}

/** The peaks of the tree of `size`, largest first. */
export function peaksOf(size: number): readonly NodeRef[] {
  return nodesOf(0, size);
}

function planOf(ranges: readonly (readonly [number, number])[]): ProofPlan {
  const nodes: NodeRef[] = [];
  const groups: number[] = [];
  for (const [start, end] of ranges) {
    const parts = nodesOf(start, end);
    nodes.push(...parts);
    groups.push(parts.length);
  }
  return { nodes, groups };
}

/** The complete nodes that cover the leaves from `start` to `end`, where `start` is where a split of the tree may begin. */
function nodesOf(start: number, end: number): NodeRef[] {
  const nodes: NodeRef[] = [];
  let at = start;
  while (at < end) {
    let level = 0;
    let width = 1;
    while (at + 2 * width <= end) {
      width *= 2;
      level += 1;
    }
    nodes.push({ level, index: at / width });
    at += width;
  }
  return nodes;
}

/** The largest power of two smaller than `width`. */
function splitOf(width: number): number {
  let split = 1;
  while (split * 2 < width) split *= 2;
  return split;
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isPowerOfTwo(value: number): boolean {
  return onesIn(value) === 1;
}

function onesIn(value: number): number {
  let ones = 0;
  for (let rest = value; rest > 0; rest = half(rest)) ones += rest % 2;
  return ones;
}

function areHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every((hash) => hash.length === HASH_BYTES);
}
