// `npm run generate`: writes the files that are made from the code. It needs a build, which it asks for the commands.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CommandShape } from '../cli/completion/command-shape.ts';
import { quickStartText, referenceText, schemaText } from './generated.ts';

const ROOT = new URL('../', import.meta.url);
const bin = fileURLToPath(new URL('bin/portcullis.js', ROOT));
const said = execFileSync(process.execPath, [bin, 'completion', 'bash', '--json'], { encoding: 'utf8' });
// Our own program, of this build.
const { program } = JSON.parse(said) as { readonly program: CommandShape };

for (const { file, text } of [schemaText(), referenceText(program), quickStartText()]) {
  writeFileSync(new URL(file, ROOT), text);
  process.stdout.write(`wrote ${file}\n`);
}
