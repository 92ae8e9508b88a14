// Runs before `npm pack` and `npm publish`: see stale-build.ts.

import { fileURLToPath } from 'node:url';
import { removeStaleFiles } from './stale-build.ts';

for (const file of removeStaleFiles(fileURLToPath(new URL('../', import.meta.url))))
  process.stderr.write(`removed dist/${file}, which has no source any more\n`);
