import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { treeHasher } from '../../../ledger/leaf.ts';
import {
  consistencyProof,
  GrowingTree,
  inclusionProof,
  type NodeRef,
  planInclusion,
  verifyConsistency,
  verifyInclusion,
} from '../../../ledger/merkle-tree.ts';
import { sha256 } from '../../support/ledger.ts';
import { vectors } from '../../support/vectors.ts';

const hasher = treeHasher(sha256);
const base64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

/** The definition of RFC 6962 section 2.1, word for word. */
function rootByDefinition(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return hasher.empty();
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return hasher.node(rootByDefinition(leaves.slice(0, split)), rootByDefinition(leaves.slice(split)));
}

function grow(count: number) {
  const tree = new GrowingTree(hasher);
  const nodes = new Map<string, Uint8Array>();
  const leaves = Array.from({ length: count }, (_, index) => hasher.leaf(Buffer.from(`leaf ${index}`)));
  for (const leaf of leaves) tree.append(leaf, (node, hash) => nodes.set(`${node.level}/${node.index}`, hash));
  const read = (refs: readonly NodeRef[]) => refs.map((ref) => nodes.get(`${ref.level}/${ref.index}`) as Uint8Array);
  return { tree, leaves, read };
}

const merkle = vectors('merkle/transparency-dev/testdata');
const argon = vectors('merkle/argon2020');
const absent = merkle === undefined ? ' (the shared vectors are not here)' : '';

describe('the tree', () => {
  it.skipIf(merkle === undefined)(`refuses and accepts the public inclusion vectors as they say${absent}`, () => {
    const seen = files(`${merkle}/inclusion`).map((path) => {
      const { leafIdx, treeSize, leafHash, proof, root, wantErr } = JSON.parse(readFileSync(path, 'utf8'));
      const hashes = (proof ?? []).map(base64);
      const ok = verifyInclusion(hasher, leafIdx, treeSize, base64(leafHash), hashes, base64(root));
      expect({ path, ok }).toEqual({ path, ok: !wantErr });
      return ok;
    });
    expect(seen.length).toBe(98);
    expect(seen).toContain(true);
  });

  it.skipIf(merkle === undefined)(`refuses and accepts the public consistency vectors as they say${absent}`, () => {
    const seen = files(`${merkle}/consistency`).map((path) => {
      const { size1, size2, root1, root2, proof, wantErr } = JSON.parse(readFileSync(path, 'utf8'));
      const ok = verifyConsistency(hasher, size1, size2, base64(root1), base64(root2), (proof ?? []).map(base64));
      expect({ path, ok }).toEqual({ path, ok: !wantErr });
      return ok;
    });
    expect(seen.length).toBe(98);
    expect(seen).toContain(true);
  });

  it.skipIf(argon === undefined)(`accepts proofs of a public log of 961,984,013 certificates${absent}`, () => {
    const load = (name: string) => JSON.parse(readFileSync(`${argon}/${name}.json`, 'utf8'));
    const { tree_size: size, sha256_root_hash: root } = load('sth');
    const { leaf_index: index, audit_path: path } = load('proof');
    const { first, first_root: firstRoot } = load('expect');
    const leaf = hasher.leaf(base64(load('entries').entries[0].leaf_input));
    expect(verifyInclusion(hasher, index, size, leaf, path.map(base64), base64(root))).toBe(true);
    expect(verifyInclusion(hasher, index + 1, size, leaf, path.map(base64), base64(root))).toBe(false);
    const consistency = load('consistency').consistency.map(base64);
    expect(verifyConsistency(hasher, first, size, base64(firstRoot), base64(root), consistency)).toBe(true);
  });

  it('has the root of the definition at every size', () => {
    for (let size = 0; size <= 70; size++) {
      const { tree, leaves } = grow(size);
      expect(tree.root()).toEqual(rootByDefinition(leaves));
      expect(new GrowingTree(hasher, tree.frontier()).root()).toEqual(tree.root());
    }
  });

  it('proves every entry in every size, and nothing else by that proof', () => {
    const { leaves, read } = grow(40);
    for (let size = 1; size <= 40; size++) {
      const root = rootByDefinition(leaves.slice(0, size));
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(hasher, index, size, read);
        const leaf = leaves[index] as Uint8Array;
        expect(verifyInclusion(hasher, index, size, leaf, proof, root)).toBe(true);
        expect(verifyInclusion(hasher, (index + 1) % size, size, leaf, proof, root)).toBe(size === 1);
        expect(verifyInclusion(hasher, index, size, hasher.leaf(leaf), proof, root)).toBe(false);
        expect(verifyInclusion(hasher, index, size, leaf, [...proof, leaf], root)).toBe(false);
      }
    }
  });

  it('proves every prefix of every size', () => {
    const { leaves, read } = grow(40);
    const roots = leaves.map((_, at) => rootByDefinition(leaves.slice(0, at + 1)));
    for (let second = 1; second <= 40; second++) {
      for (let first = 1; first <= second; first++) {
        const proof = consistencyProof(hasher, first, second, read);
        const [old, now] = [roots[first - 1] as Uint8Array, roots[second - 1] as Uint8Array];
        expect(verifyConsistency(hasher, first, second, old, now, proof)).toBe(true);
        expect(verifyConsistency(hasher, first, second, hasher.leaf(old), now, proof)).toBe(false);
      }
    }
  });

  it('plans proofs in logs of thousands of millions of entries', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 52 }), fc.double({ min: 0, max: 1, noNaN: true }), (size, part) => {
        const index = Math.min(size - 1, Math.floor(size * part));
        const plan = planInclusion(index, size);
        expect(plan.groups.length).toBeLessThanOrEqual(53);
        expect(plan.nodes.every((node) => (node.index + 1) * 2 ** node.level <= size)).toBe(true);
      }),
    );
  });

  it('refuses hashes of a wrong length and sizes that are no sizes', () => {
    const { leaves, tree } = grow(1);
    const leaf = leaves[0] as Uint8Array;
    expect(verifyInclusion(hasher, 0, 1, leaf, [], tree.root())).toBe(true);
    for (const size of [0, -1, 1.5, Number.NaN, 2 ** 53])
      expect(verifyInclusion(hasher, 0, size, leaf, [], tree.root())).toBe(false);
    expect(verifyInclusion(hasher, 0, 1, leaf.slice(1), [], leaf.slice(1))).toBe(false);
  });
});
