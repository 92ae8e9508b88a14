// What a client over HTTP may say in a header instead of in `_meta`: which call a message belongs to. From here on it stands in the message, so that
// nobody reads it at two places. The header of a batch is that of each message in it.

import { isGovernedMethod } from '../../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { ProtocolHeaders } from '../../proxy/client-port.ts';
import { LINEAGE_HEADER, LINEAGE_KEY } from '../../proxy/own-name.ts';

/** The message with what its headers say, the very same where they say nothing; or the request that says something else itself. */
export type Carried = { readonly message: Json } | { readonly mismatched: JsonObject };

export function withCarried(message: Json, headers: ProtocolHeaders | undefined): Carried {
  const token = headers?.[LINEAGE_HEADER];
  if (token === undefined) return { message };
  if (!Array.isArray(message)) return withToken(message, token);
  const carried: Json[] = [];
  for (const one of message as readonly Json[]) {
    const here = withToken(one, token);
    if ('mismatched' in here) return here;
    carried.push(here.message);
  }
  return { message: carried };
}

/** Only what is governed belongs to a call. What has no place for it is refused by whoever reads it. */
function withToken(message: Json, token: string): Carried {
  if (!isJsonObject(message)) return { message };
  const { method, params = {} } = message;
  if (typeof method !== 'string' || !isGovernedMethod(method) || !isJsonObject(params)) return { message };
  const { _meta: meta = {} } = params;
  if (!isJsonObject(meta)) return { message };
  const { [LINEAGE_KEY]: said = token } = meta;
  if (said !== token) return { mismatched: message };
  return { message: { ...message, params: { ...params, _meta: { ...meta, [LINEAGE_KEY]: token } } } };
}
