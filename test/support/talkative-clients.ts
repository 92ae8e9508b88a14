// The two lines of the official client library as clients that can do everything: the older one with a handshake, the newer one as a client of
// 2026-07-28. Both answer whatever they are asked and remember what they heard.

import { Client as NewerClient, StreamableHTTPClientTransport as NewerHttp } from '@modelcontextprotocol/client';
import { StdioClientTransport as NewerStdio } from '@modelcontextprotocol/client/stdio';
import { Client as OlderClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OlderHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ResultSchema,
} from '@modelcontextprotocol/sdk/types.js';
import type { JsonObject } from '../../domain/json.ts';
import type { CallOptions } from './sdk-clients.ts';

export interface Talkative {
  readonly era: 'legacy' | 'modern';
  /** What it was asked, in order. */
  readonly asked: string[];
  readonly updated: string[];
  readonly logged: unknown[];
  capabilities(): JsonObject;
  list(kind: 'tools' | 'prompts' | 'resources' | 'resourceTemplates'): Promise<readonly JsonObject[]>;
  call(name: string, args: JsonObject, options?: CallOptions): Promise<JsonObject>;
  prompt(name: string, args?: Record<string, string>): Promise<JsonObject>;
  read(uri: string): Promise<JsonObject>;
  complete(prompt: string, argument: string, value: string): Promise<readonly string[]>;
  /** Resolves with what ends it. Rejects where the gate does not agree. */
  subscribe(uri: string): Promise<() => Promise<void>>;
  /** Any request; the newer library makes none that its revision does not know. */
  request?(method: string, params: JsonObject): Promise<JsonObject>;
  close(): Promise<void>;
}

const CAPABILITIES = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
const SAMPLED = { role: 'assistant', model: 'a-model', content: { type: 'text', text: 'forty-two' } } as const;
const ROOTS = { roots: [{ uri: 'file:///srv/ada', name: 'ada' }] };

function elicited(params: unknown): { action: 'accept'; content?: { name: string; check: boolean } } {
  const { mode } = params as { mode?: string };
  return mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { name: 'Ada', check: true } };
}

export async function olderOverHttp(url: string): Promise<Talkative> {
  const client = new OlderClient({ name: 'older', version: '0' }, { capabilities: CAPABILITIES });
  const [asked, updated, logged]: [string[], string[], unknown[]] = [[], [], []];
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    asked.push(`sample ${params.maxTokens}`);
    return SAMPLED;
  });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(`elicit ${params.message}`);
    return elicited(params);
  });
  client.setRequestHandler(ListRootsRequestSchema, () => {
    asked.push('roots');
    return ROOTS;
  });
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri));
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params));
  const transport = new OlderHttp(new URL(url));
  await client.connect(transport as Parameters<OlderClient['connect']>[0]);
  return {
    era: 'legacy',
    asked,
    updated,
    logged,
    capabilities: () => plain(client.getServerCapabilities()),
    list: async (kind) => {
      if (kind === 'tools') return items((await client.listTools()).tools);
      if (kind === 'prompts') return items((await client.listPrompts()).prompts);
      if (kind === 'resources') return items((await client.listResources()).resources);
      return items((await client.listResourceTemplates()).resourceTemplates);
    },
    call: async (name, args, options) =>
      plain(await client.callTool({ name, arguments: args }, CallToolResultSchema, options)),
    prompt: async (name, args) =>
      plain(await client.getPrompt({ name, ...(args === undefined ? {} : { arguments: args }) })),
    read: async (uri) => plain(await client.readResource({ uri })),
    complete: async (prompt, name, value) => {
      const ref = { type: 'ref/prompt', name: prompt } as const;
      return (await client.complete({ ref, argument: { name, value } })).completion.values;
    },
    subscribe: async (uri) => {
      await client.subscribeResource({ uri });
      return async () => void (await client.unsubscribeResource({ uri }));
    },
    request: async (method, params) => plain(await client.request({ method, params: { ...params } }, ResultSchema)),
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}

export function newerOverHttp(url: string): Promise<Talkative> {
  return newer(new NewerHttp(new URL(url)));
}

/** Starts a command line and speaks with it on its standard input and output. */
export function newerOverStdio(
  [command = '', ...args]: readonly string[],
  env: Record<string, string>,
): Promise<Talkative> {
  return newer(new NewerStdio({ command, args: [...args], env, stderr: 'ignore' }));
}

async function newer(transport: object): Promise<Talkative> {
  const client = new NewerClient(
    { name: 'newer', version: '0' },
    { capabilities: CAPABILITIES, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  const [asked, updated, logged]: [string[], string[], unknown[]] = [[], [], []];
  client.setRequestHandler('sampling/createMessage', ({ params }) => {
    asked.push(`sample ${params.maxTokens}`);
    return SAMPLED;
  });
  client.setRequestHandler('elicitation/create', ({ params }) => {
    asked.push(`elicit ${params.message}`);
    return elicited(params);
  });
  client.setRequestHandler('roots/list', () => {
    asked.push('roots');
    return ROOTS;
  });
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void updated.push(params.uri));
  client.setNotificationHandler('notifications/message', ({ params }) => void logged.push(params));
  await client.connect(transport as Parameters<NewerClient['connect']>[0]);
  return {
    era: 'modern',
    asked,
    updated,
    logged,
    capabilities: () => plain(client.getServerCapabilities()),
    list: async (kind) => {
      if (kind === 'tools') return items((await client.listTools()).tools);
      if (kind === 'prompts') return items((await client.listPrompts()).prompts);
      if (kind === 'resources') return items((await client.listResources()).resources);
      return items((await client.listResourceTemplates()).resourceTemplates);
    },
    call: async (name, args, options) =>
      plain(await client.callTool({ name, arguments: args }, options as Parameters<NewerClient['callTool']>[1])),
    prompt: async (name, args) =>
      plain(await client.getPrompt({ name, ...(args === undefined ? {} : { arguments: args }) })),
    read: async (uri) => plain(await client.readResource({ uri })),
    complete: async (prompt, name, value) => {
      const ref = { type: 'ref/prompt', name: prompt } as const;
      return (await client.complete({ ref, argument: { name, value } })).completion.values;
    },
    subscribe: async (uri) => {
      const stream = await client.listen({ resourceSubscriptions: [uri] });
      const { honoredFilter } = stream;
      if (honoredFilter.resourceSubscriptions?.includes(uri) !== true) throw new Error('it does not tell of that');
      return () => stream.close();
    },
    close: () => client.close(),
  };
}

function plain(result: unknown): JsonObject {
  return JSON.parse(JSON.stringify(result ?? {})) as JsonObject;
}

function items(list: unknown): readonly JsonObject[] {
  return JSON.parse(JSON.stringify(list)) as readonly JsonObject[];
}
