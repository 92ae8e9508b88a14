import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import { PAGE_ITEMS_MAX } from '../../../proxy/limits.ts';
import { pageOf } from '../../../proxy/page.ts';
import { proves } from '../../guarantees.ts';

const list = (length: number, prefix = 'n'): JsonObject[] =>
  Array.from({ length }, (_, n) => ({ name: `${prefix}${n}` }));
const LONG = list(2 * PAGE_ITEMS_MAX + 1);
const cursorOf = (items: readonly JsonObject[]): string => pageOf(sha256, 'coder', items, undefined)?.nextCursor ?? '';

describe('a cursor', () => {
  const own = cursorOf(LONG);
  const digest = own.split('.')[1];
  const HOSTILE: readonly Json[] = [
    '',
    'x',
    own.slice(0, -1),
    `${own} `,
    `0.${digest}`,
    `-1.${digest}`,
    `01.${digest}`,
    `1e3.${digest}`,
    `9999999999.${digest}`,
    `${LONG.length}.${digest}`,
    `1000.${'A'.repeat(43)}`,
    null,
    7,
    {},
    [own],
  ];
  it.each(HOSTILE)('%j names no page', (cursor) => {
    expect(pageOf(sha256, 'coder', LONG, cursor)).toBeUndefined();
  });

  proves('G9', 'of another agent names no page, although both see the same list', () => {
    expect(pageOf(sha256, 'coder', LONG, own)).toBeDefined();
    for (const agent of ['other', 'Coder', '']) expect(pageOf(sha256, agent, LONG, own)).toBeUndefined();
  });

  it('of another list, and of a list that has changed since, names no page', () => {
    for (const other of [list(LONG.length, 'm'), LONG.slice(1), [...LONG].reverse(), list(3), []]) {
      expect(pageOf(sha256, 'coder', other, own)).toBeUndefined();
    }
    const byUri = (member: string) => Array.from({ length: LONG.length }, (_, n) => ({ [member]: `n${n}` }));
    for (const member of ['uri', 'uriTemplate', 'taskId'])
      expect(pageOf(sha256, 'coder', byUri(member), own)).toBeUndefined();
  });
});

describe('pages', () => {
  it.each([0, 1, PAGE_ITEMS_MAX])('%i items are one page', (length) => {
    expect(pageOf(sha256, 'coder', list(length), undefined)).toEqual({ items: list(length) });
  });

  it.each([PAGE_ITEMS_MAX + 1, 2 * PAGE_ITEMS_MAX, 2 * PAGE_ITEMS_MAX + 1])(
    '%i items come whole, once each, and the last page has no cursor',
    (length) => {
      const items = list(length);
      const seen: JsonObject[] = [];
      let cursor: string | undefined;
      do {
        const page = pageOf(sha256, 'coder', items, cursor);
        expect(page?.items.length).toBeLessThanOrEqual(PAGE_ITEMS_MAX);
        seen.push(...(page?.items ?? []));
        cursor = page?.nextCursor;
      } while (cursor !== undefined);
      expect(seen).toEqual(items);
    },
  );
});
