// What of a peer's `_meta` goes on to the next one. The protocol's own keys describe one hop and are set anew for the next; ours are set by
// nobody else, so that no peer can speak in the name of the gate. Everything else passes as it came.

import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { META_PREFIX } from './own-name.ts';

/** What relates a message to a task stays. */
const HOP_KEYS = /^io\.modelcontextprotocol\/(?!related-task$)/;

export function forwardedMeta(meta: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(meta).filter(([key]) => !key.startsWith(META_PREFIX) && !HOP_KEYS.test(key)),
  );
}

/** Params or a result with its `_meta` as far as that goes on. A `_meta` that is no object does not. */
export function forwarded(said: JsonObject): JsonObject {
  const { _meta: meta, ...rest } = said;
  if (meta === undefined) return said;
  const kept = isJsonObject(meta) ? forwardedMeta(meta) : {};
  return Object.keys(kept).length === 0 ? rest : { ...rest, _meta: kept };
}
