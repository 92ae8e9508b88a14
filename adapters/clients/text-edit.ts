// The words that all text formats share: one change to a parsed document, and where a text could not be understood.

import { isJsonObject, type Json } from '../../domain/json.ts';

/** Keys and list positions from the top of a document. */
export type KeyPath = readonly (string | number)[];

/** Sets the value at a path, making the maps above it where they are missing; `undefined` takes the key or the list item away. */
export interface Edit {
  readonly path: KeyPath;
  readonly value: Json | undefined;
}

/** Where and why a text is refused. Lines and columns begin at 1. The reason may hold text of the file, never a value. */
export interface TextProblem {
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

export type TextReading =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly problem: TextProblem };
export type TextEditing =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: TextProblem };

/** Nothing a person writes is deeper; a parser that recurses is safe at this depth. */
export const NESTING_MAX = 100;

/** A file of settings is smaller by far; readers of TOML and YAML are slow and recurse. */
export const SETTINGS_CHARACTERS_MAX = 1_000_000;

/** Refuses what the readers of TOML and YAML would choke on: too long, or nested too deep by brackets, by steps of indentation or by what begins a line. */
export function outOfBounds(text: string): { ok: false; problem: TextProblem } | undefined {
  if (text.length > SETTINGS_CHARACTERS_MAX)
    return problemAt(text, 0, `longer than ${SETTINGS_CHARACTERS_MAX} characters`);
  const lead = new RegExp(`^ *(?:[-?:] +){${NESTING_MAX},}`, 'm').exec(text);
  if (lead !== null) return problemAt(text, lead.index, `nested deeper than ${NESTING_MAX}`);
  const steps: number[] = [];
  for (const { 1: blanks = '', index } of text.matchAll(/^( *)[^\s]/gm)) {
    while ((steps.at(-1) ?? -1) >= blanks.length) steps.pop();
    if (steps.push(blanks.length) > NESTING_MAX) return problemAt(text, index, `nested deeper than ${NESTING_MAX}`);
  }
  let depth = 0;
  for (const match of text.matchAll(/"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|(?<=^|\s)#[^\n]*|[[{]|[\]}]/g)) {
    if (match[0] === '{' || match[0] === '[') depth += 1;
    else if (match[0] === '}' || match[0] === ']') depth = Math.max(0, depth - 1);
    if (depth > NESTING_MAX) return problemAt(text, match.index, `nested deeper than ${NESTING_MAX}`);
  }
  return undefined;
}

/** The same edits on a value instead of a text: what the edited text has to say when it is read again. */
export function editValue(value: Json | undefined, edits: readonly Edit[]): Json | undefined {
  return edits.reduce<Json | undefined>((now, edit) => withValue(now, edit.path, edit.value), value);
}

export function valueAt(value: Json | undefined, path: KeyPath): Json | undefined {
  let at = value;
  for (const key of path) {
    if (typeof key === 'number') at = Array.isArray(at) ? (at as readonly Json[])[key] : undefined;
    else at = isJsonObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return at;
}

/** Equal as values: the order of keys does not count. */
export function sameValue(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, index) => sameValue(item, other[index]));
  }
  if (!isJsonObject(one) || !isJsonObject(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && sameValue(one[key], other[key]))
  );
}

/** Line and column of an offset. A mark of byte order counts as nothing. */
export function placeAt(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(text.startsWith('\uFEFF') ? 1 : 0, offset);
  const lines = before.split(/\r\n|\n|\r/);
  return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 };
}

export function problemAt(text: string, offset: number, reason: string): { ok: false; problem: TextProblem } {
  return { ok: false, problem: { ...placeAt(text, offset), reason } };
}

function withValue(value: Json | undefined, path: KeyPath, next: Json | undefined): Json | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return next;
  if (typeof key === 'number') {
    const list: Json[] = Array.isArray(value) ? [...(value as readonly Json[])] : [];
    const item = withValue(list[key], rest, next);
    if (item === undefined) list.splice(key, 1);
    else list[key] = item;
    return list;
  }
  const entries = Object.entries(isJsonObject(value) ? value : {});
  const index = entries.findIndex(([name]) => name === key);
  const member = withValue(entries[index]?.[1], rest, next);
  if (member === undefined) return index < 0 ? value : Object.fromEntries(entries.filter((_, at) => at !== index));
  if (index < 0) entries.push([key, member]);
  else entries[index] = [key, member];
  return Object.fromEntries(entries);
}
