// Copies of packages, each in a folder that is called by the digest of everything in it and that nobody may write to. A package gets here once, at an exact
// version and without any of its scripts being run; what runs later is this copy. It does not decide whether a package is to be trusted.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { npmName, type PackageRunner } from '../../control-plane/integrity/package-runner.ts';
import type { Digest } from '../../domain/digest.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { resolveCommand } from '../upstream/stdio/command.ts';
import type { Means } from './environment-of.ts';
import { STORE_BYTES_MAX } from './limits.ts';
import { isMeasurement } from './measurement.ts';

export interface StoredPackage {
  readonly digest: Digest;
  /** The file of Node, and the arguments that start the package from its copy. */
  readonly command: string;
  readonly args: readonly string[];
  /** What was installed, with its version. */
  readonly name: string;
  readonly version: string;
}

export interface Installer {
  /** The PATH in which `npm` and `node` are looked for. */
  readonly path: string | undefined;
  /** Where files that the command line names are. */
  readonly cwd: string;
}

const INSTALL_WITHIN_MS = 300_000;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
const OPTIONS = [
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--omit=dev',
  '--save-exact',
  '--install-links',
  '--bin-links=false',
  '--loglevel=error',
];

/** Rejects with a plain explanation, and then nothing of the package is left. */
export async function storePackage(runner: PackageRunner, means: Means, installer: Installer): Promise<StoredPackage> {
  if (runner.ecosystem !== 'npm')
    throw new Error(
      `"${runner.runner}" cannot be pinned: install the tool into a virtual environment and name its program as the command`,
    );
  const spec = specOf(runner, installer.cwd);
  const [npm, node] = ['npm', 'node'].map((name) => fileOf(name, installer));
  mkdirSync(means.store, { recursive: true, mode: 0o700 });
  const fresh = join(realpathSync(means.store), `.new-${randomBytes(8).toString('hex')}`);
  mkdirSync(fresh, { mode: 0o700 });
  try {
    writeFileSync(join(fresh, 'package.json'), '{"name":"portcullis-store","private":true}\n');
    await run(npm ?? '', ['install', ...OPTIONS, '--', spec], fresh, installer.path);
    const { name, version } = installedIn(fresh);
    const file = programOf(join(fresh, 'node_modules', name), runner.bin, name);
    withoutWriting(fresh);
    const line = { command: node ?? '', args: [file], cwd: fresh, path: installer.path, store: means.store };
    const found = await means.thread.ask(line);
    const copy = isMeasurement(found) ? found.trees.find(({ role }) => role === 'store') : undefined;
    if (copy === undefined) throw new Error(`${name} has no program that could be measured`);
    if (found.bytes > STORE_BYTES_MAX)
      throw new Error(`${name} and what it needs are more than ${STORE_BYTES_MAX} bytes`);
    const kept = join(realpathSync(means.store), copy.digest.slice('sha256:'.length));
    if (!existsSync(kept)) renameSync(fresh, kept);
    const args = [join(kept, relative(fresh, file)), ...runner.args];
    return { digest: copy.digest, command: node ?? '', args, name, version };
  } finally {
    remove(fresh);
  }
}

function specOf({ runner, spec }: PackageRunner, cwd: string): string {
  if (spec === undefined)
    throw new Error(
      `it is not plain which package "${runner}" is to run: write it as  ${runner} -y PACKAGE@VERSION ARGUMENTS`,
    );
  if (npmName(spec) !== undefined) return spec;
  const file = spec.replace(/^file:/, '');
  if (/^[./]/.test(file) || file !== spec) return `file:${resolve(cwd, file)}`;
  throw new Error(`"${spec}" is neither the name of a package nor a file: only those are installed`);
}

function fileOf(name: string, { path, cwd }: Installer): string {
  const found = resolveCommand(name, path, cwd);
  if (!found.ok) throw new Error(found.reason);
  return realpathSync(found.file);
}

async function run(npm: string, args: readonly string[], cwd: string, path: string | undefined): Promise<void> {
  // npm reads its settings, and where the registry is, from the environment of whoever approves.
  const env = { ...process.env, PATH: path, npm_config_ignore_scripts: 'true' };
  try {
    await promisify(execFile)(npm, [...args], { cwd, env, timeout: INSTALL_WITHIN_MS, maxBuffer: OUTPUT_BYTES_MAX });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').slice(0, 4).join('; ');
    throw new Error(`npm could not install it: ${said || String(error)}`);
  }
}

/** What the lock file says that was asked for. Refuses what came without an integrity from somewhere else than this machine. */
function installedIn(folder: string): { readonly name: string; readonly version: string } {
  const lock = jsonIn(join(folder, 'package-lock.json'));
  const packages = isJsonObject(lock.packages) ? lock.packages : {};
  for (const [place, one] of Object.entries(packages)) {
    if (place === '' || !isJsonObject(one)) continue;
    const isHere = typeof one.resolved === 'string' && one.resolved.startsWith('file:');
    if (typeof one.integrity !== 'string' && !isHere && one.inBundle !== true)
      throw new Error(`${place} came without an integrity`);
    if (one.link === true) throw new Error(`${place} is a link and no copy`);
  }
  const root = packages[''];
  const asked = isJsonObject(root) && isJsonObject(root.dependencies) ? Object.keys(root.dependencies) : [];
  const [name] = asked;
  if (name === undefined || asked.length !== 1) throw new Error('not exactly one package was installed');
  const version = jsonIn(join(folder, 'node_modules', name, 'package.json')).version;
  return { name, version: typeof version === 'string' ? version : 'unknown' };
}

/** As npx chooses: the one that is named, the only one, or the one that is called like the package. */
function programOf(folder: string, wanted: string | undefined, name: string): string {
  const { bin } = jsonIn(join(folder, 'package.json'));
  const plain = name.replace(/^@[^/]*\//, '');
  const programs: Record<string, Json> =
    typeof bin === 'string' ? { [plain]: bin } : isJsonObject(bin) ? { ...bin } : {};
  const names = Object.keys(programs);
  const chosen = wanted ?? (names.length === 1 ? names[0] : plain);
  const file = chosen === undefined || !Object.hasOwn(programs, chosen) ? undefined : programs[chosen];
  if (typeof file !== 'string')
    throw new Error(`${name} has no program "${chosen ?? ''}"; it has: ${names.join(', ') || 'none'}`);
  const path = realpathSync(resolve(folder, file));
  if (!path.startsWith(`${realpathSync(folder)}/`)) throw new Error(`the program of ${name} lies outside of it`);
  const [first = ''] = readFileSync(path, 'utf8').split('\n', 1);
  if (first.startsWith('#!') && !/\bnode\b/.test(first)) throw new Error(`the program of ${name} is not one of Node`);
  return path;
}

function jsonIn(path: string): JsonObject {
  const json = JSON.parse(readFileSync(path, 'utf8')) as Json;
  if (!isJsonObject(json)) throw new Error(`${path} is not what npm writes`);
  return json;
}

function withoutWriting(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  if (stat.isDirectory()) for (const name of readdirSync(path)) withoutWriting(join(path, name));
  chmodSync(path, stat.mode & 0o7555);
}

/** What may not be written to cannot be removed either. */
function remove(path: string): void {
  if (!existsSync(path)) return;
  const open = (folder: string): void => {
    chmodSync(folder, 0o700);
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) open(join(folder, entry.name));
  };
  open(path);
  rmSync(path, { recursive: true, force: true });
}
