// A server that tries to get out of its sandbox, in every way we know of, and one beside it that only works. The sandbox is a real one.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EgressClosing, EgressOpening, EgressRefusal } from '../../../adapters/sandbox/ports.ts';
import { Sandboxes, type StatedSandbox } from '../../../adapters/sandbox/sandboxes.ts';
import { INHERITED } from '../../../adapters/upstream/stdio/environment.ts';
import { findMachineMeans } from '../../../adapters/upstream/stdio/machine-means.ts';
import type { Resources } from '../../../adapters/upstream/stdio/resources.ts';
import {
  type StdioServerSurroundings,
  type StdioToolServer,
  stdioToolServer,
} from '../../../adapters/upstream/stdio/stdio-tool-server.ts';
import { callOf, textOf } from '../../contract/tool-server.contract.ts';
import { fixtureServer, referenceServer } from '../../fixtures/servers/paths.ts';
import { proves } from '../../guarantees.ts';
import { QUIET } from '../../support/hooks.ts';
import { FOUND, SKIPPED } from '../../support/sandbox.ts';

const MEANS = await findMachineMeans();
const PRISONER = fixtureServer('prisoner.mjs');
const world = realpathSync(mkdtempSync('/var/tmp/portcullis-'));
const at = (...parts: string[]): string => join(world, ...parts);
const running: StdioToolServer[] = [];
const listening: Server[] = [];
const [opened, closed, refused]: [EgressOpening[], EgressClosing[], EgressRefusal[]] = [[], [], []];
let sandboxes: Sandboxes;
let port: number;
let visits = 0;
let prisoner: StdioToolServer;

const FOLDERS = ['home/me', 'state/keys', 'workspace', 'library', 'neighbour'] as const;

function put(path: string, text: string): string {
  writeFileSync(at(path), text);
  return at(path);
}

function stated(more: Partial<StatedSandbox> = {}): StatedSandbox {
  const place = (name: string) => ({ named: at(name), path: at(name) });
  return { read: [place('library')], write: [place('workspace')], net: 'none', ...more };
}

async function started(
  name: string,
  sandbox: StatedSandbox,
  args = [PRISONER],
  adopt?: StdioServerSurroundings['adopt'],
  resources: Resources = {},
): Promise<StdioToolServer> {
  const server = stdioToolServer(
    { name, command: process.execPath, args, env: { MINE: 'yes' }, resources },
    {
      clientInfo: { name: 'portcullis', version: '0' },
      means: async () => MEANS,
      sandbox: sandboxes.maker(name, sandbox),
      adopt,
      processLimits: { closeGraceMs: 1_000 },
    },
  );
  running.push(server);
  await server.start();
  return server;
}

/** What the server says came of a script. */
async function told(server: StdioToolServer, script: string): Promise<{ ok?: unknown; failed?: string }> {
  const answer = await server.dispatch(callOf('run', { script }), QUIET).answer;
  return JSON.parse(textOf(answer));
}

async function serve(where: { port: number; host: string } | { path: string }): Promise<Server> {
  const server = createServer((socket) => {
    visits += 1;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => socket.write(`heard ${chunk} END`));
  });
  listening.push(server);
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return server;
}

beforeAll(async () => {
  if (!FOUND.ok) return;
  for (const folder of FOLDERS) mkdirSync(at(folder), { recursive: true });
  put('home/me/secret', 'a secret of the home');
  put('state/keys/key', 'a key of the gate');
  put('neighbour/file', 'a file of another server');
  put('library/book', 'a book');
  put('workspace/note', 'a note');
  symlinkSync(at('state/keys/key'), at('workspace/link'));
  port = ((await serve({ port: 0, host: '127.0.0.1' })).address() as AddressInfo).port;
  await serve({ path: at('state/control') });
  sandboxes = new Sandboxes({
    machine: FOUND.machine,
    withheld: { secret: [at('state')], governing: [at('portcullis.yaml')], home: at('home/me') },
    recorder: () => ({
      opened: async (opening) => void opened.push(opening),
      closed: async (closing) => void closed.push(closing),
      refused: async (refusal) => void refused.push(refusal),
    }),
    connectionId: () => `c${opened.length}`,
    resolve: async (name) => (name === 'public.example' ? ['127.0.0.1'] : ['10.0.0.1']),
  });
  prisoner = await started('prisoner', stated());
});

afterAll(async () => {
  await Promise.all(running.map((server) => server.stop()));
  await sandboxes?.close();
  for (const server of listening) server.close();
  rmSync(world, { recursive: true, force: true });
});

const read = (path: string): string => `return fs.readFileSync(${JSON.stringify(path)}, 'utf8')`;
const write = (path: string): string => `return fs.writeFileSync(${JSON.stringify(path)}, 'x')`;
const same = (path: string): string =>
  `const path = ${JSON.stringify(path)}; return fs.writeFileSync(path, fs.readFileSync(path))`;
/** A system call, made by perl, which every Debian has: its number of the error. */
const call = (numbers: Record<string, number>, ...args: (number | string)[]): string =>
  `return sh('perl', '-e', ${JSON.stringify(`$r = syscall(${numbers[process.arch]}, ${args.join(', ')}); print $r == -1 ? $!+0 : "done"`)}).out`;

describe.skipIf(!FOUND.ok)(`a server in a sandbox${SKIPPED}`, () => {
  describe('sees nothing of its machine but what it is given', () => {
    it.each<[string, string]>([
      ['passwords of the machine', '/etc/shadow'],
      ['settings of the machine', '/etc/hostname'],
      ['the home of its user', at('home/me/secret')],
      ["the gate's keys", at('state/keys/key')],
      ["another server's files", at('neighbour/file')],
      ["the gate's keys, over a link in its workspace", at('workspace/link')],
      ["the gate's keys, over its own process", `/proc/self/root${at('state/keys/key')}`],
      ["the gate's keys, over the first process", `/proc/1/root${at('state/keys/key')}`],
      ["the gate's keys, over its working directory", `/proc/self/cwd/../../../..${at('state/keys/key')}`],
      ["the gate's environment", `/proc/${process.pid}/environ`],
      ['memory of the machine', '/dev/mem'],
      ['what the kernel says', '/dev/kmsg'],
    ])('%s', async (_, path) => {
      expect((await told(prisoner, read(path))).failed).toMatch(/^(ENOENT|EACCES|EPERM)$/);
    });

    it('no home, no sockets, no devices of others, and only its own processes', async () => {
      const look = `return {
        root: fs.readdirSync('/').sort(), etc: fs.readdirSync('/etc').sort(), world: fs.readdirSync(${JSON.stringify(world)}).sort(),
        tmp: fs.readdirSync('/tmp').filter((name) => name !== ${JSON.stringify(world.split('/')[2])}),
        dev: fs.readdirSync('/dev').sort(), home: process.env.HOME, env: Object.keys(process.env).sort(),
        processes: fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length,
        open: fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd) } catch { return '' } })
          .filter((to) => to.startsWith('/') && to !== '/dev/null' && !to.startsWith('/proc/')),
        links: fs.readFileSync('/proc/net/dev', 'utf8').split('\\n').slice(2).filter(Boolean).map((line) => line.trim().split(':')[0]),
      }`;
      const { ok } = (await told(prisoner, look)) as { ok: Record<string, string[]> };
      const usual = [
        'bin',
        'dev',
        'etc',
        'lib',
        'lib32',
        'lib64',
        'libx32',
        'proc',
        'run',
        'sbin',
        'tmp',
        'usr',
        'var',
      ];
      const own = [PRISONER, process.execPath, process.cwd()].map((path) => path.split('/')[1] ?? '');
      expect(ok.root?.filter((name) => !usual.includes(name) && !own.includes(name))).toEqual([]);
      expect(ok.etc).not.toContain('shadow');
      expect(ok.world).toEqual(['library', 'workspace']);
      expect(ok.tmp?.filter((name) => !process.execPath.includes(name) && !PRISONER.includes(name))).toEqual([]);
      expect(ok.dev).not.toContain('sda');
      expect(ok.home).toBe('/tmp');
      expect(ok.env?.filter((name) => /SOCK|DBUS|DISPLAY|XDG|OLDPWD/.test(name))).toEqual([]);
      // PWD is of bubblewrap's making.
      const given = ['HOME', 'MINE', 'PATH', 'PWD', 'TMPDIR', ...INHERITED.filter((name) => name in process.env)];
      const locale = Object.keys(process.env).filter((name) => name.startsWith('LC_'));
      expect(ok.env).toEqual([...new Set([...given, ...locale])].sort());
      expect(Number(ok.processes)).toBeLessThanOrEqual(4);
      expect(ok.open).toEqual([]);
      expect(ok.links).toEqual(['lo']);
    });
  });

  describe('writes nowhere but where it may', () => {
    it.each<[string, string, RegExp]>([
      ['beside its workspace', write(at('outside')), /^(EROFS|ENOENT)$/],
      ['what it may only read', write(at('library/book')), /^EROFS$/],
      ['its own program', write(PRISONER), /^EROFS$/],
      ['the system', write('/usr/bin/node2'), /^EROFS$/],
      ['the root', write('/new'), /^EROFS$/],
      ['settings', write('/etc/passwd'), /^(EROFS|EACCES)$/],
      ['devices', write('/dev/new'), /^EROFS$/],
      // Written as it is: on a machine where this is no sandbox, nothing changes.
      ['the kernel', same('/proc/sys/kernel/core_pattern'), /^(EROFS|EACCES)$/],
      ['the kernel, over another name', same('/proc/1/root/proc/sys/kernel/core_pattern'), /^(EROFS|EACCES)$/],
      ['the kernel, by its emergency key', write('/proc/sysrq-trigger'), /^(EROFS|EACCES|ENOENT|EIO|EPERM)$/],
      ['through a link in its workspace', write(at('workspace/link')), /^(ENOENT|EROFS)$/],
      [
        'through a link of its own',
        `fs.symlinkSync('/etc/passwd', ${JSON.stringify(at('workspace/own'))}); ${write(at('workspace/own'))}`,
        /^(EROFS|EACCES)$/,
      ],
      ['through its own process', write(`/proc/self/root${at('outside')}`), /^(EROFS|ENOENT)$/],
      [
        'by a hard link to what it may read',
        `return fs.linkSync(${JSON.stringify(at('library/book'))}, ${JSON.stringify(at('workspace/book'))})`,
        /^(EXDEV|EROFS|EPERM)$/,
      ],
      [
        'by renaming what it may read',
        `return fs.renameSync(${JSON.stringify(at('library/book'))}, ${JSON.stringify(at('workspace/book'))})`,
        /^(EXDEV|EROFS)$/,
      ],
      [
        'by renaming its workspace',
        `return fs.renameSync(${JSON.stringify(at('workspace'))}, ${JSON.stringify(at('elsewhere'))})`,
        /^(EBUSY|EROFS|EXDEV)$/,
      ],
    ])('%s', async (_, script, failure) => {
      expect((await told(prisoner, script)).failed).toMatch(failure);
      expect(readFileSync(at('library/book'), 'utf8')).toBe('a book');
      expect(readFileSync(at('state/keys/key'), 'utf8')).toBe('a key of the gate');
      expect(existsSync(at('outside'))).toBe(false);
    });

    it('its /tmp is its own and has an end', async () => {
      const fill = `const block = Buffer.alloc(16 << 20); let n = 0;
        try { for (;;) { fs.appendFileSync('/tmp/big', block); if (++n > 64) return 'no end'; } }
        catch (error) { fs.rmSync('/tmp/big'); return error.code; }`;
      expect((await told(prisoner, fill)).ok).toBe('ENOSPC');
      await told(prisoner, write('/tmp/mine'));
      expect(existsSync('/tmp/mine')).toBe(false);
    });
  });

  describe('has no power over others', () => {
    it('sends no signal to the gate, and none to anybody else', async () => {
      expect((await told(prisoner, `process.kill(${process.pid}, 0)`)).failed).toBe('ESRCH');
    });

    it.each<[string, string, unknown]>([
      ['a new user namespace', `return sh('unshare', '--user', 'true').status !== 0`, true],
      ['a new mount', `return sh('mount', '-t', 'tmpfs', 'none', '/tmp').status !== 0`, true],
      ['another root', `return sh('chroot', '/usr', '/bin/true').status !== 0`, true],
      ['a device', `return sh('mknod', '/tmp/disk', 'b', '8', '0').status !== 0`, true],
      ['another user', `return sh('setpriv', '--reuid', '12345', 'true').status !== 0`, true],
      ['a look into a process, by ptrace', call({ x64: 101, arm64: 117 }, 16, 1, 0, 0), '1'],
      ['the keys of the kernel', call({ x64: 250, arm64: 219 }, 0, -3, 1), '1'],
      ['a key of its own', call({ x64: 248, arm64: 217 }, 0, 0, 0, 0, -3), '1'],
      ['a namespace, by clone', call({ x64: 56, arm64: 220 }, 0x10000011, 0, 0, 0, 0), '1'],
      ['a namespace, by clone3', call({ x64: 435, arm64: 435 }, 0, 0), '38'],
      ['a namespace, by setns', call({ x64: 308, arm64: 268 }, 0, 0), '1'],
      ['a program in the kernel', call({ x64: 321, arm64: 280 }, 0, 0, 0), '1'],
      ['a mount, the new way', call({ x64: 428, arm64: 428 }, -100, 0, 1), '1'],
    ])('gets none: %s', async (_, script, outcome) => {
      expect((await told(prisoner, script)).ok).toBe(outcome);
    });

    it('has no capabilities, gets no privileges, and its system calls are filtered', async () => {
      const { ok } = await told(prisoner, read('/proc/self/status'));
      expect(ok).toMatch(/CapPrm:\s+0+\n/);
      expect(ok).toMatch(/CapEff:\s+0+\n/);
      expect(ok).toMatch(/CapBnd:\s+0+\n/);
      expect(ok).toMatch(/NoNewPrivs:\s+1\n/);
      expect(ok).toMatch(/Seccomp:\s+2\n/);
    });
  });

  describe('reaches nobody', () => {
    it.each<[string, () => string, RegExp]>([
      ["the gate's control socket", () => `{ path: ${JSON.stringify(at('state/control'))} }`, /^(ENOENT|EACCES)$/],
      ['services of this machine', () => `{ host: '127.0.0.1', port: ${port} }`, /^ECONNREFUSED$/],
      [
        'services of this machine, by IPv6',
        () => `{ host: '::1', port: ${port} }`,
        /^(ECONNREFUSED|EADDRNOTAVAIL|ENETUNREACH)$/,
      ],
      ['services of this machine, by its other address', () => `{ host: '0.0.0.0', port: ${port} }`, /^ECONNREFUSED$/],
      ['the network', () => `{ host: '192.0.2.1', port: 443 }`, /^(ENETUNREACH|EHOSTUNREACH)$/],
      ['a metadata service', () => `{ host: '169.254.169.254', port: 80 }`, /^(ENETUNREACH|EHOSTUNREACH)$/],
      ['a name', () => `{ host: 'localhost.example', port: ${port} }`, /^(EAI_AGAIN|ENOTFOUND|ENETUNREACH)$/],
    ])('%s', async (_, where, failure) => {
      const before = visits;
      expect((await told(prisoner, `return talk(${where()}, 'hello')`)).ok).toMatch(failure);
      expect(visits).toBe(before);
    });

    it('nor a socket without a file', async () => {
      const name = `portcullis-${process.pid}`;
      const listen = `import socket, time; s = socket.socket(socket.AF_UNIX); s.bind("\\0${name}"); s.listen(); print("up", flush=True); time.sleep(20)`;
      const connect = `use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0); print connect($s, pack_sockaddr_un("\\0${name}")) ? "connected" : $!+0`;
      const up = spawnSync('python3', ['--version']).status === 0;
      if (!up) return;
      const { spawn } = await import('node:child_process');
      const listener = spawn('python3', ['-c', listen], { stdio: ['ignore', 'pipe', 'ignore'] });
      await new Promise((resolve) => listener.stdout.once('data', resolve));
      try {
        expect(spawnSync('perl', ['-e', connect], { encoding: 'utf8' }).stdout).toBe('connected');
        const { ok } = await told(prisoner, `return sh('perl', '-e', ${JSON.stringify(connect)}).out`);
        expect(ok).toBe('111');
      } finally {
        listener.kill('SIGKILL');
      }
    });
  });

  describe('with an allow-list reaches who is on it, and nobody else', () => {
    let caller: StdioToolServer;
    const through = (where: string): string =>
      `return talk({ host: '127.0.0.1', port: 3128 }, 'CONNECT ${where} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')`;

    beforeAll(async () => {
      const allow = [`public.example:${port}`, `127.0.0.1:${port}`, `inner.example:${port}`];
      caller = await started('caller', stated({ net: { allow } }));
    });

    it.each<[string, () => string, RegExp]>([
      ['another host', () => 'other.example:443', / 403 /],
      ['another port', () => 'public.example:22', / 403 /],
      ['a private address behind a name', () => `inner.example:${port}`, / 403 /],
      ['this machine, as a number', () => `2130706433:${port}`, / 400 /],
      ['this machine, as a mapped address', () => `[::ffff:127.0.0.1]:${port}`, / 403 /],
    ])('%s', async (_, where, answer) => {
      const before = visits;
      expect((await told(caller, through(where()))).ok).toMatch(answer);
      expect(visits).toBe(before);
    });

    it('there is no other way out than the proxy', async () => {
      const { ok } = await told(caller, `return talk({ host: '127.0.0.1', port: ${port} }, 'hello')`);
      expect(ok).toBe('ECONNREFUSED');
      expect(opened).toEqual([]);
    });

    it('the host that is allowed is reached and answers, which is recorded', async () => {
      const talkTwice = `const line = net.connect({ host: '127.0.0.1', port: 3128 });
        return new Promise((resolve) => { let text = ''; line.on('data', (chunk) => { text += chunk;
          if (text.endsWith('\\r\\n\\r\\n')) line.write('hello'); if (text.includes('END')) { line.end(); resolve(text) } });
          line.write('CONNECT public.example:${port} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n') })`;
      expect((await told(caller, talkTwice)).ok).toContain('heard hello END');
      expect(opened).toMatchObject([{ host: 'public.example', port, address: '127.0.0.1', way: 'connect' }]);
      await expect.poll(() => closed).toMatchObject([{ connection: opened[0]?.connection, sent: 5, received: 15 }]);
      expect(refused.length).toBeGreaterThan(3);
    });

    it('is told of the way by its environment, and stops as any other', async () => {
      const { ok } = await told(caller, 'return [process.env.HTTPS_PROXY, process.env.NODE_USE_ENV_PROXY]');
      expect(ok).toEqual(['http://127.0.0.1:3128', '1']);
      await caller.stop();
      expect(caller.pid()).toBeUndefined();
    });
  });

  describe('uses up no more than it may', () => {
    it('memory of each process', async () => {
      // Node 24 reserves more than 512 before it begins.
      const server = await started('hungry', stated(), [PRISONER], undefined, { memoryMb: 1024 });
      const eat = `const held = []; try { for (let n = 0; n < 80; n++) held.push(Buffer.alloc(16 << 20, 1)); return 'all of it' }
        catch { return held.length * 16 < 1024 }`;
      // Refused, or ended: what a program does without memory is its own.
      const answer = await server.dispatch(callOf('run', { script: eat }), QUIET).answer;
      expect(answer.kind === 'result' ? textOf(answer) : '{"ok":true}').toBe('{"ok":true}');
    });

    it('time of the processor', async () => {
      const server = await started('busy', stated(), [PRISONER], undefined, { cpuSeconds: 1 });
      const answer = await server.dispatch(callOf('run', { script: 'for (;;);' }), QUIET).answer;
      expect(answer.kind).not.toBe('result');
    });

    it(process.getuid?.() === 0 ? 'processes are not counted for root, which is said' : 'processes', async () => {
      const starting = started('fertile', stated(), [PRISONER], undefined, { processes: 48 });
      if (process.getuid?.() === 0) return expect(starting).rejects.toThrow('not for a gate of root');
      const server = await starting;
      const bomb = `return sh('sh', '-c', 'i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done; echo all')`;
      expect(((await told(server, bomb)).ok as { out: string }).out).not.toBe('all');
    });
  });

  proves(
    'G4',
    'what would show it the keys of the gate or a home, or let it write its rules, is not started',
    async () => {
      const place = (path: string) => ({ named: path, path });
      for (const [more, reason] of [
        [{ read: [place(world)] }, "the gate's own keys"],
        [{ read: [place(at('state/keys'))] }, "the gate's own keys"],
        [{ read: [place(at('home/me'))] }, 'a whole home'],
        [{ read: [place(at('home'))] }, 'a whole home'],
        [{ write: [place(at('nowhere'))] }, 'cannot be looked up (ENOENT)'],
        [{ read: [{ named: at('workspace/link'), path: at('workspace/link') }] }, 'leads elsewhere'],
      ] as const)
        await expect(started('greedy', stated(more as Partial<StatedSandbox>))).rejects.toThrow(reason);
      put('portcullis.yaml', 'apiVersion: portcullis/v1');
      mkdirSync(at('project'));
      writeFileSync(at('project/portcullis.yaml'), '');
      const strict = new Sandboxes({
        machine: (FOUND.ok && FOUND.machine) as never,
        withheld: { secret: [at('state')], governing: [at('project/portcullis.yaml')], home: at('home/me') },
        recorder: () => ({}) as never,
        connectionId: () => 'c',
      });
      const made = strict
        .maker('s', stated({ write: [place(at('project'))] }))
        .make({ file: process.execPath, args: [], cwd: '/' });
      expect(made).toEqual({ ok: false, reason: expect.stringContaining('write the rules that bind it') });
      await strict.close();
    },
  );

  it.each(['none', 'allow'])('an agent has its own connection to the gate (net: %s)', async (net) => {
    let heard = '';
    const allow = { allow: ['public.example'] };
    const server = await started(
      `agent-${net}`,
      stated({ net: net === 'none' ? 'none' : allow }),
      [PRISONER],
      (connection) => {
        connection.on('data', (chunk) => {
          heard += chunk;
        });
        return {} as never;
      },
    );
    const speak = `return new Promise((resolve) => {
      const line = new net.Socket({ fd: Number(process.env.PORTCULLIS_FD) }); line.write('from inside', () => resolve('said')) })`;
    expect((await told(server, speak)).ok).toBe('said');
    await expect.poll(() => heard).toBe('from inside');
  });

  it('works, where it does only what it may: the file server in its workspace', async () => {
    const server = await started('fs', stated(), [referenceServer('filesystem'), at('workspace'), at('library')]);
    const run = async (tool: string, args: Record<string, string>) =>
      server.dispatch(callOf(tool, args), QUIET).answer.then(textOf);
    expect(await run('read_text_file', { path: at('workspace/note') })).toBe('a note');
    expect(await run('read_text_file', { path: at('library/book') })).toBe('a book');
    await run('write_file', { path: at('workspace/new'), content: 'written inside' });
    expect(readFileSync(at('workspace/new'), 'utf8')).toBe('written inside');
    expect(await run('write_file', { path: at('library/new'), content: 'x' })).toMatch(/EROFS|read-only/);
    expect(existsSync(at('library/new'))).toBe(false);
    expect(dirname(at('library/new'))).toBe(at('library'));
  });
});
