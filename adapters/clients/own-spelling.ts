// An entry that is put back gets the words it had: its comments, its spacing and its quotes, taken from the text as it was before. Only
// an entry that still stands as wrapping left it, to the byte, is given them: what its user wrote into it since would be lost.

import { parseText, type TextFormat } from './edit-text.ts';
import { jsonSource } from './json-text.ts';
import { type KeyPath, sameValue, valueAt } from './text-edit.ts';
import { tomlSource } from './toml-layout.ts';
import { yamlSource } from './yaml-layout.ts';

/** Where an entry was in the text before, and where it is now. */
export interface MovedEntry {
  readonly before: KeyPath;
  readonly now: KeyPath;
}

export interface Texts {
  /** As it was before wrapping, and as wrapping made it. */
  readonly before: string;
  readonly wrapped: string;
  /** As it was found, and with the entries put back by value. */
  readonly now: string;
  readonly restored: string;
}

/** `restored` with the own words of the entries that may have them; the same value in any case. */
export function withOwnSpelling(format: TextFormat, texts: Texts, entries: readonly MovedEntry[]): string {
  let text = texts.restored;
  for (const { before, now } of entries) {
    const own = sourceAt(format, texts.before, before);
    const found = sourceAt(format, texts.now, now);
    if (own === undefined || found === undefined || found !== sourceAt(format, texts.wrapped, before)) continue;
    const range = rangeAt(format, text, now);
    if (range === undefined) continue;
    const next = text.slice(0, range.start) + own + text.slice(range.end);
    if (saysTheSame(format, text, next) && sameAt(format, texts.before, before, next, now)) text = next;
  }
  return text;
}

function rangeAt(format: TextFormat, text: string, path: KeyPath): { start: number; end: number } | undefined {
  const bom = text.startsWith('\uFEFF') ? 1 : 0;
  const source = { json: jsonSource, jsonc: jsonSource, toml: tomlSource, yaml: yamlSource }[format];
  if (!parseText(format, text).ok) return undefined;
  const range = source(text.slice(bom), path);
  return range === undefined ? undefined : { start: range.start + bom, end: range.end + bom };
}

function sourceAt(format: TextFormat, text: string, path: KeyPath): string | undefined {
  const range = rangeAt(format, text, path);
  return range === undefined ? undefined : text.slice(range.start, range.end);
}

function saysTheSame(format: TextFormat, one: string, other: string): boolean {
  const [first, second] = [parseText(format, one), parseText(format, other)];
  return first.ok && second.ok && sameValue(first.value, second.value);
}

function sameAt(format: TextFormat, one: string, at: KeyPath, other: string, path: KeyPath): boolean {
  const [first, second] = [parseText(format, one), parseText(format, other)];
  return first.ok && second.ok && sameValue(valueAt(first.value, at), valueAt(second.value, path));
}
