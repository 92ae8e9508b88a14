// Real processes of a small server in a package of its own, and whatever can be done to its files behind its back.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hmacSha256 } from '../../../adapters/crypto/node-crypto.ts';
import type { ApprovedEnvironment, Drift } from '../../../adapters/integrity/attested-server.ts';
import { Attestor } from '../../../adapters/integrity/attestor.ts';
import { environmentOf, type Means } from '../../../adapters/integrity/environment-of.ts';
import { KnownMeasurements } from '../../../adapters/integrity/known-measurements.ts';
import { MeasuringThread } from '../../../adapters/integrity/measuring-thread.ts';
import type { StartGuard } from '../../../adapters/upstream/stdio/start-guard.ts';
import { type StdioServerConfig, stdioToolServer } from '../../../adapters/upstream/stdio/stdio-tool-server.ts';
import { fixtureServer } from '../../fixtures/servers/paths.ts';
import { processesNaming } from '../../support/processes.ts';

const thread = new MeasuringThread();
const keyed = (bytes: Uint8Array): Uint8Array => hmacSha256(new Uint8Array(32), bytes);

let home: string;
let attestor: Attestor;
let approved: ApprovedEnvironment | undefined;
let drifts: Drift[];
let means: Means;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'portcullis-'));
  mkdirSync(at('srv/lib'), { recursive: true });
  writeFileSync(at('srv/package.json'), JSON.stringify({ name: 'srv', type: 'module', version: '1.0.0' }));
  for (const file of ['counter.mjs', 'counter-tools.mjs']) cpSync(fixtureServer(file), at(`srv/${file}`));
  writeFileSync(at('srv/package-lock.json'), '{"lockfileVersion":3}');
  writeFileSync(at('srv/lib/data.js'), 'export const data = 1;\n');
  symlinkSync('lib', at('srv/current'));
  mkdirSync(at('bin'));
  symlinkSync(process.execPath, at('bin/node'));
  approved = undefined;
  drifts = [];
  means = { thread, known: new KnownMeasurements(undefined, keyed), keyed, store: at('store') };
  attestor = looking(300);
});

function looking(everyMs: number): Attestor {
  return new Attestor({
    ...means,
    everyMs,
    approved: () => approved,
    onDrift: (_server, drift) => drifts.push(drift),
    onGood: () => {},
    nowMs: () => performance.now(),
  });
}

afterEach(() => {
  attestor.close();
  rmSync(home, { recursive: true, force: true });
});

afterAll(() => thread.close());

const at = (path: string): string => join(home, path);
/** A mount of the whole machine: nobody but root, and not even root in most containers. */
const canMount = mayMount();

function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  const isMounted = spawnSync('mount', ['--bind', folder, folder]).status === 0;
  if (isMounted) spawnSync('umount', ['-l', folder]);
  rmSync(folder, { recursive: true, force: true });
  return isMounted;
}

function config(more: Partial<StdioServerConfig> = {}): StdioServerConfig {
  const args = ['counter.mjs', at('calls.jsonl')];
  return { name: 'srv', command: at('bin/node'), args, cwd: at('srv'), env: { MODE: 'fast' }, ...more };
}

function server(more: Partial<StdioServerConfig> = {}) {
  const guard = attestor.server('srv', null);
  return stdioToolServer(config(more), { clientInfo: { name: 'test', version: '1' }, guard });
}

/** As a person would approve it: what is measured now. */
async function approve(number = 1, more: Partial<StdioServerConfig> = {}): Promise<void> {
  const { command, args = [], cwd = '', env = {} } = config(more);
  const whole = { ...env, PATH: process.env.PATH ?? '' };
  const launch = { command, args, cwd, env: whole, configured: Object.keys(env), sandbox: null };
  const { record } = await environmentOf(launch, means, { anew: true });
  approved = { number, environment: record };
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const running = (): number => processesNaming(at('calls.jsonl')).length;

function rewriteWithTheSameTimes(path: string): void {
  const { atime, mtime } = statSync(path);
  writeFileSync(
    path,
    readFileSync(path, 'utf8').replace(/.\n?$/, (end) => end.replace(/./, '/')),
  );
  utimesSync(path, atime, mtime);
}

const CHANGES: readonly (readonly [string, () => void, string])[] = [
  [
    'the program was replaced',
    () => {
      unlinkSync(at('bin/node'));
      writeFileSync(at('bin/node'), `#!/bin/sh\nexec ${process.execPath} "$@"\n`, { mode: 0o755 });
    },
    'file ',
  ],
  [
    'a file of the package was replaced with the same size and times',
    () => rewriteWithTheSameTimes(at('srv/lib/data.js')),
    'tree package',
  ],
  [
    'the target of a link was moved',
    () => {
      unlinkSync(at('srv/current'));
      symlinkSync('.', at('srv/current'));
    },
    'tree package',
  ],
  ['the lock file changed', () => appendFileSync(at('srv/package-lock.json'), ' '), 'file lock'],
  [
    'the package was renamed over',
    () => {
      cpSync(at('srv'), at('evil'), { recursive: true, verbatimSymlinks: true });
      appendFileSync(at('evil/counter-tools.mjs'), '\n// evil\n');
      renameSync(at('srv'), at('old'));
      renameSync(at('evil'), at('srv'));
    },
    'tree package',
  ],
];

describe('a server whose environment is attested', () => {
  it.each(CHANGES)('is not started when %s since it was approved', async (_what, change, item) => {
    await approve();
    change();
    await expect(server().start()).rejects.toThrow(item.trim());
    expect(drifts[0]?.differences.some((one) => one.item.startsWith(item))).toBe(true);
    expect(attestor.problem('srv')).toMatchObject({ code: 'ENV_ATTESTATION' });
    expect(running()).toBe(0);
  });

  it.each<[string, Partial<StdioServerConfig>, string]>([
    ['with another value of a variable', { env: { MODE: 'slow' } }, 'variable MODE'],
    ['with a variable more', { env: { MODE: 'fast', MORE: '1' } }, 'variable MORE'],
    ['with other arguments', { args: ['counter.mjs', '/dev/null'] }, 'argument 2'],
  ])('is not started %s', async (_what, more, item) => {
    await approve();
    await expect(server(more).start()).rejects.toThrow(item);
    expect(running()).toBe(0);
  });

  it('is not started as a command that fetches what it runs', async () => {
    await expect(server({ command: 'npx', args: ['-y', 'something'] }).start()).rejects.toThrow(
      'portcullis tools approve srv',
    );
  });

  it('runs when it is what was approved, and is ended within a moment once it is not', async () => {
    await approve();
    const one = server();
    await one.start();
    expect(attestor.problem('srv')).toBeUndefined();
    expect(running()).toBeGreaterThan(0);
    // Not a file that is looked at before calls: the tree is.
    const before = readFileSync(at('srv/lib/data.js'));
    rewriteWithTheSameTimes(at('srv/lib/data.js'));
    await until(() => running() === 0 && one.description === undefined);
    expect(attestor.problem('srv')).toMatchObject({ code: 'ENV_ATTESTATION' });
    expect(drifts).toHaveLength(1);
    // Putting it back is not enough: a person says that it may go on.
    writeFileSync(at('srv/lib/data.js'), before);
    await expect(one.start()).rejects.toThrow('tree package');
    await approve(2);
    await one.stop();
    await one.start();
    expect(attestor.problem('srv')).toBeUndefined();
    await one.stop();
  });

  it('is denied in the very call before which a file changed, and goes on when the file is what it was', async () => {
    await approve();
    const one = server();
    await one.start();
    expect(attestor.problem('srv')).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 10));
    utimesSync(at('srv/counter.mjs'), 1, 1);
    expect(attestor.problem('srv')).toMatchObject({ code: 'ENV_UNKNOWN' });
    await attestor.get('srv')?.check();
    expect(attestor.problem('srv')).toBeUndefined();
    expect(drifts).toEqual([]);
    await one.stop();
  });

  it.each([
    ['was swapped', false],
    ['was swapped, and swapped back', true],
  ])('is not believed when a file %s while it started', async (_what, back) => {
    // Nobody looks in between.
    attestor.close();
    attestor = looking(60_000);
    await approve();
    const file = at('srv/lib/data.js');
    const guard = attestor.server('srv', null);
    const swapped: StartGuard = {
      before: async (line) => {
        const answer = await guard.before(line);
        renameSync(file, at('srv/lib/good'));
        writeFileSync(file, 'evil');
        return answer;
      },
      started: async (process) => {
        if (back) renameSync(at('srv/lib/good'), file);
        await guard.started(process);
      },
      ended: (process) => guard.ended(process),
    };
    const one = stdioToolServer(config(), { clientInfo: { name: 'test', version: '1' }, guard: swapped });
    await expect(one.start()).rejects.toThrow(back ? 'a file changed while it was started' : 'tree package');
    expect(one.description).toBeUndefined();
    await until(() => running() === 0);
    expect(drifts.map(({ reason }) => reason)).toEqual(back ? [] : [expect.anything()]);
  });

  it.skipIf(!canMount)(
    'is ended when another file system is mounted over what it runs, and not started there',
    async () => {
      await approve();
      const one = server();
      await one.start();
      cpSync(at('srv'), at('evil'), { recursive: true, verbatimSymlinks: true });
      appendFileSync(at('evil/lib/data.js'), '// evil\n');
      expect(spawnSync('mount', ['--bind', at('evil'), at('srv')]).status).toBe(0);
      try {
        await until(() => running() === 0 && one.description === undefined);
        expect(attestor.problem('srv')).toMatchObject({ code: 'ENV_ATTESTATION' });
        expect(drifts[0]?.differences.some(({ item }) => item.startsWith('tree package'))).toBe(true);
        await expect(one.start()).rejects.toThrow('tree package');
        await one.stop();
      } finally {
        spawnSync('umount', ['-l', at('srv')]);
      }
    },
  );

  it.runIf(process.platform === 'linux')(
    'is not believed when its process is another program than its command',
    async () => {
      writeFileSync(at('bin/start'), `#!/bin/sh\nexec ${process.execPath} counter.mjs "${at('calls.jsonl')}"\n`, {
        mode: 0o755,
      });
      const line = { command: at('bin/start'), args: [] };
      await approve(1, line);
      await expect(server(line).start()).rejects.toThrow('another file than the command');
      await until(() => running() === 0);
    },
  );
});
