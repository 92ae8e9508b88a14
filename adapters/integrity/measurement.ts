// One measurement of what a command means, in one go: the state of every file, and the content of those whose state is not known. Synchronous, because it
// runs on a thread of its own. What it returns is one moment as far as that can be had: a file that changes meanwhile is noticed, and all is measured again.

import { createHash } from 'node:crypto';
import { lstatSync, statfsSync } from 'node:fs';
import type { MeasuredFile, MeasuredTree } from '../../control-plane/integrity/environment.ts';
import { type TreeEntry, treeDigest, treeText } from '../../control-plane/integrity/measured-tree.ts';
import type { Digest } from '../../domain/digest.ts';
import { sha256 } from '../crypto/node-crypto.ts';
import { type CommandLine, filesOfCommand } from './command-files.ts';
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

/** All that was seen, to be read. */
interface Seen {
  readonly files: { readonly role: string; readonly entry: FoundEntry }[];
  readonly trees: { readonly tree: PackageRoot; readonly entries: readonly FoundEntry[] }[];
}

/** A sighting alone where the fingerprint is the known one. Throws an Error with a plain explanation where it cannot be measured. */
export function measure(line: CommandLine, digests: FileDigests, known?: string): Measurement | Sighting {
  for (let attempt = 1; ; attempt++) {
    try {
      if (known !== undefined) {
        const sighting = look(line);
        if (sighting.fingerprint === known) return sighting;
      }
      const seen: Seen = { files: [], trees: [] };
      const sighting = look(line, seen);
      const measurement = { ...sighting, ...read(seen, digests) };
      // What was listed first may have changed while the last was read.
      if (look(line).fingerprint === sighting.fingerprint) return measurement;
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

/** Mostly nothing has changed: then nothing of the thousands of files is kept but one fingerprint. */
function look(line: CommandLine, keeping?: Seen): Sighting {
  const atMs = Date.now();
  const subjects = filesOfCommand(line);
  const budget = new WalkBudget();
  const print = new Fingerprint();
  const watched = new Map<string, string>();
  let program: FoundEntry['stat'] | undefined;
  for (const { role, path } of subjects.files) {
    const entry: FoundEntry = { path, absolute: path, stat: lstatSync(path, { bigint: true }) };
    watched.set(path, print.add(role, entry));
    if (path === subjects.program) program = entry.stat;
    keeping?.files.push({ role, entry });
  }
  if (program === undefined) throw new Error('a command without its program');
  const trees = [...subjects.trees];
  const roots = new Set(trees.map(({ root }) => root));
  // The list grows while it is gone through.
  for (const tree of trees) {
    const entries: FoundEntry[] = [];
    walk(tree, budget, (entry) => {
      const state = print.add(tree.role, entry);
      if (isWatched(tree, entry)) watched.set(entry.absolute, state);
      if (keeping !== undefined) entries.push(entry);
      const linked = linkedFrom(tree, entry, roots);
      if (linked === undefined) return;
      roots.add(linked.root);
      trees.push(linked);
    });
    keeping?.trees.push({ tree, entries });
  }
  return {
    fingerprint: print.digest(),
    newestMs: print.newestMs,
    atMs,
    watched: [...watched].map(([path, state]) => ({ path, state })),
    program: { dev: String(program.dev), ino: String(program.ino) },
    entryAt: subjects.entryAt,
    entry: subjects.entry,
    bytes: print.bytes,
    keepsTime: keepTime([...subjects.files.map(({ path }) => path), ...trees.map(({ root }) => root)]),
  };
}

/** What a link leads to outside of all that is measured belongs to it as well. */
function linkedFrom(tree: PackageRoot, { absolute, target }: FoundEntry, roots: ReadonlySet<string>) {
  const real = target === undefined ? undefined : leadsTo(absolute);
  if (real === undefined || isWithin(real, roots) || isOwnModules(real, tree)) return undefined;
  return lstatSync(real).isDirectory() ? ({ role: 'linked', root: real, whole: true } as const) : undefined;
}

/** Over the states of files, in the order in which they are seen. */
class Fingerprint {
  readonly #hash = createHash('sha256');
  #lines = '';
  #newestNs = 0n;
  #bytes = 0n;

  /** The state of the entry. */
  add(role: string, { absolute, target, stat }: FoundEntry): string {
    const state = stateOf(stat);
    this.#count(stat);
    if (stat.isFile()) this.#bytes += stat.size;
    const outside = target === undefined ? undefined : externalFile(absolute);
    if (outside !== undefined) this.#count(outside.stat);
    const behind = outside === undefined ? '' : `${stateOf(outside.stat)}\n`;
    this.#lines += `${role}\0${absolute}\0${target ?? ''}\0${state}\n${behind}`;
    if (this.#lines.length > LINES_AT_ONCE) this.#flush();
    return state;
  }

  digest(): string {
    this.#flush();
    return this.#hash.digest('base64url');
  }

  /** The latest change of any, in milliseconds since 1970. */
  get newestMs(): number {
    return Number(this.#newestNs) / 1e6;
  }

  get bytes(): number {
    return Number(this.#bytes);
  }

  #count({ ctimeNs }: FoundEntry['stat']): void {
    if (ctimeNs > this.#newestNs) this.#newestNs = ctimeNs;
  }

  #flush(): void {
    this.#hash.update(this.#lines);
    this.#lines = '';
  }
}

/** Hashing line by line takes longer than the hashing. */
const LINES_AT_ONCE = 65_536;

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

function read(seen: Seen, digests: FileDigests): Pick<Measurement, 'files' | 'trees'> {
  return {
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
function isWatched({ role }: PackageRoot, { path }: FoundEntry): boolean {
  if (role === 'dependency' || role === 'linked') return false;
  return path === '.' || path === 'package.json' || path === 'pyvenv.cfg';
}

function isWithin(path: string, roots: ReadonlySet<string>): boolean {
  return [...roots].some((root) => path === root || path.startsWith(`${root}/`));
}

/** A package's own `node_modules` was left out on purpose; its declared packages are there for themselves. */
function isOwnModules(path: string, { root, whole }: PackageRoot): boolean {
  return !whole && path.startsWith(`${root}/node_modules/`);
}
