// The MCP reference servers as they are, and the tools they really offer.

import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { ToolDefinition } from '../../control-plane/policy/source.ts';
import type { JsonObject } from '../../domain/json.ts';

export type ReferenceServer = 'filesystem' | 'everything';

export function referenceServer(name: ReferenceServer, args: readonly string[]): { command: string; args: string[] } {
  const file = new URL(`../../node_modules/@modelcontextprotocol/server-${name}/dist/index.js`, import.meta.url);
  return { command: process.execPath, args: [fileURLToPath(file), ...args] };
}

export async function referenceTools(
  name: ReferenceServer,
  args: readonly string[],
): Promise<readonly ToolDefinition[]> {
  const client = new Client({ name: 'portcullis-tests', version: '0.0.0' });
  await client.connect(new StdioClientTransport({ ...referenceServer(name, args), stderr: 'ignore' }));
  try {
    const { tools } = await client.listTools();
    return tools.map(({ name: tool, description, inputSchema }) => ({
      name: tool,
      ...(description === undefined ? {} : { description }),
      inputSchema: inputSchema as JsonObject,
    }));
  } finally {
    await client.close();
  }
}
