import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../../adapters/crypto/node-crypto.ts';
import {
  readTree,
  type TreeEntry,
  treeDifferences,
  treeDigest,
  treeText,
} from '../../../../control-plane/integrity/measured-tree.ts';
import type { Digest } from '../../../../domain/digest.ts';

const content = (text: string): Digest =>
  `sha256:${Buffer.from(sha256(new TextEncoder().encode(text))).toString('base64url')}`;
const file = (path: string, text = path, mode = 0o644): TreeEntry => ({
  kind: 'file',
  path,
  mode,
  digest: content(text),
});

const TREE: readonly TreeEntry[] = [
  { kind: 'folder', path: '.', mode: 0o755 },
  file('index.js'),
  file('lib/a.js'),
  { kind: 'folder', path: 'lib', mode: 0o755 },
  { kind: 'link', path: 'latest', target: 'lib' },
  { kind: 'link', path: 'node', target: '/usr/bin/node', digest: content('node') },
  { kind: 'other', path: 'socket', mode: 0o600 },
];

describe('the digest of a tree', () => {
  it.each<[string, TreeEntry, TreeEntry]>([
    ['a byte of a file', file('index.js'), file('index.js', 'index.j_')],
    ['the mode of a file', file('index.js'), file('index.js', 'index.js', 0o755)],
    ['the name of a file', file('index.js'), file('index.mjs', 'index.js')],
    [
      'the target of a link',
      { kind: 'link', path: 'latest', target: 'lib' },
      { kind: 'link', path: 'latest', target: 'lib/' },
    ],
    ['a file in the place of a link', { kind: 'link', path: 'latest', target: 'lib' }, file('latest')],
    [
      'what lies behind a link',
      { kind: 'link', path: 'node', target: '/usr/bin/node', digest: content('node') },
      { kind: 'link', path: 'node', target: '/usr/bin/node', digest: content('other') },
    ],
    [
      'the mode of a folder',
      { kind: 'folder', path: 'lib', mode: 0o755 },
      { kind: 'folder', path: 'lib', mode: 0o777 },
    ],
  ])('changes with %s', (_what, before, after) => {
    const changed = TREE.map((entry) => (entry.path === before.path ? after : entry));
    expect(treeDigest(sha256, changed)).not.toBe(treeDigest(sha256, TREE));
    expect(treeDifferences(TREE, changed)).not.toEqual([]);
  });

  it('changes with a file more and a file less', () => {
    expect(treeDigest(sha256, [...TREE, file('more.js')])).not.toBe(treeDigest(sha256, TREE));
    expect(treeDigest(sha256, TREE.slice(1))).not.toBe(treeDigest(sha256, TREE));
  });

  it('is the same for every order', () => {
    expect(treeDigest(sha256, [...TREE].reverse())).toBe(treeDigest(sha256, TREE));
  });
});

describe('what differs between two trees', () => {
  it('is nothing for one tree in two orders', () => {
    expect(treeDifferences(TREE, [...TREE].reverse())).toEqual([]);
  });

  it('names each path and what is different about it', () => {
    const now: readonly TreeEntry[] = [
      ...TREE.filter(({ path }) => path !== 'socket').map((entry): TreeEntry => {
        if (entry.path === 'index.js') return file('index.js', 'changed');
        if (entry.kind === 'link' && entry.path === 'latest') return { ...entry, target: '/tmp' };
        if (entry.kind === 'link') return { ...entry, digest: content('another node') };
        if (entry.path === 'lib') return { kind: 'folder', path: 'lib', mode: 0o777 };
        return entry.path === 'lib/a.js' ? { kind: 'folder', path: 'lib/a.js', mode: 0o755 } : entry;
      }),
      file('added.js'),
    ];
    expect(treeDifferences(TREE, now)).toEqual([
      { path: 'added.js', what: 'added' },
      { path: 'index.js', what: 'content' },
      { path: 'latest', what: 'target' },
      { path: 'lib', what: 'mode' },
      { path: 'lib/a.js', what: 'kind' },
      { path: 'node', what: 'content' },
      { path: 'socket', what: 'gone' },
    ]);
  });
});

describe('a tree as text', () => {
  it('is not read from anything else', () => {
    for (const text of [
      '{}',
      '[1]',
      '[["a"]]',
      '[["a","file",1]]',
      '[["a","file",1,"sha256:x"]]',
      '[["a","pipe",1]]',
      '[["a","link",1]]',
      '[["a","folder",1,"more"]]',
      '[["a","link","b",1]]',
    ])
      expect(readTree(JSON.parse(text)), text).toBeUndefined();
  });

  it('is read as what it was written from', () => {
    expect(treeDifferences(readTree(JSON.parse(treeText(TREE))) ?? [], TREE)).toEqual([]);
  });
});
