// Every message of the older revisions through a gate, with a client library and a server that are widely used: what a policy allows arrives as
// without the gate, and where it allows tools only, nothing else happens, whoever asks.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ResultSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { referenceServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { everythingOverHttp } from '../support/everything-over-http.ts';
import { callsOf } from '../support/evidence.ts';
import { metaOf } from '../support/sdk-clients.ts';
import { serversThere } from '../support/servers-there.ts';

const RULES = `
@id("open") @reason("a reference server for trying things out")
permit (principal, action, resource == Portcullis::Server::"stdio");
@id("open-too") @reason("the same over HTTP")
permit (principal, action, resource == Portcullis::Server::"http");
@id("tools-only") @reason("its tools compute; nothing else of it is wanted")
permit (principal, action in Portcullis::Action::"shut:tools/call", resource == Portcullis::Server::"shut");
`;

let at: Installation;
let gate: RunningCommand;
let url: string;
let remote: { readonly url: string; stop(): Promise<void> };
const transports: StreamableHTTPClientTransport[] = [];

interface Talkative {
  readonly client: Client;
  readonly asked: string[];
  readonly updated: string[];
  readonly logged: unknown[];
}

beforeAll(async () => {
  at = installation();
  remote = await everythingOverHttp();
  const stdio = { stdio: { command: process.execPath, args: [referenceServer('everything'), 'stdio'] } };
  at.configure(
    { agents: { me: { auth: 'local' } }, servers: { stdio, http: { http: { url: remote.url } }, shut: stdio } },
    RULES,
  );
  gate = at.start(['serve', '--name', 'all', '--http', '127.0.0.1:0']);
  url = await urlOf(gate);
  await serversThere(url, ['stdio', 'http', 'shut']);
}, 60_000);

afterEach(async () => {
  // One that only goes away still counts as somebody who listens.
  for (const transport of transports.splice(0)) {
    await transport.terminateSession();
    await transport.close();
  }
});

afterAll(async () => {
  await gate?.stop();
  await remote?.stop();
  await closeInstallations();
});

/** A client that answers whatever it is asked. */
async function connect(server: string): Promise<Talkative> {
  const client = new Client(
    { name: 'older', version: '0' },
    { capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } } },
  );
  const talkative: Talkative = { client, asked: [], updated: [], logged: [] };
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    talkative.asked.push(`sample ${params.maxTokens}`);
    return { role: 'assistant', model: 'a-model', content: { type: 'text', text: 'forty-two' } };
  });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    talkative.asked.push(`elicit ${params.message}`);
    return { action: 'accept', content: { name: 'Ada', check: true } };
  });
  client.setRequestHandler(ListRootsRequestSchema, () => {
    talkative.asked.push('roots');
    return { roots: [{ uri: 'file:///srv/ada', name: 'ada' }] };
  });
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    talkative.updated.push(params.uri);
  });
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    talkative.logged.push(params);
  });
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/${server}`));
  await client.connect(transport as Parameters<Client['connect']>[0]);
  transports.push(transport);
  return talkative;
}

const textOf = (result: unknown): string => (result as { content: { text: string }[] }).content[0]!.text;
const TEXT = 'demo://resource/dynamic/text/1';

describe('where a policy allows tools only', () => {
  proves('G4', 'prompts, resources and completions are not even listed, and asking for them is refused', async () => {
    const { client } = await connect('shut');
    expect(client.getServerCapabilities()).not.toHaveProperty('resources');
    expect(client.getServerCapabilities()).not.toHaveProperty('prompts');
    expect((await client.listResources()).resources).toEqual([]);
    expect((await client.listPrompts()).prompts).toEqual([]);
    await expect(client.readResource({ uri: TEXT })).rejects.toThrow(/not found/);
    await expect(client.subscribeResource({ uri: TEXT })).rejects.toThrow(/not found/);
    await expect(client.getPrompt({ name: 'simple-prompt' })).rejects.toThrow(/Unknown prompt/);
    const ref = { type: 'ref/prompt', name: 'completable-prompt' } as const;
    await expect(client.complete({ ref, argument: { name: 'department', value: 'E' } })).rejects.toThrow();
  });

  proves('G4', 'its server may ask nobody anything, and that it tried is recorded', async () => {
    const { client, asked } = await connect('shut');
    for (const [name, args] of [
      ['trigger-sampling-request', { prompt: 'hello' }],
      ['trigger-elicitation-request', {}],
    ] as const) {
      const result = await client.callTool({ name, arguments: args }).catch((error: Error) => ({
        isError: true,
        content: [{ type: 'text', text: error.message }],
      }));
      expect(result.isError).toBe(true);
      expect(textOf(result)).toMatch(/cannot be asked/);
    }
    expect(asked).toEqual([]);
    const denied = (await callsOf(at, 'all')).filter(({ code }) => code === 'TOOL_UNKNOWN').map(({ tool }) => tool);
    expect(denied).toEqual(expect.arrayContaining(['sampling/createMessage', 'elicitation/create']));
  });
});

describe.each(['stdio', 'http'])('where a policy allows everything, behind %s', (server) => {
  it('reads resources and lists them, their templates and prompts', async () => {
    const { client } = await connect(server);
    expect((await client.listResources()).resources.length).toBeGreaterThan(0);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toContain(
      'demo://resource/dynamic/text/{resourceId}',
    );
    const read = await client.readResource({ uri: TEXT });
    expect(read.contents).toMatchObject([{ uri: TEXT, text: expect.stringContaining('Resource 1') }]);
    expect(metaOf(read as unknown as JsonObject, 'receipt')).toBeDefined();
    await expect(client.readResource({ uri: 'demo://resource/dynamic/text/none' })).rejects.toThrow();
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toContain('simple-prompt');
  });

  it('gets prompts and completes their arguments', async () => {
    const { client } = await connect(server);
    const prompt = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Turku' } });
    expect(JSON.stringify(prompt.messages)).toContain('Turku');
    const ref = { type: 'ref/prompt', name: 'completable-prompt' } as const;
    const { completion } = await client.complete({ ref, argument: { name: 'department', value: 'E' } });
    expect(completion.values).toEqual(['Engineering']);
  });

  it('is told of what it subscribed to, until it has had enough', async () => {
    const { client, updated } = await connect(server);
    await client.subscribeResource({ uri: TEXT });
    await client.callTool({ name: 'toggle-subscriber-updates', arguments: {} });
    await vi.waitFor(() => expect(updated).toEqual([TEXT]));
    await client.unsubscribeResource({ uri: TEXT });
    await client.callTool({ name: 'toggle-subscriber-updates', arguments: {} });
  });

  it('hears the log from the level on that it asked for', async () => {
    const { client, logged } = await connect(server);
    await client.setLoggingLevel('info');
    await client.subscribeResource({ uri: TEXT });
    await vi.waitFor(() =>
      expect(logged).toContainEqual(
        expect.objectContaining({ level: 'info', data: expect.stringContaining('Subscribe') }),
      ),
    );
    await client.setLoggingLevel('error');
    const before = logged.length;
    await client.unsubscribeResource({ uri: TEXT });
    await client.ping();
    expect(logged.slice(before)).toEqual([]);
  });

  it('is asked for its model, its user and its roots, within the call that needs them', async () => {
    const { client, asked } = await connect(server);
    const args = { prompt: 'What is it?', maxTokens: 7 };
    const sampled = await client.callTool({ name: 'trigger-sampling-request', arguments: args });
    expect(textOf(sampled)).toContain('forty-two');
    const elicited = await client.callTool({ name: 'trigger-elicitation-request', arguments: {} });
    expect(JSON.stringify(elicited)).toContain('Ada');
    expect(asked).toEqual(['sample 7', expect.stringMatching(/^elicit Please provide/)]);
    const rooted = await client.callTool({ name: 'get-roots-list', arguments: {} });
    expect(textOf(rooted)).toContain('file:///srv/ada');
    expect(asked.slice(2)).toEqual(['roots']);
  });

  it('starts a task, asks how it is and gets its result', async () => {
    const { client } = await connect(server);
    const request = (method: string, params: object) =>
      client.request({ method, params: { ...params } }, ResultSchema) as Promise<JsonObject>;
    const args = { topic: 'gates' };
    const begun = await request('tools/call', {
      name: 'simulate-research-query',
      arguments: args,
      task: { ttl: 60_000 },
    });
    const { taskId } = begun.task as { taskId: string };
    expect(await request('tasks/get', { taskId })).toMatchObject({ taskId, status: 'working' });
    const result = await request('tasks/result', { taskId });
    expect(textOf(result)).toContain('gates');
    const stranger = await connect('shut');
    await expect(stranger.client.request({ method: 'tasks/get', params: { taskId } }, ResultSchema)).rejects.toThrow();
  }, 20_000);
});

proves('G6', 'and the ledger of all that verifies', async () => {
  expect(await gate.stop()).toMatchObject({ code: 0 });
  expect(await at.audit(['verify', at.ledger('all')])).toMatchObject({ code: 0 });
});
