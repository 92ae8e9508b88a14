// The files of a ledger on a real file system. Data goes through the thread pool; sizes and the lock are looked at directly, which takes
// microseconds and never waits for the disk.

import {
  chmod,
  close,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  mkdirSync,
  open,
  read,
  readdir,
  rename,
  rm,
  stat,
  write,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SegmentStore, StoredFile } from '../../ledger/ports.ts';
import type { FileLock } from './file-lock.ts';

const openAsync = promisify(open);
const closeAsync = promisify(close);
const fdatasyncAsync = promisify(fdatasync);
const fsyncAsync = promisify(fsync);
const chmodAsync = promisify(chmod);
const renameAsync = promisify(rename);
const rmAsync = promisify(rm);
const statAsync = promisify(stat);
const readdirAsync = promisify(readdir);

const CHUNK_BYTES = 512 * 1024;

/**
 * Where the kernel offers it, a write that returns when it is on stable storage, as if fdatasync followed: one errand of the thread pool
 * instead of two. Elsewhere the flag promises less than fdatasync does, or is not there.
 */
const DURABLE = process.platform === 'linux' ? constants.O_DSYNC : 0;
const APPEND = constants.O_RDWR | DURABLE;
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | DURABLE;

/** Creates a private folder and those above it. */
export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Makes the names in a folder durable. Windows has no such call and needs none. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await openAsync(path, 'r');
  try {
    await fsyncAsync(folder);
  } finally {
    await closeAsync(folder);
  }
}

/** The store in `dir`. Every write asks `lock` first whether the ledger is still ours. */
export function ledgerFiles(dir: string, lock: Pick<FileLock, 'assertHeld'>): SegmentStore {
  const at = (path: string) => join(dir, path);
  for (const folder of ['seg', 'vault', 'quarantine']) makeFolder(at(folder));
  return {
    assertOwned: async () => lock.assertHeld(),
    list: async (folder) => (await readdirAsync(at(folder))).sort(),
    size: async (path) => (await statAsync(at(path))).size,
    read: (path, from) => readChunks(at(path), from),
    open: async (path) => storedFile(await openAsync(at(path), APPEND)),
    create: async (path) => storedFile(await openAsync(at(path), CREATE, 0o600)),
    rename: (from, to) => renameAsync(at(from), at(to)),
    remove: (path) => rmAsync(at(path)),
    syncFolder: (folder) => syncFolder(at(folder)),
    seal: (path) => chmodAsync(at(path), 0o444),
  };
}

/** The bytes of a file from `from` on. A chunk is only lent: its memory is used again. The next one is read meanwhile. */
export async function* readChunks(path: string, from: number): AsyncGenerator<Uint8Array> {
  const descriptor = await openAsync(path, 'r');
  let coming: Promise<number> | undefined;
  try {
    const { size } = fstatSync(descriptor);
    const length = Math.min(CHUNK_BYTES, Math.max(4096, size - from));
    let [chunk, other] = [new Uint8Array(length), new Uint8Array(length)];
    let position = from;
    coming = readAsync(descriptor, chunk, position);
    for (;;) {
      const count = await coming;
      if (count === 0) return;
      position += count;
      coming = readAsync(descriptor, other, position);
      yield chunk.subarray(0, count);
      [chunk, other] = [other, chunk];
    }
  } finally {
    // Whoever stops early must not close the file under a read.
    await coming?.catch(() => undefined);
    await closeAsync(descriptor);
  }
}

function storedFile(descriptor: number): StoredFile {
  let closed = false;
  // The system gives the number of a closed file to the next one: a late call must not reach that.
  const assertOpen = () => {
    if (closed) throw new Error('the file is closed');
  };
  return {
    size: async () => {
      assertOpen();
      return fstatSync(descriptor).size;
    },
    write: async (bytes, position) => {
      assertOpen();
      const written = await writeAsync(descriptor, bytes, position);
      if (DURABLE === 0) await fdatasyncAsync(descriptor);
      return written;
    },
    sync: async () => {
      assertOpen();
      return fdatasyncAsync(descriptor);
    },
    close: async () => {
      if (closed) return;
      closed = true;
      await closeAsync(descriptor);
    },
  };
}

function writeAsync(descriptor: number, bytes: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, 0, bytes.length, position, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

function readAsync(descriptor: number, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, into, 0, into.length, position, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}
