// What is installed with the package, and nothing for its development: package.json and lock file without either. From our own lock file, so that versions
// and sums are those that were tested.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Locked {
  readonly version?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

interface Lock {
  readonly packages: Readonly<Record<string, Locked>>;
}

/** Writes both files into a folder, where `npm ci` then installs exactly that. */
export function writeRuntimeProject(root: string, folder: string): void {
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
  const { devDependencies: _, ...kept } = own;
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(kept, undefined, 2)}\n`);
  writeFileSync(join(folder, 'package-lock.json'), `${JSON.stringify(runtimeLock(root), undefined, 2)}\n`);
}

/** All of it by name and version. */
export function runtimePackages(root: string): string[] {
  return Object.entries(runtimeLock(root).packages)
    .filter(([path]) => path !== '')
    .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`)
    .sort();
}

function runtimeLock(root: string): Lock {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const kept = Object.entries(lock.packages).filter(([, { dev, devOptional }]) => dev !== true && devOptional !== true);
  const packages = Object.fromEntries(
    kept.map(([path, entry]) => (path === '' ? [path, { ...entry, devDependencies: {} }] : [path, entry])),
  );
  return { ...lock, packages };
}
