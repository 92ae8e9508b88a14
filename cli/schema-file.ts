// Where the schema of portcullis.yaml lies, for the line that tells an editor: `# yaml-language-server: $schema=file:///...`.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The file in this package, as an absolute path: sources and build lie at different depths. Undefined where the package is not whole. */
export function schemaFile(): string | undefined {
  return ['../schema/portcullis.schema.json', '../../schema/portcullis.schema.json']
    .map((up) => fileURLToPath(new URL(up, import.meta.url)))
    .find((file) => existsSync(file));
}
