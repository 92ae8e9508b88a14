// Pages of a list. A cursor says where the next page begins, of which list and for whom; to somebody else, and of a list that has changed
// since, it means nothing: that client begins anew. Cursors are not secret and nothing is allowed by one: what a page holds is filtered again each time.

import { encodeBase64url } from '../domain/base64url.ts';
import type { Sha256 } from '../domain/digest.ts';
import type { JsonObject } from '../domain/json.ts';
import { PAGE_ITEMS_MAX } from './limits.ts';

export interface Page {
  readonly items: readonly JsonObject[];
  readonly nextCursor?: string;
}

const CURSOR = /^([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})$/;

/** The page that a cursor names, the first without one; undefined for a cursor of no list, of another one, or of another agent. */
export function pageOf(sha256: Sha256, agent: string, items: readonly JsonObject[], cursor: unknown): Page | undefined {
  if (cursor === undefined && items.length <= PAGE_ITEMS_MAX) return { items };
  const names = items.map(({ name, uri, uriTemplate, taskId }) => [
    name ?? null,
    uri ?? null,
    uriTemplate ?? null,
    taskId ?? null,
  ]);
  const list = encodeBase64url(sha256(new TextEncoder().encode(JSON.stringify([agent, names]))));
  let start = 0;
  if (cursor !== undefined) {
    const [, offset, of] = (typeof cursor === 'string' ? CURSOR.exec(cursor) : undefined) ?? [];
    start = Number(offset);
    if (of !== list || start >= items.length) return undefined;
  }
  const end = start + PAGE_ITEMS_MAX;
  const page = items.slice(start, end);
  return end < items.length ? { items: page, nextCursor: `${end}.${list}` } : { items: page };
}
