// What init, restore and uninstall share: where the clients of this machine are looked for, the backups of this installation, and its lock.

import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Backups, type Settled } from '../../adapters/clients/backups.ts';
import type { Machine } from '../../adapters/clients/client-paths.ts';
import { FileRefused } from '../../adapters/clients/safe-file.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { EXIT } from '../exit-codes.ts';
import type { Home } from '../home.ts';
import { CommandError, type Output, reasonOf } from '../output.ts';
import { lockedDuring } from '../state-lock.ts';

export function thisMachine(): Machine {
  const platform = process.platform === 'win32' || process.platform === 'darwin' ? process.platform : 'linux';
  return { platform, home: homedir(), env: process.env, cwd: process.cwd() };
}

export function backupsOf(home: Home): Backups {
  return new Backups(join(home.state, 'backups'));
}

/** Nobody else of this installation writes files of clients meanwhile. Says first what became of a run that was cut off. */
export async function whileWriting<Result>(home: Home, out: Output, work: () => Promise<Result>): Promise<Result> {
  try {
    mkdirSync(home.state, { recursive: true, mode: 0o700 });
    return await lockedDuring(join(home.state, 'backups'), async () => {
      for (const settled of backupsOf(home).settle()) tellSettled(settled, out);
      return work();
    });
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof FileRefused)
      throw new CommandError(visibleText(error.message), EXIT.error, error.hint === undefined ? [] : [error.hint]);
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new CommandError('the disk is full: what was not finished was left as it was', EXIT.error, [
        'make room, and run this again: it finds out first what was done',
      ]);
    throw new CommandError(reasonOf(error), EXIT.error, ['run this again: it finds out first what was done']);
  }
}

function tellSettled({ command, at, files }: Settled, out: Output): void {
  out.note(`portcullis ${command} of ${at} was cut off; this is what became of it:`);
  for (const { file, state } of files) out.note(`  ${visibleText(file)}: ${SETTLED[state]}`);
}

const SETTLED: Readonly<Record<Settled['files'][number]['state'], string>> = {
  planned: 'not known',
  written: 'was written',
  unwritten: 'is as it was before',
  unclear: 'was written by another program since',
  restored: 'is as it was before',
};

/** The file lies in a folder with a `.git` above it. */
export function isUnderVersionControl(real: string): boolean {
  for (let folder = dirname(real); ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return true;
    if (folder === dirname(folder)) return false;
  }
}
