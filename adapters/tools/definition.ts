// From a program's function to the definition that is pinned: the same that a server would give of its tool. What cannot be one is a mistake of the
// program and is thrown before anything is served.

import type { Json, JsonObject } from '../../domain/json.ts';
import { isJsonObject } from '../../domain/json.ts';
import type { ToolDefinition } from '../../proxy/tool-server.ts';
import { jsonValue } from './json-value.ts';
import { DEFINITION_LIMITS, NAME_PATTERN } from './limits.ts';
import { isStandardSchema, jsonSchemaOf } from './standard-schema.ts';
import type { AnyToolFunction } from './tool-function.ts';

/** Under these a value may have members that `properties` does not name. */
const COMBINING = ['$ref', '$dynamicRef', 'allOf', 'anyOf', 'oneOf', 'if', 'dependentSchemas'];

/** Throws a TypeError that says what is wrong with the function. */
export function definitionOf(exposed: string, name: string, tool: AnyToolFunction): ToolDefinition {
  const wrong = (what: string): TypeError => new TypeError(`the tool ${JSON.stringify(name)}: ${what}`);
  if (!NAME_PATTERN.test(exposed))
    throw wrong(`"${exposed}" is no name that models take: 64 letters, digits, "_" and "-" at most`);
  if (typeof tool?.execute !== 'function') throw wrong('it has no function "execute"');
  if (typeof tool.description !== 'string' || tool.description === '') throw wrong('it has no description');
  if (typeof tool.inputSchema !== 'object' || tool.inputSchema === null) throw wrong('it has no inputSchema');
  const stated: unknown = isStandardSchema(tool.inputSchema) ? jsonSchemaOf(tool.inputSchema) : tool.inputSchema;
  const { title, description, outputSchema } = tool;
  const copied = jsonValue(
    {
      name,
      ...(title === undefined ? {} : { title }),
      description,
      inputSchema: stated,
      ...(outputSchema === undefined ? {} : { outputSchema }),
    },
    DEFINITION_LIMITS,
  );
  if (!copied.ok) throw wrong(`its definition is not JSON: ${copied.detail}`);
  const raw = copied.value as JsonObject;
  const input = raw.inputSchema as JsonObject;
  if (input.type !== 'object') throw wrong('its inputSchema is not one of an object');
  const output = raw.outputSchema;
  if (output !== undefined && !isJsonObject(output)) throw wrong('its outputSchema is not an object');
  return {
    name,
    raw: {
      ...raw,
      inputSchema: closed(input),
      ...(output === undefined ? {} : { outputSchema: ofResult(output) }),
    },
  };
}

/** A member that a schema does not name is one that no rule looks at. Schemas that are combined from others say themselves what they allow. */
function closed(schema: JsonObject): JsonObject {
  const says = ['additionalProperties', 'unevaluatedProperties', ...COMBINING];
  return says.some((keyword) => Object.hasOwn(schema, keyword)) ? schema : { ...schema, additionalProperties: false };
}

/** Structured content is an object; the value of a function is its one member. Definitions stay where references look for them. */
function ofResult({ $schema, $defs, definitions, ...schema }: JsonObject): JsonObject {
  const shared = Object.entries({ $schema, $defs, definitions }).filter(
    (entry): entry is [string, Json] => entry[1] !== undefined,
  );
  return {
    ...Object.fromEntries(shared),
    type: 'object',
    properties: { result: schema },
    required: ['result'],
    additionalProperties: false,
  };
}
