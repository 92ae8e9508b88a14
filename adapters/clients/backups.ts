// What was changed of other programs' files, and how to go back: for each run of a command the bytes of every file as they were, and a journal that is
// durable before the first of them is touched. A run that was killed is settled by the next one, from what the files are by then.
// Bytes and journal hold whatever secrets the files held: folders are 0700, files 0600. How an entry is taken back one by one is restore's.

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Json } from '../../domain/json.ts';
import {
  type Disk,
  FileRefused,
  replaceFile,
  type SeenFile,
  seeFile,
  sha256Hex,
  syncFolder,
  temporaryBeside,
  writeWhole,
} from './safe-file.ts';

const HASH = z.string().regex(/^[0-9a-f]{64}$/);
const KEYS = z.array(z.union([z.string(), z.number().int().nonnegative()]));

const ENTRY = z.strictObject({
  /** In the manifest. */
  server: z.string(),
  /** As the client calls it. */
  name: z.string(),
  at: KEYS,
  shape: z.string(),
  /** What was written: undefined where a key was taken away. */
  edits: z.array(z.strictObject({ path: KEYS, value: z.json().optional() })),
});

const CHANGE = z.strictObject({
  file: z.string(),
  real: z.string(),
  /** The client whose file it is; null for one of our own. */
  client: z.string().nullable(),
  format: z.string().nullable(),
  /** Of the bytes; null where there is no file. */
  before: HASH.nullable(),
  after: HASH.nullable(),
  /** The bytes before, beside the journal. */
  backup: z
    .string()
    .regex(/^\d+\.bytes$/)
    .nullable(),
  temporary: z.string(),
  /** `planned`: nobody knows yet. `unclear`: somebody else wrote it meanwhile. `restored`: it was, but is not any more. */
  state: z.enum(['planned', 'written', 'unwritten', 'unclear', 'restored']),
  entries: z.array(ENTRY),
  /** Changes that this one takes back. */
  undoes: z.array(z.strictObject({ run: z.string(), index: z.number().int().nonnegative() })),
});

const RECORD = z.strictObject({
  v: z.literal(1),
  command: z.enum(['init', 'restore']),
  at: z.string(),
  state: z.enum(['open', 'settled']),
  changes: z.array(CHANGE),
});

export type WrittenEntry = z.infer<typeof ENTRY>;
export type Change = z.infer<typeof CHANGE>;
export type RunRecord = z.infer<typeof RECORD>;

export interface Run extends RunRecord {
  readonly id: string;
}

export interface PlannedChange {
  readonly file: string;
  readonly client?: string;
  readonly format?: string;
  readonly before: SeenFile | undefined;
  /** Undefined: the file goes away. */
  readonly after: Uint8Array | undefined;
  readonly entries?: readonly {
    readonly server: string;
    readonly name: string;
    readonly at: readonly (string | number)[];
    readonly shape: string;
    readonly edits: readonly { readonly path: readonly (string | number)[]; readonly value: Json | undefined }[];
  }[];
  readonly undoes?: Change['undoes'];
  /** Why these bytes are not a whole file of their kind; undefined when they are. */
  readonly broken?: (bytes: Uint8Array) => string | undefined;
  /** Nothing after it is written where this one was not. */
  readonly first?: boolean;
}

export interface Outcome {
  readonly file: string;
  readonly state: Change['state'];
  readonly problem?: { readonly text: string; readonly hint: string | undefined };
}

/** A run that was cut off, as it was found. */
export interface Settled {
  readonly command: RunRecord['command'];
  readonly at: string;
  readonly files: readonly { readonly file: string; readonly state: Change['state'] }[];
}

const RECORD_NAME = 'journal.json';
const RUN_NAME = /^\d{8}T\d{9}Z-[0-9a-f]{8}$/;

export class Backups {
  readonly folder: string;
  readonly #disk: Disk;
  readonly #now: () => number;

  /** Whoever writes holds the installation's lock for it. */
  constructor(folder: string, { disk = fs, now = Date.now }: { disk?: Disk; now?: () => number } = {}) {
    this.folder = folder;
    this.#disk = disk;
    this.#now = now;
  }

  /** Oldest first. Throws `FileRefused` for a journal that cannot be read: nothing is to be guessed then. */
  runs(): readonly Run[] {
    if (!fs.existsSync(this.folder)) return [];
    return fs
      .readdirSync(this.folder)
      .filter((name) => RUN_NAME.test(name) && fs.existsSync(join(this.folder, name, RECORD_NAME)))
      .sort()
      .map((id) => ({ id, ...this.#read(id) }));
  }

  /** The bytes of a file before a change. Throws `FileRefused` where they are not there, or are not those. */
  bytesBefore(run: string, { backup, before }: Pick<Change, 'backup' | 'before'>): Uint8Array | undefined {
    if (backup === null || before === null) return undefined;
    const file = join(this.folder, run, backup);
    const seen = seeFile(file);
    if (seen?.sha256 !== before) throw new FileRefused(file, 'is not the backup that was made, or is gone');
    return seen.bytes;
  }

  /** Finishes the books of what was killed: says of each file what became of it, and takes away what was half written. */
  settle(): readonly Settled[] {
    const settled: Settled[] = [];
    this.#forgetUnbegun();
    for (const { id, ...record } of this.runs()) {
      if (record.state === 'settled') continue;
      for (const change of record.changes) {
        this.#disk.rmSync(change.temporary, { force: true });
        if (change.state === 'planned') change.state = becameOf(change);
      }
      this.#close(id, record);
      const files = record.changes.map(({ file, state }) => ({ file, state }));
      settled.push({ command: record.command, at: record.at, files });
    }
    return settled;
  }

  /** Writes all of it, one file after the other. A file that is refused keeps nobody else from being written, unless it is a `first` one. */
  apply(command: RunRecord['command'], planned: readonly PlannedChange[]): readonly Outcome[] {
    const id = `${new Date(this.#now()).toISOString().replace(/[-:.]/g, '')}-${randomBytes(4).toString('hex')}`;
    const folder = join(this.folder, id);
    this.#disk.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const record: RunRecord = {
      v: 1,
      command,
      at: new Date(this.#now()).toISOString(),
      state: 'open',
      changes: planned.map((one, index) => changeOf(one, index)),
    };
    for (const [index, { before }] of planned.entries()) {
      if (before !== undefined) writeWhole(join(folder, `${index}.bytes`), before.bytes, undefined, this.#disk);
    }
    this.#write(id, record);
    syncFolder(this.folder, this.#disk);
    syncFolder(dirname(this.folder), this.#disk);
    // From here on a kill leaves a journal that says what was meant.
    const outcomes: Outcome[] = [];
    let stopped = false;
    for (const [index, one] of planned.entries()) {
      const change = record.changes[index];
      if (change === undefined) continue;
      if (stopped) {
        change.state = 'unwritten';
        outcomes.push({ file: one.file, state: change.state });
        continue;
      }
      const outcome = this.#replace(one, change, join(folder, `${index}.found`));
      change.state = outcome.state;
      stopped = one.first === true && outcome.state !== 'written';
      outcomes.push(outcome);
    }
    this.#close(id, record);
    return outcomes;
  }

  /** Killed before there was a journal: nothing was touched, and the copies are of no use. */
  #forgetUnbegun(): void {
    if (!fs.existsSync(this.folder)) return;
    for (const name of fs.readdirSync(this.folder)) {
      const folder = join(this.folder, name);
      if (RUN_NAME.test(name) && !fs.existsSync(join(folder, RECORD_NAME)))
        this.#disk.rmSync(folder, { recursive: true, force: true });
    }
  }

  #replace(one: PlannedChange, change: Change, found: string): Outcome {
    const { file, before, after } = one;
    // Books are kept of it too, but nothing is written.
    if ((before?.sha256 ?? null) === change.after) return { file, state: 'written' };
    const keep = (bytes: Uint8Array): void => writeWhole(found, bytes, undefined, this.#disk);
    const broken = one.broken ?? (() => undefined);
    try {
      replaceFile({ file, before, after, temporary: change.temporary, broken, keep }, this.#disk);
      return { file, state: 'written' };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const hint = error instanceof FileRefused ? error.hint : undefined;
      // A disk that reports a failure may have done it all the same.
      return { file, state: becameOf(change), problem: { text, hint } };
    }
  }

  /** What a run took back is not in force any more, in the journals of those who wrote it. */
  #close(id: string, record: RunRecord): void {
    const undone = record.changes.filter(({ state }) => state === 'written').flatMap(({ undoes }) => undoes);
    for (const run of new Set(undone.map(({ run: other }) => other))) {
      const other = this.#read(run);
      for (const { index } of undone.filter((one) => one.run === run)) {
        const change = other.changes[index];
        if (change !== undefined) change.state = 'restored';
      }
      this.#write(run, other);
    }
    this.#write(id, { ...record, state: 'settled' });
  }

  #read(id: string): RunRecord {
    const file = join(this.folder, id, RECORD_NAME);
    try {
      return RECORD.parse(JSON.parse(fs.readFileSync(file, 'utf8')));
    } catch {
      throw new FileRefused(file, 'cannot be read as a journal', 'the bytes of the files lie beside it');
    }
  }

  #write(id: string, record: RunRecord): void {
    const file = join(this.folder, id, RECORD_NAME);
    const fresh = `${file}.${randomBytes(4).toString('hex')}`;
    writeWhole(fresh, Buffer.from(`${JSON.stringify(record, null, 1)}\n`), undefined, this.#disk);
    this.#disk.renameSync(fresh, file);
    syncFolder(dirname(file), this.#disk);
  }
}

function changeOf(one: PlannedChange, index: number): Change {
  const real = one.before?.real ?? one.file;
  return {
    file: one.file,
    real,
    client: one.client ?? null,
    format: one.format ?? null,
    before: one.before?.sha256 ?? null,
    after: one.after === undefined ? null : sha256Hex(one.after),
    backup: one.before === undefined ? null : `${index}.bytes`,
    temporary: temporaryBeside(real, randomBytes(8).toString('hex')),
    state: 'planned',
    entries: (one.entries ?? []).map((entry) => ({
      ...entry,
      at: [...entry.at],
      edits: entry.edits.map(({ path, value }) => ({
        path: [...path],
        ...(value === undefined ? {} : { value: value as z.infer<ReturnType<typeof z.json>> }),
      })),
    })),
    undoes: [...(one.undoes ?? [])],
  };
}

function becameOf({ file, before, after }: Change): Change['state'] {
  try {
    const now = seeFile(file)?.sha256 ?? null;
    return now === after ? 'written' : now === before ? 'unwritten' : 'unclear';
  } catch {
    return 'unclear';
  }
}
