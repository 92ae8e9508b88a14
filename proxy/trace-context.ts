// What peers say for their tracing (W3C Trace Context and Baggage, in `_meta` by SEP-414): passed on and believed by nobody. No call is found, placed,
// allowed or named by it; where it says nothing that could be a header it is left where it is.

import type { Json } from '../domain/json.ts';

/** By the length that the specifications ask everybody to carry; of the first there can be only one. */
const SHAPES: Readonly<Record<string, RegExp>> = {
  traceparent: /^[\x21-\x2b\x2d-\x7e]{1,128}$/,
  tracestate: /^[\x20-\x7e]{1,512}$/,
  baggage: /^[\x20-\x7e]{1,8192}$/,
};

export const TRACE_KEYS: readonly string[] = Object.keys(SHAPES);

/** What of it can be both a header and a member of `_meta`. */
export function traceContext(said: Readonly<Record<string, Json | undefined>>): Readonly<Record<string, string>> {
  const carried: Record<string, string> = {};
  for (const [key, shape] of Object.entries(SHAPES)) {
    const value = Object.hasOwn(said, key) ? said[key] : undefined;
    if (typeof value === 'string' && shape.test(value)) carried[key] = value;
  }
  return carried;
}
