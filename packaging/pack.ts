// `npm pack` of what was built, without building again, and what is in it.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeStaleFiles } from './stale-build.ts';

export interface Packed {
  readonly file: string;
  readonly bytes: number;
  readonly unpackedBytes: number;
  /** Paths in the package. */
  readonly files: readonly string[];
}

/** Packs the package below `root` into a folder. Throws when npm does. */
export function pack(root: string, folder: string): Packed {
  removeStaleFiles(root);
  mkdirSync(folder, { recursive: true });
  const said = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [packed] = JSON.parse(said) as readonly {
    filename: string;
    size: number;
    unpackedSize: number;
    files: readonly { path: string }[];
  }[];
  if (packed === undefined) throw new Error(`npm pack says ${said}`);
  return {
    file: join(folder, packed.filename),
    bytes: packed.size,
    unpackedBytes: packed.unpackedSize,
    files: packed.files.map(({ path }) => path),
  };
}
