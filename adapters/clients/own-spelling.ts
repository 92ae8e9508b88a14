// An entry that is put back gets the words it had: its comments, its spacing and its quotes, taken from the text as it was before. Only
// an entry that still stands as wrapping left it, to the byte, is given them: what its user wrote into it since would be lost.

import { parseText, type TextFormat } from './edit-text.ts';
import { jsonSources } from './json-text.ts';
import { type KeyPath, sameValue } from './text-edit.ts';
import { type Range, tomlSource } from './toml-layout.ts';
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
  const was = entries.map(({ before }) => before);
  const is = entries.map(({ now }) => now);
  const [own, made] = [sourcesIn(format, texts.before, was), sourcesIn(format, texts.wrapped, was)];
  const found = sourcesIn(format, texts.now, is);
  const ranges = rangesIn(format, texts.restored, is);
  const splices = entries.flatMap((_, index) => {
    const [range, words] = [ranges[index], own[index]];
    const untouched = found[index] !== undefined && found[index] === made[index];
    return range === undefined || words === undefined || !untouched ? [] : [{ ...range, words }];
  });
  const text = splices
    .sort((one, other) => other.start - one.start)
    .reduce((now, { start, end, words }) => now.slice(0, start) + words + now.slice(end), texts.restored);
  const [next, restored] = [parseText(format, text), parseText(format, texts.restored)];
  return next.ok && restored.ok && sameValue(next.value, restored.value) ? text : texts.restored;
}

function rangesIn(format: TextFormat, text: string, paths: readonly KeyPath[]): (Range | undefined)[] {
  const bom = text.startsWith('\uFEFF') ? 1 : 0;
  const body = text.slice(bom);
  if (!parseText(format, text).ok) return paths.map(() => undefined);
  const ranges =
    format === 'toml'
      ? paths.map((path) => tomlSource(body, path))
      : format === 'yaml'
        ? paths.map((path) => yamlSource(body, path))
        : jsonSources(body, paths);
  return ranges.map((range) => (range === undefined ? undefined : { start: range.start + bom, end: range.end + bom }));
}

function sourcesIn(format: TextFormat, text: string, paths: readonly KeyPath[]): (string | undefined)[] {
  return rangesIn(format, text, paths).map((range) =>
    range === undefined ? undefined : text.slice(range.start, range.end),
  );
}
