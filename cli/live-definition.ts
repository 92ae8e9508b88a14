// What a running server says that it is, read whole: its tools and instructions are known when it has started, its prompts and templates are asked for.

import { sha256 } from '../adapters/crypto/node-crypto.ts';
import type { Adopt } from '../adapters/upstream/stdio/process-pipe.ts';
import { launchDigest, type ServerDefinition } from '../control-plane/integrity/definition.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ServerDescription, ToolServer } from '../proxy/tool-server.ts';
import type { ServerLaunch, ServerSurroundings } from './servers.ts';
import { packageVersion } from './version.ts';

/** `undefined`: it has such a list and did not give it. */
export interface LiveDefinition extends Omit<ServerDefinition, 'prompts' | 'resourceTemplates'> {
  readonly prompts: readonly JsonObject[] | undefined;
  readonly resourceTemplates: readonly JsonObject[] | undefined;
}

/** A server that is slow to list what is no tool delays its start no longer than this. */
const LISTED_WITHIN_MS = 3_000;
/** A person who reviews it waits longer. */
const READ_WITHIN_MS = 30_000;

/** Starts the server where it does not run. Rejects with a plain explanation. */
export async function readLive(
  server: ToolServer,
  launch: JsonObject,
  withinMs = LISTED_WITHIN_MS,
): Promise<LiveDefinition> {
  await server.start();
  // One that speaks both eras is seen whole.
  await server.meet?.('legacy');
  const { description } = server;
  // It is not started once more: whoever stopped it meanwhile would not know.
  if (description === undefined) throw new Error('it ended while it was asked what it is');
  return liveDefinition(server, description, launch, withinMs);
}

/** What is known of it without asking for anything else. */
export function toolsAlone({ instructions, tools }: ServerDescription, launch: JsonObject): LiveDefinition {
  return {
    launch,
    instructions: instructions ?? null,
    tools: tools.map(({ raw }) => raw),
    prompts: undefined,
    resourceTemplates: undefined,
  };
}

async function liveDefinition(
  server: ToolServer,
  description: ServerDescription,
  launch: JsonObject,
  withinMs: number,
): Promise<LiveDefinition> {
  const { capabilities } = description;
  const [prompts, resourceTemplates] = await Promise.all([
    capabilities.prompts === undefined ? [] : inTime(server.list('prompts'), withinMs),
    capabilities.resources === undefined ? [] : inTime(server.list('resourceTemplates'), withinMs),
  ]);
  return { ...toolsAlone(description, launch), prompts, resourceTemplates };
}

/** What was not read is what was approved: nothing else is served in any case. Without an approval it is nothing. */
export function wholeDefinition(live: LiveDefinition, approved?: ServerDefinition): ServerDefinition {
  return {
    ...live,
    prompts: live.prompts ?? approved?.prompts ?? [],
    resourceTemplates: live.resourceTemplates ?? approved?.resourceTemplates ?? [],
  };
}

async function inTime<Value>(asked: Promise<Value>, withinMs: number): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), withinMs);
  });
  try {
    return await Promise.race([asked.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Nobody is served while a server is only asked what it is: what an agent says is read, and never answered. */
const unanswered: Adopt = (connection, key) => {
  connection.on('error', () => {});
  connection.resume();
  return { key, connection: launchDigest(sha256, { key }) };
};

/** Starts a server for nothing else than to be told what it is, and stops it. Rejects with a plain explanation. `onRead`: told while it runs. */
export async function readDefinition(
  launch: ServerLaunch,
  surroundings: Pick<ServerSurroundings, 'credentials' | 'consent' | 'sandbox' | 'guard'> = {},
  onRead?: (server: Pick<ToolServer, 'description' | 'tlsKeys'>) => void,
): Promise<ServerDefinition> {
  const server = launch.start({
    clientInfo: { name: 'portcullis', version: packageVersion() },
    listener: {},
    ...(launch.callsBack === true ? { adopt: unanswered } : {}),
    ...surroundings,
  });
  try {
    const live = await readLive(server, launch.description, READ_WITHIN_MS);
    onRead?.(server);
    return wholeDefinition(live);
  } finally {
    await server.stop();
  }
}
