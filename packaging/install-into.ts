// Packs what was built and installs it into the folder that is named: how the container is made.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installInto } from './installed.ts';
import { pack } from './pack.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('name a folder');
const temporary = mkdtempSync(join(tmpdir(), 'portcullis-pack-'));
try {
  installInto(ROOT, pack(ROOT, temporary).file, folder);
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
