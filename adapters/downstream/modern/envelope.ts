// What every request of this era says about its sender. It is read anew each time and nothing of it is remembered; none of it proves anything.

import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { type ClaimedClient, claimedClient } from '../../../proxy/claimed-client.ts';
import { isLogLevel } from '../../../proxy/log-level.ts';
import type { Manner } from '../../../proxy/tool-server.ts';
import { KEY, TASKS_EXTENSION } from './protocol.ts';

export interface Envelope {
  readonly version: string;
  readonly capabilities: JsonObject;
  readonly logLevel: string | undefined;
  /** Who it says that it is. */
  readonly claimed: ClaimedClient | undefined;
}

/** The envelope, or what is wrong with it. Whether the version is served is not asked. */
export function readEnvelope(params: JsonObject | undefined): Envelope | string {
  const meta = params?._meta;
  if (meta === undefined || !isJsonObject(meta)) return '_meta is missing';
  const version = meta[KEY.version];
  const capabilities = meta[KEY.capabilities];
  const clientInfo = meta[KEY.clientInfo];
  const logLevel = meta[KEY.logLevel];
  if (typeof version !== 'string') return `${KEY.version} is missing`;
  if (capabilities === undefined || !isJsonObject(capabilities)) return `${KEY.capabilities} is missing`;
  if (clientInfo !== undefined && !isJsonObject(clientInfo)) return `${KEY.clientInfo} is not an object`;
  if (logLevel !== undefined && !isLogLevel(logLevel)) return `${KEY.logLevel} is no level`;
  return { version, capabilities, logLevel, claimed: claimedClient(clientInfo) };
}

export function mannerOf({ capabilities, logLevel, claimed }: Envelope): Manner {
  return {
    era: 'modern',
    capabilities,
    ...(logLevel === undefined ? {} : { logLevel }),
    ...(claimed === undefined ? {} : { claimed }),
  };
}

/** Whether the sender knows what to do with a task. */
export function knowsTasks({ capabilities }: Pick<Envelope, 'capabilities'>): boolean {
  const { extensions } = capabilities;
  return isJsonObject(extensions) && isJsonObject(extensions[TASKS_EXTENSION]);
}
