// The second look at an edited TOML text: a reading by lines that knows only headers of tables. Every line outside the tables concerned is
// still there, in its order, and no line has come to them.

import { sameValue } from './text-edit.ts';

const PART = `(?:"(?:[^"\\\\]|\\\\.)*"|'[^']*'|[A-Za-z0-9_-]+)`;
const PARTS = new RegExp(PART, 'g');
const HEADER = new RegExp(`^[ \\t]*\\[[ \\t]*(${PART}(?:[ \\t]*\\.[ \\t]*${PART})*)[ \\t]*\\][ \\t]*(?:#.*)?\\r?$`);

/** Whether only tables that an edit's path goes through, or that lie below its first two keys, differ. */
export function onlyTheseTables(before: string, after: string, paths: readonly (readonly string[])[]): boolean {
  const entries = paths.map((path) => path.slice(0, 2));
  return sameValue(outside(before, entries), outside(after, entries));
}

function outside(text: string, entries: readonly (readonly string[])[]): string[] {
  const lines: string[] = [];
  let concerned = false;
  let headed = false;
  for (const line of text.split('\n')) {
    const header = HEADER.exec(line)?.[1];
    if (header !== undefined) concerned = entries.some((entry) => meet(entry, partsOf(header)));
    else if (/^[ \t]*\[\[/.test(line)) concerned = false;
    // Without a header yet: the entry's own keys at the top of the file, up to the first header.
    else if (!headed && entries.some(([first]) => partsOf(line.split('=')[0] ?? '')[0] === first)) concerned = true;
    headed ||= header !== undefined;
    if (!concerned) lines.push(line);
  }
  return lines;
}

function partsOf(header: string): string[] {
  return [...header.matchAll(PARTS)].map(([part]) =>
    part.startsWith('"') ? unescaped(part) : part.replace(/^'|'$/g, ''),
  );
}

/** TOML's escapes are JSON's in what people write; a name with another one is taken as it stands and meets nothing. */
function unescaped(part: string): string {
  try {
    return String(JSON.parse(part));
  } catch {
    return part;
  }
}

function meet(entry: readonly string[], header: readonly string[]): boolean {
  return entry.every((key, index) => header[index] === undefined || header[index] === key);
}
