// The variables that clients give to servers that were put behind the gate. A server that a person starts by a command gets them too, read from the
// client's file at that moment: what is approved then is what runs later. They are never kept, and never shown.

import type { Backups, Change, WrittenEntry } from '../adapters/clients/backups.ts';
import { parseText, type TextFormat, textOf } from '../adapters/clients/edit-text.ts';
import { isShapeName, variablesOf } from '../adapters/clients/entry-variables.ts';
import { seeFile } from '../adapters/clients/safe-file.ts';
import { type KeyPath, valueAt } from '../adapters/clients/text-edit.ts';
import type { Variables } from '../adapters/upstream/stdio/environment.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import type { Home } from './home.ts';
import { backupsOf } from './onboarding/client-files.ts';

/** Entries that are behind the gate, as far as we wrote them; the client may have changed them since. */
function writtenEntries(backups: Backups): readonly { readonly change: Change; readonly entry: WrittenEntry }[] {
  return backups
    .runs()
    .filter(({ command }) => command === 'init')
    .flatMap(({ changes }) => changes)
    .filter(({ state }) => state === 'written' || state === 'unclear')
    .flatMap((change) => change.entries.map((entry) => ({ change, entry })));
}

/** By server of the manifest. Of several clients the one that came first counts. A file that cannot be read says nothing. */
export function clientVariables(backups: Backups): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const values = new Map<string, Readonly<Record<string, string>>>();
  const documents = new Map<string, Json | undefined>();
  for (const { change, entry } of writtenEntries(backups)) {
    if (values.has(entry.server)) continue;
    if (!documents.has(change.file)) documents.set(change.file, documentOf(change));
    const raw = entryIn(documents.get(change.file), entry);
    if (raw !== undefined && isShapeName(entry.shape)) values.set(entry.server, variablesOf(entry.shape, raw));
  }
  return values;
}

/** What a server of the manifest finds when a person starts it: what its client says, and else what is here. */
export function personsEnvironment(home: Home): (server: string) => Variables {
  const values = clientVariables(backupsOf(home));
  return (server) => ({ ...process.env, ...values.get(server) });
}

interface Place {
  readonly at: KeyPath;
  readonly name: string;
}

/** A list may have been sorted anew: its entries are found by their name. */
function entryIn(document: Json | undefined, { at, name }: Place): Json | undefined {
  return valueAt(document, placeIn(document, { at, name }) ?? at);
}

/** Where the entry is by now; undefined where it is not there any more. */
export function placeIn(document: Json | undefined, { at, name }: Place): readonly (string | number)[] | undefined {
  const above = at.slice(0, -1);
  const parent = valueAt(document, above);
  if (typeof at.at(-1) !== 'number') return valueAt(document, at) === undefined ? undefined : at;
  if (!Array.isArray(parent)) return undefined;
  const isIt = (item: Json | undefined): boolean => item !== undefined && isJsonObject(item) && item.name === name;
  // Of two with one name each is where it was.
  if (isIt(valueAt(document, at))) return at;
  const index = (parent as readonly Json[]).findIndex(isIt);
  return index < 0 ? undefined : [...above, index];
}

function documentOf({ file, format }: Pick<Change, 'file' | 'format'>): Json | undefined {
  try {
    const seen = seeFile(file);
    const text = seen === undefined ? undefined : textOf(seen.bytes);
    if (text === undefined || format === null) return undefined;
    // The journal has the word that the client's place had.
    const parsed = parseText(format as TextFormat, text);
    return parsed.ok ? parsed.value : undefined;
  } catch {
    return undefined;
  }
}
