// The files of a ledger in memory, with the ways in which a disk can fail. Each call can fail without having happened, or fail although
// it happened; and at any call the power can go: then every sector that was not synced is there or not, each by itself, and names are as
// they were at the last sync of their folder or as they are now.

import type { SegmentStore, StoredFile } from '../../ledger/ports.ts';

export type MemoryOperation =
  | 'list'
  | 'size'
  | 'read'
  | 'open'
  | 'create'
  | 'rename'
  | 'remove'
  | 'syncFolder'
  | 'seal'
  | 'write'
  | 'sync';

/** What becomes of one call. */
export type Fate =
  | 'succeeds'
  /** It reports an error and did nothing. */
  | 'fails'
  /** It reports an error and did it all the same. */
  | 'fails_but_happens'
  /** A write takes half of the bytes and reports no error. */
  | 'is_short';

export type Faults = (call: {
  readonly number: number;
  readonly operation: MemoryOperation;
  readonly path: string;
}) => Fate;

const SECTOR = 512;

interface MemoryFile {
  /** What a reader sees. */
  seen: Uint8Array;
  /** What is certain to be there after a crash. */
  durable: Uint8Array;
}

/** Chooses, after a crash, whether something unsynced is there. */
export type Luck = () => boolean;

/** A random sequence that is the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export class MemoryStore implements SegmentStore {
  readonly #faults: Faults;
  readonly #files: Map<string, MemoryFile>;
  readonly #durableNames: Map<string, MemoryFile>;
  #calls = 0;
  /** Whether the lock is still ours. */
  owned = true;

  constructor(faults: Faults = () => 'succeeds', files: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#faults = faults;
    this.#files = new Map([...files].map(([path, bytes]) => [path, { seen: bytes, durable: bytes }]));
    this.#durableNames = new Map(this.#files);
  }

  /** How many calls there were. */
  get calls(): number {
    return this.#calls;
  }

  /** The bytes of a file, or undefined. For tests that look or tamper. */
  bytes(path: string): Uint8Array | undefined {
    return this.#files.get(path)?.seen;
  }

  /** All files as a reader sees them now: what a process that was killed leaves behind. */
  contents(): Map<string, Uint8Array> {
    return new Map([...this.#files].map(([path, file]) => [path, file.seen.slice()]));
  }

  /** All files as a power failure at this moment may leave them. */
  afterPowerLoss(luck: Luck): Map<string, Uint8Array> {
    const paths = new Set([...this.#files.keys(), ...this.#durableNames.keys()]);
    const left = new Map<string, Uint8Array>();
    for (const path of paths) {
      const now = this.#files.get(path);
      const before = this.#durableNames.get(path);
      const file = now === before || luck() ? now : before;
      if (file !== undefined) left.set(path, survivors(file, luck));
    }
    return left;
  }

  async assertOwned(): Promise<void> {
    if (!this.owned) throw new Error('the lock is lost');
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#call('list', folder, () =>
      [...this.#files.keys()]
        .filter((path) => path.startsWith(`${folder}/`))
        .map((path) => path.slice(folder.length + 1))
        .sort(),
    );
  }

  size(path: string): Promise<number> {
    return this.#call('size', path, () => this.#file(path).seen.length);
  }

  async *read(path: string, from: number): AsyncGenerator<Uint8Array> {
    const bytes = await this.#call('read', path, () => this.#file(path).seen.slice(from));
    // Odd chunks, so that lines and characters are cut.
    for (let at = 0; at < bytes.length; at += 1021) yield bytes.slice(at, at + 1021);
  }

  open(path: string): Promise<StoredFile> {
    return this.#call('open', path, () => this.#handle(path, this.#file(path)));
  }

  create(path: string): Promise<StoredFile> {
    return this.#call('create', path, () => {
      if (this.#files.has(path)) throw new Error(`EEXIST: ${path}`);
      const file = { seen: new Uint8Array(0), durable: new Uint8Array(0) };
      this.#files.set(path, file);
      return this.#handle(path, file);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call('rename', from, () => {
      this.#files.set(to, this.#file(from));
      this.#files.delete(from);
    });
  }

  remove(path: string): Promise<void> {
    return this.#call('remove', path, () => {
      this.#files.delete(path);
    });
  }

  syncFolder(folder: string): Promise<void> {
    return this.#call('syncFolder', folder, () => {
      for (const path of [...this.#durableNames.keys()])
        if (path.startsWith(`${folder}/`)) this.#durableNames.delete(path);
      for (const [path, file] of this.#files) if (path.startsWith(`${folder}/`)) this.#durableNames.set(path, file);
    });
  }

  seal(path: string): Promise<void> {
    return this.#call('seal', path, () => undefined);
  }

  #handle(path: string, file: MemoryFile): StoredFile {
    const sync = (): Promise<void> =>
      this.#call('sync', path, () => {
        file.durable = file.seen;
      });
    return {
      size: async () => file.seen.length,
      // Two operations, each with a fate of its own: bytes may have been taken and not be durable.
      write: async (bytes, position) => {
        const taken = await this.#call(
          'write',
          path,
          () => {
            file.seen = overwrite(file.seen, bytes, position);
            return bytes.length;
          },
          () => {
            const half = Math.floor(bytes.length / 2);
            file.seen = overwrite(file.seen, bytes.slice(0, half), position);
            return half;
          },
        );
        if (taken === bytes.length) await sync();
        return taken;
      },
      sync,
      close: async () => undefined,
    };
  }

  #file(path: string): MemoryFile {
    const file = this.#files.get(path);
    if (file === undefined) throw new Error(`ENOENT: ${path}`);
    return file;
  }

  async #call<T>(operation: MemoryOperation, path: string, act: () => T, short?: () => T): Promise<T> {
    // A turn of the event loop's queue, as with a real disk: others run while we wait.
    await Promise.resolve();
    const number = this.#calls++;
    const fate = this.#faults({ number, operation, path });
    if (fate === 'is_short' && short !== undefined) return short();
    if (fate === 'fails_but_happens') act();
    if (fate !== 'succeeds') throw new Error(`EIO: ${operation} ${path}`);
    return act();
  }
}

function overwrite(old: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  const next = new Uint8Array(Math.max(old.length, position + bytes.length));
  next.set(old);
  next.set(bytes, position);
  return next;
}

/** Durable bytes, and of every sector that differs either the old or the new content. */
function survivors(file: MemoryFile, luck: Luck): Uint8Array {
  const { seen, durable } = file;
  if (seen === durable) return seen.slice();
  const length = luck() ? seen.length : durable.length;
  const left = new Uint8Array(length);
  left.set(durable.subarray(0, length));
  for (let at = Math.floor(durable.length / SECTOR) * SECTOR; at < length; at += SECTOR) {
    if (luck()) left.set(seen.subarray(at, Math.min(at + SECTOR, length)), at);
  }
  return left;
}
