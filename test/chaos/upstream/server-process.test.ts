// What becomes of the processes of tool servers: none outlives its gate, none leaves anything behind, none knows more than it was told.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { findMachineMeans } from '../../../adapters/upstream/stdio/machine-means.ts';
import {
  type StdioServerSurroundings,
  type StdioToolServer,
  stdioToolServer,
} from '../../../adapters/upstream/stdio/stdio-tool-server.ts';
import { callOf, textOf } from '../../contract/tool-server.contract.ts';
import { fixtureServer } from '../../fixtures/servers/paths.ts';
import { proves } from '../../guarantees.ts';
import { QUIET } from '../../support/hooks.ts';
import { pidOutside } from '../../support/pid-namespace.ts';

const onLinux = process.platform === 'linux';
const MEANS = await findMachineMeans();
const HOSTILE = fixtureServer('hostile.mjs');
/** Runs and is not a zombie that only its parent has not asked for yet. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (!onLinux || !existsSync(`/proc/${pid}/stat`)) return !onLinux;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
}

function hostile(mode: string, more: Partial<StdioServerSurroundings> = {}): StdioToolServer {
  const config = { name: 'hostile', command: process.execPath, args: [HOSTILE, mode] };
  return stdioToolServer(config, { clientInfo: { name: 'portcullis', version: '0' }, ...more });
}

function pidIn(text: string, word: string): number {
  const found = new RegExp(`${word} (\\d+)\\n`).exec(text);
  return found === null ? 0 : Number(found[1]);
}

describe('stop', () => {
  for (const mode of ['honest', 'stubborn', 'deaf']) {
    it(`leaves nothing of a server that is ${mode}`, async () => {
      const server = hostile(mode, { processLimits: { closeGraceMs: 100, termGraceMs: 100 } });
      await server.start();
      const pid = server.pid()!;
      expect(isRunning(pid)).toBe(true);
      await server.stop();
      expect(isRunning(pid)).toBe(false);
      expect(server.pid()).toBeUndefined();
    });
  }

  it('takes along what the server started in its group', async () => {
    let said = '';
    const server = hostile('grandchild', {
      listener: { onStderr: (bytes) => (said += Buffer.from(bytes).toString()) },
    });
    await server.start();
    await vi.waitFor(() => expect(pidIn(said, 'grandchild')).toBeGreaterThan(0));
    const grandchild = pidOutside(server.pid()!, pidIn(said, 'grandchild'));
    expect(isRunning(grandchild)).toBe(true);
    await server.stop();
    await vi.waitFor(() => expect(isRunning(grandchild)).toBe(false));
  });

  it('does not wait for a process that escaped the group and holds the output, where nothing else holds it', async () => {
    let said = '';
    const listener = { onStderr: (bytes: Uint8Array) => (said += Buffer.from(bytes).toString()) };
    const means = async () => ({ ...MEANS, enclosure: undefined });
    const server = hostile('grandchild-escapes', { listener, means, processLimits: { drainMs: 50 } });
    await server.start();
    await vi.waitFor(() => expect(pidIn(said, 'grandchild')).toBeGreaterThan(0));
    await server.stop();
    expect(server.description).toBeUndefined();
    process.kill(pidIn(said, 'grandchild'), 'SIGKILL');
  });

  it('during a start ends the start', async () => {
    const server = hostile('init-silent');
    const starting = server.start();
    await server.stop();
    await expect(starting).rejects.toThrow(/it was stopped/);
  });
});

describe.skipIf(!onLinux)('two hundred starts and stops', () => {
  it('leave no process and no descriptor', async () => {
    const children = () => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
    const once = async () => {
      const server = stdioToolServer(
        { name: 'quick', command: '/bin/sh', args: ['-c', QUICK] },
        { clientInfo: {}, means: async () => MEANS },
      );
      await server.start();
      await server.stop();
    };
    for (let i = 0; i < 5; i++) await once();
    const descriptors = readdirSync('/proc/self/fd').length;
    const before = children();
    for (let i = 0; i < 200; i++) await once();
    expect(children()).toBe(before);
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(descriptors);
  }, 60_000);
});

/** A server in shell, because two hundred starts of Node take half a minute. It answers initialize and ends with its input. */
const QUICK = `read -r line
printf '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"quick","version":"0"}}}\\n'
while read -r line; do :; done`;

describe('the death of the gate', () => {
  for (const mode of ['honest', 'stubborn']) {
    it.skipIf(mode === 'stubborn' && MEANS.setpriv === undefined)(
      `by SIGKILL ends a server that is ${mode}`,
      async () => {
        const loader = fileURLToPath(new URL('../../support/typescript.mjs', import.meta.url));
        const args = ['--import', loader, fixtureServer('gatekeeper.mjs'), HOSTILE, mode];
        const gate = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
        let said = '';
        gate.stdout.on('data', (chunk) => (said += chunk));
        await vi.waitFor(() => expect(pidIn(said, 'server')).toBeGreaterThan(0), 10_000);
        const pid = pidIn(said, 'server');
        expect(isRunning(pid)).toBe(true);
        gate.kill('SIGKILL');
        await once(gate, 'exit');
        await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 5_000);
      },
    );
  }
});

describe.skipIf(!onLinux)('what a server is told', () => {
  it('is exactly the chosen environment, read from the kernel', async () => {
    const ourEnvironment = {
      PATH: '/usr/bin:/bin',
      HOME: '/home/somebody',
      LANG: 'C.UTF-8',
      LC_TIME: 'de_DE.UTF-8',
      NODE_OPTIONS: '--inspect',
      LD_LIBRARY_PATH: '/tmp',
      AWS_SECRET_ACCESS_KEY: 'secret',
      npm_config_registry: 'http://localhost',
      SHELL: '() { :; }; echo shock',
      EXTRA: 'asked for',
      TERM: undefined,
    };
    const config = {
      name: 'told',
      command: process.execPath,
      args: [HOSTILE],
      env: { TOKEN: 'a=b', HOME: '/tmp' },
      inherit: ['EXTRA', 'ABSENT'],
    };
    const server = stdioToolServer(config, { clientInfo: {}, ourEnvironment });
    await server.start();
    const told = readFileSync(`/proc/${server.pid()}/environ`, 'utf8')
      .split('\0')
      .filter((line) => line !== '');
    await server.stop();
    expect(told.sort()).toEqual([
      'EXTRA=asked for',
      'HOME=/tmp',
      'LANG=C.UTF-8',
      'LC_TIME=de_DE.UTF-8',
      'PATH=/usr/bin:/bin',
      'TOKEN=a=b',
    ]);
  });

  it('includes no descriptor but its three', async () => {
    const server = hostile('honest');
    await server.start();
    const names = readdirSync(`/proc/${server.pid()}/fd`)
      .map(Number)
      .filter((fd) => fd <= 2);
    const cmdline = readFileSync(`/proc/${server.pid()}/cmdline`, 'utf8');
    await server.stop();
    expect(names.sort()).toEqual([0, 1, 2]);
    expect(cmdline.split('\0').slice(0, 3)).toEqual([process.execPath, HOSTILE, 'honest']);
  });
});

describe('a killed server', () => {
  proves('G6', 'a call in flight ends as lost when its server is killed, and only then', async () => {
    const config = { name: 'counter', command: process.execPath, args: [fixtureServer('counter.mjs')] };
    const server = stdioToolServer(config, { clientInfo: { name: 'portcullis', version: '0' } });
    await server.start();
    const pid = server.pid()!;
    const run = server.dispatch(callOf('sleep', { ms: 60_000 }), QUIET);
    process.kill(pid, 'SIGKILL');
    expect(await run.answer).toEqual({ kind: 'lost', detail: 'it was ended by SIGKILL' });
    expect(isRunning(pid)).toBe(false);
    await server.start();
    expect(server.pid()).not.toBe(pid);
    expect(textOf(await server.dispatch(callOf('echo', { text: 'again' }), QUIET).answer)).toBe('again');
    await server.stop();
  });
});
