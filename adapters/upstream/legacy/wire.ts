// The texts we send to a tool server of the revisions up to 2025-11-25.
// Members are written in canonical order; the body of a call is spliced in as it was given, byte for byte.

import { canonicalJson } from '../../../domain/canonical-json.ts';
import { Defect } from '../../../domain/defect.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { Dispatch, ToolError } from '../../../proxy/tool-server.ts';

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

export function errorText(id: Json, error: ToolError): string {
  return canonicalJson({ error: { ...error }, id, jsonrpc: '2.0' });
}

/** Whether the request of a call asks for a task instead of a result. */
export function asksForTask({ body }: Dispatch): boolean {
  // Nearly none does, and bodies can be large.
  return body.includes('"task":') && isJsonObject((JSON.parse(body) as JsonObject).task);
}
