// The files of clients while they are written: the disk fails at every step, fails and did it all the same, and the process is killed at every step.
// After each of them every file is the old one or the new one, and the next run knows which.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { Backups } from '../../../adapters/clients/backups.ts';
import { type Disk, seeFile } from '../../../adapters/clients/safe-file.ts';
import { faultyDisk } from '../../support/faulty-disk.mjs';

const EVERY = Number(process.env.CHAOS_KILLS ?? 0) > 25;
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const NAMES = ['a.json', 'b.json'] as const;
const OLD = '\uFEFF{ "old": true } // and a comment\r\n';
const newText = (name: string): string => `{"new":"${name}"}\n`;

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  folders.push(folder);
  for (const name of NAMES) {
    writeFileSync(join(folder, name), OLD);
    chmodSync(join(folder, name), 0o640);
  }
  return folder;
}

function apply(folder: string, disk: Disk) {
  const backups = new Backups(join(folder, 'state', 'backups'), { disk });
  return backups.apply(
    'init',
    NAMES.map((name) => ({
      file: join(folder, name),
      client: 'test',
      before: seeFile(join(folder, name)),
      after: Buffer.from(newText(name)),
    })),
  );
}

/** Every file is old or new, the journal says which, nothing is left lying about, and the old bytes can be had. */
function mustBeWhole(folder: string): void {
  const backups = new Backups(join(folder, 'state', 'backups'));
  backups.settle();
  const left = readdirSync(folder).filter((name) => name.endsWith('.tmp'));
  expect(left).toEqual([]);
  const [run] = backups.runs();
  for (const [index, name] of NAMES.entries()) {
    const text = readFileSync(join(folder, name), 'utf8');
    expect([OLD, newText(name)]).toContain(text);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o640);
    const change = run?.changes[index];
    if (change === undefined) expect(text).toBe(OLD);
    else {
      expect(change.state).toBe(text === OLD ? 'unwritten' : 'written');
      expect(Buffer.from(backups.bytesBefore(run?.id ?? '', change) ?? '').toString('utf8')).toBe(OLD);
    }
  }
  expect(backups.settle()).toEqual([]);
}

function steps(): number {
  const folder = place();
  const { disk, count } = faultyDisk(-1, () => undefined);
  apply(folder, disk);
  return count();
}

it.each(['did not happen', 'happened all the same'] as const)('a write that fails and %s, at every step', (how) => {
  const all = steps();
  expect(all).toBeGreaterThan(20);
  for (let at = 0; at < all; at++) {
    const folder = place();
    const { disk } = faultyDisk(at, (_name, really) => {
      if (how === 'happened all the same') really();
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    });
    try {
      apply(folder, disk);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
    mustBeWhole(folder);
  }
});

it('a process that is killed at every step', { timeout: 120_000 }, () => {
  const script = fileURLToPath(new URL('../../support/killed-backup.mjs', import.meta.url));
  const all = steps();
  // A short run takes every third, before it and after it in turn.
  for (let at = 0; at < all; at += EVERY ? 1 : 3) {
    const folder = place();
    const when = at % 2 === 0 ? 'before' : 'after';
    const { signal, stderr } = spawnSync(process.execPath, [script, folder, String(at), when], { encoding: 'utf8' });
    expect(signal, stderr).toBe('SIGKILL');
    mustBeWhole(folder);
  }
});

it('a client that writes its file between the look and the renaming keeps what it wrote', () => {
  const folder = place();
  const file = join(folder, 'a.json');
  const { disk } = faultyDisk(-1, () => undefined);
  const meddling: Disk = {
    ...disk,
    fchmodSync: (descriptor, mode) => {
      writeFileSync(file, '{"client":"was here"}');
      disk.fchmodSync(descriptor, mode);
    },
  };
  const [outcome] = apply(folder, meddling);
  expect(outcome).toMatchObject({ state: 'unclear', problem: { text: expect.stringContaining('since it was shown') } });
  expect(readFileSync(file, 'utf8')).toBe('{"client":"was here"}');
});

it('bytes that the disk made something else of are put back as they were, and what was found is kept', () => {
  const folder = place();
  const file = join(folder, 'a.json');
  const { disk } = faultyDisk(-1, () => undefined);
  let spoilt = false;
  const spoiling: Disk = {
    ...disk,
    renameSync: (from, to) => {
      disk.renameSync(from, to);
      if (to === file && !spoilt) {
        spoilt = true;
        writeFileSync(file, '{"ne');
      }
    },
  };
  const backups = new Backups(join(folder, 'state', 'backups'), { disk: spoiling });
  const broken = (bytes: Uint8Array) => (bytes.at(-1) === 0x0a ? undefined : 'it is torn');
  const [outcome] = backups.apply('init', [
    { file, client: 'test', before: seeFile(file), after: Buffer.from(newText('a.json')), broken },
  ]);
  expect(outcome).toMatchObject({ state: 'unwritten', problem: { text: expect.stringContaining('put back') } });
  expect(readFileSync(file, 'utf8')).toBe(OLD);
  const [run] = backups.runs();
  expect(readFileSync(join(backups.folder, run?.id ?? '', '0.found'), 'utf8')).toBe('{"ne');
});

it('backups are for their owner alone', () => {
  const folder = place();
  mkdirSync(join(folder, 'state'), { recursive: true });
  apply(folder, faultyDisk(-1, () => undefined).disk);
  const backups = join(folder, 'state', 'backups');
  const [run = ''] = readdirSync(backups);
  expect(statSync(backups).mode & 0o777).toBe(0o700);
  expect(statSync(join(backups, run)).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(join(backups, run)))
    expect(statSync(join(backups, run, name)).mode & 0o777).toBe(0o600);
});
