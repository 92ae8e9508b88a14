// The file that this code was read from. A program that is updated leaves the processes that run with what they have read; a gate that is shared must not
// go on with it for everybody who comes.

import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const OWN = fileURLToPath(import.meta.url);

/** Tells later whether the file is still the one that it is now. One that is gone is another one. */
export function sameFile(file = OWN): () => boolean {
  const now = (): string | undefined => {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? undefined : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`;
  };
  const before = now();
  return () => before !== undefined && now() === before;
}
