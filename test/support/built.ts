// Tests that start the command line need dist/ to be what the sources say. Built once for each run of the tests, and only when a source is
// newer than the last build.

import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KEPT } from './approve-first.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const STAMP = join(ROOT, 'dist', '.built-for-tests');
const SOURCES = [
  'domain',
  'state-machines',
  'control-plane',
  'proxy',
  'ledger',
  'adapters',
  'cli',
  'examples',
  'bench',
];

const BUILT_BY = ['package.json', 'tsconfig.build.json', 'packaging/bundle.ts', 'test/support/inside.js'];

export function setup(): void {
  const since = modified(STAMP);
  const sources = [
    ...SOURCES.flatMap((folder) => files(join(ROOT, folder))),
    ...BUILT_BY.map((file) => join(ROOT, file)),
  ];
  if (since > 0 && sources.every(older)) return;
  const started = new Date();
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) {
    // The compiler has written its output all the same; tests that do not need it should not suffer.
    if (process.env.CI === 'true') throw new Error(`the build fails:\n${stdout}${stderr}`);
    process.stderr.write(`the build has errors:\n${stdout}${stderr}`);
    return;
  }
  writeFileSync(STAMP, started.toISOString());

  function older(file: string): boolean {
    return modified(file) < since;
  }
}

/** What servers of the tests say of themselves, and what they run, is of no use to anybody else. */
export function teardown(): void {
  rmSync(KEPT, { recursive: true, force: true });
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}
