// What the governed methods other than tools/call take: the params of each as a JSON Schema of ours, the same for every server, and the shape
// that rules see of it. Members that these schemas do not name belong to newer revisions and extensions: they are carried and never shown.
// `_meta` is not part of them.

import { PLAIN_METHODS, type PlainMethod } from '../../domain/action.ts';
import type { JsonObject } from '../../domain/json.ts';
import { openShape, type RecordShape } from './input-shape.ts';

export interface MethodInput {
  readonly schema: JsonObject;
  readonly shape: RecordShape;
}

/** What a key under `facts` of a server begins with where it names a method and not a tool. */
export const METHOD_KEY = ':';

const TEXT: JsonObject = { type: 'string' };
const OBJECT: JsonObject = { type: 'object' };
const OBJECTS: JsonObject = { type: 'array', items: OBJECT };
const TASK = params({ taskId: TEXT }, ['taskId']);
const RESOURCE = params({ uri: TEXT }, ['uri']);

/** Checked, but not shown: the shape has no counterpart of a combination. */
function hidden(schema: JsonObject): JsonObject {
  return { allOf: [schema] };
}

function params(properties: JsonObject, required: readonly string[] = []): JsonObject {
  return { type: 'object', properties, required };
}

const SCHEMAS: Record<PlainMethod, JsonObject> = {
  'prompts/get': params({ name: TEXT, arguments: { type: 'object', additionalProperties: TEXT } }, ['name']),
  'resources/read': RESOURCE,
  'resources/subscribe': RESOURCE,
  'resources/unsubscribe': RESOURCE,
  'completion/complete': params(
    {
      ref: params({ type: { type: 'string', enum: ['ref/prompt', 'ref/resource'] }, name: TEXT, uri: TEXT }, ['type']),
      argument: params({ name: TEXT, value: TEXT }, ['name', 'value']),
      context: OBJECT,
    },
    ['ref', 'argument'],
  ),
  'tasks/get': TASK,
  'tasks/result': TASK,
  'tasks/update': TASK,
  'tasks/cancel': TASK,
  'sampling/createMessage': params(
    {
      maxTokens: { type: 'integer' },
      systemPrompt: TEXT,
      includeContext: { type: 'string', enum: ['none', 'thisServer', 'allServers'] },
      messages: OBJECTS,
      modelPreferences: OBJECT,
      temperature: hidden({ type: 'number' }),
      stopSequences: hidden({ type: 'array', items: TEXT }),
      tools: OBJECTS,
      toolChoice: OBJECT,
      metadata: OBJECT,
    },
    ['messages', 'maxTokens'],
  ),
  'elicitation/create': params(
    {
      mode: { type: 'string', enum: ['form', 'url'] },
      message: TEXT,
      url: TEXT,
      elicitationId: TEXT,
      requestedSchema: OBJECT,
    },
    ['message'],
  ),
  'roots/list': params({}),
};

/** By method. Made once; every server of every policy has the same. */
export const METHOD_INPUTS: ReadonlyMap<string, MethodInput> = new Map(
  PLAIN_METHODS.map((method) => [method, { schema: SCHEMAS[method], shape: openShape(SCHEMAS[method]) }]),
);
