// Whether a process is still the one that was started, and still runs the file that was measured. Looked up where Linux keeps it; on other systems nothing
// of a running process is known, and nothing is claimed.

import { statSync } from 'node:fs';
import { statField } from '../upstream/stdio/process-tree.ts';

export interface RunningProcess {
  readonly pid: number;
  /** When it was started, in ticks since the machine was: with the number, it names one process. */
  readonly start: string;
}

/** Fields of /proc/PID/stat after the name. */
const START = 19;
const VIRTUAL_BYTES = 20;

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
    // What is ending has no memory any more, and so no file that it runs: that is no other file. Until it is waited for it has its number.
    return startOf(pid) !== start || statField(pid, VIRTUAL_BYTES) === '0' ? 'ended' : 'other';
  }
}

function startOf(pid: number): string | undefined {
  return statField(pid, START);
}
