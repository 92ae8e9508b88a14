// An MCP server that is an agent: each of its tools is work for a model, which calls other tools through the gate for the call that it carries out. It
// holds no authority of its own: what it was handed comes with each call and goes with it.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type * as z from 'zod';
import type { JsonObject } from '../../domain/json.ts';
import { type GateClient, TOKEN } from './gate-client.ts';
import { type Model, type Seen, type ToolUse, work } from './scripted-model.ts';

export interface AgentTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: Readonly<Record<string, z.ZodType>>;
  readonly model: (args: JsonObject) => Model;
}

export interface AgentServerOptions {
  readonly name: string;
  readonly tools: readonly AgentTool[];
  /** The gate that it calls through, once it is there. */
  readonly gate: () => Promise<GateClient>;
  /** Hears what it does, call by call. */
  readonly onCall: (use: ToolUse) => void;
  readonly onSeen: (seen: Seen) => void;
  readonly onToken: (token: string | undefined) => void;
}

/** Listens on a free port of this machine. */
export async function serveAgent(options: AgentServerOptions): Promise<{ url: string; close(): Promise<void> }> {
  const transports = new Map<string, StreamableHTTPServerTransport>();

  const open = async (): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        transports.set(id, transport);
      },
    });
    // The SDK's own type of its transport predates exact optional properties.
    await serverOf(options).connect(transport as Parameters<McpServer['connect']>[0]);
    return transport;
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const session = request.headers['mcp-session-id'];
    const transport = typeof session === 'string' ? transports.get(session) : await open();
    if (transport === undefined) response.writeHead(404).end();
    else await transport.handleRequest(request, response);
  };
  const http = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    async close() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** Agents of this example only look: a call of theirs that was cut off may be made again. */
const annotations = { readOnlyHint: true };

function serverOf({ name, tools, gate, onCall, onSeen, onToken }: AgentServerOptions): McpServer {
  const server = new McpServer({ name, version: '1.0.0' });
  for (const { name: tool, description, inputSchema, model } of tools) {
    server.registerTool(tool, { description, inputSchema, annotations }, async (args, { _meta, signal }) => {
      const token = _meta?.[TOKEN] as string | undefined;
      onToken(token);
      const client = await gate();
      const text = await work(model(args as JsonObject), async (use) => {
        onCall(use);
        const seen = await client.call(use, token, signal);
        onSeen(seen);
        return seen;
      });
      return { content: [{ type: 'text', text }] };
    });
  }
  return server;
}
