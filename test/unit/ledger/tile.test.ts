import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyEd25519 } from '../../../adapters/crypto/node-crypto.ts';
import { concatBytes } from '../../../ledger/bytes.ts';
import { parseCheckpoint, signCheckpoint } from '../../../ledger/checkpoint.ts';
import { treeHasher } from '../../../ledger/leaf.ts';
import { foldPeaks, GrowingTree, inclusionProof, peaksOf, verifyInclusion } from '../../../ledger/merkle-tree.ts';
import { noteSigner, openNote, parseNote, parseVerifierKey } from '../../../ledger/signed-note.ts';
import {
  bundlePath,
  decodeBundle,
  encodeBundle,
  nodeFromTile,
  tileOf,
  tilePath,
  tilesSince,
} from '../../../ledger/tile.ts';
import { importSeed, sha256 } from '../../support/ledger.ts';
import { vectors } from '../../support/vectors.ts';

const hasher = treeHasher(sha256);
const tlog = vectors('tlog');
const absent = tlog === undefined ? ' (the shared vectors are not here)' : '';

function files(folder: string, prefix = ''): string[] {
  return readdirSync(join(folder, prefix)).flatMap((name) => {
    const path = prefix === '' ? name : `${prefix}/${name}`;
    return statSync(join(folder, path)).isDirectory() ? files(folder, path) : [path];
  });
}

describe('tiles', () => {
  it.each([
    [{ level: 0, index: 0, width: 256 }, 'tile/0/000'],
    [{ level: 0, index: 0, width: 7 }, 'tile/0/000.p/7'],
    [{ level: 2, index: 1234067, width: 256 }, 'tile/2/x001/x234/067'],
    [{ level: 1, index: 1000, width: 8 }, 'tile/1/x001/000.p/8'],
  ])('lie at the public path of %j', (tile, path) => {
    expect(tilePath(tile)).toBe(path);
    expect(bundlePath(tile)).toBe(path.replace(/^tile\/\d/, 'tile/entries'));
  });

  it.skipIf(tlog === undefined)(
    `of the public log of 15 entries come out byte for byte, with all its signed checkpoints${absent}`,
    () => {
      const root = `${tlog}/tessera-log`;
      const { skey, vkey, entries } = JSON.parse(readFileSync(`${root}/keys.json`, 'utf8'));
      const verifier = parseVerifierKey(vkey, verifyEd25519, sha256);
      const seed = Buffer.from(skey.split('+').slice(4).join('+'), 'base64').subarray(1);
      const signer = noteSigner('example.com/log/testdata', importSeed(seed), sha256);
      const made = new Map<string, Uint8Array>();
      const tree = new GrowingTree(hasher);
      const data = (entries as string[]).map((entry) => new Uint8Array(Buffer.from(entry)));
      for (let size = 0; size <= 15; size++) {
        if (size > 0) tree.append(hasher.leaf(data[size - 1] as Uint8Array));
        for (const tile of tilesSince(Math.max(0, size - 1), size)) {
          expect(tile).toEqual({ level: 0, index: 0, width: size });
          made.set(tilePath(tile), concatBytes(data.slice(0, size).map((entry) => hasher.leaf(entry))));
          made.set(bundlePath(tile), encodeBundle(data.slice(0, size)));
        }
        const note = signCheckpoint({ origin: 'example.com/log/testdata', size, root: tree.root() }, signer);
        made.set(`checkpoint.${size}`, Buffer.from(note));
        expect(openNote(note, verifier === undefined ? [] : [verifier]).ok).toBe(true);
      }
      made.set('checkpoint', made.get('checkpoint.15') as Uint8Array);
      const published = files(root).filter((path) => path.startsWith('tile/') || path.startsWith('checkpoint'));
      expect(published.length).toBe(47);
      for (const path of published) {
        expect({ path, bytes: Buffer.from(made.get(path) ?? []).toString('hex') }).toEqual({
          path,
          bytes: readFileSync(join(root, path)).toString('hex'),
        });
      }
    },
  );

  it.skipIf(tlog === undefined)(
    `of the public mirror of 300 entries have its signed root, and prove each entry${absent}`,
    () => {
      const root = `${tlog}/sunlight-mirror/witness/mirror/000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706`;
      const checkpoint = parseCheckpoint(parseNote(readFileSync(`${root}/checkpoint`))?.text ?? '');
      expect(checkpoint?.size).toBe(300);
      const tree = new GrowingTree(hasher);
      for (let index = 0; index < 300; index++) tree.append(hasher.leaf(Buffer.from(`record ${index}`)));
      const read = (nodes: readonly { level: number; index: number }[]) =>
        nodes.map(
          (node) => nodeFromTile(hasher, node, readFileSync(join(root, tilePath(tileOf(node, 300))))) as Uint8Array,
        );
      expect(foldPeaks(hasher, read(peaksOf(300)))).toEqual(tree.root());
      expect(new Uint8Array(tree.root())).toEqual(checkpoint?.root);
      for (let index = 0; index < 300; index += 13) {
        const proof = inclusionProof(hasher, index, 300, read);
        expect(
          verifyInclusion(hasher, index, 300, hasher.leaf(Buffer.from(`record ${index}`)), proof, tree.root()),
        ).toBe(true);
      }
      expect(tilesSince(0, 300).map(tilePath)).toEqual(['tile/0/000', 'tile/0/001.p/44', 'tile/1/000.p/1']);
    },
  );

  it.skipIf(tlog === undefined)(`of a public certificate log fold to the root of their hashes${absent}`, () => {
    const root = `${tlog}/navigli2025h2`;
    const tiles = [0, 1, 2, 3].map((index) => readFileSync(join(root, tilePath({ level: 0, index, width: 256 }))));
    for (const tile of tiles) {
      const tree = new GrowingTree(hasher);
      for (let at = 0; at < 256; at++) tree.append(tile.subarray(at * 32, at * 32 + 32));
      const halves = [0, 1].map((index) => nodeFromTile(hasher, { level: 7, index }, tile) as Uint8Array);
      expect(hasher.node(halves[0] as Uint8Array, halves[1] as Uint8Array)).toEqual(tree.root());
      expect(nodeFromTile(hasher, { level: 0, index: 255 }, tile.subarray(0, 8191))).toBeUndefined();
    }
    // The partial tile of ten is the beginning of the full one that came after it.
    expect(readFileSync(join(root, tilePath({ level: 0, index: 3, width: 10 })))).toEqual(tiles[3]?.subarray(0, 320));
  });
});

describe('entry bundles', () => {
  it('are refused when a length does not fit', () => {
    const bundle = encodeBundle([Buffer.from('one'), Buffer.alloc(0), Buffer.alloc(65_535)]);
    expect(decodeBundle(bundle)?.map((entry) => entry.length)).toEqual([3, 0, 65_535]);
    expect(decodeBundle(bundle.slice(0, -1))).toBeUndefined();
    expect(decodeBundle(Uint8Array.of(0))).toBeUndefined();
    expect(() => encodeBundle([Buffer.alloc(65_536)])).toThrow('too long');
  });
});
