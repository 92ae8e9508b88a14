// Which processes run that name a certain path on their command line. Temporary folders are unique, so this finds what a test caused.

import { spawnSync } from 'node:child_process';

export interface SeenProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Without those that only stand between the gate and a server, which name on their command line what they start. */
export function processesNaming(path: string): readonly SeenProcess[] {
  return everyProcessNaming(path).filter(({ command }) => !BETWEEN.test(command));
}

const BETWEEN = /^\S*\/(setpriv|prlimit|unshare|bwrap) |^\S*\/sh -c unset PWD /;

export function everyProcessNaming(path: string): readonly SeenProcess[] {
  const { stdout, status } = spawnSync('ps', ['-eo', 'pid=,ppid=,stat=,args='], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error('ps does not work here');
  return stdout.split('\n').flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (command === undefined || state?.startsWith('Z') === true || !command.includes(path)) return [];
    return [{ pid: Number(pid), parent: Number(parent), command }];
  });
}

/** Waits until no process names the path; returns those that stayed. */
export async function goneWithin(path: string, ms: number): Promise<readonly SeenProcess[]> {
  const end = Date.now() + ms;
  for (;;) {
    const left = everyProcessNaming(path);
    if (left.length === 0 || Date.now() > end) return left;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
