// What was measured in earlier runs, by the state that the files had then. Reading a hundred megabytes again, of which every file has the state that it
// had, would tell nothing new: see the decision record on when a state may stand for a content. Sealed; a list that is not ours is as good as none.

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { MeasuredFile, MeasuredTree } from '../../control-plane/integrity/environment.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Digest, isDigest } from '../../domain/digest.ts';
import { sha256 } from '../crypto/node-crypto.ts';
import type { CommandLine } from './command-files.ts';
import { SETTLED_MS } from './limits.ts';
import type { Measurement } from './measurement.ts';

export type KnownContents = {
  readonly fingerprint: string;
  readonly files: readonly MeasuredFile[];
  readonly trees: readonly MeasuredTree[];
};

const KNOWN_MAX = 200;
const BYTES_MAX = 8 * 1024 * 1024;

const DIGEST = z.string().refine((text): text is Digest => isDigest(text));
const SCHEMA = z.record(
  z.string(),
  z.strictObject({
    fingerprint: z.string(),
    files: z.array(z.strictObject({ role: z.string(), path: z.string(), digest: DIGEST })),
    trees: z.array(z.strictObject({ role: z.string(), root: z.string(), digest: DIGEST, files: z.number() })),
  }),
);

export class KnownMeasurements {
  readonly #file: string | undefined;
  readonly #mac: (bytes: Uint8Array) => Uint8Array;
  #known: Map<string, KnownContents> | undefined;

  /** Without a file what was measured is remembered for as long as this lives. */
  constructor(file: string | undefined, mac: (bytes: Uint8Array) => Uint8Array) {
    this.#file = file;
    this.#mac = mac;
  }

  get(line: CommandLine): KnownContents | undefined {
    return this.#all().get(keyOf(line));
  }

  /** Remembers a measurement, where the states of its files are beyond doubt. What cannot be written is measured again next time. */
  put(line: CommandLine, measurement: Measurement): void {
    const { fingerprint, newestMs, atMs, keepsTime, files, trees } = measurement;
    if (!keepsTime || newestMs >= atMs - SETTLED_MS) return;
    const known = this.#all();
    if (known.size >= KNOWN_MAX) known.clear();
    const plain = trees.map(({ role, root, digest, files: count }) => ({ role, root, digest, files: count }));
    known.set(keyOf(line), { fingerprint, files, trees: plain });
    if (this.#file === undefined) return;
    try {
      const body = Object.fromEntries(known);
      const text = canonicalJson(body);
      const mac = Buffer.from(this.#mac(Buffer.from(text))).toString('base64url');
      const fresh = `${this.#file}.${randomBytes(6).toString('hex')}`;
      writeFileSync(fresh, `${mac}\n${text}`, { mode: 0o600, flag: 'wx' });
      renameSync(fresh, this.#file);
    } catch {
      // A full disk costs the next start some time, and nothing else.
    }
  }

  #all(): Map<string, KnownContents> {
    this.#known ??= this.#read();
    return this.#known;
  }

  #read(): Map<string, KnownContents> {
    if (this.#file === undefined) return new Map();
    try {
      const text = readFileSync(this.#file, 'utf8');
      const end = text.indexOf('\n');
      const [mac, body] = [Buffer.from(text.slice(0, end), 'base64url'), text.slice(end + 1)];
      const expected = this.#mac(Buffer.from(body));
      if (text.length > BYTES_MAX || mac.length !== expected.length || !timingSafeEqual(mac, expected))
        return new Map();
      return new Map(Object.entries(SCHEMA.parse(JSON.parse(body))));
    } catch {
      return new Map();
    }
  }
}

function keyOf({ command, args, cwd, path, store }: CommandLine): string {
  const text = canonicalJson([command, [...args], cwd, path ?? null, store ?? null]);
  return Buffer.from(sha256(Buffer.from(text))).toString('base64url');
}
