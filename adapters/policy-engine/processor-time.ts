// For how long a thread had a processor. Only Linux tells it of one thread; elsewhere it is that of the whole process, which is never less.

import { readFileSync, readlinkSync } from 'node:fs';

/** Names the calling thread to the others of this process; undefined where the system has no such name. */
export function ownThread(): string | undefined {
  try {
    return readlinkSync('/proc/thread-self');
  } catch {
    return undefined;
  }
}

/** Milliseconds for which the thread of that name has run. */
export function processorTimeOf(thread: string | undefined): number {
  try {
    if (thread !== undefined) {
      const [nanoseconds] = readFileSync(`/proc/${thread}/schedstat`, 'latin1').split(' ');
      return Number(nanoseconds) / 1e6;
    }
  } catch {
    // Kernels without this account.
  }
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
