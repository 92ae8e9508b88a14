// Public test vectors lie beside the checkout, not in it. Where they are absent the tests that need them say so; under CI they must run.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../shared/vectors', import.meta.url));

/** The absolute path of a vector file or folder, or undefined where the shared vectors are not here (never under CI). */
export function vectors(path: string): string | undefined {
  if (existsSync(ROOT)) return `${ROOT}/${path}`;
  if (process.env.CI === 'true') throw new Error(`the shared test vectors are not here: ${path}`);
  return undefined;
}
