// Values that fit a JSON Schema well enough to be sent: what a client with nothing to say would say.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';

/** Arguments for a tool: its required ones. */
export function argumentsFor(schema: JsonObject): JsonObject {
  return objectOf(schema, (key) => requiredOf(schema).includes(key));
}

/** The content of a form: what it proposes, and something of the right type where it proposes nothing. */
export function contentFor(schema: JsonObject): JsonObject {
  return objectOf(schema, () => true);
}

function objectOf(schema: JsonObject, wanted: (key: string) => boolean): JsonObject {
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  const entries = Object.entries(properties).filter(([key]) => wanted(key));
  return Object.fromEntries(entries.map(([key, property]) => [key, valueFor(isJsonObject(property) ? property : {})]));
}

function requiredOf(schema: JsonObject): readonly Json[] {
  return Array.isArray(schema.required) ? schema.required : [];
}

function valueFor(schema: JsonObject): Json {
  if (schema.default !== undefined) return schema.default;
  const choices = [schema.enum, schema.oneOf, schema.anyOf].find(Array.isArray) as readonly Json[] | undefined;
  const first = choices?.[0];
  if (isJsonObject(first)) return first.const ?? valueFor(first);
  if (first !== undefined) return first;
  switch (schema.type) {
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return true;
    case 'array':
      return [];
    case 'object':
      return argumentsFor(schema);
    case 'null':
      return null;
    default:
      return 'text';
  }
}
