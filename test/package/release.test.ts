// What is handed out beside the package: its SBOM, and the bundle for Claude Desktop.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { BUNDLED_PROGRAM, mcpbBundle, mcpbManifest, packageWords } from '../../packaging/mcpb.ts';
import { pack } from '../../packaging/pack.ts';
import { runtimePackages } from '../../packaging/runtime-project.ts';
import { sbom } from '../../packaging/sbom.ts';
import { unzipped } from '../support/unzipped.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface CycloneDx {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly { readonly name: string; readonly version: string; readonly hashes?: unknown }[];
}

describe('the SBOM', () => {
  it('lists exactly what is installed with the package, each with its sum', () => {
    const { name, version } = packageWords(ROOT);
    const { bomFormat, metadata, components } = JSON.parse(sbom(ROOT)) as CycloneDx;
    expect(bomFormat).toBe('CycloneDX');
    expect(metadata.component).toMatchObject({ name, version });
    expect(components.map((one) => `${one.name}@${one.version}`).sort()).toEqual(runtimePackages(ROOT));
    expect(components.filter(({ hashes }) => hashes === undefined)).toEqual([]);
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: object };
    const listed = new Set(components.map((one) => one.name));
    expect(Object.keys(dependencies).filter((one) => !listed.has(one))).toEqual([]);
    expect(listed.has('vitest')).toBe(false);
  });
});

describe('the bundle', () => {
  it('holds its manifest and a program that runs', () => {
    const words = packageWords(ROOT);
    const archive = mcpbBundle(ROOT, pack(ROOT, folder).file);
    process.stdout.write(`${(archive.length / 1_000_000).toFixed(2)} MB\n`);
    const files = unzipped(archive);
    expect(JSON.parse(files.get('manifest.json')?.toString('utf8') ?? '')).toEqual(mcpbManifest(words));
    const names = [...files.keys()];
    expect(names.filter((name) => name !== 'manifest.json' && !name.startsWith('server/'))).toEqual([]);
    expect(names).toContain(BUNDLED_PROGRAM);
    expect(names.filter((name) => /node_modules\/(?:vitest|typescript|@types|@biomejs)\//.test(name))).toEqual([]);
    for (const [name, content] of files) {
      const file = join(folder, 'bundle', name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    }
    const env = { PATH: process.env.PATH, PORTCULLIS_HOME: join(folder, 'home') };
    const program = join(folder, 'bundle', BUNDLED_PROGRAM);
    const run = (...args: string[]): string =>
      execFileSync(process.execPath, [program, ...args], { env, encoding: 'utf8' });
    expect(run('--version')).toBe(`${words.version}\n`);
    expect(run('keys', '--json')).toContain('"permit"');
  }, 240_000);
});
