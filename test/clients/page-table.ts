// A table of docs/clients.md that only the runner writes, found by its columns.

import { readFileSync, writeFileSync } from 'node:fs';

const PAGE = new URL('../../docs/clients.md', import.meta.url);

export function changePage(change: (page: string) => string): void {
  writeFileSync(PAGE, change(readFileSync(PAGE, 'utf8')));
}

/** The page with other lines in the table that has these columns. */
export function withTable(
  page: string,
  columns: readonly string[],
  change: (lines: readonly string[]) => readonly string[],
): string {
  const head = [rowOf(columns), `|${'---|'.repeat(columns.length)}`];
  const lines = page.split('\n');
  const start = lines.indexOf(head[0] ?? '') + head.length;
  if (start < head.length) throw new Error('the page has no table of what was seen');
  const after = lines.findIndex((line, index) => index >= start && !line.startsWith('|'));
  const end = after === -1 ? lines.length : after;
  return [...lines.slice(0, start), ...change(lines.slice(start, end)), ...lines.slice(end)].join('\n');
}

export function rowOf(cells: readonly (string | undefined)[]): string {
  return `| ${cells.map((cell) => (cell ?? 'not seen').replaceAll('|', '\\|')).join(' | ')} |`;
}
