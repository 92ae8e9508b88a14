// A server must not outlive the gate: while it lives without us, it may finish a call that nobody records.
// On Linux the kernel can end it with us, through util-linux `setpriv`. Elsewhere a server is expected to end when its input does.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Fixed places: a name looked up in PATH could be anybody's. */
const PLACES = ['/usr/bin/setpriv', '/bin/setpriv'];

/** The `setpriv` that knows `--pdeathsig`, or undefined. Runs it once; ask once per process. */
export function findParentDeathSignal(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const file = PLACES.find((place) => existsSync(place));
  if (file === undefined) return undefined;
  const help = spawnSync(file, ['--help'], { env: {}, encoding: 'utf8', timeout: 2_000 });
  return help.status === 0 && help.stdout.includes('--pdeathsig') ? file : undefined;
}

/**
 * Command and arguments that start `file` so that it is killed when we die. The kernel takes the death of the thread that started it for
 * ours, so servers are started from the main thread only. What the server starts itself is not covered.
 */
export function withParentDeathSignal(
  setpriv: string | undefined,
  file: string,
  args: readonly string[],
): [string, string[]] {
  return setpriv === undefined ? [file, [...args]] : [setpriv, ['--pdeathsig', 'KILL', '--', file, ...args]];
}
