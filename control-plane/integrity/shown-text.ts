// A hostile text as a person who approves it is shown it: every character of it, none of which prints as nothing, moves what stands beside it, or passes for
// another one without being marked. What a terminal would take for an order is never in the result. Lines are kept, tabs and line ends are not hidden in them.

import { isPunctuationLike, looksLike } from './confusables.ts';

export type MarkKind =
  | 'control'
  | 'bidirectional'
  | 'tag'
  | 'hidden'
  | 'space'
  | 'confusable'
  | 'combining'
  | 'unknown';

export interface Mark {
  readonly kind: MarkKind;
  /** `U+202E`. */
  readonly code: string;
  /** The place of the character in the text, counted in UTF-16 units. */
  readonly at: number;
}

export interface ShownText {
  /** Without control characters: at least one line. */
  readonly lines: readonly string[];
  readonly marks: readonly Mark[];
}

const BIDIRECTIONAL = /^[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]$/u;
const TAG = /^[\u{E0000}-\u{E007F}]$/u;
const HIDDEN = /^[\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]$/u;
const SPACE = /^\p{Zs}$/u;
const UNKNOWN = /^[\p{Cn}\p{Co}\p{Cs}]$/u;
const COMBINING = /^\p{Mn}$/u;
const LETTER = /\p{L}/gu;
const LATIN = /\p{Script=Latin}/gu;
/** More marks on one letter draw over what stands beside it. */
const COMBINING_MAX = 2;

/** `name`: a text of one line in which no character may look like another one, and in which a line end is marked too. */
export function shownText(text: string, as: 'text' | 'name' = 'text'): ShownText {
  const marks: Mark[] = [];
  const lines: string[] = [];
  const isLatin = count(text, LATIN) * 2 >= count(text, LETTER);
  let line = '';
  let combining = 0;
  let word = wordAt(text, 0);
  let at = 0;
  // By code points; a surrogate that stands alone is one by itself.
  for (const character of text) {
    if (at >= word.end) word = wordAt(text, at);
    combining = COMBINING.test(character) ? combining + 1 : 0;
    if (character === '\n' && as === 'text') {
      lines.push(line);
      line = '';
    } else {
      const kind = kindOf(character, { as, isLatin, isMixed: word.isMixed, combining });
      if (kind === undefined) line += character;
      else {
        const code = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
        marks.push({ kind, code, at });
        line += escaped(character, code, kind);
      }
    }
    at += character.length;
  }
  lines.push(line);
  return { lines, marks };
}

/** The same on one line. */
export function shownLine(text: string, as: 'text' | 'name' = 'text'): string {
  return shownText(text, as).lines.join('\\n');
}

function kindOf(
  character: string,
  { as, isLatin, isMixed, combining }: { as: 'text' | 'name'; isLatin: boolean; isMixed: boolean; combining: number },
): MarkKind | undefined {
  if (character >= ' ' && character <= '~') return undefined;
  if (/^\p{Cc}$/u.test(character)) return 'control';
  if (BIDIRECTIONAL.test(character)) return 'bidirectional';
  if (TAG.test(character)) return 'tag';
  if (HIDDEN.test(character)) return 'hidden';
  if (SPACE.test(character)) return 'space';
  if (UNKNOWN.test(character)) return 'unknown';
  if (combining > COMBINING_MAX || (combining > 0 && as === 'name')) return 'combining';
  if (looksLike(character) === undefined) return undefined;
  if (as === 'name') return 'confusable';
  return !isPunctuationLike(character) && (isLatin || isMixed) ? 'confusable' : undefined;
}

function escaped(character: string, code: string, kind: MarkKind): string {
  const plain = looksLike(character);
  if (kind === 'confusable' && plain !== undefined) return `[${code} like "${plain}"]`;
  if (kind === 'tag') {
    const said = String.fromCodePoint((character.codePointAt(0) ?? 0) & 0x7f);
    return said >= ' ' && said <= '~' ? `[${code} tag "${said}"]` : `[${code} tag]`;
  }
  return `[${code} ${kind}]`;
}

/** The word that stands here, and whether it is written in Latin letters and others. */
function wordAt(text: string, at: number): { readonly end: number; readonly isMixed: boolean } {
  const rest = /[\p{L}\p{M}\p{N}\p{Cf}]*/uy;
  rest.lastIndex = at;
  const word = rest.exec(text)?.[0] ?? '';
  const latin = count(word, LATIN);
  return { end: at + Math.max(1, word.length), isMixed: latin > 0 && latin < count(word, LETTER) };
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
