// What lies in dist/ and has no source any more: the compiler writes and never removes, and a package must not carry what was deleted.

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, sep } from 'node:path';

/** The bundle is written anew, whole, by each build. */
const BUNDLE = `bundle${sep}`;

/** Files of dist/ without a source, relative to it. What begins with a dot belongs to the build and is not packed. */
export function staleFiles(root: string): string[] {
  const dist = join(root, 'dist');
  return readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dist.length + 1))
    .filter((file) => !file.startsWith('.') && !file.startsWith(BUNDLE) && !hasSource(root, file))
    .sort();
}

export function removeStaleFiles(root: string): string[] {
  const stale = staleFiles(root);
  for (const file of stale) rmSync(join(root, 'dist', file));
  return stale;
}

function hasSource(root: string, file: string): boolean {
  const stem = /^(.*?)(?:\.d\.ts|\.js)$/.exec(file)?.[1];
  return stem !== undefined && existsSync(join(root, `${stem}.ts`));
}
