// A definition as lines for a person: all of it, every string whole, and nothing that a terminal would take for an order. What is hostile stands behind a
// margin, so that it cannot pass for a line of ours.

import {
  byName,
  changesBetween,
  DEFINED_LISTS,
  type DefinedList,
  itemName,
  type ServerDefinition,
} from '../control-plane/integrity/definition.ts';
import type { LookAlike } from '../control-plane/integrity/look-alikes.ts';
import { type Mark, shownLine, shownText } from '../control-plane/integrity/shown-text.ts';
import { type Segment, wordChanges } from '../control-plane/integrity/word-changes.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { Output } from './output.ts';

const MARGIN = '      | ';
const COLUMNS = 110;
const KIND: Readonly<Record<DefinedList, string>> = {
  tools: 'tool',
  prompts: 'prompt',
  resourceTemplates: 'template',
};

type Style = Output['style'];

/** Where characters were marked, for a summary. */
export function marksOf(definition: ServerDefinition): readonly Mark[] {
  const { launch, instructions } = definition;
  const marks = [launch, instructions].flatMap((value) => textMarks(value));
  for (const list of DEFINED_LISTS) {
    for (const item of definition[list]) {
      marks.push(...shownText(itemName(list, item), 'name').marks, ...textMarks(item));
    }
  }
  return marks;
}

function textMarks(value: Json): Mark[] {
  if (typeof value === 'string') return [...shownText(value).marks];
  if (Array.isArray(value)) return value.flatMap((one: Json) => textMarks(one));
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, one]) => [...shownText(key).marks, ...textMarks(one ?? null)]);
}

/** All of a definition. */
export function definitionLines(definition: ServerDefinition): string[] {
  const lines = ['    started as', ...quoted(pretty(definition.launch))];
  if (definition.instructions !== null) lines.push('    instructions', ...quoted(definition.instructions));
  for (const list of DEFINED_LISTS) {
    for (const item of definition[list]) {
      lines.push(`    ${KIND[list]} ${shownLine(itemName(list, item), 'name')}`, ...quoted(itemText(list, item)));
    }
  }
  return lines;
}

/** What changed, whole items word by word. */
export function changeLines(before: ServerDefinition, after: ServerDefinition, style: Style): string[] {
  const changes = changesBetween(before, after);
  if (changes === undefined) return ['    nothing changed'];
  const lines: string[] = [];
  if (changes.launch)
    lines.push('    started as: changed', ...compared(pretty(before.launch), pretty(after.launch), style));
  if (changes.instructions)
    lines.push('    instructions: changed', ...compared(before.instructions ?? '', after.instructions ?? '', style));
  for (const list of DEFINED_LISTS) {
    const text = (of: ServerDefinition, name: string): string =>
      (byName(list, of[list]).get(name) ?? []).map((item) => itemText(list, item)).join('\n');
    const head = (what: string, name: string): string => `    ${KIND[list]} ${shownLine(name, 'name')}: ${what}`;
    for (const name of changes[list].changed)
      lines.push(head('changed', name), ...compared(text(before, name), text(after, name), style));
    for (const name of changes[list].added) lines.push(head('added', name), ...compared('', text(after, name), style));
    for (const name of changes[list].removed)
      lines.push(head('gone', name), ...compared(text(before, name), '', style));
  }
  return lines;
}

export function lookAlikeLine({ kind, tool, other }: LookAlike): string {
  const mine = tool === null ? 'the server itself' : `its tool ${shownLine(tool, 'name')}`;
  const theirs =
    other.tool === null
      ? `the server ${other.server}`
      : `${shownLine(other.tool, 'name')} of the server ${other.server}`;
  switch (kind) {
    case 'same':
      return `${mine} is called like ${theirs}`;
    case 'like':
      return `${mine} looks like ${theirs}`;
    case 'near':
      return `${mine} is nearly called like ${theirs}`;
    case 'mentions':
      return `${mine} speaks of ${theirs}`;
  }
}

/** Strings as they are, one after the other; everything else as JSON. */
function itemText(list: DefinedList, item: JsonObject): string {
  const key = list === 'resourceTemplates' ? 'uriTemplate' : 'name';
  return Object.entries(item)
    .filter(([member]) => member !== key)
    .map(([member, value]) =>
      typeof value === 'string' ? `${member}: ${value}` : `${member}: ${pretty(value ?? null)}`,
    )
    .join('\n');
}

function pretty(value: Json): string {
  return JSON.stringify(value, undefined, 2);
}

function quoted(text: string): string[] {
  return shownText(text).lines.flatMap((line) => wrapped(line).map((part) => `${MARGIN}${part}`));
}

function compared(before: string, after: string, style: Style): string[] {
  const shown = wordChanges(before, after).flatMap((segment) => marked(segment, style));
  // Each line is put together from its segments; a line end within a segment ends the line.
  const lines = [''];
  for (const part of shown) {
    if (part === '\n') lines.push('');
    else lines[lines.length - 1] += part;
  }
  return lines.map((line) => `${MARGIN}${line}`);
}

function marked({ kind, text }: Segment, style: Style): string[] {
  const { lines } = shownText(text);
  const one = (line: string): string => {
    if (kind === 'same' || line === '') return line;
    return kind === 'removed' ? style('red', `[-${line}-]`) : style('green', `{+${line}+}`);
  };
  return lines.flatMap((line, at) => (at === 0 ? [one(line)] : ['\n', one(line)]));
}

/** In parts that fit into a terminal: what it breaks by itself would stand before the margin. */
function wrapped(line: string): string[] {
  const characters = [...line];
  if (characters.length <= COLUMNS) return [line];
  const parts: string[] = [];
  for (let at = 0; at < characters.length; at += COLUMNS) parts.push(characters.slice(at, at + COLUMNS).join(''));
  return parts;
}
