// How each file that init wrote goes back: byte for byte where nobody changed it since, and otherwise entry by entry, as it is now. An entry that its user
// took away or made his own stays as he left it.

import type { Backups, Change, Run, WrittenEntry } from '../../adapters/clients/backups.ts';
import { withSecretsOf } from '../../adapters/clients/changed-secrets.ts';
import { editText, parseText, type TextFormat, textOf } from '../../adapters/clients/edit-text.ts';
import { readEntry, restoredEntry, wrappedEntry } from '../../adapters/clients/entry-shapes.ts';
import { isShapeName } from '../../adapters/clients/entry-variables.ts';
import { type MovedEntry, withOwnSpelling } from '../../adapters/clients/own-spelling.ts';
import { type SeenFile, seeFile, sha256Hex, whyUnwritable } from '../../adapters/clients/safe-file.ts';
import type { ShapeName } from '../../adapters/clients/shapes.ts';
import { type Edit, editValue, type KeyPath, sameValue, valueAt } from '../../adapters/clients/text-edit.ts';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { placeIn } from '../client-variables.ts';
import { headerVariables } from './plan.ts';
import { changeLines, problemText } from './plan-text.ts';

export interface RestoredFile {
  readonly file: string;
  readonly client: string;
  /** `bytes`: exactly as it was. `entries`: only what is ours of it. `nothing`: it is not there any more, or has nothing of ours. */
  readonly how: 'bytes' | 'entries' | 'nothing';
  readonly before: SeenFile | undefined;
  readonly after: Uint8Array | undefined;
  readonly undoes: Change['undoes'];
  /** What changes, for a person. */
  readonly lines: readonly string[];
  /** What stays as it is, and why. */
  readonly remarks: readonly string[];
}

/** A file that cannot be put back. */
export interface StuckFile {
  readonly file: string;
  readonly client: string;
  readonly why: string;
}

type Step = { readonly change: Change; readonly run: Run; readonly index: number };

export function restorePlan(
  backups: Backups,
  clients: readonly string[] | undefined,
): { readonly files: readonly RestoredFile[]; readonly stuck: readonly StuckFile[] } {
  const steps = new Map<string, Step[]>();
  for (const run of backups.runs()) {
    if (run.command !== 'init') continue;
    for (const [index, change] of run.changes.entries()) {
      if (change.client === null || (clients !== undefined && !clients.includes(change.client))) continue;
      // Of a run that was cut off nobody has said yet what became of it.
      if (change.state === 'restored' || change.state === 'unwritten') continue;
      steps.set(change.file, [...(steps.get(change.file) ?? []), { change, run, index }]);
    }
  }
  const files: RestoredFile[] = [];
  const stuck: StuckFile[] = [];
  for (const [file, taken] of steps) {
    const client = taken[0]?.change.client ?? '';
    try {
      files.push(restoredFile(backups, file, client, taken));
    } catch (error) {
      stuck.push({ file, client, why: error instanceof Error ? error.message : String(error) });
    }
  }
  return { files, stuck };
}

/** Throws an Error with a plain explanation. */
function restoredFile(backups: Backups, file: string, client: string, steps: readonly Step[]): RestoredFile {
  const before = seeFile(file);
  const undoes = steps.map(({ run, index }) => ({ run: run.id, index }));
  const common = { file, client, before, undoes };
  if (before === undefined) {
    const remarks = ['is not there any more, and stays so'];
    return { ...common, how: 'nothing', after: undefined, lines: [], remarks };
  }
  const why = whyUnwritable(before);
  if (why !== undefined) throw new Error(`${file} ${why}`);
  let bytes: Uint8Array | undefined = before.bytes;
  let how: RestoredFile['how'] = 'bytes';
  const lines: string[] = [];
  const remarks: string[] = [];
  // The last change goes first: below it lies what the one before it wrote.
  for (const { change, run } of [...steps].reverse()) {
    if (bytes === undefined) break;
    const was = backups.bytesBefore(run.id, change);
    const now = sha256Hex(bytes);
    // Its client may have taken it back already.
    if (now === change.before) continue;
    if (now === change.after) {
      bytes = was;
      continue;
    }
    how = 'entries';
    const reversed = entriesBack(bytes, was, change);
    bytes = reversed.bytes;
    lines.push(...reversed.lines);
    remarks.push(...reversed.remarks);
  }
  const same = bytes !== undefined && sha256Hex(bytes) === before.sha256;
  return { ...common, how: same ? 'nothing' : how, after: bytes, lines, remarks };
}

function entriesBack(
  bytes: Uint8Array,
  was: Uint8Array | undefined,
  change: Change,
): { bytes: Uint8Array; lines: string[]; remarks: string[] } {
  // The journal has the word that the client's place had.
  const format = change.format as TextFormat;
  const text = textOf(bytes);
  if (text === undefined) throw new Error(`${change.file} is not UTF-8 text any more`);
  const now = parseText(format, text);
  if (!now.ok) throw new Error(`${change.file}${problemText(now)}`);
  const wasText = was === undefined ? undefined : textOf(was);
  const before = wasText === undefined ? undefined : parseText(format, wasText);
  // An entry that is not known to have been there would be taken for one that we added.
  if (before?.ok === false) throw new Error(`the backup of ${change.file} is not understood any more`);
  const lines: string[] = [];
  const remarks: string[] = [];
  const edits: Edit[] = [];
  const moved: MovedEntry[] = [];
  for (const entry of change.entries) {
    const renamed = renamedPlace(change.entries, entry, now.value);
    const back = entryBack(
      renamed === undefined ? entry : { ...entry, at: renamed },
      now.value,
      before?.value,
      entry.at,
    );
    if (typeof back === 'string') remarks.push(`${entry.name} ${back}`);
    else {
      lines.push(...changeLines(back));
      edits.push(...back.edits.map(({ path, value }) => ({ path: [...back.at, ...path], value })));
      if (back.was !== undefined) moved.push({ before: back.was, now: back.at });
    }
  }
  if (edits.length === 0) return { bytes, lines, remarks };
  const edited = editText(format, text, edits);
  if (!edited.ok) throw new Error(`${change.file} cannot be edited${problemText(edited)}`);
  const restored = wasText === undefined ? edited.text : inOwnWords(format, change, wasText, text, edited.text, moved);
  return { bytes: Buffer.from(restored), lines, remarks };
}

/** Comments and layout that went with a field come back with it, in the entries that nobody has touched. */
function inOwnWords(
  format: TextFormat,
  change: Change,
  before: string,
  now: string,
  restored: string,
  moved: readonly MovedEntry[],
): string {
  const read = parseText(format, before);
  if (!read.ok) return restored;
  const edits = change.entries.flatMap((entry) => {
    const at = placeIn(read.value, entry);
    return at === undefined ? [] : entry.edits.map(({ path, value }) => ({ path: [...at, ...path], value }));
  });
  const wrapped = editText(format, before, edits);
  return wrapped.ok ? withOwnSpelling(format, { before, wrapped: wrapped.text, now, restored }, moved) : restored;
}

interface EntryBack {
  readonly at: readonly (string | number)[];
  /** Where it was before it was wrapped, if it goes back whole. */
  readonly was?: readonly (string | number)[];
  /** As it is now. */
  readonly before: Json;
  /** Inside the entry. */
  readonly edits: readonly Edit[];
}

const LINE_FIELDS = new Set(['command', 'cmd', 'args']);
const field = (path: string): string => path.split('.').at(-1) ?? '';

/** Where an entry is that its user has given another name: the only one beside the others that starts the gate for its server. */
function renamedPlace(written: readonly WrittenEntry[], entry: WrittenEntry, now: Json): KeyPath | undefined {
  const { shape, at, server } = entry;
  const above = at.slice(0, -1);
  const beside = valueAt(now, above);
  if (!isShapeName(shape) || !isJsonObject(beside) || placeIn(now, entry) !== undefined) return undefined;
  const candidates = Object.entries(beside).filter(([name, raw]) => {
    const reading = readEntry(shape, raw);
    const isOther = written.some((one) => sameValue(one.at, [...above, name]));
    return !isOther && reading.kind === 'wrapped' && reading.name === server;
  });
  const [only] = candidates;
  return only === undefined || candidates.length > 1 ? undefined : [...above, only[0]];
}

/** The edits that take the gate out of an entry, or why it stays as it is. `wasAt`: where it was written. */
function entryBack(
  entry: Omit<WrittenEntry, 'at'> & { readonly at: KeyPath },
  now: Json,
  before: Json | undefined,
  wasAt: KeyPath = entry.at,
): EntryBack | string {
  const { shape } = entry;
  if (!isShapeName(shape)) return 'is written in a way that this version does not know';
  const at = placeIn(now, entry);
  const raw = at === undefined ? undefined : valueAt(now, at);
  if (at === undefined || raw === undefined) return 'was taken away since, and stays away';
  const reading = readEntry(shape, raw);
  if (reading.kind !== 'wrapped') return 'was changed since and does not go through a gate: it stays as it is';
  const place = before === undefined ? undefined : placeIn(before, { ...entry, at: wasAt });
  const was = place === undefined ? undefined : valueAt(before, place);
  // It was added by us, before one that others get too.
  if (was === undefined) return { at, before: raw, edits: [{ path: [], value: undefined }] };
  const wrapped = editValue(
    was,
    entry.edits.map(({ path, value }) => ({ path, value })),
  );
  if (!isJsonObject(raw)) return 'is not what was written any more';
  const present = withSecretsOf(
    raw,
    shape,
    { before: was, wrapped },
    headerVariables(entry.server, readEntry(shape, was)),
  );
  if (!isJsonObject(present.before) || !isJsonObject(present.wrapped)) return 'is not what was written any more';
  const { edits, conflicts } = restoredEntry(present.before, present.wrapped, raw);
  if (!conflicts.some((path) => LINE_FIELDS.has(field(path))))
    return { at, ...(place === undefined ? {} : { was: place }), before: raw, edits };
  // Its user changed what is started: the command behind ours is what he means.
  if (reading.line === undefined) return 'was changed since: take the gate out of it by hand';
  return {
    at,
    before: raw,
    edits: [
      ...lineEdits(shape, raw, reading.line),
      ...edits.filter(({ path }) => !LINE_FIELDS.has(String(path.at(-1)))),
    ],
  };
}

function lineEdits(
  shape: ShapeName,
  raw: Json,
  line: { readonly command: string; readonly args: readonly string[] },
): Edit[] {
  return wrappedEntry(shape, raw, { command: line.command, args: [...line.args] });
}
