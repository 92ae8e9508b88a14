// Digests of files, read in pieces. A file that is as it was when it was read is not read again: by its state as the file system has it, and only if it
// had not changed for a while when it was read, because a clock tick is not fine enough to tell two changes apart.

import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Digest } from '../../domain/digest.ts';
import { REMEMBERED_FILES_MAX, UNSTABLE_MS } from './limits.ts';
import { stateOf } from './tree-walk.ts';

/** It changed while it was read, or since it was looked at. */
export class FileChanged extends Error {
  override readonly name = 'FileChanged';
}

const PIECE_BYTES = 1024 * 1024;

export class FileDigests {
  readonly #known = new Map<string, { readonly state: string; readonly digest: Digest; readonly atMs: number }>();
  readonly #piece = Buffer.allocUnsafe(PIECE_BYTES);
  readonly #nowMs: () => number;
  /** Bytes that were read since the start. */
  read = 0;

  constructor(nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
  }

  /** `stat` is the state that the caller saw. Throws FileChanged when it is another one by now. */
  of(path: string, stat: BigIntStats): Digest {
    const state = stateOf(stat);
    const known = this.#known.get(path);
    if (known?.state === state && isStable(stat, known.atMs)) return known.digest;
    const atMs = this.#nowMs();
    const digest = this.#hash(path, state);
    if (this.#known.size >= REMEMBERED_FILES_MAX) this.#known.clear();
    this.#known.set(path, { state, digest, atMs });
    return digest;
  }

  #hash(path: string, state: string): Digest {
    const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      if (stateOf(fstatSync(descriptor, { bigint: true })) !== state) throw new FileChanged(path);
      const hash = createHash('sha256');
      for (;;) {
        const length = readSync(descriptor, this.#piece, 0, PIECE_BYTES, null);
        if (length === 0) break;
        this.read += length;
        hash.update(this.#piece.subarray(0, length));
      }
      if (stateOf(fstatSync(descriptor, { bigint: true })) !== state) throw new FileChanged(path);
      return `sha256:${hash.digest('base64url')}`;
    } finally {
      closeSync(descriptor);
    }
  }
}

/** Whether a change after `atMs` would show. */
export function isStable(stat: BigIntStats, atMs: number, margin = UNSTABLE_MS): boolean {
  return Number(stat.ctimeMs) < atMs - margin;
}
