// The text of rules cut into single rules, and measured, before the engine sees any of it: the engine's parser overflows its stack on
// deep nesting and is poisoned from then on. This reads only brackets, strings, comments and operators; the grammar is the engine's.

import {
  POLICIES_BYTES_MAX,
  POLICY_BYTES_MAX,
  POLICY_CHAIN_MAX,
  POLICY_NESTING_MAX,
  POLICY_OPERATORS_MAX,
} from './limits.ts';
import type { Problem, SourceText } from './source.ts';

/** One rule and where it stands. */
export interface RuleText {
  readonly file: string;
  readonly text: string;
  /** Offset of `text` in the file, in UTF-16 code units. */
  readonly offset: number;
  /** A problem at a byte offset (UTF-8) of the rule, as the engine counts. */
  problem(byteOffset: number, path: string, message: string, suggestion?: string): Problem;
}

export type RuleTexts =
  | { readonly ok: true; readonly rules: readonly RuleText[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Cuts a file at its top-level semicolons. Refuses what is too large, too deep, or does not end. */
export function splitRules({ file, text }: SourceText): RuleTexts {
  const problems: Problem[] = [];
  const rules: RuleText[] = [];
  const fail = (offset: number, message: string): void => {
    problems.push({ file, ...position(text, offset), path: '', message });
  };
  if (text.length > POLICIES_BYTES_MAX) {
    fail(0, 'the file is too large');
    return { ok: false, problems };
  }
  const stack: string[] = [];
  let start = -1;
  let operators = 0;
  let chain = 0;
  let refused = false;
  const once = (offset: number, message: string): void => {
    if (!refused) fail(offset, message);
    refused = true;
  };
  let index = 0;
  while (index < text.length) {
    const character = text.charAt(index);
    if (text.startsWith('//', index)) {
      const end = text.indexOf('\n', index);
      index = end < 0 ? text.length : end;
      continue;
    }
    if (/\s/u.test(character)) {
      index++;
      continue;
    }
    if (start < 0) start = index;
    if (character === '"') {
      const end = endOfString(text, index);
      if (end < 0) {
        fail(index, 'a string does not end');
        return { ok: false, problems };
      }
      index = end;
      continue;
    }
    const word = /[A-Za-z0-9_]/.test(character)
      ? (/^[A-Za-z0-9_]+/.exec(text.slice(index, index + 256))?.[0] ?? character)
      : '';
    if (word !== '') {
      if (word === 'if' && ++operators > POLICY_OPERATORS_MAX) once(index, TOO_MANY_OPERATORS);
      index += word.length;
      continue;
    }
    switch (character) {
      case '(':
      case '[':
      case '{':
        stack.push(character);
        if (stack.length > POLICY_NESTING_MAX) once(index, `brackets are nested more than ${POLICY_NESTING_MAX} deep`);
        break;
      case ')':
      case ']':
      case '}':
        if (stack.pop() !== OPENING[character]) {
          fail(index, `"${character}" closes nothing`);
          return { ok: false, problems };
        }
        break;
      case '&':
      case '|':
        chain = 0;
        if (text.charAt(index + 1) === character) {
          index++;
          if (++operators > POLICY_OPERATORS_MAX) once(index, TOO_MANY_OPERATORS);
        }
        break;
      case '.':
        if (++chain > POLICY_CHAIN_MAX) once(index, `more than ${POLICY_CHAIN_MAX} dots in a row`);
        break;
      case '!':
      case '-':
        chain = 0;
        if (++operators > POLICY_OPERATORS_MAX) once(index, TOO_MANY_OPERATORS);
        break;
      case ',':
      case '=':
      case '<':
      case '>':
        chain = 0;
        break;
      case ';':
        if (stack.length === 0) {
          const end = index + 1;
          if (end - start > POLICY_BYTES_MAX) once(start, `a rule is larger than ${POLICY_BYTES_MAX} bytes`);
          rules.push(ruleText(file, text, start, end));
          start = -1;
          operators = 0;
          chain = 0;
          refused = false;
        }
        break;
      default:
        break;
    }
    index++;
  }
  if (start >= 0) fail(start, 'a rule does not end with ";"');
  return problems.length > 0 ? { ok: false, problems } : { ok: true, rules };
}

const TOO_MANY_OPERATORS = `a rule has more than ${POLICY_OPERATORS_MAX} operators: split it`;

const OPENING: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

/** The offset after a string's closing quote, or −1. */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === '\\') index++;
    else if (character === '"') return index + 1;
  }
  return -1;
}

function ruleText(file: string, source: string, start: number, end: number): RuleText {
  const text = source.slice(start, end);
  return {
    file,
    text,
    offset: start,
    problem(byteOffset, path, message, suggestion) {
      const problem = { file, ...position(source, start + unitsOf(text, byteOffset)), path, message };
      return suggestion === undefined ? problem : { ...problem, suggestion };
    },
  };
}

/** UTF-16 units before a UTF-8 offset. */
function unitsOf(text: string, bytes: number): number {
  let seen = 0;
  let units = 0;
  for (const character of text) {
    if (seen >= bytes) break;
    const code = character.codePointAt(0) ?? 0;
    seen += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    units += character.length;
  }
  return units;
}

function position(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}
