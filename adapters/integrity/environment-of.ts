// The environment of a server as a record: what its files are, by measuring them or by knowing them already, with what it is started.

import type {
  EnvironmentRecord,
  Keyed,
  MeasuredFile,
  MeasuredTree,
} from '../../control-plane/integrity/environment.ts';
import { valueDigest } from '../../control-plane/integrity/environment.ts';
import type { Digest } from '../../domain/digest.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { CommandLine } from './command-files.ts';
import type { KnownContents, KnownMeasurements } from './known-measurements.ts';
import { isMeasurement, type Sighting } from './measurement.ts';
import type { MeasuringThread } from './measuring-thread.ts';

/** A process as it is about to be started. */
export interface LaunchLine {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** All of it. */
  readonly env: Readonly<Record<string, string>>;
  /** Names of those variables that the configuration speaks of. The others are those of any session, and of whoever starts the gate. */
  readonly configured: readonly string[];
  readonly sandbox: JsonObject | null;
}

export interface Measured {
  readonly record: EnvironmentRecord;
  readonly sighting: Sighting;
  /** Entries of the trees as text, by digest; only where they were read now. */
  readonly texts: ReadonlyMap<Digest, string>;
}

export interface Means {
  readonly thread: MeasuringThread;
  readonly known: KnownMeasurements;
  readonly keyed: Keyed;
  /** Where our copies lie. */
  readonly store: string;
}

export interface Knowledge {
  /** The copy of ours that it runs from. */
  readonly from?: Digest | null;
  /** Everything is read, whatever is known. */
  readonly anew?: boolean;
  /** What was measured before in this run: where no state of a file is another one, it holds still. */
  readonly seen?: { readonly sighting: Sighting; readonly record: EnvironmentRecord };
}

/** Rejects with a plain explanation, CannotMeasure where it is the files'. */
export async function environmentOf(
  launch: LaunchLine,
  { thread, known, keyed, store }: Means,
  { from = null, anew = false, seen }: Knowledge = {},
): Promise<Measured> {
  const line: CommandLine = { ...lineOf(launch), store };
  const before = anew ? undefined : (contentsOf(seen) ?? known.get(line));
  const found = await thread.ask(line, before?.fingerprint);
  if (!isMeasurement(found)) {
    if (before === undefined) throw new Error('what is measured was not read');
    return { record: recordOf(launch, before, keyed, from), sighting: found, texts: new Map() };
  }
  known.put(line, found);
  const texts = new Map(found.trees.map(({ digest, text }) => [digest, text]));
  return { record: recordOf(launch, found, keyed, from), sighting: found, texts };
}

function contentsOf(seen: Knowledge['seen']): KnownContents | undefined {
  if (seen === undefined) return undefined;
  const { files, trees } = seen.record;
  return { fingerprint: seen.sighting.fingerprint, files, trees };
}

export function lineOf({ command, args, cwd, env }: LaunchLine): CommandLine {
  return { command, args: [...args], cwd, path: env.PATH };
}

function recordOf(
  { args, cwd, env, configured, sandbox }: LaunchLine,
  { files, trees }: { readonly files: readonly MeasuredFile[]; readonly trees: readonly MeasuredTree[] },
  keyed: Keyed,
  store: Digest | null,
): EnvironmentRecord {
  const variables = [...new Set(configured)].sort().flatMap((name) => {
    const value = env[name];
    return value === undefined ? [] : [[name, valueDigest(keyed, name, value)] as const];
  });
  return {
    v: 1,
    files: files.map(({ role, path, digest }) => ({ role, path, digest })),
    trees: trees.map(({ role, root, digest, files: count }) => ({ role, root, digest, files: count })),
    args: [...args],
    cwd,
    env: Object.fromEntries(variables),
    uid: process.getuid?.() ?? null,
    sandbox,
    store,
  };
}
