// The sandboxes of a gate, wired: what the manifest demands against what this machine has, found out when the gate starts. A server that demands what is
// not here stays shut, says why, and takes nobody along.

import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { randomBytes } from '../adapters/crypto/node-crypto.ts';
import type { SandboxMachine } from '../adapters/sandbox/arguments.ts';
import { type FoundSandbox, findSandbox } from '../adapters/sandbox/machine.ts';
import { listedPlaces } from '../adapters/sandbox/places.ts';
import type { EgressRecorder } from '../adapters/sandbox/ports.ts';
import { Sandboxes, type StatedSandbox } from '../adapters/sandbox/sandboxes.ts';
import type { SandboxMaker } from '../adapters/upstream/stdio/ports.ts';
import type { SandboxSpec } from '../control-plane/policy/sandbox.ts';
import { ulid } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Clock, Recorder } from '../proxy/ports.ts';
import type { Configuration } from './configuration.ts';
import type { GateFolder } from './home.ts';

/** What a server's launch says of its sandbox. */
export interface SandboxedLaunch {
  readonly name: string;
  readonly sandbox?: StatedSandbox | undefined;
}

export interface SandboxingPorts {
  readonly folder: GateFolder;
  readonly configuration: Configuration | undefined;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** Whether a server may reach anybody now. */
  readonly mayGoOut: (server: string) => boolean;
  /** In place of looking. For tests. */
  readonly find?: () => Promise<FoundSandbox>;
}

export interface Sandboxing {
  /** Why a server stays shut; undefined for one that has all it demands, or demands nothing. */
  lacks(server: string): string | undefined;
  maker(server: string): SandboxMaker | undefined;
  close(): Promise<void>;
}

/** The manifest's words as this machine has them. */
export function statedSandbox(spec: SandboxSpec, baseFolder: string): StatedSandbox {
  const { read, write, net } = spec;
  const places = (list: readonly string[]) => listedPlaces(list, baseFolder, homedir());
  return { read: places(read), write: places(write), net };
}

/** As part of how a server is launched: the places where they lie, whatever they are called. */
export function describedSandbox({ read, write, net }: StatedSandbox): JsonObject {
  const paths = (list: StatedSandbox['read']) => list.map(({ path }) => path).sort();
  return {
    read: paths(read),
    write: paths(write),
    net: net === 'none' ? 'none' : { allow: [...net.allow].sort() },
  };
}

/** Looks at the machine where any server demands a sandbox. */
export async function openSandboxing(
  launches: readonly SandboxedLaunch[],
  ports: SandboxingPorts,
): Promise<Sandboxing> {
  const stated = new Map(launches.flatMap(({ name, sandbox }) => (sandbox === undefined ? [] : [[name, sandbox]])));
  if (stated.size === 0) return { lacks: () => undefined, maker: () => undefined, close: () => Promise.resolve() };
  const found = await (ports.find ?? findSandbox)();
  const { recorder, clock, mayGoOut } = ports;
  // Made for the first server that is started: until then nothing is left behind where the gate does not open.
  let sandboxes: Sandboxes | undefined;
  const made = (machine: SandboxMachine): Sandboxes => {
    sandboxes ??= new Sandboxes({
      machine,
      withheld: withheld(ports),
      recorder: (server) => egressRecorder(server, recorder),
      connectionId: () => ulid(clock.now(), randomBytes(10)),
      mayGoOut,
    });
    return sandboxes;
  };
  return {
    lacks: (server) => {
      const sandbox = stated.get(server);
      if (sandbox === undefined || found.ok) return undefined;
      return `${found.reason} (${found.hint})`;
    },
    maker: (server) => {
      const sandbox = stated.get(server);
      return sandbox === undefined || !found.ok ? undefined : made(found.machine).maker(server, sandbox);
    },
    close: async () => sandboxes?.close(),
  };
}

function withheld({ folder, configuration }: SandboxingPorts): ConstructorParameters<typeof Sandboxes>[0]['withheld'] {
  const state = dirname(folder.keys);
  const manifest = configuration === undefined ? [] : [resolve(configuration.file)];
  const rules = (configuration?.policies ?? []).map(({ file }) => resolve(dirname(manifest[0] ?? ''), file));
  return { secret: [state], store: join(state, 'store'), governing: [...manifest, ...rules], home: homedir() };
}

/** Each fact is an entry of its own. What the server chose is cut where it was read. */
function egressRecorder(server: string, recorder: Recorder): EgressRecorder {
  const append = async (body: { readonly type: string } & JsonObject): Promise<void> => {
    await recorder.append(body, []);
  };
  return {
    opened: (opening) => append({ type: 'egress.opened', server, ...opening }),
    closed: (closing) => append({ type: 'egress.closed', server, ...closing }),
    refused: (refusal) => append({ type: 'egress.refused', server, ...refusal }),
  };
}
