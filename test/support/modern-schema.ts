// The published schema of 2026-07-28 as a judge of what we say: every message that a server may send must fit what is written of it.

import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { JsonObject } from '../../domain/json.ts';
import { vectors } from './vectors.ts';

const RESULTS: Readonly<Record<string, string>> = {
  'server/discover': 'DiscoverResultResponse',
  'tools/list': 'ListToolsResultResponse',
  'prompts/list': 'ListPromptsResultResponse',
  'resources/list': 'ListResourcesResultResponse',
  'resources/templates/list': 'ListResourceTemplatesResultResponse',
  'tools/call': 'CallToolResultResponse',
  'prompts/get': 'GetPromptResultResponse',
  'resources/read': 'ReadResourceResultResponse',
  'completion/complete': 'CompleteResultResponse',
  'subscriptions/listen': 'SubscriptionsListenResultResponse',
};

const ERRORS: Readonly<Record<number, string>> = {
  [-32020]: 'HeaderMismatchError',
  [-32021]: 'MissingRequiredClientCapabilityError',
  [-32022]: 'UnsupportedProtocolVersionError',
};

export const hasSchema = vectors('mcp-schema/2026-07-28/schema.json') !== undefined;

let known: Ajv2020 | undefined;

function validator(name: string): ValidateFunction {
  if (known === undefined) {
    const file = vectors('mcp-schema/2026-07-28/schema.json');
    if (file === undefined) throw new Error('the shared vectors are not here');
    known = new Ajv2020({ strict: false, validateFormats: false });
    known.addSchema(JSON.parse(readFileSync(file, 'utf8')) as object, 'mcp');
  }
  const found = known.getSchema(`mcp#/$defs/${name}`);
  if (found === undefined) throw new Error(`the schema has no ${name}`);
  return found;
}

/** What is wrong with a message of a server, given the method that it answers; undefined when nothing is, or there is no schema here. */
export function faultOf(message: JsonObject, method: string): string | undefined {
  if (!hasSchema) return undefined;
  const names = namesFor(message, method);
  for (const name of names) {
    const validate = validator(name);
    if (!validate(message))
      return `${name}: ${JSON.stringify(validate.errors?.slice(0, 3))} in ${JSON.stringify(message)}`;
  }
  return undefined;
}

function namesFor(message: JsonObject, method: string): string[] {
  if ('method' in message) return ['ServerNotification'];
  if ('error' in message) {
    const { code } = message.error as { code: number };
    return ['JSONRPCErrorResponse', ERRORS[code] ?? 'JSONRPCErrorResponse'];
  }
  const name = RESULTS[method];
  return ['JSONRPCResultResponse', ...(name === undefined ? [] : [name])];
}
