// Files of lines that others rely on. A red pin asks "on purpose?": then the file is edited by hand, with a line in the change log.

import { readFileSync } from 'node:fs';

export function pinned(name: string): string[] {
  const lines = readFileSync(new URL(name, import.meta.url), 'utf8').split('\n');
  if (lines.pop() !== '') throw new Error(`${name} does not end with a line break`);
  return lines;
}
