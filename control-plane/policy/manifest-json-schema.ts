// portcullis.yaml as a JSON Schema (2020-12), for editors: made from the schema that the gate itself reads with, and the words of manifest-words.ts.
// What it refuses the gate refuses too; the gate refuses more, such as names that do not exist. Nothing here is loaded by a gate.

import { z } from 'zod';
import type { Json, JsonObject } from '../../domain/json.ts';
import { MANIFEST_SCHEMA } from './manifest.ts';
import { MANIFEST_WORDS } from './manifest-words.ts';

/** A part of the schema while it is being made. */
type Node = { [key: string]: Json };

const DIGEST: Node = { pattern: '^sha256:[A-Za-z0-9_-]{43}$' };
const ONE_WAY_IN: Node = { minProperties: 1, maxProperties: 1 };
const SERVER_NAME = '^(?!.*__)[A-Za-z0-9_-]{0,63}[A-Za-z0-9-]$';

/** What our schema checks with code, said again as far as JSON Schema can say it. By path, as the words. */
const CHECKED_BY_CODE: Readonly<Record<string, Node>> = {
  'agents.*.auth.apiKey': DIGEST,
  'operators.*.apiKey': DIGEST,
  'agents.*.auth': ONE_WAY_IN,
  'servers.*': { oneOf: ['stdio', 'http', 'sse', 'ws', 'inProcess'].map((way) => ({ required: [way] })) },
  'agents.*.scope[].server': { pattern: SERVER_NAME },
};

const PINS = new Set(['agents.*.auth.spki', 'agents.*.auth.spki[]', 'servers.*.REMOTE.pins[]']);

/** The schema of the manifest. The same on every machine. */
export function manifestJsonSchema(): JsonObject {
  const { $schema, ...root } = z.toJSONSchema(MANIFEST_SCHEMA, { io: 'input', target: 'draft-2020-12' }) as Node;
  describe(root, '');
  return {
    $schema: $schema ?? null,
    title: 'portcullis.yaml',
    description: 'Who may call, which servers there are, how the gate is reached, and which facts rules can use.',
    ...root,
  };
}

/** The path under which a key has its words: what `http`, `sse` and `ws` have in common has them once. */
export function wordsPath(path: string): string {
  return path.replace(/^servers\.\*\.(?:http|sse|ws)(?=\.)/, 'servers.*.REMOTE');
}

function describe(node: Json | undefined, path: string): void {
  if (!isNode(node)) return;
  // It was made a moment ago and is ours to change.
  const own = node as Node;
  const words = MANIFEST_WORDS[wordsPath(path)];
  if (words !== undefined) own.description = words;
  if (isEmpty(own.default)) delete own.default;
  if (own.type === 'string' && PINS.has(wordsPath(path))) Object.assign(own, DIGEST);
  if (own.type === 'object' || own.type === 'string') Object.assign(own, CHECKED_BY_CODE[wordsPath(path)]);
  if (path === 'servers' && isNode(own.propertyNames)) Object.assign(own.propertyNames, { pattern: SERVER_NAME });
  for (const branch of alternatives(own)) {
    describe(branch, path);
    // Said above them, once.
    if (isNode(branch)) Reflect.deleteProperty(branch, 'description');
  }
  for (const [key, inner] of Object.entries(isNode(own.properties) ? own.properties : {}))
    describe(inner, path === '' ? key : `${path}.${key}`);
  describe(own.items, `${path}[]`);
  describe(own.additionalProperties, `${path}.*`);
}

function alternatives(node: Node): readonly Json[] {
  const found = node.anyOf ?? node.oneOf;
  return Array.isArray(found) ? found : [];
}

function isNode(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a mapping falls back to is said by its keys. */
function isEmpty(value: Json | undefined): boolean {
  return isNode(value) && Object.keys(value).length === 0;
}
