// The words of 2026-07-28 that are ours to say: keys of the envelope, codes of errors, and which HTTP status goes with which.
// Names only; what they mean is decided elsewhere.

import { canonicalJson } from '../../../domain/canonical-json.ts';
import type { Json } from '../../../domain/json.ts';
import { type RequestId, RPC } from '../../../proxy/jsonrpc.ts';

const PREFIX = 'io.modelcontextprotocol/';

export const KEY = {
  version: `${PREFIX}protocolVersion`,
  clientInfo: `${PREFIX}clientInfo`,
  capabilities: `${PREFIX}clientCapabilities`,
  logLevel: `${PREFIX}logLevel`,
  serverInfo: `${PREFIX}serverInfo`,
  subscription: `${PREFIX}subscriptionId`,
} as const;

export const TASKS_EXTENSION = `${PREFIX}tasks`;

export const CODE = {
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
  internalError: -32603,
} as const;

/** The status of a response that is this error and nothing else; undefined for 200. */
export function statusOf(code: number): number | undefined {
  switch (code) {
    case RPC.methodNotFound:
      return 404;
    case CODE.headerMismatch:
    case CODE.missingCapability:
    case CODE.unsupportedVersion:
    case RPC.parseError:
    case RPC.invalidRequest:
      return 400;
    default:
      return undefined;
  }
}

/** An error as this revision writes it: an id that could not be read is left out, never null. */
export function errorText(id: RequestId | null, code: number, message: string, data?: Json): string {
  const error = data === undefined ? { code, message } : { code, message, data };
  return canonicalJson(id === null ? { jsonrpc: '2.0', error } : { jsonrpc: '2.0', id, error });
}
