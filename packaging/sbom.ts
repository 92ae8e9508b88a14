// The list of everything that is installed with the package (CycloneDX), by npm, from the lock file. `npm sbom --omit dev` leaves out what a package of
// development needs as well, so npm gets a lock file without any.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeRuntimeProject } from './runtime-project.ts';

/** Throws when npm does. */
export function sbom(root: string): string {
  const temporary = mkdtempSync(join(tmpdir(), 'portcullis-sbom-'));
  // npm calls the whole by the name of its folder.
  const folder = join(temporary, 'portcullis');
  try {
    mkdirSync(folder);
    writeRuntimeProject(root, folder);
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
