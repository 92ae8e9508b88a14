// What goes to a server over HTTP in a header as well as in `_meta`: the token with which it shows what it calls for, which only an agent gets and
// which nobody else can put there, and what others said for their tracing.

import type { JsonObject } from '../../domain/json.ts';
import { LINEAGE_HEADER, LINEAGE_KEY } from '../../proxy/own-name.ts';
import { traceContext } from '../../proxy/trace-context.ts';

/** The headers of a message with this `_meta`, as the gate hands it over; undefined where it has none. */
export function carriedHeaders(meta: JsonObject): Readonly<Record<string, string>> | undefined {
  const { [LINEAGE_KEY]: token } = meta;
  const headers = { ...traceContext(meta), ...(typeof token === 'string' ? { [LINEAGE_HEADER]: token } : {}) };
  return Object.keys(headers).length === 0 ? undefined : headers;
}
