// What tells a process from every other one of this machine's, also from a later one with the same number.

import { statField } from './process-tree.ts';

/** For a child that was not waited for yet: until then its number is nobody else's. */
export function processKey(pid: number): string {
  return `${pid}:${startOf(pid) ?? process.hrtime.bigint()}`;
}

/** When it was started, in ticks since this machine was, where the system tells. */
export function startOf(pid: number): string | undefined {
  const start = statField(pid, 19);
  return start !== undefined && /^\d+$/.test(start) ? start : undefined;
}
