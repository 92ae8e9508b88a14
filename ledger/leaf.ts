// The two hashes of a Merkle tree (RFC 6962 section 2.1). The prefixes keep a leaf from being read as a node.

import type { Sha256 } from '../domain/digest.ts';

export const HASH_BYTES = 32;

/** The hash functions of one tree. Results are fresh arrays; arguments are not kept. */
export interface TreeHasher {
  /** SHA-256(0x00 || data). */
  leaf(data: Uint8Array): Uint8Array;
  /** SHA-256(0x01 || left || right). */
  node(left: Uint8Array, right: Uint8Array): Uint8Array;
  /** The root of the tree without leaves: SHA-256 of nothing. */
  empty(): Uint8Array;
}

export function treeHasher(sha256: Sha256): TreeHasher {
  // Reused: hashing copies what it reads, and a tree of a million leaves would otherwise allocate two million times.
  const pair = new Uint8Array(1 + 2 * HASH_BYTES);
  pair[0] = 1;
  let leaf = new Uint8Array(4096);
  return {
    leaf(data) {
      if (data.length >= leaf.length) leaf = new Uint8Array(2 * data.length);
      leaf.set(data, 1);
      return sha256(leaf.subarray(0, data.length + 1));
    },
    node(left, right) {
      pair.set(left, 1);
      pair.set(right, 1 + HASH_BYTES);
      return sha256(pair);
    },
    empty: () => sha256(new Uint8Array(0)),
  };
}
