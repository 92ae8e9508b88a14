import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import {
  readTree,
  type TreeEntry,
  treeDifferences,
  treeDigest,
  treeText,
} from '../../../control-plane/integrity/measured-tree.ts';
import type { Digest } from '../../../domain/digest.ts';

const digest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes): Digest => `sha256:${Buffer.from(bytes).toString('base64url')}`);
const path = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
const mode = fc.integer({ min: 0, max: 0o7777 });
const entry: fc.Arbitrary<TreeEntry> = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), path, mode, digest }),
  fc.record({ kind: fc.constant('folder' as const), path, mode }),
  fc.record({ kind: fc.constant('link' as const), path, target: path }),
  fc.record({ kind: fc.constant('link' as const), path, target: path, digest }),
  fc.record({ kind: fc.constant('other' as const), path, mode }),
);
const tree = fc.uniqueArray(entry, { selector: (one) => one.path, minLength: 1, maxLength: 20 });

describe('the digest of any tree', () => {
  it('does not depend on the order of reading', () => {
    fc.assert(
      fc.property(
        tree.chain((entries) =>
          fc.tuple(fc.constant(entries), fc.shuffledSubarray(entries, { minLength: entries.length })),
        ),
        ([one, other]) => {
          expect(treeDigest(sha256, other)).toBe(treeDigest(sha256, one));
          expect(treeDifferences(one, other)).toEqual([]);
        },
      ),
    );
  });

  it('is another one exactly when something differs, and then that is named', () => {
    fc.assert(
      fc.property(tree, fc.nat(), entry, (entries, at, instead) => {
        const changed = entries.map((one, index) => (index === at % entries.length ? instead : one));
        fc.pre(new Set(changed.map((one) => one.path)).size === changed.length);
        const differs = treeText(entries) !== treeText(changed);
        expect(treeDigest(sha256, changed) !== treeDigest(sha256, entries)).toBe(differs);
        expect(treeDifferences(entries, changed).length > 0).toBe(differs);
      }),
    );
  });

  it('is that of what its text is read as', () => {
    fc.assert(
      fc.property(tree, (entries) => {
        const again = readTree(JSON.parse(treeText(entries)));
        expect(again && treeDigest(sha256, again)).toBe(treeDigest(sha256, entries));
      }),
    );
  });
});
