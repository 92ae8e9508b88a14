// How much work a schema can make of a value at most. One is tame when that grows with the size of the value and no faster: then it may be checked
// where decisions are made. The others are checked where nobody waits but for them.

import type { Json, JsonObject } from '../../domain/json.ts';

/** Patterns go back and forth, unique items are compared with each other, and references can unfold without end. */
const WILD_KEYWORDS: ReadonlySet<string> = new Set([
  'pattern',
  'patternProperties',
  'uniqueItems',
  '$ref',
  '$dynamicRef',
  '$recursiveRef',
]);

/** Beyond this even making it ready takes a while. */
const TAME_NODES_MAX = 500;

/** Each part of a tame schema is held against each character of a value at most: a few tens of milliseconds. */
const WORK_MAX = 20_000_000;

/** The number of its parts; undefined for a schema that is not tame. A property that is called like such a keyword makes it so too. */
export function tameSize(schema: JsonObject): number | undefined {
  let nodes = 0;
  const waiting: Json[] = [schema];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    nodes += 1;
    if (nodes > TAME_NODES_MAX) return undefined;
    if (typeof next !== 'object' || next === null) continue;
    for (const [key, value] of Object.entries(next) as [string, Json][]) {
      if (!Array.isArray(next) && WILD_KEYWORDS.has(key)) return undefined;
      waiting.push(value);
    }
  }
  return nodes;
}

export function isWorkable(size: number | undefined, characters: number): boolean {
  return size !== undefined && size * characters <= WORK_MAX;
}
