// Whether this machine can hold a sandbox, found out by making one: with every word that a server's has, and looked at from inside. What it says of
// the kernel, its keeper and their versions is not asked.

import { execFile } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mount, type SandboxMachine, sandboxArguments } from './arguments.ts';
import { systemCallFilter } from './seccomp.ts';

export type FoundSandbox =
  | { readonly ok: true; readonly machine: SandboxMachine }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

/** Fixed places: a name looked up in PATH could be anybody's. */
const BWRAP = ['/usr/bin/bwrap', '/bin/bwrap'];
const SHELL = '/bin/sh';
const TRIAL_MS = 5_000;

/** Programs and their libraries. Those that are links in a system with everything below /usr are links inside, too. */
const SYSTEM_FOLDERS = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
/** What loaders, TLS and clocks of any program read. Nothing of it is a secret; /etc as a whole is not given. */
const SYSTEM_FILES = [
  '/etc/alternatives',
  '/etc/ca-certificates',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/localtime',
  '/etc/mime.types',
  '/etc/pki/ca-trust/extracted',
  '/etc/pki/tls/certs',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/timezone',
];

/** Of /proc, what tells of the whole machine: keys, memory, timers, devices. */
const COVERED_FILES = ['kcore', 'keys', 'key-users', 'kmsg', 'kallsyms', 'timer_list'];
const COVERED_FOLDERS = ['acpi', 'asound', 'scsi'];
const ANYBODY_WRITES = 0o222;

/** What is tried from inside, for `whatIsMissing`. */
const LOOK = [
  'cat /proc/self/status',
  'echo links',
  'cat /proc/net/dev',
  'ls -d /proc/[0-9]*',
  'for file in / /usr /proc/sys/kernel/core_pattern; do if [ -w "$file" ]; then echo "writes $file"; fi; done',
].join('; ');

const HINT = 'on Debian: apt-get install bubblewrap; what else can be wrong is in docs/sandbox.md';

/** Makes a sandbox as a server's and looks around in it. Never rejects. Ask once per process. */
export async function findSandbox(): Promise<FoundSandbox> {
  const none = (reason: string, hint = HINT): FoundSandbox => ({ ok: false, reason, hint });
  if (process.platform === 'darwin')
    return none('macOS offers programs no supported means to put another one in a sandbox', 'run the gate on Linux');
  if (process.platform !== 'linux')
    return none(`sandboxes are made with bubblewrap, which ${process.platform} does not have`, 'run the gate on Linux');
  const filter = systemCallFilter(process.arch);
  if (filter === undefined) return none(`the system calls of this processor (${process.arch}) are not known`);
  const bwrap = BWRAP.find((file) => existsSync(file));
  if (bwrap === undefined) return none('bubblewrap is not installed');
  if (!existsSync(SHELL)) return none(`there is no ${SHELL}`);
  const machine = { bwrap, shell: SHELL, system: systemPlaces(), covered: coveredPlaces() };
  const first = await tried({ ...machine, disableUserns: true }, filter);
  if (first === undefined) return { ok: true, machine: { ...machine, disableUserns: true } };
  // Older ones do not know that word. The filter forbids the same.
  const second = await tried({ ...machine, disableUserns: false }, filter);
  if (second === undefined) return { ok: true, machine: { ...machine, disableUserns: false } };
  return none(`bubblewrap cannot make one here: ${second}`);
}

/** Why no sandbox came of it; undefined where one did. */
async function tried(machine: SandboxMachine, filter: Uint8Array): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-sandbox-'));
  try {
    const file = join(folder, 'filter');
    writeFileSync(file, filter);
    const [command = '', ...args] = sandboxArguments({ mounts: [], links: [], placed: [], cwd: '/' }, machine, file);
    const look = ['/bin/sh', '-c', LOOK];
    return await new Promise((resolve) => {
      const options = { env: { PATH: '/usr/bin:/bin' }, cwd: '/', timeout: TRIAL_MS, killSignal: 'SIGKILL' } as const;
      execFile(command, [...args, ...look], options, (error, stdout, stderr) => {
        const said = stderr.trim().split('\n').at(-1)?.slice(0, 300);
        resolve(error === null ? whatIsMissing(stdout) : said || error.message.slice(0, 300));
      });
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What was seen from inside is what has to be seen, or it is no sandbox. */
export function whatIsMissing(seen: string): string | undefined {
  const [status = '', rest = ''] = seen.split('links\n');
  const value = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
  for (const name of ['CapEff', 'CapPrm', 'CapBnd'])
    if (!/^0+$/.test(value(name))) return `it keeps capabilities (${name} is ${value(name) || 'unknown'})`;
  if (value('NoNewPrivs') !== '1') return 'it can get new privileges';
  if (value('Seccomp') !== '2') return 'its system calls are not filtered';
  const links = [...rest.matchAll(/^\s*([^\s:|]+):/gm)].map(([, name]) => name);
  if (links.join() !== 'lo') return `it has network interfaces: ${links.join(', ')}`;
  const written = /^writes (.*)$/m.exec(rest)?.[1];
  if (written !== undefined) return `it can write ${written}`;
  // bubblewrap's own, the shell and what it runs.
  if ([...rest.matchAll(/^\/proc\/\d+$/gm)].length > 4) return 'it sees other processes';
  return undefined;
}

function systemPlaces(): SandboxMachine['system'] {
  const mounts: Mount[] = [];
  const links: [string, string][] = [];
  for (const folder of SYSTEM_FOLDERS) {
    const stat = lstatSync(folder, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() === true) links.push([folder, readlinkSync(folder)]);
    else if (stat?.isDirectory() === true) mounts.push({ path: folder, writable: false });
  }
  for (const path of SYSTEM_FILES) if (existsSync(path)) mounts.push({ path, writable: false });
  return { mounts, links };
}

/** What is not of a process is the machine's: of that nothing stays writable, whoever the gate runs as. */
function coveredPlaces(): SandboxMachine['covered'] {
  const covered = { files: [] as string[], folders: [] as string[], readOnly: [] as string[] };
  for (const name of readdirSync('/proc').filter((one) => !/^\d+$/.test(one))) {
    const path = `/proc/${name}`;
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.isSymbolicLink()) continue;
    if (stat.isDirectory()) (COVERED_FOLDERS.includes(name) ? covered.folders : covered.readOnly).push(path);
    else if (COVERED_FILES.includes(name) || (stat.mode & ANYBODY_WRITES) !== 0) covered.files.push(path);
  }
  return covered;
}
