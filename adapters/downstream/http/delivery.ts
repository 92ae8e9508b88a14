// What a session is told about how a message came over HTTP: the headers of the protocol, and when nobody reads the answer any more, or may.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Delivery } from '../../../proxy/client-port.ts';
import { LINEAGE_HEADER } from '../../../proxy/own-name.ts';
import { TRACE_KEYS } from '../../../proxy/trace-context.ts';

/** What may stand in a header instead of in the message. */
const CARRIED: ReadonlySet<string> = new Set([LINEAGE_HEADER, ...TRACE_KEYS]);

export function deliveryOf({ headers }: IncomingMessage, response: ServerResponse, until?: number): Delivery {
  const own = Object.entries(headers).filter(
    (header): header is [string, string] =>
      (header[0].startsWith('mcp-') || CARRIED.has(header[0])) && typeof header[1] === 'string',
  );
  return {
    headers: Object.fromEntries(own),
    until,
    onGone: (listener) => {
      // Closed before its end was written: an answer that was said whole was not given up.
      const closed = (): void => {
        if (!response.writableEnded) listener();
      };
      if (response.destroyed) closed();
      else response.once('close', closed);
    },
  };
}
