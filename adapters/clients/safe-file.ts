// Replaces a file of another program as one: after a crash the old bytes or the new ones are there, through links, with mode and owner as they were.
// Refuses where the file is not what was shown. It cannot keep out a program that writes in the instant between the last look and the renaming.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';

/** What is used of the file system. Tests put faults in its place. */
export type Disk = Pick<
  typeof fs,
  | 'closeSync'
  | 'fchmodSync'
  | 'fchownSync'
  | 'fsyncSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readFileSync'
  | 'realpathSync'
  | 'renameSync'
  | 'rmSync'
  | 'statSync'
  | 'writeSync'
>;

/** The files of agents hold whole conversations sometimes; whatever is larger is no configuration. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** Nothing was written. The message says which file and why, the hint what to do. */
export class FileRefused extends Error {
  override readonly name = 'FileRefused';
  readonly file: string;
  readonly hint: string | undefined;

  constructor(file: string, why: string, hint?: string) {
    super(`${file}: ${why}`);
    this.file = file;
    this.hint = hint;
  }
}

export interface SeenFile {
  /** Where it was looked for; perhaps a link. */
  readonly file: string;
  /** Where its bytes lie. */
  readonly real: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** How many names its bytes have. */
  readonly names: number;
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Undefined where there is nothing. Throws `FileRefused` for what is no file, is too large, or cannot be read. */
export function seeFile(file: string, disk: Disk = fs): SeenFile | undefined {
  try {
    const real = disk.realpathSync(file);
    const { size, mode, uid, gid, nlink } = statOfFile(file, real, disk);
    if (size > FILE_BYTES_MAX) throw new FileRefused(file, `is larger than ${FILE_BYTES_MAX} bytes`);
    const bytes = disk.readFileSync(real);
    return { file, real, bytes, sha256: sha256Hex(bytes), mode: mode & 0o7777, uid, gid, names: nlink };
  } catch (error) {
    if (error instanceof FileRefused) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !isLink(file)) return undefined;
    throw refused(file, error, 'read');
  }
}

function statOfFile(file: string, real: string, disk: Disk): fs.Stats {
  const stats = disk.statSync(real);
  if (!stats.isFile()) throw new FileRefused(file, 'is not a file');
  return stats;
}

function isLink(file: string): boolean {
  try {
    return fs.lstatSync(file).isSymbolicLink();
  } catch {
    return false;
  }
}

export interface Replacement {
  readonly file: string;
  /** As it was shown; undefined where there was nothing. */
  readonly before: SeenFile | undefined;
  /** Undefined: it goes away. */
  readonly after: Uint8Array | undefined;
  /** Where the new bytes are gathered: in the same folder, and nobody else's name. */
  readonly temporary: string;
  /** Why these bytes are not a whole file of their kind; undefined when they are. */
  readonly broken: (bytes: Uint8Array) => string | undefined;
  /** Given bytes that were found in place of ours, before ours before are put back. */
  readonly keep: (bytes: Uint8Array) => void;
}

/** Why the file would not be written; undefined when nothing speaks against it. Writes nothing. */
export function whyUnwritable(before: SeenFile | undefined): string | undefined {
  if (before === undefined) return undefined;
  // Whoever may do everything is not refused by the system: what its owner meant counts.
  if ((before.mode & 0o222) === 0) return 'is read-only';
  if (before.names > 1) return `has ${before.names} names (hard links), and only one of them would be changed`;
  try {
    fs.accessSync(before.real, fs.constants.W_OK);
  } catch {
    return 'may not be written by you';
  }
  try {
    fs.accessSync(dirname(before.real), fs.constants.W_OK);
  } catch {
    return 'lies in a folder that may not be written by you';
  }
  return undefined;
}

/**
 * Resolves with nothing once the new bytes are durable and were read back. Throws `FileRefused` otherwise: then look at the file, because it may be
 * there all the same where the disk reported a failure late.
 */
export function replaceFile(replacement: Replacement, disk: Disk = fs): void {
  const { file, before, after, temporary, broken } = replacement;
  const why = whyUnwritable(before);
  if (why !== undefined) throw new FileRefused(file, why, 'nothing was written; make it writable, and run this again');
  if (after !== undefined && broken(after) !== undefined)
    throw new FileRefused(file, `what would be written is not right: ${broken(after)}`, 'nothing was written');
  const real = before?.real ?? file;
  mustBeAsShown(file, before, disk);
  try {
    if (after === undefined) disk.rmSync(real);
    else {
      if (before === undefined) disk.mkdirSync(dirname(real), { recursive: true, mode: 0o700 });
      writeWhole(temporary, after, before, disk);
      // A client may have written its file meanwhile.
      mustBeAsShown(file, before, disk);
      // Until here the old bytes are there, from here on the new ones.
      disk.renameSync(temporary, real);
    }
    syncFolder(dirname(real), disk);
  } catch (error) {
    discard(temporary, disk);
    throw error instanceof FileRefused ? error : refused(file, error, 'written');
  }
  mustBeIntended(replacement, real, disk);
}

function mustBeAsShown(file: string, before: SeenFile | undefined, disk: Disk): void {
  const now = seeFile(file, disk);
  if (now?.sha256 === before?.sha256 && now?.real === before?.real) return;
  throw new FileRefused(
    file,
    'was changed by another program since it was shown, and was left as it is',
    'close the client that uses it, and run this again',
  );
}

/** Reads it back. What somebody else made of it in this instant is theirs; what is broken is put back. */
function mustBeIntended({ file, before, after, temporary, broken, keep }: Replacement, real: string, disk: Disk): void {
  const now = seeFile(file, disk);
  if (now?.sha256 === (after === undefined ? undefined : sha256Hex(after))) return;
  if (now === undefined || broken(now.bytes) === undefined) {
    const what = now === undefined ? 'was removed' : 'was changed';
    throw new FileRefused(file, `${what} by another program right after it was written`, 'run this again');
  }
  keep(now.bytes);
  if (before === undefined) disk.rmSync(real, { force: true });
  else {
    writeWhole(temporary, before.bytes, before, disk);
    disk.renameSync(temporary, real);
  }
  syncFolder(dirname(real), disk);
  throw new FileRefused(file, 'was not what was written to it, and was put back as it was', 'run this again');
}

/** With the mode and the owner of what it is to replace; private where there was nothing. */
export function writeWhole(
  path: string,
  bytes: Uint8Array,
  like: Pick<SeenFile, 'mode' | 'uid' | 'gid'> | undefined,
  disk: Disk,
): void {
  const descriptor = disk.openSync(path, 'wx', 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += disk.writeSync(descriptor, bytes, at);
    if (like !== undefined) {
      if (process.platform !== 'win32') disk.fchownSync(descriptor, like.uid, like.gid);
      disk.fchmodSync(descriptor, like.mode);
    }
    disk.fsyncSync(descriptor);
  } finally {
    disk.closeSync(descriptor);
  }
}

/** Makes the names in a folder durable. Windows has no such call and needs none. */
export function syncFolder(path: string, disk: Disk): void {
  if (process.platform === 'win32') return;
  const folder = disk.openSync(path, 'r');
  try {
    disk.fsyncSync(folder);
  } finally {
    disk.closeSync(folder);
  }
}

/** In the folder of the file, because renaming is one step only there. */
export function temporaryBeside(real: string, token: string): string {
  return join(dirname(real), `.portcullis-${token}.tmp`);
}

function discard(path: string, disk: Disk): void {
  try {
    disk.rmSync(path, { force: true });
  } catch {
    // The journal names it: the next run takes it away.
  }
}

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'you may not',
  EPERM: 'you may not',
  EROFS: 'its file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full for you',
  ELOOP: 'its links lead in a circle',
  ENOENT: 'it is a link that leads nowhere',
  ENAMETOOLONG: 'its name is too long',
};

function refused(file: string, error: unknown, what: 'read' | 'written'): FileRefused {
  const { code } = error as NodeJS.ErrnoException;
  const why = code === undefined ? String(error) : (WHY[code] ?? code);
  return new FileRefused(file, `cannot be ${what}: ${why}`, 'it was left as it was');
}
