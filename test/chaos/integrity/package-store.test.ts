// Packages as npm packs them, installed into the store from files: no network is needed.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hmacSha256 } from '../../../adapters/crypto/node-crypto.ts';
import type { ApprovedEnvironment } from '../../../adapters/integrity/attested-server.ts';
import { Attestor } from '../../../adapters/integrity/attestor.ts';
import { environmentOf, type Means } from '../../../adapters/integrity/environment-of.ts';
import { KnownMeasurements } from '../../../adapters/integrity/known-measurements.ts';
import { MeasuringThread } from '../../../adapters/integrity/measuring-thread.ts';
import { type StoredPackage, storePackage } from '../../../adapters/integrity/package-store.ts';
import { Sandboxes } from '../../../adapters/sandbox/sandboxes.ts';
import { stdioToolServer } from '../../../adapters/upstream/stdio/stdio-tool-server.ts';
import { packageRunner } from '../../../control-plane/integrity/package-runner.ts';
import { callOf, textOf } from '../../contract/tool-server.contract.ts';
import { fixtureServer } from '../../fixtures/servers/paths.ts';
import { proves } from '../../guarantees.ts';
import { QUIET } from '../../support/hooks.ts';
import { FOUND, SKIPPED } from '../../support/sandbox.ts';

const home = mkdtempSync(join(tmpdir(), 'portcullis-'));
const at = (path: string): string => join(home, path);
const keyed = (bytes: Uint8Array): Uint8Array => hmacSha256(new Uint8Array(32), bytes);
const means: Means = {
  thread: new MeasuringThread(),
  known: new KnownMeasurements(undefined, keyed),
  keyed,
  store: at('store'),
};
const installer = { path: process.env.PATH, cwd: home };
let stored: StoredPackage;

const store = (line: string): Promise<StoredPackage> => {
  const [command = '', ...args] = line.split(' ');
  const runner = packageRunner(command, args);
  if (runner === undefined) throw new Error(`${line} runs what is there`);
  return storePackage(runner, means, installer);
};

/** Everything may be written to again, so that it can be removed. */
function release(folder: string): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) release(join(folder, entry.name));
}

beforeAll(async () => {
  mkdirSync(at('counter'));
  const scripts = {
    preinstall: `touch ${at('ran')}`,
    install: `touch ${at('ran')}`,
    postinstall: `touch ${at('ran')}`,
  };
  const manifest = {
    name: 'counting',
    version: '1.2.3',
    type: 'module',
    bin: { counting: 'counter.mjs', prisoner: 'prisoner.mjs' },
    scripts,
  };
  writeFileSync(at('counter/package.json'), JSON.stringify(manifest));
  for (const file of ['counter.mjs', 'counter-tools.mjs', 'prisoner.mjs']) {
    const text = readFileSync(fixtureServer(file), 'utf8');
    writeFileSync(at(`counter/${file}`), file !== 'counter-tools.mjs' ? `#!/usr/bin/env node\n${text}` : text);
  }
  execFileSync('npm', ['pack', '--ignore-scripts', '--loglevel=error', './counter'], { cwd: home });
  stored = await store(`npx -y ./counting-1.2.3.tgz ${at('calls.jsonl')}`);
}, 120_000);

afterAll(async () => {
  await means.thread.close();
  if (existsSync(at('store'))) release(at('store'));
  rmSync(home, { recursive: true, force: true });
});

describe('a package in the store', () => {
  it('refuses what does not say plainly which package, and what cannot be pinned, and leaves nothing', async () => {
    await expect(store('npx -p a -p b tool')).rejects.toThrow('not plain which package');
    await expect(store('npx -y https://example.test/x.tgz')).rejects.toThrow(
      'neither the name of a package nor a file',
    );
    await expect(store('uvx mcp-server-git')).rejects.toThrow('virtual environment');
    await expect(store('npx -y ./missing.tgz')).rejects.toThrow('npm could not install it');
    await expect(store('npx -y -p ./counting-1.2.3.tgz other')).rejects.toThrow('it has: counting, prisoner');
    expect(readdirSync(at('store'))).toEqual([stored.digest.slice('sha256:'.length)]);
  }, 60_000);

  it('is there at its version, with its lock file, and none of its scripts ran', () => {
    expect(stored).toMatchObject({ name: 'counting', version: '1.2.3' });
    expect(stored.args[0]).toBe(join(at('store'), stored.digest.slice(7), 'node_modules/counting/counter.mjs'));
    expect(readFileSync(join(at('store'), stored.digest.slice(7), 'package-lock.json'), 'utf8')).toContain('integrity');
    expect(existsSync(at('ran'))).toBe(false);
  });

  it('may be written to by nobody', () => {
    const [file = ''] = stored.args;
    for (const path of [file, join(file, '..'), join(at('store'), stored.digest.slice(7))])
      expect(statSync(path).mode & 0o222).toBe(0);
  });

  it('is what runs, and not what it was installed from', async () => {
    const launch = {
      command: stored.command,
      args: stored.args,
      cwd: home,
      env: { PATH: process.env.PATH ?? '' },
      configured: [],
      sandbox: null,
    };
    const { record } = await environmentOf(launch, means, { from: stored.digest });
    expect(record.trees.map(({ role, digest }) => [role, digest])).toEqual([['store', stored.digest]]);
    const approved: ApprovedEnvironment = { number: 1, environment: record };
    const drifts: string[] = [];
    const onDrift = (_server: string, { reason }: { reason: string }) => drifts.push(reason);
    const attestor = new Attestor({
      ...means,
      approved: () => approved,
      onDrift,
      onGood: () => {},
      nowMs: () => performance.now(),
    });
    const config = {
      name: 'counting',
      command: 'npx',
      args: ['-y', './counting-1.2.3.tgz', at('calls.jsonl')],
      cwd: home,
    };
    const server = stdioToolServer(config, {
      clientInfo: { name: 'test', version: '1' },
      guard: attestor.server('counting', null),
    });
    rmSync(at('counting-1.2.3.tgz'));
    await server.start();
    expect(server.description?.serverInfo).toMatchObject({ name: 'counter' });
    expect(attestor.problem('counting')).toBeUndefined();
    await server.stop();
    const [file = ''] = stored.args;
    chmodSync(file, 0o644);
    await expect(server.start()).rejects.toThrow('tree store');
    chmodSync(file, 0o755 & 0o555);
    expect(drifts).toHaveLength(1);
    attestor.close();
  }, 60_000);
});

describe.skipIf(!FOUND.ok)(`a sandbox around a package in the store${SKIPPED}`, () => {
  const listed = (path: string) => ({ named: path, path });
  const secrets = ['keys/key', 'approvals.json', 'gates/g/ledger/000.jsonl', 'store/another/secret.mjs'].map(at);
  let sandboxes: Sandboxes;

  beforeAll(() => {
    for (const secret of secrets) {
      mkdirSync(dirname(secret), { recursive: true });
      writeFileSync(secret, 'a secret');
    }
    sandboxes = new Sandboxes({
      machine: (FOUND.ok && FOUND.machine) as never,
      withheld: { secret: [home], store: at('store'), governing: [], home: '/nowhere' },
      recorder: () => ({}) as never,
      connectionId: () => 'c',
    });
  });
  afterAll(() => sandboxes.close());

  const inside = (write: string[] = [], read: string[] = []) => {
    const program = { command: stored.command, args: [join(dirname(stored.args[0] ?? ''), 'prisoner.mjs')] };
    const stated = { read: read.map(listed), write: write.map(listed), net: 'none' } as const;
    const sandbox = sandboxes.maker('caged', stated);
    return stdioToolServer({ name: 'caged', ...program, cwd: home }, { clientInfo: {}, sandbox });
  };

  it.each([
    ['the copy of another', () => [[], [at('store/another')]]],
    ['the copy that it runs from, to write', () => [[dirname(dirname(dirname(stored.args[0] ?? '')))], []]],
    ['all copies', () => [[], [at('store')]]],
  ] as [string, () => [string[], string[]]][])('is not made where it would be given %s', async (_, places) => {
    await expect(inside(...places()).start()).rejects.toThrow("the gate's own keys");
  });

  proves(
    'G4',
    'shows it the copy that it runs from, and no key, approval, ledger or other copy beside it',
    async () => {
      const server = inside();
      await server.start();
      const script = `const code = (what) => { try { what(); return 'done' } catch (error) { return error.code } };
      const [, own] = process.argv; const folder = own.replace(/node_modules.*/, '');
      const tries = ${JSON.stringify(secrets)}.flatMap((file) => ['', '/proc/1/root', '/proc/self/root', folder + '../../../../../../..']
        .map((before) => code(() => fs.readFileSync(before + file))));
      return { tries, around: [fs.readdirSync(${JSON.stringify(home)}), fs.readdirSync(folder + '..')], reads: code(() => fs.readFileSync(own)),
        lock: code(() => fs.readFileSync(folder + 'package-lock.json')), writes: code(() => fs.writeFileSync(own, '')),
        opens: code(() => fs.chmodSync(own, 0o777)), beside: code(() => fs.mkdirSync(folder + '../fresh')),
        links: code(() => fs.symlinkSync(${JSON.stringify(secrets[0])}, folder + 'key')) }`;
      const answer = await server.dispatch(callOf('run', { script }), QUIET).answer;
      await server.stop();
      const { ok } = JSON.parse(textOf(answer));
      expect(ok).toMatchObject({
        around: [['store'], [stored.digest.slice('sha256:'.length)]],
        ...{ reads: 'done', lock: 'done', writes: 'EROFS', opens: 'EROFS', links: 'EROFS' },
      });
      expect(new Set(ok.tries)).toEqual(new Set(['ENOENT']));
      // What it makes beside its copy is memory of its own, at most.
      expect(readdirSync(at('store'))).not.toContain('fresh');
    },
  );
});
