// The table of what was seen of real clients, which only the runner writes.

import { expect, it } from 'vitest';
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
