// `npm run release`: everything that is handed out, in release/: the package, its SBOM, the bundle for Claude Desktop, and their digests. Publishes
// nothing. `npm run mcpb` makes the bundle alone.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mcpbBundle, packageWords } from './mcpb.ts';
import { pack } from './pack.ts';
import { sbom } from './sbom.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const bundleOnly = process.argv.includes('--mcpb');
const folder = join(ROOT, 'release');
const words = packageWords(ROOT);
const named = join(folder, `${words.name}-${words.version}`);

mkdirSync(folder, { recursive: true });
const { file: tarball } = pack(ROOT, folder);
writeFileSync(`${named}.mcpb`, mcpbBundle(ROOT, tarball));
const made = [`${named}.mcpb`];
if (bundleOnly) rmSync(tarball);
else {
  writeFileSync(`${named}.cdx.json`, sbom(ROOT));
  made.push(tarball, `${named}.cdx.json`);
  const sums = made.map(
    (file) => `${createHash('sha256').update(readFileSync(file)).digest('hex')}  ${basename(file)}`,
  );
  writeFileSync(join(folder, 'SHA256SUMS'), `${sums.join('\n')}\n`);
}
for (const file of made) process.stdout.write(`${basename(file)}  ${readFileSync(file).length} bytes\n`);
