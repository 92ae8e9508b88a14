// The table of docs/clients.md that only the runner writes: what was seen of each real client, the rows of others kept.

import { readFileSync, writeFileSync } from 'node:fs';
import { KNOWN_CLIENTS } from '../../adapters/clients/known-clients.ts';
import type { Observed } from './acceptance.ts';

const PAGE = new URL('../../docs/clients.md', import.meta.url);
const COLUMNS = ['Client', 'Version', 'Revision', 'Allowed', 'Denied', 'Given up', 'Revoked', 'Gate shut', 'Restored'];
const HEAD = [`| ${COLUMNS.join(' | ')} |`, `|${'---|'.repeat(COLUMNS.length)}`];

export interface SeenRow extends Observed {
  readonly client: string;
  readonly version: string;
}

export function writeSeen(rows: readonly SeenRow[]): void {
  writeFileSync(PAGE, withSeen(readFileSync(PAGE, 'utf8'), rows));
}

/** The page with these rows in its table, in the order of the known clients. */
export function withSeen(page: string, rows: readonly SeenRow[]): string {
  const lines = page.split('\n');
  const start = lines.indexOf(HEAD[0] ?? '') + HEAD.length;
  if (start < HEAD.length) throw new Error('the page has no table of what was seen');
  const after = lines.findIndex((line, index) => index >= start && !line.startsWith('|'));
  const end = after === -1 ? lines.length : after;
  const kept = new Map(lines.slice(start, end).map((line) => [line.split(' | ')[0]?.replace(/^\| /, '') ?? '', line]));
  for (const row of rows) kept.set(titleOf(row.client), lineOf(row));
  const ordered = KNOWN_CLIENTS.flatMap(({ title }) => kept.get(title) ?? []);
  return [...lines.slice(0, start), ...ordered, ...lines.slice(end)].join('\n');
}

function titleOf(id: string): string {
  return KNOWN_CLIENTS.find((client) => client.id === id)?.title ?? id;
}

function lineOf({ client, version, revision, allowed, denied, ended, revoked, shut, restored }: SeenRow): string {
  const cells = [titleOf(client), version, revision, allowed, denied, ended, revoked, shut, restored];
  return `| ${cells.map((cell) => (cell ?? 'not seen').replaceAll('|', '\\|')).join(' | ')} |`;
}
