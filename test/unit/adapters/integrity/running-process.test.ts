// What is said of a running process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { runningProcess, stateOfProcess } from '../../../../adapters/integrity/running-process.ts';

const fileOf = (path: string) => {
  const { dev, ino } = statSync(path, { bigint: true });
  return { dev: String(dev), ino: String(ino) };
};

describe.skipIf(process.platform !== 'linux')('a process', () => {
  it('that runs another file than the one that was measured is another', () => {
    const us = runningProcess(process.pid)!;
    expect(stateOfProcess(us, fileOf('/bin/sh'))).toBe('other');
    expect(stateOfProcess(us, fileOf(process.execPath))).toBe('same');
    expect(stateOfProcess({ ...us, start: '1' }, fileOf(process.execPath))).toBe('ended');
  });

  it('that died has ended, also before anybody waited for it', async () => {
    // Its parent becomes a program that waits for nobody, and it ends only then: a shell would
    // have waited for it.
    const parent = spawn('/bin/sh', ['-c', 'cat <&3 >&2 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    });
    const [said] = await once(parent.stdout!, 'data');
    const zombie = runningProcess(Number(String(said)))!;
    expect(zombie).toBeDefined();
    await expect.poll(() => readFileSync(`/proc/${parent.pid}/comm`, 'utf8')).toBe('sleep\n');
    (parent.stdio[3] as Writable).end();
    await expect.poll(() => stateOfProcess(zombie, fileOf('/bin/sh'))).toBe('ended');
    expect(runningProcess(zombie.pid)).toEqual(zombie);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  });
});
