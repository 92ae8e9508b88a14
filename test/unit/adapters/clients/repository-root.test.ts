// Which repository a folder belongs to, for worktrees, submodules and bare ones.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { repositoryRoot } from '../../../../adapters/clients/repository-root.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(name: string, text: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text);
}

it.each<[string, Record<string, string>, string | undefined]>([
  ['none', {}, undefined],
  ['a repository above', { '.git/HEAD': '' }, '.'],
  [
    'a worktree',
    { 'at/.git': 'gitdir: ../main/.git/worktrees/at\n', 'main/.git/worktrees/at/commondir': '../..\n' },
    'main',
  ],
  [
    'a worktree of a bare one',
    { 'at/.git': 'gitdir: ../b.git/worktrees/at', 'b.git/worktrees/at/commondir': '../..' },
    'b.git',
  ],
  ['a submodule', { '.git/modules/at/HEAD': '', 'at/.git': 'gitdir: ../.git/modules/at\n' }, 'at'],
  ['a file that says something else', { 'at/.git': 'what', '.git/HEAD': '' }, undefined],
])('%s', (_what, files, expected) => {
  mkdirSync(join(root, 'at/deep'), { recursive: true });
  for (const [name, text] of Object.entries(files)) put(name, text);
  expect(repositoryRoot(join(root, 'at/deep'))).toBe(expected === undefined ? undefined : join(root, expected));
});

it('follows links, and says nothing of what is not there', () => {
  put('real/.git/HEAD', '');
  symlinkSync(join(root, 'real'), join(root, 'link'));
  expect(repositoryRoot(join(root, 'link'))).toBe(join(root, 'real'));
  expect(repositoryRoot(join(root, 'gone'))).toBeUndefined();
});
