// The package as it is installed with exactly what the lock file names: for the bundle and the container.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { writeRuntimeProject } from './runtime-project.ts';

/** Unpacks a packed package into a folder and installs what it needs there, without running a script of anybody. Throws when npm or tar does. */
export function installInto(root: string, tarball: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1']);
  writeRuntimeProject(root, folder);
  const quick = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  execFileSync('npm', ['ci', ...quick], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
}
