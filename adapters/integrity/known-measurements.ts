// What was measured in earlier runs, by the state that the files had then. Reading a hundred megabytes again, of which every file has the state that it
// had, would tell nothing new: see the decision record on when a state may stand for a content. Sealed; a list that is not ours is as good as none.

import { z } from 'zod';
import type { MeasuredFile, MeasuredTree } from '../../control-plane/integrity/environment.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Digest, isDigest } from '../../domain/digest.ts';
import type { Json } from '../../domain/json.ts';
import { sha256 } from '../crypto/node-crypto.ts';
import { SealedCache } from '../storage/sealed-cache.ts';
import type { CommandLine } from './command-files.ts';
import { SETTLED_MS } from './limits.ts';
import type { Measurement } from './measurement.ts';

export type KnownContents = {
  readonly fingerprint: string;
  readonly files: readonly MeasuredFile[];
  readonly trees: readonly MeasuredTree[];
};

const KNOWN_MAX = 200;

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
  readonly #cache: SealedCache;
  #known: Map<string, KnownContents> | undefined;

  /** Without a file what was measured is remembered for as long as this lives. */
  constructor(file: string | undefined, mac: (bytes: Uint8Array) => Uint8Array) {
    this.#cache = new SealedCache(file, mac);
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
    this.#cache.write(Object.fromEntries(known) as unknown as Json);
  }

  #all(): Map<string, KnownContents> {
    this.#known ??= this.#read();
    return this.#known;
  }

  #read(): Map<string, KnownContents> {
    const read = SCHEMA.safeParse(this.#cache.read());
    return new Map(read.success ? Object.entries(read.data) : []);
  }
}

function keyOf({ command, args, cwd, path, store }: CommandLine): string {
  const text = canonicalJson([command, [...args], cwd, path ?? null, store ?? null]);
  return Buffer.from(sha256(Buffer.from(text))).toString('base64url');
}
