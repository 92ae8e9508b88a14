// What tells a process from every other one of this machine's, also from a later one with the same number.

import { readFileSync } from 'node:fs';

/** For a child that was not waited for yet: until then its number is nobody else's. */
export function processKey(pid: number): string {
  return `${pid}:${startOf(pid) ?? process.hrtime.bigint()}`;
}

/** When it was started, in ticks since this machine was, where the system tells. */
function startOf(pid: number): string | undefined {
  try {
    // The name of the program stands in brackets and may hold anything; what follows the last of them are numbers.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return start !== undefined && /^\d+$/.test(start) ? start : undefined;
  } catch {
    return undefined;
  }
}
