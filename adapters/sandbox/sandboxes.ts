// The sandboxes of one gate: what each server's processes are started inside of, and the way out of those that have one. It holds a folder of its own
// with the files that go into them; that goes with the gate, or is left behind, empty of secrets, by one that was killed.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEgressEntry } from '../../control-plane/policy/egress.ts';
import type { SandboxSpec } from '../../control-plane/policy/sandbox.ts';
import type { Program, SandboxMaker } from '../upstream/stdio/ports.ts';
import { OWN_FOLDER, type Placed, type SandboxMachine, sandboxArguments } from './arguments.ts';
import { EgressProxy } from './egress-proxy.ts';
import { FORWARDER, FORWARDER_PORT, FORWARDER_VARIABLES } from './forwarder.ts';
import { type ListedPlaces, sandboxPlaces, type Withheld } from './places.ts';
import type { EgressRecorder, ResolveName } from './ports.ts';
import { systemCallFilter } from './seccomp.ts';

export interface SandboxesOptions {
  readonly machine: SandboxMachine;
  readonly withheld: Withheld;
  readonly recorder: (server: string) => EgressRecorder;
  readonly connectionId: () => string;
  readonly mayGoOut?: (server: string) => boolean;
  readonly resolve?: ResolveName;
}

/** What the manifest says of one server's sandbox. */
export interface StatedSandbox extends ListedPlaces {
  readonly net: SandboxSpec['net'];
}

interface Way {
  readonly proxy: EgressProxy;
  /** Its socket. */
  readonly path: string;
  /** Settles when it listens, or cannot. */
  readonly open: Promise<void>;
}

/** Those of the forwarder, with its own threads. */
const FORWARDER_PROCESSES = 16;

/** What every sandbox has in place of the system's own: names of users and hosts that say nothing. */
const ETC: Readonly<Record<string, string>> = {
  hosts: '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 sandbox\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files\n',
};

export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #folder: string;
  readonly #ways = new Map<string, Way>();
  readonly #filter: string;

  constructor(options: SandboxesOptions) {
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), 'portcullis-sandbox-'));
    this.#filter = join(this.#folder, 'filter');
    const filter = systemCallFilter(process.arch);
    if (filter === undefined) throw new Error(`the system calls of this processor (${process.arch}) are not known`);
    writeFileSync(this.#filter, filter);
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    const files = {
      ...ETC,
      passwd: `sandbox:x:${uid}:${gid}::/tmp:/bin/sh\n`,
      group: `sandbox:x:${gid}:\n`,
      'forwarder.mjs': FORWARDER,
    };
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(this.#folder, name), text);
      chmodSync(join(this.#folder, name), 0o444);
    }
  }

  /** For all processes of a server. */
  maker(server: string, stated: StatedSandbox): SandboxMaker {
    return { prepare: () => this.#prepare(server, stated), make: (program) => this.#make(server, stated, program) };
  }

  /** Opens the server's way out, where it has one, once. */
  #prepare(server: string, { net }: StatedSandbox): Promise<void> {
    if (net === 'none') return Promise.resolve();
    const known = this.#ways.get(server);
    if (known !== undefined) return known.open;
    const { recorder, connectionId, mayGoOut, resolve } = this.#options;
    const folder = join(this.#folder, `${this.#ways.size}`);
    mkdirSync(folder, { mode: 0o700 });
    const path = join(folder, 'way-out');
    const proxy = new EgressProxy({
      entries: net.allow.map(parseEgressEntry).filter((entry) => entry !== undefined),
      recorder: recorder(server),
      connectionId,
      mayGoOut: () => mayGoOut?.(server) ?? true,
      ...(resolve === undefined ? {} : { resolve }),
    });
    const open = proxy.listen(path);
    this.#ways.set(server, { proxy, path, open });
    return open;
  }

  /** Everything is looked up anew, and refused where it is not what may be given. */
  #make(server: string, stated: StatedSandbox, program: Program): ReturnType<SandboxMaker['make']> {
    const { machine, withheld } = this.#options;
    const system = machine.system.mounts.map(({ path }) => path);
    const found = sandboxPlaces(stated, program, system, withheld);
    if (!found.ok) return found;
    const own = (name: string, to: string): Placed => ({ from: join(this.#folder, name), to });
    const placed = ['hosts', 'nsswitch.conf', 'passwd', 'group'].map((name) => own(name, `/etc/${name}`));
    const sandbox = (init: readonly string[], between: number, ourProcesses: number) => ({
      before: sandboxArguments({ ...found.contents, placed }, machine, this.#filter),
      // bubblewrap makes the first process of the sandbox itself.
      init,
      countsProcesses: countsProcessesHere(),
      between,
      ourProcesses,
      ownSession: true,
    });
    const env = { HOME: '/tmp', TMPDIR: '/tmp' };
    if (stated.net === 'none') return { ok: true, enclosure: sandbox([], 0, 0), env };
    const way = this.#ways.get(server);
    if (way === undefined) return { ok: false, reason: 'sandbox: the way out was not opened' };
    const [node, forwarder, socket] = ['node', 'out.mjs', 'way-out'].map((name) => `${OWN_FOLDER}/${name}`) as [
      string,
      string,
      string,
    ];
    placed.push(own('forwarder.mjs', forwarder), { from: process.execPath, to: node }, { from: way.path, to: socket });
    return {
      ok: true,
      enclosure: sandbox([node, forwarder, `${FORWARDER_PORT}`, socket], 1, FORWARDER_PROCESSES),
      env: { ...env, ...FORWARDER_VARIABLES },
    };
  }

  /** Ends every way out, and resolves when what is to be recorded of them is. */
  async close(): Promise<void> {
    await Promise.all([...this.#ways.values()].map(({ proxy }) => proxy.close()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The kernel counts processes for each user namespace, and holds nobody to it who is root outside. */
export function countsProcessesHere(): boolean {
  return process.getuid?.() !== 0;
}
