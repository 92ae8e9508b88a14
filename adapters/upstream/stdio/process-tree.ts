// Who descends from a process, as the kernel tells it now. Every answer may be old when it is read: a number is worth something only together
// with the start of its process (process-key.ts).

import { readdirSync, readFileSync } from 'node:fs';

/** Children in the order in which they came; empty where the system does not tell, and where there are none. */
export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  } catch {
    return processes().filter((one) => parentOf(one) === pid);
  }
}

/** The first child of the first child, and so on. */
export function descendantAt(pid: number, generations: number): number | undefined {
  let found: number | undefined = pid;
  for (let left = generations; left > 0 && found !== undefined; left--) found = childrenOf(found)[0];
  return found;
}

/** Every process of this machine that we can see, in the order of numbers. */
export function processes(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  } catch {
    return [];
  }
}

/** Field `index` of /proc/PID/stat after the name of the program, which stands in brackets and may hold anything; undefined once it is gone. */
export function statField(pid: number, index: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[index];
  } catch {
    return undefined;
  }
}

export function parentOf(pid: number): number | undefined {
  const parent = statField(pid, 1);
  return parent === undefined ? undefined : Number(parent);
}
