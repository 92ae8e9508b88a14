// The command line that starts a server's process: what stands before the server's own words, so that it dies with us, is limited, and takes
// everything it started with it. Only words are put together here; what the machine can do was found out before (machine-means.ts).

import { type Ceilings, prlimitOptions, type Resources } from './resources.ts';

/** What this machine has. Each file was tried and is at a fixed place: a name looked up in PATH could be anybody's. */
export interface MachineMeans {
  /** util-linux `setpriv` that knows `--pdeathsig`. */
  readonly setpriv: string | undefined;
  /** util-linux `prlimit`. */
  readonly prlimit: string | undefined;
  /** A pid namespace for each server; undefined where the kernel or its keeper refuses that. */
  readonly enclosure: Enclosure | undefined;
  readonly ceilings: Ceilings;
}

/** A pid namespace around a server. When its first process dies, the kernel kills everything in it, whatever it did to get away. */
export interface Enclosure {
  /** Start it; the words that follow are executed inside. The process that we see lives as long as the namespace. */
  readonly before: readonly string[];
  /**
   * The first process inside, which starts the words that follow as the second, so that the server has the ordinary rights of a process: the
   * first is not ended by SIGTERM and has everybody's orphans. It exits as the server did, or with 128 and the number of the signal.
   * Empty where `before` makes one; undefined where the server itself is the first.
   */
  readonly init: readonly string[] | undefined;
  /** It has a user namespace of its own, in which processes are counted. */
  readonly countsProcesses: boolean;
  /** Processes that stand between the first one inside and the server; none when absent. */
  readonly between?: number;
  /** Processes and threads of ours that are counted with the server's, beside the first ones; none when absent. */
  readonly ourProcesses?: number;
  /** What is inside has a session of its own: a signal to our group does not reach it. */
  readonly ownSession?: boolean;
}

export interface LaunchRequest {
  /** The resolved file. */
  readonly file: string;
  readonly args: readonly string[];
  readonly resources: Resources;
}

export interface LaunchPlan {
  readonly command: string;
  readonly args: readonly string[];
  /** Generations from the process that we start to the server: 0 where they are the same. */
  readonly generations: number;
  /** A signal to the group does not reach the server. */
  readonly ownSession?: boolean;
}

export type Planned =
  | { readonly ok: true; readonly plan: LaunchPlan }
  | { readonly ok: false; readonly reason: string };

/** Processes of an enclosure that are counted with those of the server. */
const OVERHEAD = 2;

/**
 * Refuses limits that were asked for and cannot be held here. Another enclosure than the machine's own is one that does more, such as a
 * sandbox.
 */
export function launchPlan(
  { file, args, resources }: LaunchRequest,
  means: MachineMeans,
  enclosure: Enclosure | undefined = means.enclosure,
): Planned {
  const { setpriv, prlimit, ceilings } = means;
  const asked = Object.entries(resources).flatMap(([name, limit]) => (limit === undefined ? [] : [name]));
  if (prlimit === undefined && asked.length > 0)
    return { ok: false, reason: `${asked.join(', ')}: this machine has no means to limit a process (prlimit)` };
  const isCounted = enclosure?.countsProcesses === true;
  if (resources.processes !== undefined && !isCounted)
    return {
      ok: false,
      reason:
        'processes: they are counted only in a user namespace, which is not to be had here, and not for a gate of root',
    };
  const overhead = isCounted ? OVERHEAD + (enclosure.ourProcesses ?? 0) : undefined;
  const words = [
    // The kernel takes the death of the thread that started it for ours, so servers are started from the main thread only.
    ...(setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL', '--']),
    ...(enclosure?.before ?? []),
    ...(prlimit === undefined ? [] : [prlimit, ...prlimitOptions(resources, ceilings, overhead), '--']),
    ...(enclosure?.init ?? []),
    file,
    ...args,
  ];
  const [command = file, ...rest] = words;
  const inside = enclosure === undefined ? 0 : enclosure.init === undefined ? 1 : 2;
  const generations = inside + (enclosure?.between ?? 0);
  const ownSession = enclosure?.ownSession === true;
  return { ok: true, plan: { command, args: rest, generations, ...(ownSession ? { ownSession } : {}) } };
}
