// The texts we send to a tool server, and the few words read from bytes that the strict parser refused.
// Members are written in canonical order; the body of a call is spliced in as it was given, byte for byte.

import { canonicalJson } from '../../domain/canonical-json.ts';
import { Defect } from '../../domain/defect.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import type { Dispatch } from '../../proxy/tool-server.ts';

/** The request of one call. Throws a Defect when the body is not one JSON object on one line. */
export function callText(id: number, progressToken: string, dispatch: Dispatch): string {
  const { meta, body } = dispatch;
  // A line break in the body would become a second message on a transport of lines.
  if (!body.startsWith('{') || !body.endsWith('}') || body.includes('\n'))
    throw new Defect('the body is not a JSON object');
  const metaText = canonicalJson({ ...meta, progressToken });
  const rest = body.length === 2 ? '}' : `,${body.slice(1)}`;
  return `{"id":${id},"jsonrpc":"2.0","method":"${dispatch.method}","params":{"_meta":${metaText}${rest}}`;
}

export function requestText(id: number, method: string, params: JsonObject): string {
  return canonicalJson({ id, jsonrpc: '2.0', method, params });
}

export function notificationText(method: string, params?: JsonObject): string {
  return canonicalJson(params === undefined ? { jsonrpc: '2.0', method } : { jsonrpc: '2.0', method, params });
}

export function resultText(id: Json, result: JsonObject): string {
  return canonicalJson({ id, jsonrpc: '2.0', result });
}

export function errorText(id: Json, code: number, message: string): string {
  return canonicalJson({ error: { code, message }, id, jsonrpc: '2.0' });
}

/** What a message that is JSON but not strict JSON seems to be. It serves to refuse the right call, never to release anything. */
export interface Outline {
  readonly id: number | undefined;
  readonly hasMethod: boolean;
}

/** Undefined when the bytes are not even lenient JSON with an object in it. */
export function outline(bytes: Uint8Array): Outline | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const id = Object.hasOwn(value, 'id') ? (value as { id: unknown }).id : undefined;
  return { id: typeof id === 'number' ? id : undefined, hasMethod: Object.hasOwn(value, 'method') };
}

const HEAD_ID = /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,15})\s*,/;
const TAIL_ID = /"id"\s*:\s*(\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/;

/** The id that an oversized answer seems to carry, from its first or last bytes. A wrong guess refuses a call of the same server. */
export function guessId(head: string, tail?: string): number | undefined {
  const found = HEAD_ID.exec(head) ?? (tail === undefined ? null : TAIL_ID.exec(tail));
  return found?.[1] === undefined ? undefined : Number(found[1]);
}

/** Somebody else's text made fit for one line of an explanation. */
export function quoted(text: string, charactersMax = 120): string {
  const short = text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
  return JSON.stringify(short);
}
