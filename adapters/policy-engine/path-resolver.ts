// Where a path leads on this machine's file system, now. It does not hold the file system still: what is behind a path may be changed
// between this look and the tool's.

import { lstatSync, realpathSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import type { PathResolver } from '../../control-plane/policy/ports.ts';

type Real = ReturnType<PathResolver['real']>;

/** Resolves against the real file system. Every error of it is a refusal. */
export const fileSystemPaths: PathResolver = {
  real(path) {
    if (!posix.isAbsolute(path) || path.includes('\0')) return refuse('not an absolute path');
    const lexical = withoutTrailingSlash(posix.normalize(path));
    // What these lead to depends on the process that looks.
    if (/^\/(proc|dev\/fd)(\/|$)/.test(lexical)) return refuse('the path depends on the process that opens it');
    return dotDotBehindLink(path) ? refuse('".." behind a link') : resolve(lexical);
  },
};

function refuse(reason: string): Real {
  return { ok: false, reason };
}

function withoutTrailingSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** The real path of the deepest ancestor that exists, and the rest as it is. */
function resolve(lexical: string): Real {
  let existing = lexical;
  const rest: string[] = [];
  try {
    for (;;) {
      const found = statSync(existing, { throwIfNoEntry: false });
      if (found !== undefined) {
        if (rest.length > 0 && !found.isDirectory()) return refuse('ENOTDIR');
        const real = realpathSync.native(existing);
        return { ok: true, path: rest.length === 0 ? real : posix.join(real, ...rest) };
      }
      // The name is there although it leads nowhere: a dangling link. A tool that writes would follow it.
      if (lstatSync(existing, { throwIfNoEntry: false }) !== undefined) return refuse('a link leads nowhere');
      if (existing === '/') return refuse('no root');
      rest.unshift(posix.basename(existing));
      existing = posix.dirname(existing);
    }
  } catch (error) {
    return refuse(codeOf(error));
  }
}

/**
 * Whether some `..` of the path takes back a link. Tools that remove `..` from the text and tools that leave it to the kernel then mean
 * different files.
 */
function dotDotBehindLink(path: string): boolean {
  if (!path.includes('..')) return false;
  const taken: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') taken.push(part);
    else {
      if (taken.length > 0 && isLinkOrUnknown(`/${taken.join('/')}`)) return true;
      taken.pop();
    }
  }
  return false;
}

function isLinkOrUnknown(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  } catch {
    return true;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}
