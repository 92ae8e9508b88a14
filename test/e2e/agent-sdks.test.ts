// The few lines that docs/agents.md gives to authors of agents, with the libraries that they are for, behind a gate as a user runs it.

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client as NewerClient, StreamableHTTPClientTransport as NewerHttp } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createMcpHandler, McpServer as NewerServer } from '@modelcontextprotocol/server';
import { Agent, MCPServerStreamableHttp, OpenAIChatCompletionsModel, Runner } from '@openai/agents';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import type { JsonObject } from '../../domain/json.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { callsOf } from '../support/evidence.ts';
import { RawHttp, textOf } from '../support/raw-mcp.ts';
import { ScriptedAgent } from '../support/scripted-agent.ts';
import { chatCompletion, ScriptedModel } from '../support/scripted-model.ts';

const TOKEN = 'dev.portcullis/lineage';
const RULES = `@id("all") @reason("who calls whom is not the question here")
permit (principal, action, resource);
`;
const INPUT = z.object({ by: z.number() });

const planner = generateApiKey();
const worker = generateApiKey();
const authorization = `Bearer ${worker.key}`;
const openai = new ScriptedAgent('legacy');
const model = new ScriptedModel();
const cleanups: (() => Promise<unknown>)[] = [];
let at: Installation;
let gate: RunningCommand;
let url: string;
let asPlanner: RawHttp;

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
};
const listen = async (server: ReturnType<typeof createServer>): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
};

/** An agent with version 1 of the MCP SDK, on both of its sides. */
const older = (): Promise<string> =>
  listen(
    createServer(async (request, response) => {
      const server = new McpServer({ name: 'older', version: '1' });
      server.registerTool('work', { inputSchema: INPUT.shape }, async (args, { _meta, signal }) => {
        const client = new Client({ name: 'older', version: '1' });
        const transport = new StreamableHTTPClientTransport(new URL(url), {
          requestInit: { headers: { authorization } },
        });
        await client.connect(transport as Parameters<Client['connect']>[0]);
        const token = _meta?.[TOKEN];
        const made = { name: 'counter__count', arguments: args, _meta: { [TOKEN]: token } };
        const result = await client.callTool(made, undefined, { signal });
        await client.close();
        return { content: result.content as { type: 'text'; text: string }[] };
      });
      const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
      await server.connect(transport as Parameters<McpServer['connect']>[0]);
      await transport.handleRequest(request, response);
    }),
  );

/** An agent with version 2. */
const newer = (): Promise<string> => {
  const handler = createMcpHandler(() => {
    const server = new NewerServer({ name: 'newer', version: '2' });
    server.registerTool('work', { inputSchema: INPUT }, async (args, { mcpReq }) => {
      const client = new NewerClient({ name: 'newer', version: '2' }, { versionNegotiation: { mode: 'auto' } });
      await client.connect(new NewerHttp(new URL(url), { requestInit: { headers: { authorization } } }));
      const token = mcpReq._meta?.[TOKEN];
      const made = { name: 'counter__count', arguments: args, _meta: { [TOKEN]: token } };
      const { content } = await client.callTool(made, { signal: mcpReq.signal });
      await client.close();
      return { content };
    });
    return server;
  });
  cleanups.push(() => handler.close());
  return listen(
    createServer(async (request, response) => {
      const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)]);
      const { method = 'GET' } = request;
      const body = method === 'POST' ? { body: await bodyOf(request) } : {};
      const answer = await handler.fetch(new Request(`http://127.0.0.1${request.url}`, { method, headers, ...body }));
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      for await (const part of answer.body ?? []) response.write(part);
      response.end();
    }),
  );
};

beforeAll(async () => {
  at = installation();
  const counter = { command: process.execPath, args: [fixtureServer('counter.mjs'), at.path('heard.jsonl')] };
  at.configure(
    {
      agents: {
        planner: { auth: { apiKey: planner.digest } },
        worker: { root: false, auth: { apiKey: worker.digest } },
      },
      servers: {
        counter: { stdio: counter },
        older: { http: { url: await older() }, agent: 'worker' },
        newer: { http: { url: await newer() }, agent: 'worker' },
        openai: { ...(await openai.listen()), agent: 'worker' },
      },
    },
    RULES,
  );
  gate = at.start(['serve', '--name', 'sdks', '--http', '127.0.0.1:0']);
  await gate.opensWith(4);
  url = await urlOf(gate);
  asPlanner = new RawHttp(url, { authorization: `Bearer ${planner.key}` });
  await asPlanner.initialize();
  await vi.waitFor(
    async () => {
      const { result } = await asPlanner.ask('tools/list');
      const names = (result!.tools as JsonObject[]).map(({ name }) => name);
      for (const server of ['older', 'newer', 'openai']) expect(names).toContain(`${server}__work`);
    },
    { timeout: 20_000, interval: 100 },
  );
}, 60_000);

afterAll(async () => {
  await gate?.stop();
  await openai.close();
  await model.close();
  for (const clean of cleanups.splice(0)) await clean();
  await closeInstallations();
});

/** What the ledger says of the call that an agent made last: of which call, and by whose order. */
const lastPlace = async (): Promise<JsonObject> => {
  const counted = (await callsOf(at, 'sdks')).filter(({ tool }) => tool === 'count').at(-1)!;
  const [event] = counted.intent!.events as unknown as { lineage: JsonObject }[];
  return { ...event!.lineage, agent: counted.agent, args: counted.args! };
};

for (const [nth, name] of ['older', 'newer'].entries()) {
  it(`an agent with the ${name} MCP SDK calls for the call that it carries out`, async () => {
    const answered = await asPlanner.call(`${name}__work`, { by: 10 + nth });
    expect(textOf(answered)).toBe(String(nth + 1));
    expect(await lastPlace()).toMatchObject({ agent: 'worker', args: { by: 10 + nth }, depth: 1, agents: ['planner'] });
  });
}

it('so does an agent with the Agents SDK of OpenAI, by the context of its run', async () => {
  const address = await model.listen();
  const call = { name: 'counter__count', arguments: '{"by":20}' };
  model.script.push(
    chatCompletion({ tool_calls: [{ id: 'c1', type: 'function', function: call }] }),
    chatCompletion({ content: 'counted' }),
  );
  openai.work = async ({ meta }) => {
    const server = new MCPServerStreamableHttp({
      url,
      requestInit: { headers: { authorization } },
      toolMetaResolver: ({ runContext }) => ({ [TOKEN]: (runContext.context as { token: unknown }).token }),
    });
    await server.connect();
    const agent = new Agent({
      name: 'worker',
      model: new OpenAIChatCompletionsModel(new OpenAI({ apiKey: 'x', baseURL: address }), 'scripted'),
      mcpServers: [server],
    });
    const { finalOutput } = await new Runner({ tracingDisabled: true }).run(agent, 'count', {
      context: { token: meta[TOKEN] },
    });
    await server.close();
    return String(finalOutput);
  };
  expect(textOf(await asPlanner.call('openai__work', {}))).toBe('counted');
  expect(await lastPlace()).toMatchObject({ agent: 'worker', args: { by: 20 }, depth: 1, agents: ['planner'] });
});

it('and any client over HTTP, by a header', async () => {
  openai.work = async ({ headers }) => {
    const lineage = String(headers['portcullis-lineage']);
    const client = new RawHttp(url, { authorization, 'portcullis-lineage': lineage });
    await client.initialize();
    return textOf(await client.call('counter__count', { by: 30 }));
  };
  expect(textOf(await asPlanner.call('openai__work', { n: 1 }))).toBe('4');
  expect(await lastPlace()).toMatchObject({ agent: 'worker', args: { by: 30 }, depth: 1, agents: ['planner'] });
});
