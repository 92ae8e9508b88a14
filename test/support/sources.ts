// The sources of the project as text, with comments and strings told apart from code, for the tests that read them.
// It is a small scanner and no parser: it knows comments, strings, templates and the commonest regular expressions.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Source {
  /** Relative to the repository root, with forward slashes. */
  readonly path: string;
  /** The first folder of the path. */
  readonly layer: string;
  readonly text: string;
  /** The text with comments blanked; lines and columns stay where they are. */
  readonly uncommented: string;
  /** The text with comments and the contents of strings blanked. */
  readonly code: string;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** All TypeScript files under the given folders of the repository; a folder that is not there yet has none. */
export function sources(folders: readonly string[]): Source[] {
  return folders.flatMap((folder) => {
    let entries: string[];
    try {
      entries = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
    } catch {
      return [];
    }
    const files = entries.filter((entry) => entry.endsWith('.ts') && !entry.split(sep).includes('node_modules')).sort();
    return files.map((entry) => source(join(ROOT, folder, entry)));
  });
}

function source(file: string): Source {
  const text = readFileSync(file, 'utf8');
  const path = relative(ROOT, file).split(sep).join('/');
  return { path, layer: path.split('/')[0] ?? '', text, ...blank(text) };
}

/** Every module a source names: static, dynamic and re-exported, types included. */
export function importsOf({ uncommented }: Source): Import[] {
  const pattern = /\b(?:from|import)\s*\(?\s*(['"])([^'"\n]+)\1/g;
  return [...uncommented.matchAll(pattern)].map((match) => ({
    specifier: match[2] ?? '',
    line: lineAt(uncommented, match.index),
  }));
}

/** `file:line` of every match of a pattern in one of a source's texts. */
export function places(found: Source, text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => `${found.path}:${lineAt(text, match.index)}: ${match[0].trim()}`);
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** One pass over the text that blanks comments, and in a second copy the contents of strings as well. */
export function blank(text: string): { uncommented: string; code: string } {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|(?<=[(,=:[!&|?{};\n>]\s*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[dgimsuvy]*/g;
  const spaces = (part: string): string => part.replace(/[^\n]/g, ' ');
  const isComment = (part: string): boolean => part.startsWith('//') || part.startsWith('/*');
  return {
    uncommented: text.replace(token, (part) => (isComment(part) ? spaces(part) : part)),
    code: text.replace(token, (part) =>
      isComment(part) ? spaces(part) : part[0] + spaces(part.slice(1, -1)) + part.slice(-1),
    ),
  };
}
