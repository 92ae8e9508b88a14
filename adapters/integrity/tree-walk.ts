// Every file of a tree with its state as the file system has it, without reading any. Links are named, not followed. What a version control system keeps
// beside a checkout is passed over.

import { type BigIntStats, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { TREE_BYTES_MAX, TREE_FILES_MAX } from './limits.ts';
import type { PackageRoot } from './node-packages.ts';

export interface FoundEntry {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly absolute: string;
  readonly stat: BigIntStats;
  /** Of a link. */
  readonly target?: string;
}

const PASSED_OVER = new Set(['.git', '.hg', '.svn']);

/** Counts over all trees of one measurement: throws an Error with a plain explanation when there is more than can be measured. */
export class WalkBudget {
  #files = 0;
  #bytes = 0n;

  take(root: string, stat: BigIntStats): void {
    this.#files += 1;
    if (stat.isFile()) this.#bytes += stat.size;
    if (this.#files > TREE_FILES_MAX) throw new Error(`more than ${TREE_FILES_MAX} files below ${root}`);
    if (this.#bytes > TREE_BYTES_MAX) throw new Error(`more than ${TREE_BYTES_MAX} bytes below ${root}`);
  }
}

/** The root first, then each folder before what is in it, by name. */
export function walk({ root, whole }: PackageRoot, budget: WalkBudget, visited: (entry: FoundEntry) => void): void {
  const visit = (folder: string, prefix: string): void => {
    for (const name of readdirSync(folder).sort()) {
      if (PASSED_OVER.has(name) || (!whole && prefix === '' && name === 'node_modules')) continue;
      const absolute = `${folder}/${name}`;
      const stat = lstatSync(absolute, { bigint: true });
      budget.take(root, stat);
      const path = `${prefix}${name}`;
      visited(
        stat.isSymbolicLink() ? { path, absolute, stat, target: readlinkSync(absolute) } : { path, absolute, stat },
      );
      if (stat.isDirectory()) visit(absolute, `${path}/`);
    }
  };
  visited({ path: '.', absolute: root, stat: lstatSync(root, { bigint: true }) });
  visit(root, '');
}

/** Everything that changes when a file does: content, name, mode or place. It cannot be set back without the rights to set the clock. */
export function stateOf({ dev, ino, size, mtimeNs, ctimeNs, mode }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}:${mode}`;
}

/** Where a link leads, if that is something. */
export function leadsTo(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
