// Clients as npm has them, each in a folder of its own outside the repository, kept from run to run. Nothing is installed globally, and nothing of the
// installing user's home but npm's own cache is used.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const INSTALL_MS = 600_000;
/** Clients that need more than the oldest Node that we run on get this one. All do: what npm installs depends on the Node that it runs on. */
const NODE = { name: 'node', version: '22' };

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
}

export interface InstalledClient {
  readonly version: string;
  readonly program: string;
  /** With the Node that it runs on first. */
  readonly path: string;
  /** Seconds, or undefined where it was there. */
  readonly took: number | undefined;
}

export function defaultCache(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'portcullis-clients');
}

export async function installClient(wanted: NpmPackage, bin: string, cache: string): Promise<InstalledClient> {
  const started = Date.now();
  const node = await folderOf(NODE, cache, process.env.PATH ?? '');
  const path = [join(node.folder, 'node_modules', 'node', 'bin'), process.env.PATH ?? ''].join(delimiter);
  const { folder, fresh } = await folderOf(wanted, cache, path).catch(async (error: unknown) => {
    const nearest = await nearestVersion(wanted, path);
    if (nearest === undefined || nearest === wanted.version) throw error;
    return folderOf({ ...wanted, version: nearest }, cache, path);
  });
  const { version } = JSON.parse(
    readFileSync(join(folder, 'node_modules', ...wanted.name.split('/'), 'package.json'), 'utf8'),
  ) as { version: string };
  const took = fresh || node.fresh ? (Date.now() - started) / 1000 : undefined;
  return { version, program: join(folder, 'node_modules', '.bin', bin), path, took };
}

/** Complete or absent: it is made under another name. */
async function folderOf(
  { name, version }: NpmPackage,
  cache: string,
  path: string,
): Promise<{ folder: string; fresh: boolean }> {
  const folder = join(cache, `${name.replace(/[^\w.]+/g, '-').replace(/^-/, '')}-${version}`);
  if (existsSync(folder)) return { folder, fresh: false };
  const making = `${folder}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  writeFileSync(join(making, 'package.json'), '{ "private": true }\n');
  try {
    await npm(
      ['install', '--prefix', making, '--no-audit', '--no-fund', '--loglevel=error', `${name}@${version}`],
      path,
    );
    renameSync(making, folder);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    throw error;
  }
  return { folder, fresh: true };
}

/** The newest that is not newer than the one wanted, else the oldest that there is. Only releases. */
async function nearestVersion({ name, version }: NpmPackage, path: string): Promise<string | undefined> {
  const { stdout } = await npm(['view', name, 'versions', '--json'], path);
  const all = (JSON.parse(stdout) as string[]).filter((one) => /^\d+\.\d+\.\d+$/.test(one));
  const sorted = all.sort((one, other) => compareVersions(one, other));
  return sorted.findLast((one) => compareVersions(one, version) <= 0) ?? sorted[0];
}

export function compareVersions(one: string, other: string): number {
  const numbers = (text: string): number[] => text.split('.').map(Number);
  const [left, right] = [numbers(one), numbers(other)];
  const differing = left.findIndex((number, at) => number !== right[at]);
  return differing === -1 ? 0 : (left[differing] ?? 0) - (right[differing] ?? 0);
}

function npm(args: readonly string[], path: string): Promise<{ stdout: string }> {
  return run('npm', args, { env: { ...process.env, PATH: path }, timeout: INSTALL_MS, maxBuffer: 64 * 1024 * 1024 });
}
