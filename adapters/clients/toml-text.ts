// Reads and edits TOML at the source ranges of the keys concerned. A new key goes below the last one of its table; a key that goes takes its
// line along. Everything else, comments and blank lines included, stays byte for byte.

import { parse } from '@decimalturn/toml-patch';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { quoted } from './quoted-text.ts';
import {
  type Edit,
  type KeyPath,
  outOfBounds,
  problemAt,
  sameValue,
  type TextEditing,
  type TextReading,
} from './text-edit.ts';
import { type Binding, layoutOf, type Range, type Table, type Value } from './toml-layout.ts';

const BOM = '\uFEFF';

/** The value of the text. Dates, and numbers that JSON does not have, appear as text. */
export function parseToml(text: string): TextReading {
  const bounds = outOfBounds(text);
  if (bounds !== undefined) return bounds;
  try {
    return { ok: true, value: plain(parse(withoutBom(text))) };
  } catch (error) {
    return { ok: false, problem: problemOf(error) };
  }
}

/** The text with each edit made in turn. The text was accepted by `parseToml` before. */
export function editToml(text: string, edits: readonly Edit[]): TextEditing {
  const bom = text.startsWith(BOM) ? BOM : '';
  let body = withoutBom(text);
  for (const { path, value } of edits) {
    const next = edited(body, path, value);
    if (next === undefined) return problemAt(text, 0, `${path.map(String).join('.')} cannot be set where it is`);
    body = next;
  }
  return { ok: true, text: bom + body };
}

function withoutBom(text: string): string {
  return text.startsWith(BOM) ? text.slice(1) : text;
}

/** The parser's message quotes the line, which may hold a secret: only its last sentence is used, without what it quotes. */
function problemOf(error: unknown): { line: number; column: number; reason: string } {
  const { line, column, message } = error as { line?: number; column?: number; message?: string };
  const sentence = (message ?? '').split('\n').at(-1) ?? '';
  // From the first quote to the last: what is quoted may hold some.
  const reason = sentence.replace(/".{3,}"/s, '"…"').replace(/(\\[uU]).*/s, '$1…');
  return { line: line ?? 1, column: (column ?? 0) + 1, reason: reason === '' ? 'is not TOML' : reason };
}

function plain(value: unknown): Json {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Date || typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value !== 'object' || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

function edited(body: string, path: KeyPath, value: Json | undefined): string | undefined {
  if (!path.every((key) => typeof key === 'string')) return undefined;
  const keys = path as readonly string[];
  const { tables, bindings } = layoutOf(body);
  const binding = bindings.find((one) => sameValue(one.path, keys));
  if (binding !== undefined) {
    return value === undefined ? withoutBinding(body, binding, bindings) : withBinding(body, binding, value);
  }
  const within = (one: { path: readonly string[] }) => sameValue(one.path.slice(0, keys.length), keys);
  if (tables.some(within) || bindings.some(within)) return mapEdited(body, keys, value, tables, bindings);
  return value === undefined ? body : inserted(body, keys, value, tables, bindings);
}

/** A map that is written as a table or with dotted keys: key by key towards what it is to be. */
function mapEdited(
  body: string,
  keys: readonly string[],
  value: Json | undefined,
  tables: readonly Table[],
  bindings: readonly Binding[],
): string | undefined {
  if (value === undefined) return withoutTable(body, keys, tables, bindings);
  if (!isJsonObject(value)) return undefined;
  const reading = parseToml(body);
  if (!reading.ok) return undefined;
  const now = keys.reduce<Json | undefined>((at, key) => (isJsonObject(at) ? at[key] : undefined), reading.value);
  if (!isJsonObject(now)) return undefined;
  let next: string | undefined = body;
  for (const key of new Set([...Object.keys(value), ...Object.keys(now)])) {
    if (next === undefined || sameValue(now[key], value[key])) continue;
    next = edited(next, [...keys, key], value[key]);
  }
  return next;
}

function inserted(
  body: string,
  keys: readonly string[],
  value: Json,
  tables: readonly Table[],
  bindings: readonly Binding[],
): string | undefined {
  const key = keys.at(-1);
  if (key === undefined) return undefined;
  const parent = keys.slice(0, -1);
  const eol = body.includes('\r\n') ? '\r\n' : '\n';
  const around = bindings.find((one) => sameValue(one.path, parent));
  if (around !== undefined) {
    if (around.value.type !== 'InlineTable') return undefined;
    const last =
      around.value.items.length === 0
        ? undefined
        : bindings
            .filter(
              (one) => one.inline && one.above === parent.length && sameValue(one.path.slice(0, parent.length), parent),
            )
            .at(-1);
    const text = `${named(key)} = ${rendered(value)}`;
    if (last === undefined)
      return splice(body, { start: around.valueRange.start, end: around.valueRange.end }, `{ ${text} }`);
    return splice(body, { start: last.range.end, end: last.range.end }, `, ${text}`);
  }
  const table = tables.find(({ path }) => sameValue(path, parent));
  // Keys of the table itself first; then dotted keys of an upper table that lead to the parent.
  const rows = bindings.filter((one) => !one.inline);
  const own =
    table === undefined
      ? []
      : rows.filter((one) => one.range.start > table.header.end && sameValue(one.path.slice(0, one.above), parent));
  const dotted = rows.filter((one) => one.above < parent.length && sameValue(one.path.slice(0, parent.length), parent));
  const last = own.at(-1) ?? (table === undefined ? dotted.at(-1) : undefined);
  if (last !== undefined) {
    const start = body.lastIndexOf('\n', last.range.start - 1) + 1;
    const indent = /^[ \t]*/.exec(body.slice(start))?.[0] ?? '';
    const dots = keys.slice(last.above).map(named).join('.');
    return belowLine(body, last.range.end, `${indent}${dots} = ${rendered(value)}`, eol);
  }
  if (table !== undefined) return belowLine(body, table.header.end, `${named(key)} = ${rendered(value)}`, eol);
  if (parent.length === 0) {
    // A key of the top must stand before the first table.
    return `${named(key)} = ${rendered(value)}${eol}${body}`;
  }
  // Nothing of the parent is there: it comes along whole.
  return inserted(body, parent, { [key]: value }, tables, bindings);
}

function withBinding(body: string, { value: node, valueRange }: Binding, value: Json): string | undefined {
  if (node.type === 'InlineArray' && Array.isArray(value)) {
    const front = changedFront(body, node, value as readonly Json[], valueRange);
    if (front !== undefined) return front;
  }
  return splice(body, valueRange, rendered(value));
}

/** A list that only grows or shrinks at its front keeps the layout and the comments of the items that stay. */
function changedFront(
  body: string,
  node: Extract<Value, { type: 'InlineArray' }>,
  next: readonly Json[],
  range: Range,
): string | undefined {
  const reading = parseToml(`x = ${body.slice(range.start, range.end)}\n`);
  const old = reading.ok && isJsonObject(reading.value) ? reading.value.x : undefined;
  const [first] = node.items;
  if (!Array.isArray(old) || first === undefined || next.length === 0) return undefined;
  const offsets = node.items.map(({ loc }) => offsetAt(body, loc.start));
  const [start] = offsets;
  const grown = next.length - old.length;
  if (start === undefined || grown === 0) return undefined;
  if (grown > 0) {
    if (!sameValue(old as readonly Json[], next.slice(grown))) return undefined;
    const lead = body.slice(range.start + 1, start);
    const gap = lead.includes('\n') ? lead.slice(lead.search(/\r?\n[ \t]*$/)) : ' ';
    return splice(
      body,
      { start, end: start },
      next
        .slice(0, grown)
        .map((item) => `${rendered(item)},${gap}`)
        .join(''),
    );
  }
  const kept = offsets[-grown];
  if (kept === undefined || !sameValue((old as readonly Json[]).slice(-grown), next)) return undefined;
  return splice(body, { start, end: kept }, '');
}

function offsetAt(body: string, { line, column }: { line: number; column: number }): number {
  let start = 0;
  for (let passed = 1; passed < line; passed += 1) start = body.indexOf('\n', start) + 1;
  return start + column;
}

function withoutBinding(body: string, binding: Binding, bindings: readonly Binding[]): string | undefined {
  const { range, inline, path, above } = binding;
  if (!inline) return withoutLines(body, range);
  const siblings = bindings.filter(
    (one) => one.inline && one.above === above && sameValue(one.path.slice(0, above), path.slice(0, above)),
  );
  const index = siblings.indexOf(binding);
  const [previous, next] = [siblings[index - 1], siblings[index + 1]];
  if (next !== undefined) return splice(body, { start: range.start, end: next.range.start }, '');
  return splice(body, { start: previous?.range.end ?? range.start, end: range.end }, '');
}

/** A table, the tables below it and the dotted keys that lead into it, each without the lines around. */
function withoutTable(
  body: string,
  keys: readonly string[],
  tables: readonly Table[],
  bindings: readonly Binding[],
): string {
  const within = (path: readonly string[]) => sameValue(path.slice(0, keys.length), keys);
  const ranges = [
    ...tables.filter(({ path }) => within(path)).map(({ header }) => header),
    ...bindings.filter(({ path, inline }) => !inline && within(path)).map(({ range }) => range),
  ];
  return ranges.sort((one, other) => other.start - one.start).reduce(withoutLines, body);
}

/** The range and the rest of its lines, a comment behind it included. */
function withoutLines(body: string, { start, end }: Range): string {
  const from = body.lastIndexOf('\n', start - 1) + 1;
  const stop = body.indexOf('\n', end);
  if (stop >= 0) return body.slice(0, from) + body.slice(stop + 1);
  // The last line had no end: the one above keeps that.
  return body.slice(0, from).replace(/\r?\n$/, '');
}

function belowLine(body: string, offset: number, line: string, eol: string): string {
  const stop = body.indexOf('\n', offset);
  if (stop < 0) return `${body}${eol}${line}`;
  return `${body.slice(0, stop + 1)}${line}${eol}${body.slice(stop + 1)}`;
}

function splice(body: string, { start, end }: Range, text: string): string {
  return body.slice(0, start) + text + body.slice(end);
}

function named(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : quoted(key);
}

/** On one line. TOML has no null: such a value is written as nothing and refused by whoever reads the result. */
function rendered(value: Json): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(rendered).join(', ')}]`;
  if (!isJsonObject(value)) return value === null ? '' : String(value);
  const members = Object.entries(value).map(([key, member]) => `${named(key)} = ${rendered(member)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}
