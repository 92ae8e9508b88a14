// The list of everything that is installed with the package (CycloneDX), by npm, from the lock file. `npm sbom --omit dev` leaves out what a package of
// development needs as well, so npm gets a lock file without any.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Locked {
  readonly version?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

interface Lock {
  readonly packages: Readonly<Record<string, Locked>>;
}

/** Throws when npm does. */
export function sbom(root: string): string {
  const temporary = mkdtempSync(join(tmpdir(), 'portcullis-sbom-'));
  // npm calls the whole by the name of its folder.
  const folder = join(temporary, 'portcullis');
  try {
    mkdirSync(folder);
    const { devDependencies: _, ...own } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify(own));
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(runtimeLock(root)));
    return execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 64 * 1024 * 1024,
    });
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** What is installed with the package, by name and version, once each. */
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
