// What a client would have to be able to do so that it can be asked something.

import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { canBeAsked } from '../../../proxy/client-capabilities.ts';
import type { ClientCapabilities, Question } from '../../../proxy/tool-server.ts';

/** The capabilities that some of the questions need and the client has not; undefined when it can be asked all of them. */
export function lackingFor(questions: readonly Question[], capabilities: ClientCapabilities): JsonObject | undefined {
  let lacking: JsonObject = {};
  for (const question of questions) {
    if (!canBeAsked(capabilities, question)) lacking = merged(lacking, neededFor(question));
  }
  return Object.keys(lacking).length === 0 ? undefined : lacking;
}

function neededFor({ method, params }: Question): JsonObject {
  switch (method) {
    case 'sampling/createMessage':
      return { sampling: params.tools === undefined && params.toolChoice === undefined ? {} : { tools: {} } };
    case 'elicitation/create':
      return { elicitation: params.mode === 'url' ? { url: {} } : { form: {} } };
    default:
      return { roots: {} };
  }
}

function merged(a: JsonObject, b: JsonObject): JsonObject {
  const both: Record<string, JsonObject> = {};
  for (const [key, value] of [...Object.entries(a), ...Object.entries(b)])
    both[key] = { ...both[key], ...(isJsonObject(value) ? value : {}) };
  return both;
}
