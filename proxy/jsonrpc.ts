// JSON-RPC 2.0 as MCP uses it: classification of a parsed message, and the messages we write. A message with members that the
// specification does not know is refused: a peer that sees them could read it differently.

import { canonicalJson } from '../domain/canonical-json.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';

export type RequestId = string | number;

export type Classified =
  | {
      readonly kind: 'request';
      readonly id: RequestId;
      readonly method: string;
      readonly params: JsonObject | undefined;
    }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject | undefined }
  | {
      readonly kind: 'response';
      readonly id: RequestId;
      /** Exactly one of both. */
      readonly result?: JsonObject;
      readonly error?: { readonly code: number; readonly message: string; readonly data?: Json };
    }
  | { readonly kind: 'batch'; readonly elements: readonly Json[] }
  /**
   * `id` where it could be read, so that the answer finds its request. Of a response it is `answers` instead: an error sent back under that
   * id would seem to answer a request of the other side.
   */
  | {
      readonly kind: 'malformed';
      readonly reason: string;
      readonly id: RequestId | null;
      readonly answers?: RequestId;
    };

const REQUEST_MEMBERS = new Set(['jsonrpc', 'id', 'method', 'params']);
const RESPONSE_MEMBERS = new Set(['jsonrpc', 'id', 'result', 'error']);

export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
} as const;

function isId(id: Json | undefined): id is RequestId {
  return typeof id === 'string' || (typeof id === 'number' && Number.isSafeInteger(id));
}

export function classify(message: Json): Classified {
  if (Array.isArray(message)) return { kind: 'batch', elements: message };
  if (!isJsonObject(message as Json)) return { kind: 'malformed', reason: 'not an object', id: null };
  const { jsonrpc, id, method, params } = message as JsonObject;
  const readableId = isId(id) ? id : null;
  const malformed = (reason: string): Classified => ({ kind: 'malformed', reason, id: readableId });
  if (jsonrpc !== '2.0') return malformed('jsonrpc is not "2.0"');
  if (id !== undefined && !isId(id)) return malformed('id is neither a string nor an integer');
  if (method === undefined) return classifyResponse(message as JsonObject, malformed);
  if (typeof method !== 'string') return malformed('method is not a string');
  for (const member of Object.keys(message as JsonObject)) {
    if (!REQUEST_MEMBERS.has(member)) return malformed(`unknown member ${JSON.stringify(member)}`);
  }
  if (params !== undefined && !isJsonObject(params)) return malformed('params is not an object');
  const meta = params?._meta;
  if (meta !== undefined && !isJsonObject(meta)) return malformed('_meta is not an object');
  // It comes back in messages of ours, which would then be malformed themselves.
  if (meta?.progressToken !== undefined && !isId(meta.progressToken))
    return malformed('progressToken is neither a string nor an integer');
  return id === undefined
    ? { kind: 'notification', method, params }
    : { kind: 'request', id: id as RequestId, method, params };
}

function classifyResponse(message: JsonObject, malformedOf: (reason: string) => Classified): Classified {
  const { id: answers } = message;
  const isResponse = (message.result !== undefined || message.error !== undefined) && isId(answers);
  const malformed = (reason: string): Classified =>
    isResponse ? { kind: 'malformed', reason, id: null, answers } : malformedOf(reason);
  for (const member of Object.keys(message)) {
    if (!RESPONSE_MEMBERS.has(member)) return malformed(`unknown member ${JSON.stringify(member)}`);
  }
  if (!isId(message.id)) return malformed('neither method nor id');
  if ((message.result === undefined) === (message.error === undefined))
    return malformed('neither or both of result and error');
  const { id, result, error } = message;
  if (result !== undefined)
    return isJsonObject(result) ? { kind: 'response', id, result } : malformed('result is not an object');
  if (!isJsonObject(error)) return malformed('error is not an object');
  const { code, message: text, data } = error;
  if (typeof code !== 'number' || !Number.isSafeInteger(code) || typeof text !== 'string')
    return malformed('error lacks a code or a message');
  return { kind: 'response', id, error: { code, message: text, ...(data === undefined ? {} : { data }) } };
}

/** `resultJson` is the text of a JSON object and is not parsed again. */
export function resultText(id: RequestId, resultJson: string): string {
  return `{"id":${JSON.stringify(id)},"jsonrpc":"2.0","result":${resultJson}}`;
}

export function resultMessage(id: RequestId, result: JsonObject): string {
  return resultText(id, canonicalJson(result));
}

/** Without an id where that is what a revision says of a request whose id could not be read; others say null. */
export function errorMessage(id: RequestId | null | undefined, code: number, message: string, data?: Json): string {
  const error = data === undefined ? { code, message } : { code, message, data };
  return canonicalJson(id === undefined ? { jsonrpc: '2.0', error } : { jsonrpc: '2.0', id, error });
}

export function notificationMessage(method: string, params?: JsonObject): string {
  return canonicalJson(params === undefined ? { jsonrpc: '2.0', method } : { jsonrpc: '2.0', method, params });
}

/** `body` is the text of a JSON object without `_meta`, and is not parsed again. */
export function requestText(id: RequestId, method: string, meta: JsonObject, body: string): string {
  const rest = body === '{}' ? '}' : `,${body.slice(1)}`;
  const params = Object.keys(meta).length > 0 ? `{"_meta":${canonicalJson(meta)}${rest}` : body;
  return `{"id":${JSON.stringify(id)},"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${params}}`;
}
