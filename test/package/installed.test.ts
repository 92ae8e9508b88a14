// The package as a stranger gets it: packed, installed into an empty folder, and used there.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Packed, pack } from '../../packaging/pack.ts';
import { removeStaleFiles, staleFiles } from '../../packaging/stale-build.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { RunningCommand } from '../support/cli.ts';
import { RawStdio } from '../support/raw-mcp.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** npm asks a registry, and the machine may be slow. */
const INSTALL_MS = 240_000;
/** What a consumer's own program says. */
const CONSUMER = `import { type OpenOptions, openGate, type ProgramGate } from 'portcullis';
import { govern, tool } from 'portcullis/tools';
const options: OpenOptions = { configuration: 'portcullis.yaml', name: 'consumer' };
export async function main(): Promise<string> {
  const gate: ProgramGate = await openGate(options);
  await gate.close();
  return [gate.ledger, typeof govern, typeof tool].join();
}
// @ts-expect-error
export const wrong: OpenOptions = { configuration: 5, name: 'consumer' };
`;

let folder: string;
let empty: string;
let packed: Packed;
let env: NodeJS.ProcessEnv;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  empty = join(folder, 'empty');
  mkdirSync(empty);
  env = { PATH: process.env.PATH, HOME: process.env.HOME, PORTCULLIS_HOME: join(folder, 'home'), NO_COLOR: '1' };
  packed = pack(ROOT, folder);
  writeFileSync(join(empty, 'package.json'), '{ "private": true, "type": "module" }');
  const quick = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', ['install', ...quick, packed.file], { cwd: empty, stdio: ['ignore', 'ignore', 'inherit'] });
}, INSTALL_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** npx keeps what it installed, by the path of the package, and ours is gone in a moment. */
function forgetNpx(): void {
  const cache = execFileSync('npm', ['config', 'get', 'cache'], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const kept = join(cache.trim(), '_npx');
  for (const name of existsSync(kept) ? readdirSync(kept) : []) {
    const own = join(kept, name, 'package.json');
    if (existsSync(own) && readFileSync(own, 'utf8').includes(packed.file))
      rmSync(join(kept, name), { recursive: true });
  }
}

const installed = (file: string): string => join(empty, 'node_modules', 'portcullis', file);

describe('the package', () => {
  it('holds what runs, its types, its schema and its pages, and nothing else', () => {
    const { bytes, unpackedBytes, files } = packed;
    const megabytes = (count: number): string => (count / 1_000_000).toFixed(2);
    process.stdout.write(`${files.length} files, ${megabytes(bytes)} MB, unpacked ${megabytes(unpackedBytes)} MB\n`);
    const allowed =
      /^(?:bin\/portcullis\.js|dist\/[a-z-]+\/.+\.(?:js|d\.ts)|dist\/bundle\/LICENSES\.txt|docs\/.+\.md|schema\/.+\.json)$/;
    const top = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'];
    expect(files.filter((file) => !allowed.test(file) && !top.includes(file))).toEqual([]);
    expect(files.filter((file) => /^dist\/(?:bench|examples|test|packaging)\//.test(file))).toEqual([]);
    // What only tests reach stays at home.
    expect(files).not.toContain('dist/bundle/inside.js');
    const sources = files.flatMap((file) => /^dist\/(?!bundle\/)(.+)\.js$/.exec(file)?.[1] ?? []);
    expect(sources.filter((file) => !existsSync(join(ROOT, `${file}.ts`)))).toEqual([]);
    expect(sources).toEqual(expect.arrayContaining(['cli/main', 'cli/program', 'adapters/tools/exports']));
    expect(files).toEqual(
      expect.arrayContaining([
        ...top,
        'bin/portcullis.js',
        'dist/bundle/LICENSES.txt',
        'schema/portcullis.schema.json',
      ]),
    );
    // Noticed when something large slips in.
    expect(bytes).toBeLessThan(2_500_000);
  });

  it('runs nothing when it is installed, nor does anything that it needs', () => {
    const scripts = (file: string): string[] =>
      Object.keys((JSON.parse(readFileSync(file, 'utf8')) as { scripts?: object }).scripts ?? {});
    const own = scripts(installed('package.json'));
    expect(own.filter((name) => /^(?:pre|post)?install$/.test(name))).toEqual([]);
    const lock = JSON.parse(readFileSync(join(empty, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    expect(Object.keys(lock.packages).filter((name) => lock.packages[name]?.hasInstallScript === true)).toEqual([]);
  });

  it('answers npx in an empty folder', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const said = execFileSync('npx', ['--no-install', 'portcullis', '--version'], {
      cwd: empty,
      env,
      encoding: 'utf8',
    });
    expect(said).toBe(`${version}\n`);
    const doctor = spawnSync(process.execPath, [installed('bin/portcullis.js'), 'doctor', '--json'], {
      cwd: empty,
      env,
      encoding: 'utf8',
    });
    expect(doctor.stderr).toBe('');
    expect(typeof JSON.parse(doctor.stdout)).toBe('object');
  });

  it(
    'runs by npx from its file, with nothing installed',
    () => {
      const nothing = join(folder, 'nothing');
      mkdirSync(nothing);
      const args = ['--yes', '--prefer-offline', `--package=${packed.file}`, 'portcullis', '--version'];
      try {
        expect(
          execFileSync('npx', args, { cwd: nothing, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
        ).toMatch(/^\d+\.\d+\.\d+\n$/);
        expect(readdirSync(nothing)).toEqual([]);
      } finally {
        forgetNpx();
      }
    },
    INSTALL_MS,
  );

  it('finds its schema where it was installed', async () => {
    const module = (await import(pathToFileURL(installed('dist/cli/onboarding/own-program.js')).href)) as {
      schemaAddress(): string | undefined;
    };
    expect(module.schemaAddress()).toBe(pathToFileURL(installed('schema/portcullis.schema.json')).href);
  });

  it('has types that a program can be compiled against, with nothing left unchecked', () => {
    writeFileSync(join(empty, 'consumer.ts'), CONSUMER);
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const how = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom'];
    const { status, stdout } = spawnSync(process.execPath, [tsc, ...how, '--types', '', 'consumer.ts'], {
      cwd: empty,
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  it('governs a call: a server is refused, approved, and called', async () => {
    const bin = installed('bin/portcullis.js');
    const heard = join(folder, 'heard.jsonl');
    const line = [process.execPath, fixtureServer('counter.mjs'), heard];
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [bin, ...args], { cwd: empty, env, encoding: 'utf8', timeout: 60_000 });
    expect(run('policy', 'init', '--name', 'counter', '--allow', 'count', '--', ...line)).toMatchObject({ status: 0 });
    const call = async (): Promise<unknown> => {
      const gate = new RunningCommand(
        process.execPath,
        [bin, 'wrap', '--alone', '--name', 'counter', '--', ...line],
        env,
        empty,
      );
      const client = new RawStdio(gate);
      await client.initialize();
      const reply = await client.call('count', { by: 1 });
      gate.child.stdin.end();
      expect((await gate.ended).code, gate.stderr).toBe(0);
      return reply;
    };
    expect(JSON.stringify(await call())).toContain('SERVER_UNAPPROVED');
    expect(existsSync(heard)).toBe(false);
    const reviewed = run('tools', 'review', 'counter', '--json');
    const digest = /sha256:[A-Za-z0-9_-]{43}/.exec(reviewed.stdout)?.[0] ?? reviewed.stdout + reviewed.stderr;
    expect(run('tools', 'approve', 'counter', '--digest', digest)).toMatchObject({ status: 0 });
    const reply = JSON.stringify(await call());
    expect(reply).not.toContain('isError":true');
    expect(readFileSync(heard, 'utf8').trim().split('\n')).toHaveLength(1);
    expect(run('verify', join(folder, 'home', 'state', 'gates', 'counter'))).toMatchObject({ status: 0 });
  }, 120_000);
});

describe('the build', () => {
  it('loses what has no source any more, and nothing else', () => {
    const root = join(folder, 'checkout');
    mkdirSync(join(root, 'dist', 'cli'), { recursive: true });
    mkdirSync(join(root, 'cli'));
    writeFileSync(join(root, 'cli', 'main.ts'), '');
    for (const file of ['.tsbuildinfo', 'cli/main.js', 'cli/main.d.ts', 'cli/gone.js', 'cli/gone.d.ts', 'cli/main.txt'])
      writeFileSync(join(root, 'dist', file), '');
    expect(removeStaleFiles(root)).toEqual(['cli/gone.d.ts', 'cli/gone.js', 'cli/main.txt']);
    expect(staleFiles(root)).toEqual([]);
    expect(existsSync(join(root, 'dist', 'cli', 'main.js'))).toBe(true);
  });
});
