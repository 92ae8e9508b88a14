// The number by which we know a process that told us the number by which it knows itself.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** `member`: any process of the same namespace, as we know it. Where there are no namespaces, a number is a number. */
export function pidOutside(member: number, inside: number): number {
  return pidIn(namespaceOf(member) ?? 'none', inside);
}

/** `namespace`: what the process reads at /proc/self/ns/pid, or `none`. */
export function pidIn(namespace: string, inside: number): number {
  if (namespace === 'none' || namespace === namespaceOf(process.pid)) return inside;
  const found = readdirSync('/proc').find(
    (name) => /^\d+$/.test(name) && namespaceOf(Number(name)) === namespace && insideOf(name) === inside,
  );
  if (found === undefined) throw new Error(`no process ${inside} in ${namespace}`);
  return Number(found);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

function insideOf(pid: string): number | undefined {
  try {
    const numbers = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(numbers?.split(/\s+/).at(-1));
  } catch {
    return undefined;
  }
}
