// The processes a run starts: their CPU and memory as the kernel counts them, and their end.
// CPU and memory come from /proc and are undefined elsewhere. A process is found by walking parents, so one that detaches itself from
// its parent (a daemon) is not counted and not stopped.

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const CLOCK_TICKS_A_SECOND = 100; // USER_HZ, fixed at 100 in what Linux shows to programs.
const PAGE_BYTES = 4096;
const STDERR_KEPT_CHARACTERS = 4000;

export interface Started {
  readonly process: ChildProcess;
  readonly pid: number;
  /** The last lines of standard error, for a message when it fails. */
  stderr(): string;
  exited(): boolean;
}

export interface Usage {
  readonly cpuMicros: number;
  readonly residentBytes: number;
}

interface Stat {
  readonly parent: number;
  readonly ticks: number;
  readonly pages: number;
}

const alive = new Set<Started>();

/** Starts a process group of its own. Its standard output is a pipe: whoever starts it must read it. */
export function start(
  command: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Started {
  const child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const kept = { text: '' };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    kept.text = (kept.text + text).slice(-STDERR_KEPT_CHARACTERS);
  });
  child.on('error', (error) => {
    kept.text += error.message;
  });
  child.stdin.on('error', () => {}); // The process has ended; the row fails for that reason, not for this one.
  const started: Started = {
    process: child,
    pid: child.pid ?? -1,
    stderr: () => kept.text.trim(),
    exited: () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null,
  };
  alive.add(started);
  return started;
}

/** Asks a process to end, then ends it and everything it started. Resolves once it is gone. */
export async function stop(started: Started, graceMs = 5000): Promise<void> {
  const family = descendants(started.pid);
  if (!started.exited()) {
    const gone = new Promise<void>((resolve) => started.process.once('exit', () => resolve()));
    started.process.stdin?.end();
    kill(started.pid, 'SIGTERM');
    const timer = setTimeout(() => kill(started.pid, 'SIGKILL'), graceMs);
    await gone;
    clearTimeout(timer);
  }
  kill(-started.pid, 'SIGKILL');
  for (const pid of family) kill(pid, 'SIGKILL');
  alive.delete(started);
}

/** The last resort when the bench itself is ended: no grace. */
export function killAll(): void {
  for (const started of alive) {
    for (const pid of descendants(started.pid)) kill(pid, 'SIGKILL');
    kill(-started.pid, 'SIGKILL');
  }
}

/** What a process tree has used so far, without the processes that run `toolScript` (the tool is the same behind every target). */
export function usage(root: number, toolScript: string): { proxy: Usage; tool: Usage } | undefined {
  const table = processTable();
  if (table === undefined || !table.has(root)) return undefined;
  const sums = { proxy: { ticks: 0, pages: 0 }, tool: { ticks: 0, pages: 0 } };
  for (const pid of [root, ...descendantsIn(table, root)]) {
    const stat = table.get(pid);
    if (stat === undefined) continue;
    const sum = runs(pid, toolScript) ? sums.tool : sums.proxy;
    sum.ticks += stat.ticks;
    sum.pages += stat.pages;
  }
  const asUsage = (sum: { ticks: number; pages: number }): Usage => ({
    cpuMicros: (sum.ticks * 1e6) / CLOCK_TICKS_A_SECOND,
    residentBytes: sum.pages * PAGE_BYTES,
  });
  return { proxy: asUsage(sums.proxy), tool: asUsage(sums.tool) };
}

/** The CPU that each thread of a process has used, the main one first and then the busiest; nothing where the kernel does not show it. */
export function threadUsage(pid: number): { name: string; cpuMicros: number }[] {
  const threads = listTasks(pid).map((task) => {
    const role = task === String(pid) ? 'main thread' : 'thread';
    const name = `${role} ${readProc(pid, `task/${task}/comm`)?.trim() ?? ''} ${task}`;
    return {
      main: role === 'main thread',
      name,
      cpuMicros: ((readStat(pid, `task/${task}/stat`)?.ticks ?? 0) * 1e6) / CLOCK_TICKS_A_SECOND,
    };
  });
  return threads.sort((a, b) => Number(b.main) - Number(a.main) || b.cpuMicros - a.cpuMicros);
}

function listTasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port could be had');
  return address.port;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  if (pid === -1 || pid === 1) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It is already gone.
  }
}

function descendants(root: number): number[] {
  const table = processTable();
  return table === undefined ? [] : descendantsIn(table, root);
}

function descendantsIn(table: ReadonlyMap<number, Stat>, root: number): number[] {
  const children = [...table].filter(([, stat]) => stat.parent === root).map(([pid]) => pid);
  return children.flatMap((pid) => [pid, ...descendantsIn(table, pid)]);
}

function processTable(): Map<number, Stat> | undefined {
  if (process.platform !== 'linux') return undefined;
  const table = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid);
    if (stat !== undefined) table.set(pid, stat);
  }
  return table;
}

function readStat(pid: number, file = 'stat'): Stat | undefined {
  const text = readProc(pid, file);
  if (text === undefined) return undefined;
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (index: number): number => Number(fields[index] ?? 0);
  // state ppid ... utime(11) stime(12) cutime(13) cstime(14) ... rss(21); the c-fields are children already waited for.
  return { parent: number(1), ticks: number(11) + number(12) + number(13) + number(14), pages: number(21) };
}

/** Whether a process is `node SCRIPT`; a shell that was given the same words as one argument is not. */
function runs(pid: number, script: string): boolean {
  return readProc(pid, 'cmdline')?.split('\0')[1] === script;
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined; // The process ended between the listing and the reading.
  }
}
