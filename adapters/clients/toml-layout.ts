// Where the tables and the keys of a TOML text stand. Lists of tables are left out: no client keeps a server in one.

import { parseDocument } from '@decimalturn/toml-patch';
import { type KeyPath, sameValue } from './text-edit.ts';

type Block = ReturnType<typeof parseDocument>['cst'][number];
type Assignment = Extract<Block, { equals: number }>;
export type Value = Assignment['value'];

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A key with a value, wherever it is written. */
export interface Binding {
  readonly path: readonly string[];
  /** As many leading keys of the path come from the table's header or the inline table around it. */
  readonly above: number;
  readonly range: Range;
  readonly value: Value;
  readonly valueRange: Range;
  /** The braces around it, when it is in an inline table. */
  readonly inline: boolean;
}

export interface Table {
  readonly path: readonly string[];
  readonly header: Range;
}

export interface Layout {
  readonly tables: readonly Table[];
  readonly bindings: readonly Binding[];
}

/** The layout of a text that the parser accepts, without a byte order mark. */
export function layoutOf(body: string): Layout {
  const starts = [0, ...[...body.matchAll(/\n/g)].map(({ index }) => index + 1)];
  const rangeOf = ({ loc }: { loc: Assignment['loc'] }): Range => ({
    start: (starts[loc.start.line - 1] ?? 0) + loc.start.column,
    end: (starts[loc.end.line - 1] ?? 0) + loc.end.column,
  });
  const tables: Table[] = [];
  const bindings: Binding[] = [];
  const bind = (assignment: Assignment, above: readonly string[], inline: boolean) => {
    const path = [...above, ...assignment.key.value];
    const { value } = assignment;
    const own = { path, above: above.length, range: rangeOf(assignment), value, valueRange: rangeOf(value), inline };
    bindings.push(own);
    if (value.type === 'InlineTable') for (const { item } of value.items) bind(item as Assignment, path, true);
  };
  for (const block of parseDocument(body).cst) {
    if (block.type === 'KeyValue') bind(block as Assignment, [], false);
    // A list of tables has no path of names: nothing in it is ever ours.
    if (block.type !== 'Table') continue;
    const path = block.key.item.value;
    tables.push({ path, header: rangeOf(block.key) });
    for (const row of block.items) if (row.type === 'KeyValue') bind(row as Assignment, path, false);
  }
  return { tables, bindings };
}

/**
 * The range that says all of what is at a path: a value behind its key, or the tables of an entry one after the other, from the first
 * header to the end of the last line. Undefined where that is scattered.
 */
export function tomlSource(body: string, path: KeyPath): Range | undefined {
  const { tables, bindings } = layoutOf(body);
  const binding = bindings.find((one) => sameValue(one.path, path.map(String)));
  if (binding !== undefined) return binding.valueRange;
  const within = (one: { readonly path: readonly string[] }) =>
    sameValue(one.path.slice(0, path.length), path.map(String));
  const first = tables.findIndex(within);
  const last = tables.findLastIndex(within);
  const [start, next] = [tables[first]?.header.start, tables[last + 1]?.header.start ?? body.length];
  if (start === undefined || !tables.slice(first, last + 1).every(within)) return undefined;
  const inside = bindings.filter(({ range }) => range.start >= start && range.end <= next);
  if (bindings.some((one) => within(one) !== inside.includes(one))) return undefined;
  const end = Math.max(
    ...tables.filter(within).map(({ header }) => header.end),
    ...inside.map(({ range }) => range.end),
  );
  const stop = body.indexOf('\n', end);
  return { start, end: stop < 0 ? body.length : stop };
}
