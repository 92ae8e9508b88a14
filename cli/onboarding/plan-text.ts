// What init found and would do, in words for a person: a table, and for each entry what it says now and what it would say. Without secrets, and with
// every character that deceives made visible.

import { homedir } from 'node:os';
import { sep } from 'node:path';
import type { FoundFile, UnreadFile } from '../../adapters/clients/found-files.ts';
import { type Edit, type KeyPath, valueAt } from '../../adapters/clients/text-edit.ts';
import type { Json } from '../../domain/json.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { maskedAddress, maskedValue, maskedWords } from './masked.ts';
import type { LeftServer, Plan, PlannedServer } from './plan.ts';

/** The path as people say it. */
export function placeText(file: string): string {
  const home = homedir();
  const shown = file === home || file.startsWith(home + sep) ? `~${file.slice(home.length)}` : file;
  return visibleText(shown, 400);
}

export function problemText({ problem: { line, column, reason } }: Pick<UnreadFile, 'problem'>): string {
  const place = line === undefined ? '' : `:${line}${column === undefined ? '' : `:${column}`}`;
  return `${place}: ${visibleText(reason, 200)}`;
}

/** A line for each client and file, and what cannot be governed. */
export function foundLines(
  files: readonly FoundFile[],
  unread: readonly UnreadFile[],
  { planned, left }: Plan,
): string[] {
  const rows = files
    .filter(({ servers }) => servers.length > 0)
    .map((file) => {
      const names = file.servers.map(({ name }) => visibleText(name, 60));
      return [visibleText(file.client.title, 40), placeText(file.file), names.join(', ')];
    });
  const lines = table([['Client', 'File', 'Servers'], ...rows]);
  const own = new Map([...planned, ...left].map(({ client }) => [client.id, client]));
  const notGoverned = left.filter(({ state }) => state === 'left');
  if (notGoverned.length > 0) {
    lines.push('', 'Left as they are:');
    for (const one of notGoverned) lines.push(...leftLines(one));
  }
  const governed = left.filter(({ state }) => state === 'governed');
  if (governed.length > 0)
    lines.push(
      '',
      `Behind the gate already: ${governed.map((one) => `${one.client.id}/${visibleText(one.name, 60)}`).join(', ')}`,
    );
  for (const file of unread)
    lines.push('', `Not understood, left as it is: ${placeText(file.file)}${problemText(file)}`);
  for (const { file, problems } of files)
    for (const problem of problems)
      lines.push('', `Not understood in ${placeText(file)}: ${visibleText(problem, 200)}`);
  if (own.size > 0) {
    lines.push('', 'Never behind a gate:');
    for (const { title, ungoverned } of own.values()) lines.push(`  ${title}: ${ungoverned.join('; ')}`);
  }
  return lines;
}

function leftLines({ client, file, name, why, hint }: LeftServer): string[] {
  return [
    `  ${client.title}, ${visibleText(name, 60)} in ${placeText(file)}: ${visibleText(why, 300)}`,
    `    ${visibleText(hint, 300)}`,
  ];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const width = (column: number): number => Math.max(...rows.map((row) => (row[column] ?? '').length));
  const widths = [width(0), width(1)];
  return rows.map((row) => ` ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}

/** What would change of one client's file, entry by entry and field by field; nothing else in it does. */
export function changeLines(one: Pick<PlannedServer, 'at' | 'before' | 'edits'>): string[] {
  return [`  ${pathText(one.at)}`, ...one.edits.flatMap((edit) => editLines(one.before, edit))];
}

function editLines(before: Json | undefined, { path, value }: Edit): string[] {
  const field = path.length === 0 ? '' : `${pathText(path)}: `;
  const was = valueAt(before, path);
  const shown = (now: Json): string => visibleText(JSON.stringify(maskedValue(now, path.at(-1))), 2_000);
  return [
    ...(was === undefined ? [] : [`    - ${field}${shown(was)}`]),
    ...(value === undefined ? [] : [`    + ${field}${shown(value)}`]),
  ];
}

function pathText(path: KeyPath): string {
  return path
    .map((key) =>
      typeof key === 'number' ? `[${key}]` : /^[A-Za-z0-9_-]+$/.test(key) ? key : visibleText(JSON.stringify(key), 200),
    )
    .join('.')
    .replaceAll('.[', '[');
}

/** The same server, as its entry in the manifest may be shown. */
export function masked(one: PlannedServer): PlannedServer {
  const { entry } = one;
  return entry.kind === 'stdio'
    ? { ...one, entry: { ...entry, args: maskedWords(entry.args) } }
    : { ...one, entry: { ...entry, url: maskedAddress(entry.url) } };
}

/** The same as JSON. */
export function changeJson(one: PlannedServer): object {
  const { client, file, name, server, at, before, edits, shared, shadows } = one;
  return {
    client: client.id,
    file: file.file,
    name,
    server,
    at,
    shared,
    shadows: shadows ?? null,
    edits: edits.map(({ path, value }) => {
      const key = path.at(-1);
      const was = valueAt(before, path);
      return {
        path,
        before: was === undefined ? null : maskedValue(was, key),
        after: value === undefined ? null : maskedValue(value, key),
      };
    }),
  };
}
