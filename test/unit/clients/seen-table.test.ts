// The table of what was seen of real clients, which only the runner writes.

import { expect, it } from 'vitest';
import { withInspected } from '../../clients/inspector-table.ts';
import { compareVersions } from '../../clients/installed.ts';
import { withSeen } from '../../clients/seen-table.ts';

const HEAD = '| Client | Version | Revision | Allowed | Denied | Given up | Revoked | Gate shut | Restored |';
const PAGE = ['before', '', HEAD, `|${'---|'.repeat(9)}`, '| Codex CLI | 1 | r | a | d | e | v | s | b |', '', 'after'];

it('a page without the table is not written', () => {
  expect(() => withSeen('nothing here', [])).toThrow('no table');
});

it('a client that was run gets its row anew, and others keep theirs, in the order of the known clients', () => {
  const rows = withSeen(PAGE.join('\n'), [{ client: 'claude-code', version: '2', denied: 'a | b' }]).split('\n');
  expect(rows[4]).toMatch(/^\| Claude Code \| 2 \| not seen \| not seen \| a \\\| b \|/);
  expect([rows[5], ...rows.slice(6)]).toEqual([PAGE[4], '', 'after']);
  expect(withSeen(rows.join('\n'), [{ client: 'codex', version: '3' }]).split('\n')[5]).toMatch(/^\| Codex CLI \| 3 /);
});

it('versions are compared by their numbers', () => {
  expect(['1.10.0', '1.9.9', '1.9.10'].sort(compareVersions)).toEqual(['1.9.9', '1.9.10', '1.10.0']);
});

it('what was seen of the Inspector takes the place of what was seen of it before', () => {
  const head = '| Inspector | Through | Revision | Tools | Allowed | Denied | Resource | Prompt |';
  const page = [...PAGE, '', head, `|${'---|'.repeat(8)}`, '| 1 | a | r | t | a | d | r | p |', '', 'end'];
  const rows = [
    { version: '2', through: 'b' },
    { version: '2', through: 'c', denied: 'no' },
  ];
  expect(withInspected(page.join('\n'), rows).split('\n')).toEqual([
    ...page.slice(0, -3),
    '| 2 | b | not seen | not seen | not seen | not seen | not seen | not seen |',
    '| 2 | c | not seen | not seen | not seen | no | not seen | not seen |',
    ...page.slice(-2),
  ]);
});
