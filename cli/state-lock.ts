// Documents of the installation are written by several processes: whoever changes one holds its lock from reading to writing. Within a process whoever
// comes later waits here, because asking for the lock holds up everything else in it.

import { acquireFileLock, type FileLock } from '../adapters/storage/file-lock.ts';

const LOCK_WITHIN_MS = 10_000;
const LOCK_RETRY_MS = 50;

const turns = new Map<string, Promise<unknown>>();

/** Does the work while the lock `${file}.lock` is ours. Rejects when it cannot be had within ten seconds. */
export function lockedDuring<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  const done = (turns.get(file) ?? Promise.resolve()).then(async () => {
    const lock = await lockOf(file);
    try {
      return await work();
    } finally {
      lock.release();
    }
  });
  const settled = done
    .catch(() => undefined)
    .then(() => {
      if (turns.get(file) === settled) turns.delete(file);
    });
  turns.set(file, settled);
  return done;
}

async function lockOf(file: string): Promise<FileLock> {
  for (let waitedMs = 0; ; waitedMs += LOCK_RETRY_MS) {
    const taken = acquireFileLock(`${file}.lock`);
    if (taken.ok) return taken.lock;
    if (taken.reason === 'unsupported' || waitedMs >= LOCK_WITHIN_MS) throw new Error(taken.detail);
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}
