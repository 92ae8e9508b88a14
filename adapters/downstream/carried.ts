// What a client over HTTP may say in headers instead of in `_meta`: which call a message belongs to, and what its tracing wants to be passed on. From
// here on it stands in the message, so that nobody reads it at two places. The headers of a batch are those of each message in it.

import { isGovernedMethod } from '../../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { ProtocolHeaders } from '../../proxy/client-port.ts';
import { LINEAGE_HEADER, LINEAGE_KEY } from '../../proxy/own-name.ts';
import { traceContext } from '../../proxy/trace-context.ts';

/** The message with what its headers say, the very same where they say nothing; or the request that names another call itself. */
export type Carried = { readonly message: Json } | { readonly mismatched: JsonObject };

export function withCarried(message: Json, headers: ProtocolHeaders | undefined): Carried {
  if (headers === undefined) return { message };
  const { [LINEAGE_HEADER]: token } = headers;
  const said = { ...traceContext(headers), ...(token === undefined ? {} : { [LINEAGE_KEY]: token }) };
  if (Object.keys(said).length === 0) return { message };
  if (!Array.isArray(message)) return withSaid(message, said);
  const carried: Json[] = [];
  for (const one of message as readonly Json[]) {
    const here = withSaid(one, said);
    if ('mismatched' in here) return here;
    carried.push(here.message);
  }
  return { message: carried };
}

/** Only what is governed is carried on. What has no place for it is refused by whoever reads it. */
function withSaid(message: Json, said: JsonObject): Carried {
  if (!isJsonObject(message)) return { message };
  const { method, params = {} } = message;
  if (typeof method !== 'string' || !isGovernedMethod(method) || !isJsonObject(params)) return { message };
  const { _meta: meta = {} } = params;
  if (!isJsonObject(meta)) return { message };
  const { [LINEAGE_KEY]: token } = said;
  if (token !== undefined && Object.hasOwn(meta, LINEAGE_KEY) && meta[LINEAGE_KEY] !== token)
    return { mismatched: message };
  // What a message says of its tracing itself is not about the hop, and goes before.
  return { message: { ...message, params: { ...params, _meta: { ...said, ...meta } } } };
}
