// The official client libraries, the older line and the newer one, behind one face: what users' agents really speak with.

import { Client as NewerClient, StreamableHTTPClientTransport as NewerHttp } from '@modelcontextprotocol/client';
import { StdioClientTransport as NewerStdio } from '@modelcontextprotocol/client/stdio';
import { Client as OlderClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OlderStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as OlderHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { Json, JsonObject } from '../../domain/json.ts';

export type Line = 'older' | 'newer';
export const LINES: readonly Line[] = ['older', 'newer'];

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: {
    progress: number;
    total?: number | undefined;
    message?: string | undefined;
  }) => void;
}

export interface SdkClient {
  toolNames(): Promise<string[]>;
  call(name: string, args: JsonObject, options?: CallOptions): Promise<JsonObject>;
  /** The numbers of all progress that reached the client. It drops one that it reads in one piece with the result. */
  readonly progress: readonly number[];
  close(): Promise<void>;
}

/** Starts a command line and speaks with it on its standard input and output. */
export async function sdkOverStdio(
  line: Line,
  [command = '', ...args]: readonly string[],
  env: Record<string, string>,
): Promise<SdkClient> {
  const parameters = { command, args, env, stderr: 'ignore' } as const;
  if (line === 'older') return older(new OlderStdio(parameters));
  return newer(new NewerStdio(parameters));
}

export async function sdkOverHttp(line: Line, url: string, headers: Record<string, string> = {}): Promise<SdkClient> {
  const options = { requestInit: { headers } };
  if (line === 'older') return older(new OlderHttp(new URL(url), options));
  return newer(new NewerHttp(new URL(url), options));
}

interface Transport {
  onmessage?: (message: { method?: string; params?: { progress?: number } }, ...more: unknown[]) => void;
}

/** Hears what comes before the client does. */
function progressOn(connected: Transport): readonly number[] {
  const heard: number[] = [];
  const { onmessage } = connected;
  connected.onmessage = (message, ...more) => {
    if (message.method === 'notifications/progress') heard.push(message.params?.progress ?? Number.NaN);
    onmessage?.(message, ...more);
  };
  return heard;
}

async function older(transport: object): Promise<SdkClient> {
  const client = new OlderClient({ name: 'older', version: '0' });
  await client.connect(transport as Parameters<OlderClient['connect']>[0]);
  return {
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name).sort(),
    call: async (name, args, options) =>
      plain(await client.callTool({ name, arguments: args }, CallToolResultSchema, options)),
    progress: progressOn(transport),
    close: () => client.close(),
  };
}

async function newer(transport: object): Promise<SdkClient> {
  const client = new NewerClient({ name: 'newer', version: '0' });
  await client.connect(transport as Parameters<NewerClient['connect']>[0]);
  return {
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name).sort(),
    call: async (name, args, options) =>
      plain(await client.callTool({ name, arguments: args }, options as Parameters<NewerClient['callTool']>[1])),
    progress: progressOn(transport),
    close: () => client.close(),
  };
}

function plain(result: unknown): JsonObject {
  return JSON.parse(JSON.stringify(result)) as JsonObject;
}

/** A result without what gates add to it. */
export function withoutMeta({ _meta, ...rest }: JsonObject): JsonObject {
  return rest;
}

/** What Portcullis says about a result: its receipt or its denial. */
export function metaOf(result: JsonObject, what: 'receipt' | 'denial'): JsonObject | undefined {
  return (result._meta as Record<string, Json> | undefined)?.[`dev.portcullis/${what}`] as JsonObject | undefined;
}
