// Which files a sandbox shows: the server's own program with its packages, and what the manifest lists. Everything is looked up when the server is
// started, in its canonical form; what would show the gate's own files, or a whole home, is refused.

import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { Program } from '../upstream/stdio/ports.ts';
import type { Mount, SandboxContents } from './arguments.ts';

/** One that the manifest lists, by the name it has there and as it was found when the gate was started. */
export interface ListedPlace {
  readonly named: string;
  /** Canonical; the name itself where nothing was there. */
  readonly path: string;
}

export interface ListedPlaces {
  readonly read: readonly ListedPlace[];
  readonly write: readonly ListedPlace[];
}

/** What no sandbox may be given. */
export interface Withheld {
  /** Keys and ledgers: neither to be read nor to be written. */
  readonly secret: readonly string[];
  /** Copies of programs lie in here, each in a folder of its own: a server may read the one that it runs from, although it is among what is secret. */
  readonly store?: string | undefined;
  /** Manifest and rules: not to be written. */
  readonly governing: readonly string[];
  /** Never as a whole. */
  readonly home: string;
}

export type FoundPlaces =
  | { readonly ok: true; readonly contents: Omit<SandboxContents, 'placed'> }
  | { readonly ok: false; readonly reason: string };

/** Programs of which the first argument that is no option is the program. */
const INTERPRETER = /^(?:node|nodejs|bun|deno|python[0-9.]*|pypy[0-9.]*|ruby|perl|php|bash|dash|sh)$/;

/** In such a folder, /tmp for one, a package.json could be anybody's. */
const EVERYBODY_WRITES = 0o002;

/** The paths of a list as they are meant: `~` is the home, and what is relative lies beside the manifest. */
export function listedPlaces(list: readonly string[], baseFolder: string, home: string): ListedPlace[] {
  return list.map((text) => {
    const named = /^~(?:\/|$)/.test(text) ? join(home, text.slice(1)) : resolve(baseFolder, text);
    return { named, path: canonical(named) };
  });
}

/** `system`: what is there in any case, which is read-only. */
export function sandboxPlaces(
  listed: ListedPlaces,
  program: Program,
  system: readonly string[],
  withheld: Withheld,
): FoundPlaces {
  const mounts = new Map<string, Mount>();
  const links = new Map<string, string>();
  /** Copies that the program runs from. */
  const own = new Set<string>();
  const inSystem = (path: string): boolean => system.some((folder) => isInside(path, folder));
  try {
    for (const [list, writable] of [
      [listed.read, false],
      [listed.write, true],
    ] as const) {
      for (const { named, path } of list) {
        // What was described, and perhaps approved, is what is given.
        if (realpathSync(path) !== path) return { ok: false, reason: `sandbox: ${path} leads elsewhere by now` };
        mounts.set(path, { path, writable });
        if (path !== named) links.set(named, path);
      }
    }
    for (const path of programPlaces(program, withheld)) {
      if (isCopy(path, withheld)) own.add(path);
      const covered = inSystem(path) || [...mounts.keys()].some((folder) => isInside(path, folder));
      if (!covered) mounts.set(path, { path, writable: false });
    }
    const named = [program.file, ...scriptOf(program)].filter((file) => realpathSync(file) !== file);
    for (const file of named) if (!isReached(file, mounts, system)) links.set(file, realpathSync(file));
  } catch (fault) {
    const { code, path } = fault as NodeJS.ErrnoException;
    return { ok: false, reason: `sandbox: ${path ?? 'a path'} cannot be looked up (${code ?? 'unknown'})` };
  }
  for (const mount of mounts.values()) {
    const reason = own.has(mount.path) && !mount.writable ? undefined : whyWithheld(mount, withheld);
    if (reason !== undefined) return { ok: false, reason: `sandbox: ${mount.path} ${reason}` };
  }
  for (const folder of system)
    for (const secret of withheld.secret)
      if (isInside(secret, folder)) return { ok: false, reason: `sandbox: the gate's own files lie in ${folder}` };
  return { ok: true, contents: { mounts: [...mounts.values()], links: [...links], cwd: program.cwd } };
}

/** The files of the program itself, canonical. */
function programPlaces(program: Program, withheld: Withheld): string[] {
  const { home } = withheld;
  const file = realpathSync(program.file);
  const places = [installedWith(file, withheld)];
  // A virtual environment is known by the name that leads to its interpreter, not by the file.
  const environment = dirname(dirname(program.file));
  if (existsSync(join(environment, 'pyvenv.cfg'))) places.push(realpathSync(environment));
  if (isInterpreter(program.file)) {
    const folder = dirname(dirname(file));
    const library = join(folder, 'lib');
    // An installation beside that of the system: what the interpreter loads lies beside it.
    if (basename(dirname(file)) === 'bin' && !isInside(home, folder) && existsSync(library))
      places.push(realpathSync(library));
  }
  for (const script of scriptOf(program)) places.push(installedWith(realpathSync(script), withheld));
  return places;
}

function isInterpreter(file: string): boolean {
  return INTERPRETER.test(basename(file)) || INTERPRETER.test(basename(realpathSync(file)));
}

/** The file that an interpreter is to run, where it is one. */
function scriptOf({ file, args, cwd }: Program): string[] {
  if (!isInterpreter(file)) return [];
  const first = args.find((arg) => !arg.startsWith('-'));
  if (first === undefined) return [];
  const script = resolve(cwd, first);
  return statSync(script, { throwIfNoEntry: false })?.isFile() === true ? [script] : [];
}

/** What a file of a program is installed with: its copy in the store, the outermost `node_modules`, else the folder of its package, else it alone. */
function installedWith(file: string, { home, store }: Withheld): string {
  const [copy, ...within] = store === undefined ? [] : relative(canonical(store), file).split(sep);
  if (store !== undefined && copy !== undefined && copy !== '..' && within.length > 0)
    return join(canonical(store), copy);
  const modules = file.indexOf('/node_modules/');
  if (modules >= 0) return file.slice(0, modules + '/node_modules'.length);
  for (let folder = dirname(file); folder !== dirname(folder) && !isInside(home, folder); folder = dirname(folder))
    if (existsSync(join(folder, 'package.json')) && (statSync(folder).mode & EVERYBODY_WRITES) === 0) return folder;
  return file;
}

/** A folder of the store. */
function isCopy(path: string, { store }: Withheld): boolean {
  return store !== undefined && dirname(path) === canonical(store);
}

function whyWithheld({ path, writable }: Mount, { secret, governing, home }: Withheld): string | undefined {
  if (!isAbsolute(path)) return 'is not absolute';
  for (const place of secret.map(canonical)) {
    if (isInside(place, path) || isInside(path, place)) return "would show the gate's own keys and ledgers";
  }
  if (isInside(canonical(home), path)) return 'would show a whole home';
  if (!writable) return undefined;
  for (const place of governing.map(canonical))
    if (isInside(place, path) || isInside(path, place)) return 'would let the server write the rules that bind it';
  return undefined;
}

/** Whether a name is there by what is mounted already, with the links in it. */
function isReached(file: string, mounts: ReadonlyMap<string, Mount>, system: readonly string[]): boolean {
  return [...mounts.keys(), ...system].some((folder) => isInside(file, folder));
}

function canonical(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}
