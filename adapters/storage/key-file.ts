// Keys on disk: `<role>.key` holds the secret (0600), `<role>.pub` the public half, in a folder of their own (0700). A key is whole or not
// there, also when two processes start at once; it is never replaced. What somebody else could have read or put there is refused.
// Nothing is encrypted: whoever is this user, or root, has the keys.

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { decodeBase64url, encodeBase64url } from '../../domain/base64url.ts';
import {
  generateSigningKey,
  importSigningKey,
  isPublicHalf,
  publicKeyFromPem,
  publicKeyToPem,
  randomBytes,
  type SigningKey,
} from '../crypto/node-crypto.ts';

/** `permit` is for the deciding thread alone, `log` signs checkpoints, `gate` what the gate itself says. */
export type SigningRole = 'permit' | 'log' | 'gate';
/** `vault` seals payloads: 32 random bytes. */
export type SecretRole = 'vault';
export type KeyRole = SigningRole | SecretRole;

/** Why a key cannot be used, for the operator. */
export interface KeyFault {
  readonly fault: string;
}

const SECRET_BYTES = 32;
/** Both kinds of file are below 200 bytes; somebody else's need not be read to its end. */
const FILE_BYTES_MAX = 4_096;
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;

export function privateKeyPath(folder: string, role: KeyRole): string {
  return join(folder, `${role}.key`);
}

export function publicKeyPath(folder: string, role: SigningRole): string {
  return join(folder, `${role}.pub`);
}

/** Makes the key where there is none, durably. Returns why there is no usable key afterwards, or undefined. */
export function ensureKey(folder: string, role: KeyRole): KeyFault | undefined {
  const key = role === 'vault' ? openSecret(folder, role) : openSigningKey(folder, role);
  return 'fault' in key ? key : undefined;
}

/** The private key, made if there is none yet. Its public half is on disk, and is its own, when this returns. */
export function openSigningKey(folder: string, role: SigningRole): SigningKey | KeyFault {
  return guarded(() => {
    const path = privateKeyPath(folder, role);
    const publicPath = publicKeyPath(folder, role);
    prepare(folder);
    // The private half always comes first, so a public half alone means that a key was lost. A new one in its place would go unnoticed.
    if (!exists(path) && exists(publicPath) && !exists(path)) {
      return {
        fault: `${path} is missing but ${publicPath} is there: restore it, or remove the latter to begin with a new key`,
      };
    }
    if (!exists(path)) createWhole(path, generateSigningKey().exportPem(), 0o600);
    const key = importSigningKey(readOwn(path, OTHERS));
    if (key === undefined) return { fault: `${path} does not hold an Ed25519 private key` };
    // A crash before this line leaves a private key without its public half; the next start writes it.
    if (!exists(publicPath)) createWhole(publicPath, publicKeyToPem(key.publicKey), 0o644);
    if (!isPublicHalf(readOwn(publicPath, OTHERS_WRITE), key)) {
      return { fault: `${publicPath} is not the public half of ${path}` };
    }
    return key;
  });
}

/** The public half alone. The secret is not touched, and nothing is made. */
export function loadPublicKey(folder: string, role: SigningRole): { readonly publicKey: Uint8Array } | KeyFault {
  return guarded(() => {
    checkFolder(folder);
    const path = publicKeyPath(folder, role);
    const publicKey = publicKeyFromPem(readOwn(path, OTHERS_WRITE));
    return publicKey === undefined ? { fault: `${path} does not hold an Ed25519 public key` } : { publicKey };
  });
}

/** The secret, made if there is none yet. */
export function openSecret(folder: string, role: SecretRole): { readonly secret: Uint8Array } | KeyFault {
  return guarded(() => {
    const path = privateKeyPath(folder, role);
    prepare(folder);
    if (!exists(path)) createWhole(path, `${encodeBase64url(randomBytes(SECRET_BYTES))}\n`, 0o600);
    const text = readOwn(path, OTHERS);
    const secret = text.endsWith('\n') ? decodeBase64url(text.slice(0, -1)) : undefined;
    return secret?.length === SECRET_BYTES ? { secret } : { fault: `${path} does not hold ${SECRET_BYTES} bytes` };
  });
}

/** A refusal with a sentence for the operator; becomes a KeyFault. */
class Refusal extends Error {}

function guarded<T extends object>(use: () => T | KeyFault): T | KeyFault {
  try {
    return use();
  } catch (error) {
    // The file system's own errors name the call and the path.
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}

function prepare(folder: string): void {
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(dirname(folder));
  checkFolder(folder);
}

function checkFolder(folder: string): void {
  const stats = lstatSync(folder);
  if (!stats.isDirectory()) throw new Refusal(`${folder} is not a folder, or a link to one`);
  checkOwner(folder, stats, OTHERS);
}

function checkOwner(path: string, stats: Stats, forbidden: number): void {
  const own = process.getuid?.();
  // Where there are no owners and modes (Windows), the folder's access list protects the files.
  if (own === undefined) return;
  if (stats.uid !== own) throw new Refusal(`${path} belongs to another user`);
  if ((stats.mode & forbidden) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    throw new Refusal(
      `${path} is open to other users (mode ${mode}): take their permissions away if you still trust it`,
    );
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Reads a file that is ours alone. Checked on the open file, so that nobody can swap it in between. */
function readOwn(path: string, forbidden: number): string {
  let file: number;
  try {
    // O_NONBLOCK: a pipe put in its place must not hold us up.
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOOP') throw new Refusal(`${path} is a symbolic link`);
    throw error;
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new Refusal(`${path} is not a file`);
    checkOwner(path, stats, forbidden);
    if (stats.size > FILE_BYTES_MAX) throw new Refusal(`${path} is too large for a key`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Puts a file there whole and durable, unless one is there: then that one stays. */
function createWhole(path: string, content: string, mode: number): void {
  const draft = `${path}.${process.pid}.${encodeBase64url(randomBytes(9))}`;
  const file = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  // A crash here leaves a draft that nobody reads.
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(draft);
  }
  syncFolder(dirname(path));
}

function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(folder, constants.O_RDONLY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
