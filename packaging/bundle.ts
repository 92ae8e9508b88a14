// What the command line is started from, as the last step of `npm run build`: few large files instead of hundreds of small ones, because a client waits
// for each that is read. The library (`import 'portcullis'`) stays as it was compiled. Packages that are taken in bring their licences along.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'rolldown';

const BUILT = fileURLToPath(new URL('../dist/', import.meta.url));
const PACKAGE_FOLDER = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/;

const LICENCES: Plugin = {
  name: 'licences',
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap((one) => (one.type === 'chunk' ? Object.keys(one.modules) : []));
    const folders = new Set(modules.flatMap((module) => PACKAGE_FOLDER.exec(module)?.[0] ?? []));
    const texts = [...folders].sort().map(licenceIn);
    this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source: texts.join(`\n${'-'.repeat(80)}\n\n`) });
  },
};

/** Throws where a package does not say how it may be used. */
function licenceIn(folder: string): string {
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) throw new Error(`${name} comes without its licence`);
  return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
}

await build({
  input: {
    'joining-ahead': join(BUILT, 'cli/joining-ahead.js'),
    'deciding-ahead': join(BUILT, 'cli/deciding-ahead.js'),
    main: join(BUILT, 'cli/main.js'),
    // Whoever starts a thread looks for its file in the same folder.
    'authority-worker': join(BUILT, 'adapters/policy-engine/authority-worker.js'),
    'measuring-worker': join(BUILT, 'adapters/integrity/measuring-worker.js'),
    'check-worker': join(BUILT, 'adapters/json-schema/check-worker.js'),
    inside: fileURLToPath(new URL('../test/support/inside.js', import.meta.url)),
  },
  platform: 'node',
  // It reads its WebAssembly from beside itself.
  external: /^@cedar-policy\//,
  // One package says in its `main` what only Node's own loader can follow.
  resolve: { mainFields: ['module', 'main'] },
  plugins: [LICENCES],
  logLevel: 'warn',
  output: {
    dir: join(BUILT, 'bundle'),
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    cleanDir: true,
  },
});
