// The words with which bubblewrap makes a sandbox: what is in it and nothing else. A pure function of what was looked up before, so that what a
// server was given can be read, compared and tested without starting anything.

/** What lies at the same place inside as outside. */
export interface Mount {
  /** Canonical: no link on the way. */
  readonly path: string;
  readonly writable: boolean;
}

/** A file that only sandboxes have, from our own folder. */
export interface Placed {
  readonly from: string;
  readonly to: string;
}

export interface SandboxContents {
  readonly mounts: readonly Mount[];
  /** Names by which others know what is mounted: the link and where it leads. */
  readonly links: readonly (readonly [string, string])[];
  readonly placed: readonly Placed[];
  readonly cwd: string;
}

/** What the kernel and bubblewrap of this machine have, found out by trying. */
export interface SandboxMachine {
  readonly bwrap: string;
  readonly shell: string;
  /** Whether bubblewrap can forbid user namespaces inside; the filter of system calls does in any case. */
  readonly disableUserns: boolean;
  /** The folders of the system, as links or as folders. */
  readonly system: Pick<SandboxContents, 'mounts' | 'links'>;
  /** Of /proc, what is not about processes and tells or takes too much; those that are here. */
  readonly covered: {
    readonly files: readonly string[];
    readonly folders: readonly string[];
    /** Settings of the kernel and of drivers: whoever is root outside could change them without any capability. */
    readonly readOnly: readonly string[];
  };
}

/** Of memory, and counted by nobody else: a server that needs more has a folder in its write list. */
const TMP_BYTES = 256 * 1024 * 1024;
const SHM_BYTES = 64 * 1024 * 1024;
/** Where our own files lie in a sandbox. */
export const OWN_FOLDER = '/run/portcullis';
/** The descriptor that bubblewrap reads the filter of system calls from, and closes. */
const FILTER_FD = 9;

/** bubblewrap takes its filter from a descriptor, which a shell opens: it executes bubblewrap and is gone. */
const OPEN_FILTER = `filter=$1; shift; unset PWD OLDPWD; exec "$@" ${FILTER_FD}<"$filter"`;

/** Everything that stands before the words that are executed inside. `filter`: the file with the filter of system calls. */
export function sandboxArguments(contents: SandboxContents, machine: SandboxMachine, filter: string): string[] {
  const { mounts, links, placed, cwd } = contents;
  const { system, covered } = machine;
  return [
    machine.shell,
    '-c',
    OPEN_FILTER,
    'sh',
    filter,
    machine.bwrap,
    '--unshare-user',
    '--unshare-ipc',
    '--unshare-pid',
    '--unshare-net',
    '--unshare-uts',
    '--unshare-cgroup-try',
    ...(machine.disableUserns ? ['--disable-userns'] : []),
    '--new-session',
    '--die-with-parent',
    '--cap-drop',
    'ALL',
    '--hostname',
    'sandbox',
    '--seccomp',
    `${FILTER_FD}`,
    ...system.mounts.flatMap(bound),
    ...system.links.flatMap(linked),
    '--proc',
    '/proc',
    ...covered.readOnly.flatMap((folder) => ['--ro-bind', folder, folder]),
    // A device cannot be opened where it is mounted so, which is what it is here for.
    ...covered.files.flatMap((file) => ['--ro-bind', '/dev/null', file]),
    ...covered.folders.flatMap((folder) => ['--tmpfs', folder, '--remount-ro', folder]),
    '--dev',
    '/dev',
    '--remount-ro',
    '/dev',
    '--size',
    `${SHM_BYTES}`,
    '--tmpfs',
    '/dev/shm',
    '--size',
    `${TMP_BYTES}`,
    '--tmpfs',
    '/tmp',
    ...sorted(mounts).flatMap(bound),
    ...placed.flatMap(({ from, to }) => ['--ro-bind', from, to]),
    ...links.flatMap(linked),
    '--dir',
    cwd,
    // What is left of the root, folders above the mounts, is memory too, and nobody's to write.
    '--remount-ro',
    '/',
    '--chdir',
    cwd,
    '--',
  ];
}

/** Outer ones first, so that none covers another. */
function sorted(mounts: readonly Mount[]): readonly Mount[] {
  return [...mounts].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function bound({ path, writable }: Mount): string[] {
  return [writable ? '--bind' : '--ro-bind', path, path];
}

function linked([name, target]: readonly [string, string]): string[] {
  return ['--symlink', target, name];
}
