// Where a server runs, as it is at this moment: measured when it is approved. A gate compares it with what it measures itself (attestations.ts). Nothing is
// measured here yet.

import type { JsonObject } from '../domain/json.ts';
import type { ServerLaunch } from './servers.ts';

/** What is kept with an approval; null where nothing can be measured. */
export async function measure(_launch: ServerLaunch): Promise<JsonObject | null> {
  return null;
}
