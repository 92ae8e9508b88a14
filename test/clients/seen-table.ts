// The table of docs/clients.md that only the runner writes: what was seen of each real client, the rows of others kept.

import { KNOWN_CLIENTS } from '../../adapters/clients/known-clients.ts';
import type { Observed } from './acceptance.ts';
import { changePage, rowOf, withTable } from './page-table.ts';

const COLUMNS = ['Client', 'Version', 'Revision', 'Allowed', 'Denied', 'Given up', 'Revoked', 'Gate shut', 'Restored'];

export interface SeenRow extends Observed {
  readonly client: string;
  readonly version: string;
}

export function writeSeen(rows: readonly SeenRow[]): void {
  changePage((page) => withSeen(page, rows));
}

/** The page with these rows in its table, in the order of the known clients. */
export function withSeen(page: string, rows: readonly SeenRow[]): string {
  return withTable(page, COLUMNS, (lines) => {
    const kept = new Map(lines.map((line) => [line.split(' | ')[0]?.replace(/^\| /, '') ?? '', line]));
    for (const row of rows) kept.set(titleOf(row.client), lineOf(row));
    return KNOWN_CLIENTS.flatMap(({ title }) => kept.get(title) ?? []);
  });
}

function titleOf(id: string): string {
  return KNOWN_CLIENTS.find((client) => client.id === id)?.title ?? id;
}

function lineOf({ client, version, revision, allowed, denied, ended, revoked, shut, restored }: SeenRow): string {
  return rowOf([titleOf(client), version, revision, allowed, denied, ended, revoked, shut, restored]);
}
