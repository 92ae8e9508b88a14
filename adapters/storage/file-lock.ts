// One process writes a ledger. The lock is the kernel's, on an open file: it goes when the process goes, however it goes, and stays while
// the process is stopped. Lock files with times in them do neither.
// Node has no flock. On Linux the `flock` command locks the open file that it inherits from us, and the lock stays with our descriptor
// after the command has ended. macOS, the BSDs and Windows take the lock while opening.

import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';

export type LockRefusal =
  | { readonly ok: false; readonly reason: 'held'; readonly detail: string }
  | { readonly ok: false; readonly reason: 'unsupported'; readonly detail: string };

export type LockResult = { readonly ok: true; readonly lock: FileLock } | LockRefusal;

/** O_EXLOCK and O_NONBLOCK of macOS and the BSDs; libuv's own flag for sharing nothing on Windows. */
const BSD_EXCLUSIVE = 0x20 | 0x04;
const WINDOWS_EXCLUSIVE = 0x10000000;

export class FileLock {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #inode: number;
  readonly #device: number;
  #released = false;

  constructor(path: string, descriptor: number) {
    const { ino, dev } = fstatSync(descriptor);
    this.#path = path;
    this.#descriptor = descriptor;
    this.#inode = ino;
    this.#device = dev;
  }

  /** Throws unless the locked file is still the one at its path: whoever replaced it could lock the new one. Microseconds. */
  assertHeld(): void {
    const { ino, dev } = statSync(this.#path);
    if (ino !== this.#inode || dev !== this.#device)
      throw new Error(`the lock ${this.#path} was replaced: it is no longer ours`);
  }

  /** Once; more often does nothing. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    closeSync(this.#descriptor);
  }
}

/** Takes the lock at once or says why not. */
export function acquireFileLock(path: string): LockResult {
  let descriptor: number;
  try {
    descriptor = openSync(path, openFlags(), 0o600);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EAGAIN' || code === 'EBUSY' || code === 'EWOULDBLOCK') return held(path);
    throw error;
  }
  const refusal = process.platform === 'linux' ? flock(path, descriptor) : undefined;
  if (refusal !== undefined) {
    closeSync(descriptor);
    return refusal;
  }
  const lock = new FileLock(path, descriptor);
  try {
    // Between opening and locking the file may have been replaced.
    lock.assertHeld();
  } catch {
    lock.release();
    return held(path);
  }
  return { ok: true, lock };
}

function openFlags(): number {
  const flags = constants.O_RDWR | constants.O_CREAT;
  if (process.platform === 'linux') return flags;
  return flags | (process.platform === 'win32' ? WINDOWS_EXCLUSIVE : BSD_EXCLUSIVE);
}

function flock(path: string, descriptor: number): LockRefusal | undefined {
  // Descriptor 3 of the command is ours; its lock belongs to the open file, not to the process that asked for it.
  const { error, status, signal } = spawnSync('flock', ['-x', '-n', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
  });
  if (error !== undefined) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const detail = missing
      ? 'the flock command is not installed (package util-linux)'
      : `flock cannot be run: ${error.message}`;
    return { ok: false, reason: 'unsupported', detail };
  }
  if (status === 0) return undefined;
  if (status === 1) return held(path);
  return { ok: false, reason: 'unsupported', detail: `flock ended with ${status ?? signal}` };
}

function held(path: string): LockRefusal {
  return { ok: false, reason: 'held', detail: `another process holds ${path}` };
}
