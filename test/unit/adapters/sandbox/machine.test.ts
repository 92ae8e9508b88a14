import { expect, it } from 'vitest';
import { sandboxArguments } from '../../../../adapters/sandbox/arguments.ts';
import { whatIsMissing } from '../../../../adapters/sandbox/machine.ts';
import { systemCallFilter } from '../../../../adapters/sandbox/seccomp.ts';

const GOOD = `CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
links
Inter-|   Receive
 face |bytes
    lo:       0       0
/proc/1
/proc/2
`;

it.each<[string, string, string]>([
  ['CapEff:\t0000000000000000', 'CapEff:\t0000000000000400', 'it keeps capabilities (CapEff is 0000000000000400)'],
  ['CapBnd:\t0000000000000000', 'CapBnd:\t000001ffffffffff', 'it keeps capabilities (CapBnd is 000001ffffffffff)'],
  ['CapPrm:\t0000000000000000\n', '', 'it keeps capabilities (CapPrm is unknown)'],
  ['NoNewPrivs:\t1', 'NoNewPrivs:\t0', 'it can get new privileges'],
  ['Seccomp:\t2', 'Seccomp:\t0', 'its system calls are not filtered'],
  ['    lo:', '    lo:\n  eth0:', 'it has network interfaces: lo, eth0'],
  ['/proc/2\n', '/proc/2\nwrites /proc/sys/kernel/core_pattern\n', 'it can write /proc/sys/kernel/core_pattern'],
  ['/proc/2\n', '/proc/2\n/proc/3\n/proc/4\n/proc/5\n', 'it sees other processes'],
  [GOOD, '', 'it keeps capabilities (CapEff is unknown)'],
])('a sandbox that looks otherwise from inside is none: %s', (part, other, missing) => {
  expect(whatIsMissing(GOOD)).toBeUndefined();
  expect(whatIsMissing(GOOD.replace(part, other))).toBe(missing);
});

it('there is no filter for a processor of which the numbers of system calls are not known', () => {
  expect(systemCallFilter('riscv64')).toBeUndefined();
  expect((systemCallFilter('x64')?.length ?? 1) % 8).toBe(0);
  expect(systemCallFilter('arm64')?.slice(0, 24)).not.toEqual(systemCallFilter('x64')?.slice(0, 24));
});

it('what is listed comes after what is the sandbox own, outer folders first, and the root is closed last', () => {
  const machine = {
    bwrap: '/usr/bin/bwrap',
    shell: '/bin/sh',
    disableUserns: true,
    system: { mounts: [{ path: '/usr', writable: false }], links: [['/bin', 'usr/bin']] as const },
    covered: { files: ['/proc/keys'], folders: ['/proc/acpi'], readOnly: ['/proc/sys'] },
  };
  const mounts = [
    { path: '/tmp/a/b', writable: true },
    { path: '/tmp/a', writable: false },
  ];
  const words = sandboxArguments(
    { mounts, links: [['/named', '/tmp/a']], placed: [], cwd: '/srv' },
    machine,
    '/f',
  ).join(' ');
  const order = [
    '--unshare-net',
    '--cap-drop ALL',
    '--seccomp 9',
    '--ro-bind /usr /usr',
    '--proc /proc',
    '--ro-bind /proc/sys /proc/sys',
    '--ro-bind /dev/null /proc/keys',
    '--remount-ro /dev',
    '--tmpfs /tmp',
    '--ro-bind /tmp/a /tmp/a',
    '--bind /tmp/a/b /tmp/a/b',
    '--symlink /tmp/a /named',
    '--remount-ro / --chdir /srv --',
  ].map((part) => words.indexOf(part));
  expect(order).not.toContain(-1);
  expect(order).toEqual([...order].sort((a, b) => a - b));
});
