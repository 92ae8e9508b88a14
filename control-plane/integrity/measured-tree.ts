// What was measured of a tree of files: every path with its kind, mode and content or target. It has one digest, whatever the order in which it was
// read, and two of them are compared item by item. It says nothing of files that were not read: see adapters/integrity.

import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Digest, isDigest, type Sha256 } from '../../domain/digest.ts';
import type { Json } from '../../domain/json.ts';

/** `path` is relative to the root, with `/`; the root itself is `.`. Modes are the permission bits. */
export type TreeEntry =
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly digest: Digest }
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number }
  /** `digest` where the target is a file outside of everything that is measured. */
  | { readonly kind: 'link'; readonly path: string; readonly target: string; readonly digest?: Digest }
  /** A socket, a device, a pipe: it has no content that could be measured. */
  | { readonly kind: 'other'; readonly path: string; readonly mode: number };

export type TreeDifference = {
  readonly path: string;
  readonly what: 'added' | 'gone' | 'kind' | 'content' | 'mode' | 'target';
};

/** The tree as text: the same for every order of its entries. */
export function treeText(entries: readonly TreeEntry[]): string {
  return canonicalJson([...entries].sort(byPath).map(row) as Json);
}

export function treeDigest(sha256: Sha256, entries: readonly TreeEntry[]): Digest {
  return `sha256:${encodeBase64url(sha256(new TextEncoder().encode(treeText(entries))))}`;
}

/** The entries of a text that `treeText` wrote; undefined for any other. */
export function readTree(json: Json): readonly TreeEntry[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const entries: TreeEntry[] = [];
  for (const one of json as readonly Json[]) {
    const entry = readRow(one);
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  return entries;
}

/** What differs, in the order of paths. */
export function treeDifferences(approved: readonly TreeEntry[], now: readonly TreeEntry[]): readonly TreeDifference[] {
  const before = new Map(approved.map((entry) => [entry.path, entry]));
  const after = new Map(now.map((entry) => [entry.path, entry]));
  const differences: TreeDifference[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const what = difference(before.get(path), after.get(path));
    if (what !== undefined) differences.push({ path, what });
  }
  return differences;
}

function difference(before: TreeEntry | undefined, after: TreeEntry | undefined): TreeDifference['what'] | undefined {
  if (before === undefined) return 'added';
  if (after === undefined) return 'gone';
  if (before.kind !== after.kind) return 'kind';
  if (before.kind === 'link') {
    if (after.kind !== 'link' || before.target !== after.target) return 'target';
    return before.digest === after.digest ? undefined : 'content';
  }
  if (before.kind === 'file' && after.kind === 'file' && before.digest !== after.digest) return 'content';
  return after.kind !== 'link' && before.mode !== after.mode ? 'mode' : undefined;
}

function byPath({ path: a }: TreeEntry, { path: b }: TreeEntry): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function row(entry: TreeEntry): readonly (string | number)[] {
  switch (entry.kind) {
    case 'file':
      return [entry.path, 'file', entry.mode, entry.digest];
    case 'folder':
      return [entry.path, 'folder', entry.mode];
    case 'link':
      return [entry.path, 'link', entry.target, ...(entry.digest === undefined ? [] : [entry.digest])];
    case 'other':
      return [entry.path, 'other', entry.mode];
  }
}

function readRow(json: Json): TreeEntry | undefined {
  if (!Array.isArray(json)) return undefined;
  const [path, kind, third, fourth, ...more] = json as readonly Json[];
  if (typeof path !== 'string' || more.length > 0) return undefined;
  if (kind === 'link' && typeof third === 'string') {
    if (fourth === undefined) return { kind, path, target: third };
    return typeof fourth === 'string' && isDigest(fourth) ? { kind, path, target: third, digest: fourth } : undefined;
  }
  if (typeof third !== 'number') return undefined;
  if (kind === 'file') {
    return typeof fourth === 'string' && isDigest(fourth) ? { kind, path, mode: third, digest: fourth } : undefined;
  }
  return (kind === 'folder' || kind === 'other') && fourth === undefined ? { kind, path, mode: third } : undefined;
}
