// `npm run generate`: writes the files that are made from the code.

import { writeFileSync } from 'node:fs';
import { schemaText } from './generated.ts';

const ROOT = new URL('../', import.meta.url);

for (const { file, text } of [schemaText()]) {
  writeFileSync(new URL(file, ROOT), text);
  process.stdout.write(`wrote ${file}\n`);
}
