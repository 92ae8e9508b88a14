// Processes that a gate started, written down beside its ledger, so that the next start can end what outlived a gate that was killed. The kernel does that
// where it can (a pid namespace, a parent-death signal); this is for where it cannot. A number is nobody's name: nothing is ended that was not started
// when it was written down that it was, and since this machine was. Where the system does not tell that, nothing is written and nothing is ended.

import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { startOf } from './process-key.ts';
import { statField } from './process-tree.ts';

/** After so many starts what has ended meanwhile is left out. */
const SWEEP_EVERY = 1_000;

interface Started {
  readonly pid: number;
  readonly start: string;
}

export class StartedProcesses {
  readonly #file: string;
  readonly #machine = machineBoot();
  #known: Started[] = [];

  /** Nothing is written before the first process. */
  constructor(file: string) {
    this.#file = file;
  }

  /** Notes that this process was started by us. Call it in the tick in which it was: nobody else has its number then. */
  note(pid: number): void {
    const start = startOf(pid);
    if (start === undefined || this.#machine === undefined) return;
    this.#known.push({ pid, start });
    try {
      if (this.#known.length % SWEEP_EVERY === 0) this.#sweep();
      else appendFileSync(this.#file, this.#line({ pid, start }), { mode: 0o600 });
    } catch {
      // The first lock is the kernel's; a disk that is full shuts the gate by other means.
    }
  }

  #sweep(): void {
    this.#known = this.#known.filter(({ pid, start }) => startOf(pid) === start);
    writeFileSync(`${this.#file}.new`, this.#known.map((one) => this.#line(one)).join(''), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }

  #line({ pid, start }: Started): string {
    return `${this.#machine} ${pid} ${start}\n`;
  }
}

/**
 * Ends the process groups of an earlier start that are there still, and forgets them. Only for whoever holds the lock of that gate. Returns how many there
 * were.
 */
export function endLeft(file: string): number {
  const machine = machineBoot();
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    return 0;
  }
  let ended = 0;
  for (const line of new Set(text.split('\n'))) {
    const [, boot, number, start] = /^(\S+) ([1-9]\d{0,9}) (\d+)$/.exec(line) ?? [];
    const pid = Number(number);
    if (boot === undefined || boot !== machine || pid === process.pid || startOf(pid) !== start) continue;
    // What has ended and was not waited for yet is nobody any more.
    if (statField(pid, 0) === 'Z') continue;
    if (end(-pid) || end(pid)) ended += 1;
  }
  rmSync(file, { force: true });
  return ended;
}

/** It was made the leader of a group of its own. */
function end(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

function machineBoot(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return undefined;
  }
}
