// An agent's way to its tools: an MCP client of the gate, with a credential of its own. Everything that is made for a call shows the token that came with it.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { type Credential, fetchAs } from './credential.ts';
import type { Seen, ToolUse } from './scripted-model.ts';

export const TOKEN = 'dev.portcullis/lineage';
const SCOPE = 'dev.portcullis/scope';
const DENIAL = 'dev.portcullis/denial';
/** The gate ends calls that take too long; this is for a gate that is gone. */
const PATIENCE_MS = 60_000;

export interface GateClient {
  /** Never rejects because of a denial: that is an answer. `token` is of the call that this one is made for. */
  call(use: ToolUse, token?: string, signal?: AbortSignal): Promise<Seen>;
  /** The tools that it may know of. */
  tools(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Speaks to a gate as the agent whose credential this is. */
export async function gateClient(agent: string, url: string, credential: Credential): Promise<GateClient> {
  const client = new Client({ name: agent, version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: fetchAs(credential) });
  // The SDK's own type of its transport predates exact optional properties.
  await client.connect(transport as Parameters<Client['connect']>[0]);
  return {
    async call(use, token, signal) {
      const _meta = {
        ...(token === undefined ? {} : { [TOKEN]: token }),
        ...(use.handOn === undefined ? {} : { [SCOPE]: use.handOn }),
      };
      const result = (await client.callTool({ name: use.tool, arguments: use.args, _meta }, undefined, {
        timeout: PATIENCE_MS,
        ...(signal === undefined ? {} : { signal }),
      })) as CallToolResult;
      const [first] = result.content;
      const denial = result._meta?.[DENIAL] as { code?: string } | undefined;
      return { use, text: first?.type === 'text' ? first.text : '', denied: denial?.code };
    },
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    close: () => client.close(),
  };
}
