// Tables in documents, and the tests that they name.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export const readDocument = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** The cells of each row of each table, without the heads. */
export function rowsOf(markdown: string): readonly (readonly string[])[] {
  const lines = markdown.split('\n');
  return lines.flatMap((line, at) => {
    const isHead = /^\|[-| :]+\|$/.test(lines[at + 1] ?? '');
    if (!line.startsWith('|') || isHead || /^\|[-| :]+\|$/.test(line)) return [];
    return [
      line
        .slice(1, line.lastIndexOf('|'))
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    ];
  });
}

export interface NamedTest {
  readonly file: string;
  readonly title: string;
}

/** Links to test files, each with the sentence of a test behind it. */
export function testsNamedIn(text: string): readonly NamedTest[] {
  return [...text.matchAll(/\]\(\.\.\/(test\/[^)]+)\) "([^"]+)"/g)].map(([, file = '', title = '']) => ({
    file,
    title,
  }));
}

/** What is wrong with them: a file that is not there, or no test of that name in it. */
export function missing({ file, title }: NamedTest): string | undefined {
  const path = join(ROOT, file);
  if (!existsSync(path)) return `there is no ${file}`;
  const source = readFileSync(path, 'utf8').replaceAll('\\', '');
  // What differs from case to case stands in the source as a place to be filled.
  const parts = title
    .split('…')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return parts.every((part) => source.includes(part)) ? undefined : `${file} has no test "${title}"`;
}
