import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endLeft, StartedProcesses } from '../../../../adapters/upstream/stdio/left-processes.ts';
import { proves } from '../../../guarantees.ts';

let root: string;
let file: string;
let children: ChildProcess[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'portcullis-'));
  file = join(root, 'processes');
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

function sleeping(): { child: ChildProcess; pid: number; over: Promise<unknown> } {
  const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
  children.push(child);
  if (child.pid === undefined) throw new Error('sleep cannot be started');
  return { child, pid: child.pid, over: once(child, 'exit') };
}

describe.skipIf(process.platform !== 'linux')('processes that outlived their gate (skipped where /proc is not)', () => {
  proves('G4', 'a process that only has the number of one of ours is left alone', async () => {
    const ours = sleeping();
    new StartedProcesses(file).note(ours.pid);
    const [machine, pid, start] = readFileSync(file, 'latin1').trim().split(' ');
    for (const lie of [
      `${machine} ${pid} ${Number(start) + 1}`,
      `another-boot ${pid} ${start}`,
      `${machine} ${pid}`,
      `${machine} -1 ${start}`,
      `${machine} 1 ${start}`,
      `${machine} ${process.pid} ${start}`,
      'nonsense',
    ]) {
      writeFileSync(file, `${lie}\n`);
      expect(endLeft(file), lie).toBe(0);
      expect(ours.child.exitCode ?? ours.child.signalCode, lie).toBeNull();
      expect(existsSync(file)).toBe(false);
    }
  });

  proves('G12', 'one of ours is ended with its group, once', async () => {
    const [one, two] = [sleeping(), sleeping()];
    const started = new StartedProcesses(file);
    started.note(one.pid);
    started.note(two.pid);
    two.child.kill('SIGKILL');
    await two.over;
    expect(endLeft(file)).toBe(1);
    await one.over;
    expect(one.child.signalCode).toBe('SIGKILL');
    expect(endLeft(file)).toBe(0);
  });

  it('what has ended is left out of the list now and then', async () => {
    const gone = sleeping();
    const started = new StartedProcesses(file);
    started.note(gone.pid);
    gone.child.kill('SIGKILL');
    await gone.over;
    const there = sleeping();
    for (let times = 0; times < 1_500; times++) started.note(there.pid);
    expect(readFileSync(file, 'latin1')).not.toContain(` ${gone.pid} `);
    expect(readFileSync(file, 'latin1').length).toBeLessThan(120_000);
    expect(endLeft(file)).toBe(1);
  });
});
