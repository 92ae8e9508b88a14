// Small documents that must survive a crash whole: the last head of a ledger, keys, pins, revocations. lowdb holds the value; the adapter
// below is ours, because lowdb's own never syncs and writes every time to the same temporary name.
// A document is replaced as one: after a crash the old or the new one is there. It is read back only if it is exactly what was written.

import { randomBytes } from 'node:crypto';
import { close, constants, fsync, open, readFile, rename, rm, write } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { type Adapter, Low } from 'lowdb';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { makeFolder, syncFolder } from './ledger-files.ts';

const openAsync = promisify(open);
const closeAsync = promisify(close);
const fsyncAsync = promisify(fsync);
const renameAsync = promisify(rename);
const rmAsync = promisify(rm);
const readFileAsync = promisify(readFile);

/** Documents are rewritten whole: at this size a write takes about a tenth of a second. */
const LIMITS = { bytesMax: 16 * 1024 * 1024, depthMax: 32, nodesMax: 1_000_000 };

export class StateDocumentRefused extends Error {
  override readonly name = 'StateDocumentRefused';
}

export interface StateDocumentOptions<T extends Json> {
  readonly path: string;
  /** What the document is; one of another kind is refused. */
  readonly kind: string;
  /** The value when there is no document yet. */
  readonly initial: T;
  /** The value as its type, or undefined when it is not one. A zod schema's `safeParse(value).data` will do. */
  readonly parse: (value: Json) => T | undefined;
  /** A keyed authentication code over bytes. Whoever lacks the key cannot make a document that is accepted. */
  readonly mac: (bytes: Uint8Array) => Uint8Array;
  /** The smallest revision that is acceptable, where it is known from elsewhere. */
  readonly revisionMin?: number;
}

export interface StateDocument<T extends Json> {
  readonly value: T;
  /** Grows by one with each write; 0 before the first. */
  readonly revision: number;
  /** Resolves once the new value is durable. Writes happen in the order in which they are asked for. */
  replace(value: T): Promise<void>;
}

interface Sealed<T> {
  readonly n: number;
  readonly body: T;
}

/** Opens a document or starts one. Rejects with `StateDocumentRefused` when what lies there is torn, foreign, altered or too old. */
export async function openStateDocument<T extends Json>(options: StateDocumentOptions<T>): Promise<StateDocument<T>> {
  makeFolder(dirname(options.path));
  const low = new Low<Sealed<T>>(durableAdapter(options), { n: 0, body: options.initial });
  await low.read();
  const { n } = low.data;
  if (n < (options.revisionMin ?? 0)) {
    const what = n === 0 ? 'is gone: there is nothing' : `is older than it was: it is revision ${n}`;
    throw new StateDocumentRefused(`${options.path} ${what}, and revision ${options.revisionMin} is known`);
  }
  let last: Promise<void> = Promise.resolve();
  let failed: unknown;
  return {
    get value() {
      return low.data.body;
    },
    get revision() {
      return low.data.n;
    },
    replace(value) {
      last = last.then(async () => {
        // After a failed write nobody knows which document is there; a second one would hide that.
        if (failed !== undefined) throw failed;
        const before = low.data;
        low.data = { n: before.n + 1, body: value };
        try {
          await low.write();
        } catch (error) {
          low.data = before;
          failed = error;
          throw error;
        }
      });
      const written = last;
      last = last.catch(() => undefined);
      return written;
    },
  };
}

function durableAdapter<T extends Json>(options: StateDocumentOptions<T>): Adapter<Sealed<T>> {
  const { path } = options;
  return {
    async read() {
      let bytes: Uint8Array;
      try {
        bytes = await readFileAsync(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
      return unseal(options, bytes);
    },
    async write(sealed) {
      const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
      const bytes = Buffer.from(seal(options, sealed));
      // It could not be read back, and the document that is there can.
      if (bytes.length > LIMITS.bytesMax) throw new Error(`${path} would be too large`);
      try {
        await writeWhole(temporary, bytes);
        // Until here the old document is untouched; from here on the new one is there, and after the next line it stays.
        await renameAsync(temporary, path);
        await syncFolder(dirname(path));
      } catch (error) {
        await rmAsync(temporary, { force: true }).catch(() => undefined);
        throw error;
      }
    },
  };
}

async function writeWhole(path: string, bytes: Buffer): Promise<void> {
  const descriptor = await openAsync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    const written = await new Promise<number>((resolve, reject) => {
      write(descriptor, bytes, 0, bytes.length, 0, (error, count) => (error === null ? resolve(count) : reject(error)));
    });
    if (written !== bytes.length) throw new Error(`only ${written} of ${bytes.length} bytes of ${path} were written`);
    await fsyncAsync(descriptor);
  } finally {
    await closeAsync(descriptor);
  }
}

function seal<T extends Json>(options: StateDocumentOptions<T>, { n, body }: Sealed<T>): string {
  const content = { v: 1, kind: options.kind, n, body };
  return `${canonicalJson({ ...content, mac: macOf(options, content) })}\n`;
}

function unseal<T extends Json>(options: StateDocumentOptions<T>, bytes: Uint8Array): Sealed<T> {
  const refuse = (why: string) => new StateDocumentRefused(`${options.path} ${why}`);
  const parsed = parseStrictJson(bytes, LIMITS);
  if (!parsed.ok || !isJsonObject(parsed.value)) throw refuse('is torn or not a state document');
  const { v, kind, n, body, mac } = parsed.value;
  if (v !== 1 || kind !== options.kind) throw refuse(`is not a document of kind ${options.kind}`);
  if (typeof n !== 'number' || !Number.isSafeInteger(n) || n < 1 || body === undefined) throw refuse('has no revision');
  if (mac !== macOf(options, { v, kind, n, body })) throw refuse('was altered, or is sealed with another key');
  if (Buffer.from(`${canonicalJson(parsed.value)}\n`).compare(bytes) !== 0) throw refuse('is not in canonical form');
  const value = options.parse(body);
  if (value === undefined) throw refuse('does not hold what it should');
  return { n, body: value };
}

function macOf(options: Pick<StateDocumentOptions<Json>, 'mac'>, content: Json): string {
  return Buffer.from(options.mac(Buffer.from(`portcullis/state/v1\n${canonicalJson(content)}`))).toString('base64url');
}
