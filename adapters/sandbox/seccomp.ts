// The system calls that a sandboxed server has no use for and an attacker does: keys of the kernel, new namespaces and mounts, other processes'
// memory, programs inside the kernel. They fail with EPERM. It is a list of what is refused; what the kernel learns later is not on it, but every
// call of another processor's or another numbering is.

/** Number of each call on x86-64 and on arm64; null where that processor has no such call. */
const REFUSED: Readonly<Record<string, readonly [number | null, number]>> = {
  acct: [163, 89],
  add_key: [248, 217],
  bpf: [321, 280],
  delete_module: [176, 106],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  init_module: [175, 105],
  ioperm: [173, -1],
  iopl: [172, -1],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  kcmp: [312, 272],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  lookup_dcookie: [212, 18],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  perf_event_open: [298, 241],
  pivot_root: [155, 41],
  process_madvise: [440, 440],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  request_key: [249, 218],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  userfaultfd: [323, 282],
  vhangup: [153, 58],
};

interface Processor {
  /** AUDIT_ARCH_* */
  readonly audit: number;
  readonly column: 0 | 1;
  readonly clone: number;
  readonly ioctl: number;
  /** Calls from here on are of another numbering (x32). */
  readonly numbersEnd: number;
}

const PROCESSORS: Readonly<Record<string, Processor>> = {
  x64: { audit: 0xc000003e, column: 0, clone: 56, ioctl: 16, numbersEnd: 0x40000000 },
  arm64: { audit: 0xc00000b7, column: 1, clone: 220, ioctl: 29, numbersEnd: 0x40000000 },
};

/** clone3 takes its flags behind a pointer, where a filter cannot look. Told that there is none, a C library takes clone. */
const CLONE3 = 435;
/** All namespaces: CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NEW_NAMESPACES = 0x7e020080;
/** Put words into a terminal as if its user had typed them. */
const TERMINAL_INPUT = [0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */];

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;

const LOAD = 0x20;
const IS = 0x15;
const AT_LEAST = 0x35;
const ANY_OF = 0x45;
const RETURN = 0x06;
/** Offsets in seccomp_data; of 64-bit arguments the lower half is what counts here, on machines with the lower half first. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENT_0 = 16;
const ARGUMENT_1 = 24;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number];

/** The filter as the kernel takes it (an array of sock_filter); undefined for a processor of which the numbers are not known. */
export function systemCallFilter(processor: string): Uint8Array | undefined {
  const known = PROCESSORS[processor];
  if (known === undefined) return undefined;
  const { audit, column, clone, ioctl, numbersEnd } = known;
  const refused = Object.values(REFUSED)
    .map((numbers) => numbers[column])
    .filter((number): number is number => number !== null && number >= 0);
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [IS, 1, 0, audit],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, NUMBER],
    [AT_LEAST, 0, 1, numbersEnd],
    [RETURN, 0, 0, EPERM],
    [IS, 0, 1, CLONE3],
    [RETURN, 0, 0, ENOSYS],
    ...refused.flatMap((number): Instruction[] => [
      [IS, 0, 1, number],
      [RETURN, 0, 0, EPERM],
    ]),
    [IS, 0, 4, clone],
    [LOAD, 0, 0, ARGUMENT_0],
    [ANY_OF, 0, 1, NEW_NAMESPACES],
    [RETURN, 0, 0, EPERM],
    [RETURN, 0, 0, ALLOW],
    [IS, 0, 1 + 2 * TERMINAL_INPUT.length, ioctl],
    [LOAD, 0, 0, ARGUMENT_1],
    ...TERMINAL_INPUT.flatMap((request): Instruction[] => [
      [IS, 0, 1, request],
      [RETURN, 0, 0, EPERM],
    ]),
    [RETURN, 0, 0, ALLOW],
  ];
  const bytes = new DataView(new ArrayBuffer(program.length * 8));
  for (const [index, [code, ifTrue, ifFalse, k]] of program.entries()) {
    bytes.setUint16(index * 8, code, true);
    bytes.setUint8(index * 8 + 2, ifTrue);
    bytes.setUint8(index * 8 + 3, ifFalse);
    bytes.setUint32(index * 8 + 4, k, true);
  }
  return new Uint8Array(bytes.buffer);
}
