// Changes entries of a client's file and nothing else: comments, byte order mark, line ends, indentation and the order of keys stay.
// What was made is read again by a second reading that shares no code with the first; where the two differ, the edit is refused.

import type { Json } from '../../domain/json.ts';
import { editJson, parseJson, rereadJson } from './json-text.ts';
import { type Edit, editValue, sameValue, type TextEditing, type TextReading } from './text-edit.ts';

export type TextFormat = 'json' | 'jsonc' | 'toml' | 'yaml';

interface Codec {
  parse(text: string): TextReading;
  /** Applies the edits; may assume that `parse` accepted the text. */
  edit(text: string, edits: readonly Edit[]): TextEditing;
  /** An independent reading; undefined when it refuses the text. */
  reread(text: string): Json | undefined;
}

const notYet: TextReading & { ok: false } = {
  ok: false,
  problem: { line: 1, column: 1, reason: 'this format cannot be edited yet' },
};

const CODECS: Readonly<Record<TextFormat, Codec>> = {
  json: { parse: (text) => parseJson(text, 'json'), edit: editJson, reread: (text) => rereadJson(text) },
  jsonc: { parse: (text) => parseJson(text, 'jsonc'), edit: editJson, reread: (text) => rereadJson(text) },
  toml: { parse: () => notYet, edit: () => notYet, reread: () => undefined },
  yaml: { parse: () => notYet, edit: () => notYet, reread: () => undefined },
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
  if (!sameValue(after.value, intended) || !sameValue(codec.reread(edited.text), intended)) {
    return refusedEdit('the edited text would not say what was intended');
  }
  return edited;
}

function refusedEdit(reason: string): TextEditing {
  return { ok: false, problem: { line: 1, column: 1, reason } };
}
