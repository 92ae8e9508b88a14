// The tools that servers really have, asked of the servers themselves. Starts each once, reads its list, and stops it.

import type { ServerTools } from '../control-plane/policy/source.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ToolDefinition } from '../proxy/tool-server.ts';
import { CommandError, type Output, reasonOf } from './output.ts';
import type { ServerLaunch, ServerSurroundings } from './servers.ts';
import { packageVersion } from './version.ts';

/** The part of a definition that rules are made from. */
export function policyTool({ name, raw }: ToolDefinition): ServerTools['tools'][number] {
  const { description, inputSchema, outputSchema } = raw;
  return {
    name,
    ...(typeof description === 'string' ? { description } : {}),
    inputSchema: (inputSchema ?? { type: 'object' }) as JsonObject,
    ...(outputSchema === undefined ? {} : { outputSchema: outputSchema as JsonObject }),
  };
}

/** Rejects with a CommandError that names the server which could not be asked. */
export async function readTools(
  launches: readonly ServerLaunch[],
  out: Output,
  credentials?: ServerSurroundings['credentials'],
): Promise<ServerTools[]> {
  return Promise.all(
    launches.map(async (launch) => {
      out.note(`starting ${launch.name} to read its tools`);
      const clientInfo = { name: 'portcullis', version: packageVersion() };
      const server = launch.start({ clientInfo, listener: {}, credentials });
      try {
        const { tools } = await server.start();
        return { server: launch.name, tools: tools.map(policyTool) };
      } catch (error) {
        throw new CommandError(`server ${launch.name} could not be asked for its tools: ${reasonOf(error)}`);
      } finally {
        await server.stop();
      }
    }),
  );
}
