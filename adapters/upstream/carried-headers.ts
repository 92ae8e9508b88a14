// What goes to a server over HTTP in a header as well as in `_meta`: the token with which it shows what it calls for. There is one for an agent only;
// what is said in `_meta` by others never becomes one.

import type { JsonObject } from '../../domain/json.ts';
import { LINEAGE_HEADER, LINEAGE_KEY } from '../../proxy/own-name.ts';

/** The headers of a message with this `_meta`, as the gate hands it over; undefined where it has none. */
export function carriedHeaders({ [LINEAGE_KEY]: token }: JsonObject): Readonly<Record<string, string>> | undefined {
  return typeof token === 'string' ? { [LINEAGE_HEADER]: token } : undefined;
}
