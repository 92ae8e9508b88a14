// What the ledger needs from the world. It reads no clock, opens no file and holds no key by itself.

/** Time. `now` may jump; `monotonic` never goes back. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds since an arbitrary moment, with a fraction. */
  monotonic(): number;
  /** Calls `then` once after `ms`; the returned function calls it off. Must not keep the process alive. */
  timer(ms: number, then: () => void): () => void;
}

/** A file that only grows. */
export interface StoredFile {
  size(): Promise<number>;
  /**
   * Writes at `position`. Resolves once that is on stable storage, with how many bytes were taken: fewer than given is a failure that the
   * caller must notice. Never write again after it failed.
   */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** Resolves once the file itself is on stable storage. Never call it again after it failed. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The folders of a ledger that hold something irreplaceable. */
export type StoreFolder = 'seg' | 'vault' | 'quarantine';

/** The files of one ledger. Paths are `<folder>/<name>`. Every method rejects when the world fails; none repairs. */
export interface SegmentStore {
  /** Rejects unless this process still holds the ledger's lock. */
  assertOwned(): Promise<void>;
  /** Names in a folder, sorted; none when it does not exist. */
  list(folder: StoreFolder): Promise<readonly string[]>;
  size(path: string): Promise<number>;
  /** The bytes from `from` on, in chunks of any size. A chunk is only lent until the next one is asked for. */
  read(path: string, from: number): AsyncIterable<Uint8Array>;
  /** Opens an existing file for appending. */
  open(path: string): Promise<StoredFile>;
  /** Creates a file that must not exist yet. Its name is durable only after `syncFolder`. */
  create(path: string): Promise<StoredFile>;
  /** Replaces `to` atomically. Durable only after `syncFolder`. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  syncFolder(folder: StoreFolder): Promise<void>;
  /** Marks a file as finished: nobody appends to it again. */
  seal(path: string): Promise<void>;
}

/** Encryption of payloads. What is associated is authenticated, not hidden. */
export interface Sealer {
  seal(plain: Uint8Array, associated: Uint8Array): Uint8Array;
  /** The plain bytes, or undefined when key, bytes or association are not the ones of `seal`. */
  open(sealed: Uint8Array, associated: Uint8Array): Uint8Array | undefined;
}
