// Whether a process is still the one that was started, and still runs the file that was measured. Looked up where Linux keeps it; on other systems nothing
// of a running process is known, and nothing is claimed.

import { readFileSync, statSync } from 'node:fs';

export interface RunningProcess {
  readonly pid: number;
  /** When it was started, in ticks since the machine was: with the number, it names one process. */
  readonly start: string;
}

/** Whether anything of a running process can be known here. */
export const CAN_SEE_PROCESSES = process.platform === 'linux';

/** The process of that number now; undefined where there is none. */
export function runningProcess(pid: number): RunningProcess | undefined {
  const start = startOf(pid);
  return start === undefined ? undefined : { pid, start };
}

/** `other`: it runs another file than the one that was measured, or what it runs cannot be seen. */
export function stateOfProcess(
  { pid, start }: RunningProcess,
  program: { readonly dev: string; readonly ino: string },
): 'same' | 'ended' | 'other' {
  if (startOf(pid) !== start) return 'ended';
  try {
    const { dev, ino } = statSync(`/proc/${pid}/exe`, { bigint: true });
    return String(dev) === program.dev && String(ino) === program.ino ? 'same' : 'other';
  } catch {
    return startOf(pid) === start ? 'other' : 'ended';
  }
}

function startOf(pid: number): string | undefined {
  try {
    // The name of the program stands in brackets and may hold anything; what follows the last of them are numbers.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
