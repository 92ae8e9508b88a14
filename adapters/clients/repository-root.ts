// The folder under which Claude Code keeps what is one user's of a project: that of the repository, and for a worktree that of the repository that it
// belongs to. As seen with version 2.1.329; git itself is not asked.

import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** Links followed. Undefined where no repository is above the folder, or it cannot be told which. */
export function repositoryRoot(folder: string): string | undefined {
  try {
    for (let at = realpathSync(folder); ; at = dirname(at)) {
      const git = statSync(join(at, '.git'), { throwIfNoEntry: false });
      if (git !== undefined) return git.isDirectory() ? at : rootOfLinked(at);
      if (at === dirname(at)) return undefined;
    }
  } catch {
    return undefined;
  }
}

/** `.git` is a file in worktrees, which share what they have in common with others, and in submodules, which do not. */
function rootOfLinked(at: string): string | undefined {
  const [, said] = /^gitdir:[ \t]*(.+?)\s*$/m.exec(readFileSync(join(at, '.git'), 'utf8')) ?? [];
  if (said === undefined) return undefined;
  const folder = resolve(at, said);
  const file = join(folder, 'commondir');
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return at;
  const common = realpathSync(resolve(folder, readFileSync(file, 'utf8').trim()));
  return basename(common) === '.git' ? dirname(common) : common;
}
