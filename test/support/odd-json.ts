// JSON that is legal and odd: values and names as nobody expects them, which every reader of JSON nevertheless reads alike.

import fc from 'fast-check';
import type { Json, JsonObject } from '../../domain/json.ts';

/** Values that JSON carries without loss everywhere; the strict parser refuses the others, which is tested elsewhere. */
const value: fc.Arbitrary<Json> = fc.jsonValue({ maxDepth: 3 }).map((any) => cleaned(any as Json));
const ODD_NAMES = ['', ' ', '\u2028', '0', '-1', 'a.example/b', 'toString', 'é', 'e\u0301', '😀', '🏳️‍🌈'];
const name = fc
  .oneof(
    fc.constantFrom(...ODD_NAMES),
    fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }).map((text) => `x-${text}`),
  )
  .filter((text) => !isMisread(text));
const unknown: fc.Arbitrary<JsonObject> = fc.dictionary(name, value, { maxKeys: 4 }).map((object) => ({ ...object }));

/** Names that are refused wherever they stand, in a message or in arguments that rules read. */
const REFUSED_NAMES = ['__proto__', 'constructor', 'prototype', '__entity', '__extn', '__expr'];

/** Node 24.21 itself reads a name that is written with an escape as another name that it read before. Such names are in UNUSUAL. */
function isMisread(key: string): boolean {
  return JSON.stringify(key).length !== key.length + 2;
}

function cleaned(any: Json): Json {
  if (typeof any === 'number') return Object.is(any, -0) || !Number.isFinite(any) || Math.abs(any) > 2 ** 53 ? 0 : any;
  if (typeof any === 'string') return (any as string & { toWellFormed(): string }).toWellFormed();
  if (Array.isArray(any)) return any.map(cleaned);
  if (typeof any !== 'object' || any === null) return any;
  const entries = Object.entries(any as JsonObject).filter(([key]) => !REFUSED_NAMES.includes(key) && !isMisread(key));
  return Object.fromEntries(entries.map(([key, member]) => [cleaned(key), cleaned(member)]));
}

/** What a message may be full of: payloads of its own kind, and members that no revision knows. */
export const said = fc.record({
  payload: value,
  params: unknown,
  meta: unknown,
  result: unknown,
  block: unknown,
  given: unknown,
  structured: value,
});
export type Said = typeof said extends fc.Arbitrary<infer Value> ? Value : never;

/** Legal JSON that is seldom written, as text. */
export const UNUSUAL = `{"": {"": [[[]], {}, ""]}, "numbers": [1.0, 1e2, 1E+2, 0.10, 5e-324, 9007199254740991,
  -9007199254740991, 0e9, 1.5E-7], "texts": ["9007199254740993", "\\u00e9", "e\\u0301", "\\/", "\\ud83d\\ude00", "\\u0000\\u001f\\u007f",
  "\\u2028\\u2029", "\\\\u0041", "</script>", "=?base64?eA==?=", " \\t "], "\\u0061\\"b\\\\": null, "Ünïcödé\u200d🏳️‍🌈": true,
  "1": 1, "10": 2, "9": 3, "toString": "x", "hasOwnProperty": [false]}`.replaceAll('\n', ' ');
