// All pages of one of a server's lists, or a plain reason why the list cannot be believed. A list is read whole or not at all.

import type { Json, JsonObject } from '../../../domain/json.ts';
import type { UpstreamLimits } from '../limits.ts';

/** Asks for one page; rejects with a plain explanation. */
export type AskForPage = (params: JsonObject, bytesMax: number) => Promise<JsonObject>;

export interface Pages {
  /** The member of a page that holds its items, as it is called in explanations: `its list of tools`. */
  readonly member: string;
  readonly called: string;
  /** Takes one item; throws when it spoils the list. */
  readonly take: (item: Json) => void;
}

/** Rejects when the list is too large, a cursor comes twice, or a page is not one. */
export async function readPages(
  ask: AskForPage,
  { member, called, take }: Pages,
  limits: Pick<UpstreamLimits, 'listBytesMax' | 'listPagesMax'>,
): Promise<void> {
  const cursors = new Set<string>();
  let bytesLeft = limits.listBytesMax;
  let params: JsonObject = {};
  for (let page = 1; page <= limits.listPagesMax; page++) {
    const result = await ask(params, bytesLeft);
    bytesLeft -= JSON.stringify(result).length;
    if (bytesLeft < 0) throw new Error(`${called} is larger than ${limits.listBytesMax} bytes`);
    const listed = result[member];
    if (!Array.isArray(listed)) throw new Error(`${called} is not a list`);
    for (const item of listed as readonly Json[]) take(item);
    const cursor = result.nextCursor;
    if (cursor === undefined || cursor === null) return;
    if (typeof cursor !== 'string') throw new Error(`a cursor of ${called} is not text`);
    if (cursors.has(cursor)) throw new Error(`${called} repeats a cursor`);
    cursors.add(cursor);
    params = { cursor };
  }
  throw new Error(`${called} has more than ${limits.listPagesMax} pages`);
}
