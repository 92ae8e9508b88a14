// With a policy that denies everything, what the gate says is still what the specification says a server says: every message, at every revision.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { vectors } from '../support/vectors.ts';
import { Fixture } from './fixture/fixture.ts';
import { type Listening, listen } from './fixture/http.ts';
import { LEGACY_VERSIONS } from './fixture/legacy.ts';
import { type Started, startGate } from './processes.ts';
import { PublishedSchema } from './published-schema.ts';

const MODERN = '2026-07-28';
const BODY_MS = 10_000;
const POLICIES = [
  {
    that: 'hides everything',
    rules: '@id("nothing") @reason("nothing is allowed here") forbid (principal, action, resource);',
    says: 'Unknown tool',
  },
  {
    that: 'shows everything and denies each use',
    rules:
      '@id("degraded") @reason("only in bad times") permit (principal, action, resource) when { context.governance.state == "degraded" };',
    says: 'POLICY_',
  },
] as const;

interface Question {
  readonly method: string;
  readonly params: JsonObject;
  /** What the schema calls the result. */
  readonly result: string;
}

const EMPTY = 'EmptyResult';
const URI = 'test://static-text';
const BOTH: readonly Question[] = [
  { method: 'tools/list', params: {}, result: 'ListToolsResult' },
  { method: 'tools/call', params: { name: 'test_simple_text', arguments: {} }, result: 'CallToolResult' },
  { method: 'tools/call', params: { name: 'test_elicitation', arguments: { message: 'x' } }, result: 'CallToolResult' },
  { method: 'tools/call', params: { name: 'no_such_tool', arguments: {} }, result: 'CallToolResult' },
  { method: 'prompts/list', params: {}, result: 'ListPromptsResult' },
  { method: 'prompts/get', params: { name: 'test_simple_prompt' }, result: 'GetPromptResult' },
  { method: 'resources/list', params: {}, result: 'ListResourcesResult' },
  { method: 'resources/templates/list', params: {}, result: 'ListResourceTemplatesResult' },
  { method: 'resources/read', params: { uri: URI }, result: 'ReadResourceResult' },
  {
    method: 'completion/complete',
    params: { ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' }, argument: { name: 'arg1', value: 'p' } },
    result: 'CompleteResult',
  },
  { method: 'tasks/get', params: { taskId: 'none' }, result: 'GetTaskResult' },
  { method: 'no/such/method', params: {}, result: EMPTY },
];
const LEGACY_ONLY: readonly Question[] = [
  { method: 'ping', params: {}, result: EMPTY },
  { method: 'logging/setLevel', params: { level: 'info' }, result: EMPTY },
  { method: 'resources/subscribe', params: { uri: URI }, result: EMPTY },
  { method: 'resources/unsubscribe', params: { uri: URI }, result: EMPTY },
];
const MODERN_ONLY: readonly Question[] = [
  { method: 'server/discover', params: {}, result: 'DiscoverResult' },
  {
    method: 'subscriptions/listen',
    params: { notifications: { toolsListChanged: true } },
    result: 'SubscriptionsListenResult',
  },
];
const NAMED: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
};

const here = vectors('mcp-schema') !== undefined;
const where = here ? '' : ' (shared vectors are not here)';

describe.skipIf(!here).each(POLICIES)(
  `every message of a gate whose policy $that is valid${where}`,
  ({ rules, says }) => {
    let server: Listening;
    let gate: Started;

    beforeAll(async () => {
      server = await listen(new Fixture(), 'both');
      gate = await startGate({ http: { url: server.url } }, { rules });
    }, 60_000);

    afterAll(async () => {
      await gate?.close();
      await server?.close();
    });

    it.each(LEGACY_VERSIONS)('at %s', async (revision) => {
      const client = new Conversation(gate.url, revision);
      const initialized = await client.ask('initialize', {
        protocolVersion: revision,
        capabilities: { sampling: {}, roots: {} },
        clientInfo: { name: 'denied', version: '1' },
      });
      expect(client.faultsOf(initialized, 'InitializeResult')).toEqual([]);
      await client.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
      for (const question of [...BOTH, ...LEGACY_ONLY]) await expectValid(client, question, says);
    });

    it(`at ${MODERN}`, async () => {
      const client = new Conversation(gate.url, MODERN);
      for (const question of [...BOTH, ...MODERN_ONLY]) await expectValid(client, question, says);
    });
  },
);

async function expectValid(client: Conversation, { method, params, result }: Question, says: string): Promise<void> {
  const messages = await client.ask(method, params);
  const said = `${method}: ${JSON.stringify(messages)}`;
  expect(messages.length, said).toBeGreaterThan(0);
  expect(client.faultsOf(messages, result), said).toEqual([]);
  // Otherwise nothing was denied, and nothing about denials was shown.
  if (params.name === 'test_simple_text') expect(said).toContain(says);
}

/** A client over HTTP that keeps everything it is told. */
class Conversation {
  readonly #url: string;
  readonly #revision: string;
  readonly #schema: PublishedSchema;
  #session: string | undefined;
  #nextId = 1;

  constructor(url: string, revision: string) {
    this.#url = url;
    this.#revision = revision;
    this.#schema = new PublishedSchema(vectors(`mcp-schema/${revision}/schema.json`)!);
  }

  ask(method: string, params: JsonObject): Promise<readonly JsonObject[]> {
    return this.send({ jsonrpc: '2.0', id: this.#nextId++, method, params: this.#enveloped(params) });
  }

  async send(message: JsonObject): Promise<readonly JsonObject[]> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: this.#headers(message),
      body: JSON.stringify(message),
    });
    this.#session ??= response.headers.get('mcp-session-id') ?? undefined;
    const text = await bodyOf(response);
    if (text.trim() === '') return [];
    if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true)
      return [JSON.parse(text) as JsonObject];
    const lines = text.split('\n').filter((line) => line.startsWith('data:') && line.slice(5).trim() !== '');
    return lines.map((line) => JSON.parse(line.slice(5)) as JsonObject);
  }

  /** What is wrong with messages, the result among them being that of the request. */
  faultsOf(messages: readonly JsonObject[], result: string): readonly string[] {
    return messages.flatMap((message) => {
      const whole = this.#schema.faults(message, 'JSONRPCMessage');
      if (message.result !== undefined)
        return [...whole, ...this.#schema.faults(message.result, result, EMPTY, 'Result')];
      if (message.error !== undefined)
        return [...whole, ...this.#schema.faults(message, 'JSONRPCErrorResponse', 'JSONRPCError')];
      if (message.id !== undefined) return [...whole, ...this.#schema.faults(message, 'ServerRequest')];
      return [...whole, ...this.#schema.faults(message, 'ServerNotification')];
    });
  }

  #enveloped(params: JsonObject): JsonObject {
    if (this.#revision !== MODERN) return params;
    return {
      ...params,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': MODERN,
        'io.modelcontextprotocol/clientInfo': { name: 'denied', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': { elicitation: {}, sampling: {}, roots: {} },
      },
    };
  }

  #headers(message: JsonObject): Record<string, string> {
    const method = String(message.method);
    const name = (message.params as JsonObject | undefined)?.[NAMED[method] ?? ''];
    return {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(this.#session === undefined ? {} : { 'mcp-session-id': this.#session }),
      ...(method === 'initialize' ? {} : { 'mcp-protocol-version': this.#revision }),
      ...(this.#revision === MODERN ? { 'mcp-method': method } : {}),
      ...(this.#revision === MODERN && typeof name === 'string' ? { 'mcp-name': name } : {}),
    };
  }
}

/** The whole body, or what came of it where it does not end by itself. */
async function bodyOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return '';
  const decoder = new TextDecoder();
  let text = '';
  const timer = setTimeout(() => void reader.cancel(), BODY_MS);
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (text.includes('notifications/subscriptions/acknowledged')) void reader.cancel();
  }
  clearTimeout(timer);
  return text;
}
