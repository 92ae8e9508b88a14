// The shape of arguments: which members there are and what kind of value each is, and nothing of the values themselves. Equal shapes have equal
// texts. Arguments are bounded before they come here.

import { isJsonObject, type Json } from '../../domain/json.ts';

/** Deeper than this a value is any value. */
const DEPTH_MAX = 8;

export function argumentShape(value: Json, depth = 0): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) {
    if (depth >= DEPTH_MAX) return '[]';
    // What kinds of items there are counts, and not how many or in which order.
    const items = new Set((value as readonly Json[]).map((item) => argumentShape(item, depth + 1)));
    return `[${[...items].sort().join('|')}]`;
  }
  if (!isJsonObject(value)) return typeof value;
  if (depth >= DEPTH_MAX) return '{}';
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${argumentShape(value[name] ?? null, depth + 1)}`);
  return `{${members.join(',')}}`;
}
