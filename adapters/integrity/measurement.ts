// One measurement of what a command means, in one go: the state of every file, and the content of those whose state is not known. Synchronous, because it
// runs on a thread of its own. What it returns is one moment as far as that can be had: a file that changes meanwhile is noticed, and all is measured again.

import { createHash } from 'node:crypto';
import { lstatSync, statfsSync } from 'node:fs';
import type { MeasuredFile, MeasuredTree } from '../../control-plane/integrity/environment.ts';
import { type TreeEntry, treeDigest, treeText } from '../../control-plane/integrity/measured-tree.ts';
import type { Digest } from '../../domain/digest.ts';
import { sha256 } from '../crypto/node-crypto.ts';
import { type CommandLine, filesOfCommand, type Subjects } from './command-files.ts';
import { FileChanged, type FileDigests } from './file-digests.ts';
import { ATTEMPT_DELAY_MS, ATTEMPTS_MAX } from './limits.ts';
import type { PackageRoot } from './node-packages.ts';
import { type FoundEntry, leadsTo, stateOf, WalkBudget, walk } from './tree-walk.ts';

/** The state of a file that is looked at before every call. */
export interface Watched {
  readonly path: string;
  readonly state: string;
}

/** What was seen without reading anything. */
export interface Sighting {
  /** Equal for two sightings only where no file changed, came, went or moved in between. */
  readonly fingerprint: string;
  /** The latest change of any of the files, and when this was seen; milliseconds since 1970. */
  readonly newestMs: number;
  readonly atMs: number;
  readonly watched: readonly Watched[];
  readonly program: { readonly dev: string; readonly ino: string };
  /** The place of the script among the arguments, see Subjects. */
  readonly entryAt: number | undefined;
  readonly entry: string | undefined;
  /** Bytes of all files together. */
  readonly bytes: number;
  /** All of it lies on file systems of this machine that stamp every change. */
  readonly keepsTime: boolean;
}

export interface Measurement extends Sighting {
  readonly files: readonly MeasuredFile[];
  readonly trees: readonly (MeasuredTree & { readonly text: string })[];
}

interface Seen {
  readonly files: readonly { readonly role: string; readonly entry: FoundEntry }[];
  readonly trees: readonly { readonly tree: PackageRoot; readonly entries: readonly FoundEntry[] }[];
  readonly sighting: Sighting;
}

/** Undefined where the fingerprint is the known one. Throws an Error with a plain explanation where it cannot be measured. */
export function measure(line: CommandLine, digests: FileDigests, known?: string): Measurement | Sighting {
  for (let attempt = 1; ; attempt++) {
    try {
      const seen = look(line);
      if (seen.sighting.fingerprint === known) return seen.sighting;
      const measurement = read(seen, digests);
      // What was listed first may have changed while the last was read.
      if (look(line).sighting.fingerprint === seen.sighting.fingerprint) return measurement;
      throw new FileChanged('a file');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const moved = error instanceof FileChanged || code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
      if (!moved || attempt >= ATTEMPTS_MAX) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ATTEMPT_DELAY_MS);
    }
  }
}

export function isMeasurement(one: Measurement | Sighting): one is Measurement {
  return 'files' in one;
}

function look(line: CommandLine): Seen {
  const atMs = Date.now();
  const subjects = filesOfCommand(line);
  const budget = new WalkBudget();
  const files = subjects.files.map(({ role, path }) => ({
    role,
    entry: { path, absolute: path, stat: lstatSync(path, { bigint: true }) },
  }));
  const trees = subjects.trees.map((tree) => ({ tree, entries: walk(tree, budget) }));
  const roots = new Set(subjects.trees.map(({ root }) => root));
  // What links lead to outside of all that is measured belongs to it as well. The list grows while it is gone through.
  for (const { tree, entries } of trees) {
    for (const { absolute, target, stat } of entries) {
      if (target === undefined || !stat.isSymbolicLink()) continue;
      const real = leadsTo(absolute);
      if (real === undefined || isWithin(real, roots) || isOwnModules(real, tree)) continue;
      if (!lstatSync(real).isDirectory()) continue;
      roots.add(real);
      const linked: PackageRoot = { role: 'linked', root: real, whole: true };
      trees.push({ tree: linked, entries: walk(linked, budget) });
    }
  }
  return { files, trees, sighting: sightingOf(subjects, atMs, files, trees) };
}

function sightingOf(subjects: Subjects, atMs: number, files: Seen['files'], trees: Seen['trees']): Sighting {
  const hash = createHash('sha256');
  let newestMs = 0;
  let bytes = 0;
  const add = (role: string, { absolute, target, stat }: FoundEntry): void => {
    hash.update(`${role}\0${absolute}\0${target ?? ''}\0${stateOf(stat)}\n`);
    newestMs = Math.max(newestMs, Number(stat.ctimeMs));
    if (stat.isFile()) bytes += Number(stat.size);
    if (target === undefined) return;
    const outside = externalFile(absolute);
    if (outside === undefined) return;
    hash.update(`${stateOf(outside.stat)}\n`);
    newestMs = Math.max(newestMs, Number(outside.stat.ctimeMs));
  };
  for (const { role, entry } of files) add(role, entry);
  for (const { tree, entries } of trees) for (const entry of entries) add(tree.role, entry);
  const program = files.find(({ entry }) => entry.path === subjects.program)?.entry.stat;
  if (program === undefined) throw new Error('a command without its program');
  return {
    fingerprint: hash.digest('base64url'),
    newestMs,
    atMs,
    watched: watchedOf(files, trees),
    program: { dev: String(program.dev), ino: String(program.ino) },
    entryAt: subjects.entryAt,
    entry: subjects.entry,
    bytes,
    keepsTime: keepTime([...files.map(({ entry }) => entry.absolute), ...trees.map(({ tree }) => tree.root)]),
  };
}

/** By the numbers that Linux gives them: ext, XFS, Btrfs, ZFS, F2FS, and overlays of them. What lies in memory only or on another machine is not among them. */
const KEEP_TIME = new Set([0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0xf2f52010, 0x794c7630]);

function keepTime(paths: readonly string[]): boolean {
  if (process.platform !== 'linux') return false;
  try {
    return paths.every((path) => KEEP_TIME.has(statfsSync(path).type));
  } catch {
    return false;
  }
}

function read(seen: Seen, digests: FileDigests): Measurement {
  return {
    ...seen.sighting,
    files: seen.files.map(({ role, entry }) => ({
      role,
      path: entry.path,
      digest: digests.of(entry.absolute, entry.stat),
    })),
    trees: seen.trees.map(({ tree: { role, root }, entries }) => {
      const measured = entries.map((entry) => measuredEntry(entry, digests));
      return { role, root, digest: treeDigest(sha256, measured), files: measured.length, text: treeText(measured) };
    }),
  };
}

function measuredEntry({ path, absolute, stat, target }: FoundEntry, digests: FileDigests): TreeEntry {
  const mode = Number(stat.mode & 0o7777n);
  if (target !== undefined) {
    const outside = externalFile(absolute);
    const digest: { digest?: Digest } = outside === undefined ? {} : { digest: digests.of(outside.real, outside.stat) };
    return { kind: 'link', path, target, ...digest };
  }
  if (stat.isFile()) return { kind: 'file', path, mode, digest: digests.of(absolute, stat) };
  return { kind: stat.isDirectory() ? 'folder' : 'other', path, mode };
}

/** The file that a link leads to, wherever it lies. */
function externalFile(link: string): { readonly real: string; readonly stat: FoundEntry['stat'] } | undefined {
  const real = leadsTo(link);
  if (real === undefined) return undefined;
  const stat = lstatSync(real, { bigint: true });
  return stat.isFile() ? { real, stat } : undefined;
}

/** Few enough to be looked at before every call: the files by themselves, and of each tree of its own the root and what describes it. */
function watchedOf(files: Seen['files'], trees: Seen['trees']): Watched[] {
  const watched = new Map<string, string>();
  for (const { entry } of files) watched.set(entry.absolute, stateOf(entry.stat));
  for (const { tree, entries } of trees) {
    if (tree.role === 'dependency' || tree.role === 'linked') continue;
    for (const { path, absolute, stat } of entries) {
      if (path === '.' || path === 'package.json' || path === 'pyvenv.cfg') watched.set(absolute, stateOf(stat));
    }
  }
  return [...watched].map(([path, state]) => ({ path, state }));
}

function isWithin(path: string, roots: ReadonlySet<string>): boolean {
  return [...roots].some((root) => path === root || path.startsWith(`${root}/`));
}

/** A package's own `node_modules` was left out on purpose; its declared packages are there for themselves. */
function isOwnModules(path: string, { root, whole }: PackageRoot): boolean {
  return !whole && path.startsWith(`${root}/node_modules/`);
}
