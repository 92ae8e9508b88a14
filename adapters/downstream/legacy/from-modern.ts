// What servers of 2026-07-28 say in ways that the revisions before have no place for. Only those know output that is no object: there it goes
// under a member `result`, in the schema and in what follows it. Hints for caching, which only those know, are left out.

import { canonicalJson } from '../../../domain/canonical-json.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { CallEnd } from '../../../proxy/client-view.ts';

type Result = Extract<CallEnd, { kind: 'result' }>;

/** A tool's definition for a client of the older revisions. */
export function olderDefinition(definition: JsonObject): JsonObject {
  const { outputSchema } = definition;
  if (!isWrapped(outputSchema)) return definition;
  const { $schema } = outputSchema;
  return {
    ...definition,
    outputSchema: {
      ...($schema === undefined ? {} : { $schema }),
      type: 'object',
      properties: { result: moved(outputSchema) },
      required: ['result'],
    },
  };
}

/** The end of a call for a client of the older revisions. `outputSchema`: that of the tool, if it has one. */
export function olderResult(end: Result, outputSchema: Json | undefined): Result {
  const { ttlMs, cacheScope, structuredContent, ...others } = end.result;
  const wraps =
    structuredContent !== undefined &&
    (outputSchema === undefined ? !isJsonObject(structuredContent) : isWrapped(outputSchema));
  if (ttlMs === undefined && cacheScope === undefined && !wraps) return end;
  const structured = wraps ? { result: structuredContent } : structuredContent;
  const result = structured === undefined ? others : { ...others, structuredContent: structured };
  return { ...end, result, resultJson: canonicalJson(result) };
}

function isWrapped(schema: Json | undefined): schema is JsonObject {
  return schema !== undefined && isJsonObject(schema) && schema.type !== 'object';
}

/** Members whose value is data and not a schema, and those whose members have names and not keywords. */
const DATA: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples']);
const NAMED: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  'dependentSchemas',
  '$defs',
  'definitions',
]);

/** The schema one step below where it was: references from its root begin there now. Depth is bounded by the parser of messages. */
function moved(schema: Json): Json {
  if (Array.isArray(schema)) return (schema as readonly Json[]).map(moved) as Json;
  // With an address of its own it is the root of its references wherever it stands.
  if (!isJsonObject(schema) || (typeof schema.$id === 'string' && !schema.$id.startsWith('#'))) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]): [string, Json] => {
      if (DATA.has(key)) return [key, value];
      if (NAMED.has(key) && isJsonObject(value))
        return [key, Object.fromEntries(Object.entries(value).map(([name, of]) => [name, moved(of)]))];
      const isReference = (key === '$ref' || key === '$dynamicRef') && typeof value === 'string';
      if (!isReference) return [key, moved(value)];
      return [key, value === '#' || value.startsWith('#/') ? `#/properties/result${value.slice(1)}` : value];
    }),
  );
}
