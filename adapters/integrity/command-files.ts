// Which files a command means: the program with every link followed, the interpreter of a script, the script, the package that it is part of. What a
// program loads beyond that nobody can tell from its command line: docs/integrity.md lists what is measured for which command, and what is not.
// It reads the file system as it is now, and only to find names: what it names is hashed elsewhere.

import { closeSync, existsSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { resolveCommand } from '../upstream/stdio/command.ts';
import { SHEBANG_BYTES_MAX } from './limits.ts';
import { NodePackages, type PackageRoot } from './node-packages.ts';

export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The PATH that the process will have. */
  readonly path: string | undefined;
  /** Where our copies lie: what runs from one is measured as that copy, whole. */
  readonly store?: string | undefined;
}

export interface Subjects {
  readonly files: readonly { readonly role: string; readonly path: string }[];
  readonly trees: readonly PackageRoot[];
  /** The place of the script in the arguments, where it stands there; -1 where the command itself is the script. */
  readonly entryAt: number | undefined;
  readonly entry: string | undefined;
  /** The file that the process will be. */
  readonly program: string;
}

interface Program {
  readonly file: string;
  /** As it was found, before links were followed: a Python knows its environment by that. */
  readonly found: string;
  readonly interpreters: readonly string[];
  readonly script: string | undefined;
}

const LOCKS = [
  'package-lock.json',
  'npm-shrinkwrap.json',
  'yarn.lock',
  'pnpm-lock.yaml',
  'bun.lock',
  'bun.lockb',
  'deno.lock',
  'uv.lock',
  'poetry.lock',
  'Pipfile.lock',
  'requirements.txt',
];
const PROJECTS = ['pyproject.toml', 'setup.py', 'setup.cfg'];

/** Options of Node whose value is a module or a file that is loaded. */
const LOADS = new Set(['-r', '--require', '--import', '--loader', '--experimental-loader', '--env-file']);
/** Options of interpreters that take the next word as their value. */
const TAKES_VALUE: Readonly<Record<string, ReadonlySet<string>>> = {
  node: new Set([...LOADS, '-C', '--conditions', '--input-type', '--title', '--max-old-space-size', '--icu-data-dir']),
  python: new Set(['-W', '-X', '--check-hash-based-pycs']),
};
/** Options after which there is no script: the code stands in the arguments. */
const NO_SCRIPT: Readonly<Record<string, ReadonlySet<string>>> = {
  node: new Set(['-e', '--eval', '-p', '--print', '-pe', '--run', '--test']),
  python: new Set(['-c', '-m']),
  shell: new Set(['-c']),
};

type Kind = 'node' | 'python' | 'shell' | 'java';

/** Throws an Error with a plain explanation where the command means nothing that could be started. */
export function filesOfCommand(line: CommandLine): Subjects {
  const program = programOf(line);
  const kind = kindOf(program.file);
  const { at, loaded } = program.script === undefined ? scriptOf(kind, line) : { at: -1, loaded: [] };
  const entry = program.script ?? (at === undefined ? undefined : fileOf(line.args[at] ?? '', line.cwd));
  const packages = new NodePackages();
  const files = new Map<string, string>([[program.file, 'program']]);
  for (const interpreter of program.interpreters) files.set(interpreter, 'interpreter');
  const trees: PackageRoot[] = [];
  if (entry !== undefined) files.set(entry, 'entry');
  if (kind === 'node') {
    const copy = entry === undefined ? undefined : copyAround(entry, line.store);
    if (copy !== undefined) trees.push({ role: 'store', root: copy, whole: true });
    else if (entry !== undefined) trees.push(...packages.around(entry));
    for (const name of loaded) {
      const file = name.startsWith('.') || name.startsWith('/') || name.startsWith('file:');
      if (!file) trees.push(...packages.named(name, line.cwd));
      else {
        const path = fileOf(name.startsWith('file:') ? fileURLToPath(name) : name, line.cwd);
        if (path === undefined) continue;
        files.set(path, 'entry');
        trees.push(...packages.around(path));
      }
    }
  }
  if (kind === 'python') trees.push(...pythonTrees(program.found, entry));
  for (const lock of locksAround(trees)) files.set(lock, 'lock');
  return {
    files: [...files].map(([path, role]) => ({ role, path })),
    trees: [...new Map(trees.map((tree) => [tree.root, tree])).values()],
    entryAt: entry === undefined ? undefined : at,
    entry,
    program: program.file,
  };
}

function programOf({ command, cwd, path }: CommandLine): Program {
  const resolved = resolveCommand(command, path, cwd);
  if (!resolved.ok) throw new Error(resolved.reason);
  const file = realpathSync(resolved.file);
  const words = shebangOf(file);
  if (words === undefined) return { file, found: resolved.file, interpreters: [], script: undefined };
  const [first = '', ...rest] = words;
  const direct = realpathSync(first);
  if (basename(first) !== 'env') {
    if (shebangOf(direct) !== undefined) throw new Error(`${first} is the interpreter of a script and a script itself`);
    return { file: direct, found: first, interpreters: [], script: file };
  }
  const name = rest.find((word) => !word.startsWith('-') && !word.includes('='));
  const looked = name === undefined ? undefined : resolveCommand(name, path, cwd);
  if (looked?.ok !== true) throw new Error(`the interpreter of ${file} was not found: ${name ?? 'none is named'}`);
  const interpreter = realpathSync(looked.file);
  if (shebangOf(interpreter) !== undefined)
    throw new Error(`${looked.file} is the interpreter of a script and a script itself`);
  return { file: interpreter, found: looked.file, interpreters: [direct], script: file };
}

function shebangOf(file: string): string[] | undefined {
  const bytes = Buffer.alloc(SHEBANG_BYTES_MAX);
  const descriptor = openSync(file, 'r');
  try {
    const length = readSync(descriptor, bytes, 0, bytes.length, 0);
    if (length < 3 || bytes.toString('latin1', 0, 2) !== '#!') return undefined;
    const [text = ''] = bytes.toString('utf8', 2, length).split('\n');
    return text.trim().split(/[ \t]+/);
  } finally {
    closeSync(descriptor);
  }
}

function kindOf(program: string): Kind | undefined {
  const name = basename(program).replace(/\.exe$/i, '');
  if (/^(?:node|nodejs|bun|deno)(?:[-.\d]*)$/.test(name)) return 'node';
  if (/^(?:python|pypy)[\d.]*$/.test(name)) return 'python';
  if (/^(?:ba|da|z|k|a)?sh$/.test(name)) return 'shell';
  return name === 'java' ? 'java' : undefined;
}

/** Where the script stands among the arguments, and what is loaded before it. */
function scriptOf(kind: Kind | undefined, { args }: CommandLine): { at: number | undefined; loaded: string[] } {
  const loaded: string[] = [];
  if (kind === undefined) return { at: undefined, loaded };
  if (kind === 'java') {
    const jar = args.indexOf('-jar');
    return { at: jar < 0 ? undefined : jar + 1, loaded };
  }
  const [none, takes] = [NO_SCRIPT[kind], TAKES_VALUE[kind]];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? '';
    if (word === '--') return { at: at + 1 < args.length ? at + 1 : undefined, loaded };
    if (!word.startsWith('-') || word === '-') {
      if (kind === 'node' && at === 0 && word === 'run') continue;
      return { at: word === '-' ? undefined : at, loaded };
    }
    const [option = '', value] = word.split(/=(.*)/s, 2);
    if (none?.has(option) === true) return { at: undefined, loaded };
    if (LOADS.has(option) && kind === 'node') loaded.push(value ?? args[at + 1] ?? '');
    if (value === undefined && takes?.has(option) === true) at += 1;
  }
  return { at: undefined, loaded };
}

function fileOf(name: string, cwd: string): string | undefined {
  // Node finds a script also without its ending, and as the index of a folder.
  for (const ending of ['', '.js', '.json', '.node', '/index.js']) {
    const path = resolve(cwd, `${name}${ending}`);
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return realpathSync(path);
  }
  return undefined;
}

/** The virtual environment of this Python, and the project of its script. Of a Python of the system only the program itself. */
function pythonTrees(found: string, entry: string | undefined): PackageRoot[] {
  const environment = dirname(dirname(resolve(found)));
  const trees: PackageRoot[] = [];
  if (existsSync(join(environment, 'pyvenv.cfg')))
    trees.push({ role: 'python', root: realpathSync(environment), whole: true });
  const project = entry === undefined ? undefined : above(entry, PROJECTS);
  if (project !== undefined && !trees.some(({ root }) => isIn(project, root)))
    trees.push({ role: 'package', root: project, whole: true });
  return trees;
}

function above(file: string, names: readonly string[]): string | undefined {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (names.some((name) => existsSync(join(folder, name)))) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}

/** Beside each package of our own, and beside the outermost `node_modules` that one lies in. */
function locksAround(trees: readonly PackageRoot[]): string[] {
  const folders = new Set<string>();
  for (const { role, root } of trees) {
    if (role === 'dependency') continue;
    folders.add(root);
    const outermost = root.indexOf('/node_modules/');
    if (outermost >= 0) folders.add(root.slice(0, outermost));
  }
  return [...folders]
    .flatMap((folder) => [...LOCKS, 'node_modules/.package-lock.json'].map((name) => join(folder, name)))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true)
    .map((path) => realpathSync(path));
}

/** The copy of ours that a file lies in. */
function copyAround(file: string, store: string | undefined): string | undefined {
  if (store === undefined || !existsSync(store)) return undefined;
  const base = realpathSync(store);
  const [copy = ''] = isIn(file, base) ? file.slice(base.length + 1).split('/') : [];
  return copy === '' ? undefined : join(base, copy);
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
