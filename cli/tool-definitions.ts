// The tools that servers really have, asked of the servers themselves. Starts each once, reads its list, and stops it.

import type { ServerTools } from '../control-plane/policy/source.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ToolDefinition } from '../proxy/tool-server.ts';
import type { Configuration } from './configuration.ts';
import { existingCredentials } from './credentials.ts';
import type { Home } from './home.ts';
import { CommandError, type Output, reasonOf } from './output.ts';
import { reviewSandbox } from './review-sandbox.ts';
import type { ServerLaunch } from './servers.ts';
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
  home: Home,
  configuration: Configuration | undefined,
  out: Output,
): Promise<ServerTools[]> {
  return Promise.all(
    launches.map(async (launch) => {
      out.note(`starting ${launch.name} to read its tools`);
      try {
        return { server: launch.name, tools: await toolsOf(launch, home, configuration, out) };
      } catch (error) {
        throw new CommandError(`server ${launch.name} could not be asked for its tools: ${reasonOf(error)}`);
      }
    }),
  );
}

/** In the sandbox that the manifest demands, as behind a gate. */
async function toolsOf(
  launch: ServerLaunch,
  home: Home,
  configuration: Configuration | undefined,
  out: Output,
): Promise<ServerTools['tools']> {
  const { maker: sandbox, close } = await reviewSandbox(launch, home, configuration, (text) => out.note(text));
  try {
    const server = launch.start({
      clientInfo: { name: 'portcullis', version: packageVersion() },
      listener: {},
      credentials: existingCredentials(home),
      sandbox,
    });
    try {
      return (await server.start()).tools.map(policyTool);
    } finally {
      await server.stop();
    }
  } finally {
    await close();
  }
}
