// The files of the repository that are made from the code. `npm run generate` writes them; a test says when one is not what the code says.

import { KNOWN_CLIENTS } from '../adapters/clients/known-clients.ts';
import type { CommandShape } from '../cli/completion/command-shape.ts';
import { manifestJsonSchema } from '../control-plane/policy/manifest-json-schema.ts';
import { commandReference } from './command-reference.ts';
import { quickStart } from './quick-start.ts';

export interface GeneratedFile {
  readonly file: string;
  readonly text: string;
}

export function schemaText(): GeneratedFile {
  return { file: 'schema/portcullis.schema.json', text: `${JSON.stringify(manifestJsonSchema(), undefined, 2)}\n` };
}

export function referenceText(program: CommandShape): GeneratedFile {
  return { file: 'docs/commands.md', text: commandReference(program) };
}

export function quickStartText(): GeneratedFile {
  return { file: 'docs/quick-start.md', text: quickStart(KNOWN_CLIENTS) };
}
