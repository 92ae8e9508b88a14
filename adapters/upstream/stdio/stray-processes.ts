// Processes that a server started and that got away from it, found by a variable that its environment had and theirs therefore has. This is for
// machines without pid namespaces: a process that was started with another environment, or wrote over its own, is not found.

import { readFileSync } from 'node:fs';
import { startOf } from './process-key.ts';
import { processes } from './process-tree.ts';

/** A value of it names the gate and, after a point, the start of a server. */
export const MARK_VARIABLE = 'PORTCULLIS_PROCESS';

/** Whoever forks while we look is found the next time. */
const ROUNDS_MAX = 8;

/** Kills what carries the mark, or, with a point at its end, any mark that begins so. Returns how many there were. Linux only: elsewhere none is found. */
export function killMarked(mark: string): number {
  let killed = 0;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const found = processes().filter((pid) => pid !== process.pid && isMarked(pid, mark) && kill(pid, mark));
    if (found.length === 0) break;
    killed += found.length;
  }
  return killed;
}

/** The number may be somebody else's by now: who starts within the two looks has another start, and another environment. */
function kill(pid: number, mark: string): boolean {
  const start = startOf(pid);
  if (start === undefined || !isMarked(pid, mark) || startOf(pid) !== start) return false;
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

/** A zombie has no environment any more. */
function isMarked(pid: number, mark: string): boolean {
  try {
    const environment = `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`;
    return environment.includes(`\0${MARK_VARIABLE}=${mark}${mark.endsWith('.') ? '' : '\0'}`);
  } catch {
    return false;
  }
}
