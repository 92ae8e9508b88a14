// The HTTP headers that repeat parts of a request of 2026-07-28 (SEP-2243), so that those on the way need not read its body. They are made
// from the body that is sent and nothing else; a value that a header cannot carry goes as Base64.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { NAMED_BY } from '../../../proxy/method-table.ts';

const ANNOTATION = 'x-mcp-header';
/** RFC 9110. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const PRIMITIVES: readonly Json[] = ['string', 'integer', 'boolean'];
/** Deeper schemas are not looked into, and one with an annotation there is taken for invalid. */
const DEPTH_MAX = 32;

/** An argument that is repeated in a header, and where it stands. */
export interface MirroredArgument {
  readonly header: string;
  readonly path: readonly string[];
}

/** The annotated arguments of a tool, or undefined when an annotation is not valid: such a tool must not be offered. */
export function mirroredArguments(inputSchema: JsonObject): readonly MirroredArgument[] | undefined {
  const found: MirroredArgument[] = [];
  return collect(inputSchema, [], found) ? found : undefined;
}

/** Annotations count only where a chain of `properties` leads from the root; anywhere else they make the schema invalid. */
function collect(schema: JsonObject, path: readonly string[], found: MirroredArgument[]): boolean {
  if (path.length > DEPTH_MAX) return !mentions(schema);
  const header = schema[ANNOTATION];
  if (header !== undefined) {
    if (path.length === 0 || typeof header !== 'string' || !TOKEN.test(header)) return false;
    if (!PRIMITIVES.includes(schema.type ?? null)) return false;
    const name = `mcp-param-${header.toLowerCase()}`;
    if (found.some((other) => other.header === name)) return false;
    found.push({ header: name, path });
  }
  const { properties, ...rest } = schema;
  for (const [key, value] of Object.entries(rest)) if (key !== ANNOTATION && mentions(value, key)) return false;
  if (!isJsonObject(properties)) return true;
  return Object.entries(properties).every(
    ([key, value]) => !isJsonObject(value) || collect(value, [...path, key], found),
  );
}

/** Keywords whose value is a schema or holds schemas. What stands under others is data, and may hold any word. */
const SUBSCHEMAS = new Set(
  (
    'items prefixItems contains additionalItems additionalProperties unevaluatedProperties unevaluatedItems propertyNames ' +
    'patternProperties dependentSchemas oneOf anyOf allOf not if then else $defs definitions contentSchema'
  ).split(' '),
);
const MAPS = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions']);

function mentions(value: Json, keyword?: string): boolean {
  if (keyword !== undefined && !SUBSCHEMAS.has(keyword)) return false;
  const pending: Json[] =
    keyword !== undefined && MAPS.has(keyword) && isJsonObject(value) ? Object.values(value) : [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (Array.isArray(next)) pending.push(...(next as readonly Json[]));
    if (!isJsonObject(next)) continue;
    if (Object.hasOwn(next, ANNOTATION)) return true;
    for (const [key, inner] of Object.entries(next)) {
      if (MAPS.has(key) && isJsonObject(inner)) pending.push(...Object.values(inner));
      else if (SUBSCHEMAS.has(key)) pending.push(inner);
    }
  }
  return false;
}

/** The headers of one request, beside the revision that every request names. */
export function routingHeaders(
  method: string,
  params: JsonObject,
  mirrored: readonly MirroredArgument[],
): Record<string, string> {
  const headers: Record<string, string> = { 'mcp-method': method };
  const named = NAMED_BY[method];
  const name = named === undefined ? undefined : params[named];
  if (typeof name === 'string') headers['mcp-name'] = headerValue(name);
  for (const { header, path } of mirrored) {
    const text = textOf(valueAt(params.arguments, path));
    if (text !== undefined) headers[header] = headerValue(text);
  }
  return headers;
}

function valueAt(root: Json | undefined, path: readonly string[]): Json | undefined {
  let value = root;
  for (const key of path)
    value = value !== undefined && isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

function textOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  // A number that JSON readers do not agree about would not be the one in the body for everybody.
  if (typeof value === 'number' && (!Number.isInteger(value) || Number.isSafeInteger(value))) return String(value);
  return undefined;
}

const PLAIN = /^[\t\x20-\x7e]+$/;
const ENCODED = /^=\?base64\?.*\?=$/;

/** The text itself where a header carries it unchanged, else its UTF-8 in Base64 between marks. */
export function headerValue(text: string): string {
  if (PLAIN.test(text) && text === text.trim() && !ENCODED.test(text)) return text;
  return `=?base64?${Buffer.from(text, 'utf8').toString('base64')}?=`;
}
