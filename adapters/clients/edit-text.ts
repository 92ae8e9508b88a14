// Changes entries of a client's file and nothing else: comments, byte order mark, line ends, indentation and the order of keys stay.
// What was made is read again by a second reading that shares no code with the first; where the two differ, the edit is refused.

import type { Json } from '../../domain/json.ts';
import { editJson, parseJson, rereadJson } from './json-text.ts';
import { type Edit, editValue, sameValue, type TextEditing, type TextReading, valueAt } from './text-edit.ts';
import { editToml, parseToml } from './toml-text.ts';
import { onlyTheseTables } from './untouched-lines.ts';
import { editYaml, parseYaml, rereadYaml } from './yaml-text.ts';

export type TextFormat = 'json' | 'jsonc' | 'toml' | 'yaml';

interface Codec {
  parse(text: string): TextReading;
  /** Applies the edits; may assume that `parse` accepted the text. */
  edit(text: string, edits: readonly Edit[]): TextEditing;
  /** Whether a second reading, which shares no code with `edit`, finds the intended change and no other. */
  agrees(before: string, after: string, edits: readonly Edit[], intended: Json | undefined): boolean;
}

const lenientJson: Omit<Codec, 'parse'> = {
  edit: editJson,
  agrees: (_before, after, _edits, intended) => sameValue(rereadJson(after), intended),
};

const CODECS: Readonly<Record<TextFormat, Codec>> = {
  json: { ...lenientJson, parse: (text) => parseJson(text, 'json') },
  jsonc: { ...lenientJson, parse: (text) => parseJson(text, 'jsonc') },
  toml: {
    parse: parseToml,
    edit: editToml,
    agrees: (before, after, edits) =>
      onlyTheseTables(
        before,
        after,
        edits.map(({ path }) => path.map(String)),
      ),
  },
  yaml: {
    parse: parseYaml,
    edit: editYaml,
    agrees: (before, after, edits) => sameElsewhere(rereadYaml(before), rereadYaml(after), edits),
  },
};

/** The text of a file's bytes, its byte order mark kept; undefined when the bytes are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * The value of a text. Refuses what is broken, half written, empty, too deep or has a key twice, with line and column.
 * Dates and numbers that JSON does not have appear as text.
 */
export function parseText(format: TextFormat, text: string): TextReading {
  return CODECS[format].parse(text);
}

/** The text with the edits made, in their order. Refuses where `parseText` does, and where the result would not read as intended. */
export function editText(format: TextFormat, text: string, edits: readonly Edit[]): TextEditing {
  const codec = CODECS[format];
  const before = codec.parse(text);
  if (!before.ok) return before;
  const edited = codec.edit(text, edits);
  if (!edited.ok) return edited;
  const intended = editValue(before.value, edits);
  const after = codec.parse(edited.text);
  if (!after.ok) return refusedEdit(`the edited text cannot be read: ${after.problem.reason}`);
  if (!sameValue(after.value, intended) || !codec.agrees(text, edited.text, edits, intended)) {
    return refusedEdit('the edited text would not say what was intended');
  }
  return edited;
}

/** Equal but for what the edits name. What they set is compared by the first reading, whose rules decide how it was understood. */
function sameElsewhere(before: Json | undefined, after: Json | undefined, edits: readonly Edit[]): boolean {
  if (before === undefined || after === undefined) return false;
  // Maps that an edit had to make go as a whole.
  const gone = edits.map(({ path }): Edit => {
    const missing = path.findIndex((_, index) => valueAt(before, path.slice(0, index + 1)) === undefined);
    return { path: missing < 0 ? path : path.slice(0, missing + 1), value: undefined };
  });
  return sameValue(editValue(before, gone), editValue(after, gone));
}

function refusedEdit(reason: string): TextEditing {
  return { ok: false, problem: { line: 1, column: 1, reason } };
}
