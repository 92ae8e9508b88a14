// The container and the service, as far as a machine without either engine can judge them: what the files say, held against the package, and their
// own commands, run here.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { PORTCULLIS, RunningCommand } from '../support/cli.ts';
import { INITIALIZE } from '../support/raw-mcp.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The instructions of the Dockerfile, one a line. */
const instructions = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .join('\n')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '');
const named = (name: string): string[] =>
  instructions.flatMap((line) => (line.startsWith(`${name} `) ? [line.slice(name.length + 1)] : []));
const last = (name: string): string => named(name).at(-1) ?? '';

describe('the container', () => {
  it('is made of one image with an exact tag', () => {
    const [first, ...more] = named('FROM').map((text) => text.split(' '));
    expect(first?.[0]).toMatch(/^node:\d+\.\d+\.\d+-bookworm-slim$/);
    expect(more.map(([image]) => image)).toEqual(more.map(() => first?.[2]));
  });

  it('copies what there is, and no state', () => {
    const copied = named('COPY').filter((text) => !text.startsWith('--from'));
    const sources = copied.flatMap((text) => text.split(' ').slice(0, -1));
    expect(sources.filter((source) => !existsSync(join(ROOT, source)))).toEqual([]);
    expect(existsSync(join(ROOT, 'packaging/install-into.ts'))).toBe(true);
    const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', 'node_modules', 'dist']));
  });

  it('runs as nobody in particular, with its state in a volume', () => {
    expect(last('USER')).toMatch(/^[1-9]\d{3,}:[1-9]\d{3,}$/);
    expect(last('VOLUME')).toBe('/var/lib/portcullis');
    const order = ['USER', 'VOLUME', 'ENTRYPOINT'].map((name) =>
      instructions.findLastIndex((line) => line.startsWith(name)),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(instructions.slice(order[0]).filter((line) => line.startsWith('RUN'))).toEqual([]);
  });

  it('starts as it says, is found to live by its own check, and ends when it is told to', async () => {
    const [node, file] = JSON.parse(last('ENTRYPOINT')) as [string, string];
    expect([node, file]).toEqual(['node', '/opt/portcullis/bin/portcullis.js']);
    const args = (JSON.parse(last('CMD')) as string[]).map((one) => one.replace(':7300', ':0'));
    const env = { PATH: process.env.PATH, ...variablesOf(last('ENV')) };
    const { key, digest } = generateApiKey();
    mkdirSync(join(folder, 'etc/portcullis/policy'), { recursive: true });
    const [command, ...rest] = [process.execPath, fixtureServer('counter.mjs'), join(folder, 'heard')];
    const servers = { counter: { stdio: { command, args: rest } } };
    const manifest = { apiVersion: 'portcullis/v1', agents: { me: { auth: { apiKey: digest } } }, servers };
    writeFileSync(join(folder, 'etc/portcullis/portcullis.yaml'), JSON.stringify(manifest));
    writeFileSync(join(folder, 'etc/portcullis/policy/none.cedar'), '// Nothing is allowed.\n');
    const gate = new RunningCommand(process.execPath, [PORTCULLIS, ...args], env, folder);
    try {
      await gate.says(/listening on \S+/, 60_000);
      const port = /listening on http:\/\/[^:]+:(\d+)/.exec(gate.stderr)?.[1] ?? '';
      const check = JSON.parse(/CMD (\[.*\])$/.exec(last('HEALTHCHECK'))?.[1] ?? '[]') as string[];
      const asked = (at: string): number | null =>
        spawnSync(
          process.execPath,
          check.slice(1).map((one) => one.replace(':7300', `:${at}`)),
          { env },
        ).status;
      expect(check[0]).toBe('node');
      expect(asked(port)).toBe(0);
      expect(asked('1')).toBe(1);
      const status = async (headers: Record<string, string>): Promise<number> => {
        const type = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE });
        const url = `http://127.0.0.1:${port}/mcp`;
        return (await fetch(url, { method: 'POST', headers: { ...type, ...headers }, body })).status;
      };
      expect(await status({})).toBe(401);
      expect(await status({ authorization: `Bearer ${key}` })).toBe(200);
    } finally {
      expect((await gate.stop(30_000)).signal).toBeNull();
    }
    expect(existsSync(join(folder, 'var/lib/portcullis/keys'))).toBe(true);
  }, 120_000);
});

/** Folders of the image lie in ours. */
function variablesOf(text: string): Record<string, string> {
  const pairs = text.split(' ').map((pair) => pair.split('=') as [string, string]);
  return Object.fromEntries(pairs.map(([name, value]) => [name, value.startsWith('/') ? join(folder, value) : value]));
}

describe('the service', () => {
  const unit = readFileSync(join(ROOT, 'packaging/portcullis.service'), 'utf8');
  const says = (key: string): string | undefined => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1];

  it.each([
    ['User', 'portcullis'],
    ['NoNewPrivileges', 'yes'],
    ['CapabilityBoundingSet', ''],
    ['ProtectSystem', 'strict'],
    ['ProtectHome', 'yes'],
    ['StateDirectory', 'portcullis'],
    ['StateDirectoryMode', '0700'],
    ['KillMode', 'mixed'],
    // Usage, and a gate that is shut.
    ['RestartPreventExitStatus', '2 7'],
  ])('says %s=%s', (key, value) => {
    expect(says(key)).toBe(value);
  });

  // These hide parts of /proc, and the kernel then lets no server have a process namespace of its own.
  it.each(['ProtectKernelTunables', 'ProtectKernelLogs', 'ProtectProc', 'ProcSubset', 'RestrictNamespaces'])(
    'leaves out %s, which would take the namespaces of its servers away',
    (key) => {
      expect(says(key)).toBeUndefined();
    },
  );

  it('is understood by systemd, which finds little to take away, where systemd is here', () => {
    const file = join(folder, 'portcullis.service');
    writeFileSync(file, unit.replace('/usr/bin/portcullis', process.execPath));
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
      process.stdout.write('systemd-analyze is not here: the unit was read by nobody but us\n');
      return;
    }
    const verified = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    expect({ status: verified.status, stderr: verified.stderr }).toEqual({ status: 0, stderr: '' });
    const judged = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=35', file], {
      encoding: 'utf8',
    });
    expect(judged.status, judged.stdout).toBe(0);
  });
});
