// What a server's processes may use at most, as the kernel's limits of one process. They bound the accident and the crude attack: each process
// that a server starts has the same limits again, so that only `processes` bounds them together.

export interface Resources {
  /**
   * Private memory that can be written: heap, buffers, stacks of threads. The address space is not limited, because V8 reserves gigabytes of
   * it that it never uses, and the kernel does not limit what is resident.
   */
  readonly memoryMb?: number | undefined;
  /** Open descriptors. */
  readonly files?: number | undefined;
  /** Processes and threads of the server together. Can be held only where it has a user namespace of its own. */
  readonly processes?: number | undefined;
  readonly fileSizeMb?: number | undefined;
  /** Of one process, as long as it lives. */
  readonly cpuSeconds?: number | undefined;
}

/**
 * For whom the manifest says nothing. Descriptors: the largest need seen is that of file watchers, a few thousand. Processes: a browser has a
 * few hundred threads; a fork bomb has more than this at once.
 */
export const RESOURCES_DEFAULT = { files: 8_192, processes: 4_096 } as const;

/** What already holds for us, and so for everything we start; absent is no bound. */
export type Ceilings = Partial<Record<Limit, number>>;
export type Limit = 'core' | 'cpu' | 'data' | 'fsize' | 'nofile' | 'nproc';

const MIB = 1024 * 1024;

/** The options of util-linux `prlimit`. `overhead`: processes that count for the server and are not its own; undefined where nobody counts. */
export function prlimitOptions(resources: Resources, ceilings: Ceilings, overhead: number | undefined): string[] {
  const { memoryMb, files = RESOURCES_DEFAULT.files, processes = RESOURCES_DEFAULT.processes } = resources;
  const { fileSizeMb, cpuSeconds } = resources;
  const options = [option('core', 0, 0, ceilings), option('nofile', files, files, ceilings)];
  if (memoryMb !== undefined) options.push(option('data', memoryMb * MIB, memoryMb * MIB, ceilings));
  if (fileSizeMb !== undefined) options.push(option('fsize', fileSizeMb * MIB, fileSizeMb * MIB, ceilings));
  // The first ends it with a signal that has a name, the second in any case.
  if (cpuSeconds !== undefined) options.push(option('cpu', cpuSeconds, cpuSeconds + 1, ceilings));
  if (overhead !== undefined) options.push(option('nproc', processes + overhead, processes + overhead, ceilings));
  return options;
}

/** What holds already need not be allowed to grow: to raise a limit is refused to anybody but root. */
function option(limit: Limit, soft: number, hard: number, ceilings: Ceilings): string {
  const ceiling = ceilings[limit] ?? Number.POSITIVE_INFINITY;
  return `--${limit}=${Math.min(soft, ceiling)}:${Math.min(hard, ceiling)}`;
}

const ROWS: Readonly<Record<string, Limit>> = {
  'Max core file size': 'core',
  'Max cpu time': 'cpu',
  'Max data size': 'data',
  'Max file size': 'fsize',
  'Max open files': 'nofile',
  'Max processes': 'nproc',
};

/** Out of the text of /proc/self/limits. */
export function readCeilings(text: string): Ceilings {
  const ceilings: Ceilings = {};
  for (const line of text.split('\n')) {
    const limit = ROWS[line.slice(0, 26).trim()];
    const hard = Number(line.slice(47, 68).trim());
    if (limit !== undefined && Number.isSafeInteger(hard)) ceilings[limit] = hard;
  }
  return ceilings;
}
