// A real ledger for tests: real keys, real files or memory, a real or a manual clock.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  generateSigningKey,
  hmacSha256,
  open,
  randomBytes,
  seal,
  sha256,
  Verifier,
} from '../../adapters/crypto/node-crypto.ts';
import { type FileLedgerOptions, openFileLedger } from '../../adapters/storage/file-ledger.ts';
import type { Clock, Sealer } from '../../ledger/ports.ts';
import {
  type Ed25519Key,
  formatVerifierKey,
  type NoteVerifier,
  noteSigner,
  parseVerifierKey,
} from '../../ledger/signed-note.ts';
import { commit, type Payload } from '../../ledger/vault.ts';

export const ORIGIN = 'portcullis.test/gate';

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(ms, then) {
    const timer = setTimeout(then, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Time stands still until it is moved. Timers run when time passes them. */
export class ManualClock implements Clock {
  wall = Date.UTC(2026, 0, 1);
  elapsed = 0;
  #timers: { at: number; then: () => void }[] = [];

  /** How many timers are waited for. */
  get timers(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.wall;
  }

  monotonic(): number {
    return this.elapsed;
  }

  timer(ms: number, then: () => void): () => void {
    const timer = { at: this.elapsed + ms, then };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** Time passes, and each timer fires when it is due. */
  advance(ms: number): void {
    const until = this.elapsed + ms;
    for (;;) {
      const next = Math.min(...this.#timers.map(({ at }) => at));
      if (next > until) break;
      this.stall(Math.max(0, next - this.elapsed));
    }
    this.stall(until - this.elapsed);
  }

  /** The machine sleeps, or its clock is set: time that no monotonic clock sees. */
  jump(ms: number): void {
    this.wall += ms;
  }

  /** Time passes and nothing runs meanwhile: every timer that was due fires late. */
  stall(ms: number): void {
    this.wall += ms;
    this.elapsed += ms;
    const due = this.#timers.filter((timer) => timer.at <= this.elapsed);
    this.#timers = this.#timers.filter((timer) => timer.at > this.elapsed);
    for (const timer of due) timer.then();
  }
}

/** The key of a 32-byte seed, as public test vectors publish them. */
export function importSeed(seed: Uint8Array): Ed25519Key {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(-32);
  return { publicKey: new Uint8Array(publicKey), sign: (message) => sign(null, message, key) };
}

export interface TestKey {
  readonly signer: ReturnType<typeof noteSigner>;
  readonly verifier: NoteVerifier;
  readonly verifierKey: string;
}

/** The same key in several processes. */
export function keyOfSeed(seed: Uint8Array): TestKey {
  return asTestKey(importSeed(seed), ORIGIN);
}

export function testKey(origin = ORIGIN): TestKey {
  return asTestKey(generateSigningKey(), origin);
}

function asTestKey(key: Ed25519Key, origin: string): TestKey {
  const verifierKey = formatVerifierKey(origin, key.publicKey, sha256);
  return { signer: noteSigner(origin, key, sha256), verifier: verifierOf(verifierKey), verifierKey };
}

export function verifierOf(verifierKey: string): NoteVerifier {
  // One key object for all checks: importing a key costs as much as verifying with it.
  const keys = new Verifier();
  let kid: string | undefined;
  const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => {
    kid ??= keys.register(publicKey);
    return kid !== undefined && keys.verify(kid, message, signature);
  };
  const verifier = parseVerifierKey(verifierKey, verify, sha256);
  if (verifier === undefined) throw new Error('not a verifier key');
  return verifier;
}

const VAULT_KEY = Buffer.alloc(32, 7);

export const sealer: Sealer = {
  seal: (plain, associated) => seal(VAULT_KEY, plain, associated),
  open: (sealed, associated) => open(VAULT_KEY, sealed, associated),
};

export function payload(text: string): Payload {
  const salt = randomBytes(32);
  const bytes = Buffer.from(text);
  return { commitment: commit(sha256, salt, bytes), salt, bytes };
}

export const headsMac = (bytes: Uint8Array): Uint8Array => hmacSha256(Buffer.alloc(32, 9), bytes);

export function fileLedgerOptions(
  root: string,
  key: TestKey,
  more: Partial<FileLedgerOptions> = {},
): FileLedgerOptions {
  return {
    dir: join(root, 'ledger'),
    heads: join(root, 'state', 'heads.json'),
    headsMac,
    origin: ORIGIN,
    sha256,
    ...key,
    sealer,
    clock: systemClock,
    ...more,
  };
}

export function temporaryFolder(): { readonly path: string; remove(): Promise<void> } {
  const path = mkdtempSync(join(tmpdir(), 'portcullis-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export { openFileLedger, sha256 };
