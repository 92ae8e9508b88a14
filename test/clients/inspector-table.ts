// The table of docs/clients.md with what was seen of the Inspector: all its rows are written anew.

import { changePage, rowOf, withTable } from './page-table.ts';

const COLUMNS = ['Inspector', 'Through', 'Revision', 'Tools', 'Allowed', 'Denied', 'Resource', 'Prompt'];

export interface InspectedRow {
  readonly version: string;
  readonly through: string;
  revision?: string;
  tools?: string;
  allowed?: string;
  denied?: string;
  resource?: string;
  prompt?: string;
}

export function writeInspected(rows: readonly InspectedRow[]): void {
  changePage((page) => withInspected(page, rows));
}

/** The page with these rows and no others in the table of the Inspector. */
export function withInspected(page: string, rows: readonly InspectedRow[]): string {
  return withTable(page, COLUMNS, () =>
    rows.map(({ version, through, revision, tools, allowed, denied, resource, prompt }) =>
      rowOf([version, through, revision, tools, allowed, denied, resource, prompt]),
    ),
  );
}
