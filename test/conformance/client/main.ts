// The client the suite measures: `main.ts URL`. It connects at the revision it is told, uses everything the server offers once, and answers what the
// server asks. Scenario, revision and context come in the environment, as the suite hands them over.

import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import type { JsonObject } from '../../../domain/json.ts';
import { ConsentingProvider, type Context, providerFor } from './oauth-provider.ts';
import { argumentsFor, contentFor } from './values.ts';

const url = new URL(process.argv.at(-1) ?? '');
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const modern = (process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? '2025-11-25') >= '2026-07-28';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}') as Context;
/** Set where a gate in between gets the tokens: a call it could not make without one is made again a little later. */
const behindGate = process.env.CONFORMANCE_CLIENT_BEHIND_GATE !== undefined;
const isProtected = scenario.startsWith('auth/');
const LATER_MS = 500;
const MOST_TIMES = 8;

const provider = isProtected && !behindGate ? await providerFor(scenario, context) : undefined;

const { client, transport } = await connected();
await useEverything();
await client.close();

async function connected(): Promise<{ client: Client; transport: StreamableHTTPClientTransport }> {
  for (;;) {
    const next = newClient();
    const over = new StreamableHTTPClientTransport(url, provider ? { authProvider: provider } : {});
    try {
      await next.connect(over);
      return { client: next, transport: over };
    } catch (error) {
      if (!(await consented(error, over, provider))) throw error;
    }
  }
}

function newClient(): Client {
  const capabilities = { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } };
  const made = new Client(
    { name: 'conformance-client', version: '1.0.0' },
    { capabilities, ...(modern ? { versionNegotiation: { mode: 'auto' } } : {}) },
  );
  made.setRequestHandler('elicitation/create', ({ params }) => {
    const schema = 'requestedSchema' in params ? (params.requestedSchema as unknown as JsonObject) : {};
    return { action: 'accept', content: contentFor(schema) as Record<string, string> };
  });
  made.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    model: 'conformance-model',
    content: { type: 'text', text: 'a sampled text' },
  }));
  made.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///conformance', name: 'conformance' }] }));
  return made;
}

async function useEverything(): Promise<void> {
  const offered = client.getServerCapabilities();
  const { tools } = await authorized(() => client.listTools());
  for (const call of callsOf(tools)) await attempted(call.name, () => client.callTool(call));
  if (offered?.resources) {
    const { resources } = await authorized(() => client.listResources());
    for (const { uri } of resources) await attempted(uri, () => client.readResource({ uri }));
  }
  if (offered?.prompts) {
    const { prompts } = await authorized(() => client.listPrompts());
    for (const { name } of prompts) await attempted(name, () => client.getPrompt({ name }));
  }
}

type Tool = Awaited<ReturnType<Client['listTools']>>['tools'][number];
type Call = { name: string; arguments: Record<string, unknown> };

/** The calls the scenario asks for, or one of each tool. A tool that takes a schema gets that of another tool. */
function callsOf(tools: readonly Tool[]): readonly Call[] {
  if (Array.isArray(context.toolCalls)) return context.toolCalls as Call[];
  return tools.map(({ name, inputSchema }) => {
    const other = tools.find((tool) => tool.name !== name);
    const takesSchema = inputSchema.properties !== undefined && 'schema' in inputSchema.properties;
    const args = takesSchema ? { schema: other?.inputSchema } : argumentsFor(inputSchema as unknown as JsonObject);
    return { name, arguments: args };
  });
}

/** One use that may fail without ending the others; what is wrong is said. */
async function attempted(what: string, use: () => Promise<unknown>): Promise<void> {
  try {
    const again = behindGate && isProtected ? MOST_TIMES : 0;
    let result = await authorized(use);
    for (let time = 0; time < again && lacksServer(result); time++) {
      await new Promise((resolve) => setTimeout(resolve, LATER_MS));
      result = await authorized(use);
    }
  } catch (error) {
    process.stderr.write(`${what}: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function lacksServer(result: unknown): boolean {
  return JSON.stringify(result).includes('SERVER_UNAVAILABLE');
}

/** A use that is tried again after the user has agreed to it. */
async function authorized<T>(use: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await use();
    } catch (error) {
      if (!(await consented(error, transport, provider))) throw error;
    }
  }
}

async function consented(
  error: unknown,
  over: StreamableHTTPClientTransport,
  by: OAuthClientProvider | undefined,
): Promise<boolean> {
  if (!UnauthorizedError.isInstance(error) && !isCausedByUnauthorized(error)) return false;
  const callback = by instanceof ConsentingProvider ? by.takeCallback() : undefined;
  if (!callback) return false;
  await over.finishAuth(callback);
  return true;
}

function isCausedByUnauthorized(error: unknown): boolean {
  return error instanceof Error && error.cause !== undefined && UnauthorizedError.isInstance(error.cause);
}
