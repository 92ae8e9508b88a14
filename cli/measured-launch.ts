// The environment of a server as it is now, for a person who looks at it or approves it. What a package runner would fetch is installed into the store first,
// so that what is shown, what is measured and what a gate starts later is one copy.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomBytes, sha256 } from '../adapters/crypto/node-crypto.ts';
import { environmentOf, type LaunchLine, type Means } from '../adapters/integrity/environment-of.ts';
import { storePackage } from '../adapters/integrity/package-store.ts';
import type { StartGuard, StartLine } from '../adapters/upstream/stdio/start-guard.ts';
import {
  type EnvironmentDifference,
  type EnvironmentRecord,
  environmentDifferences,
  environmentDigest,
  readEnvironment,
} from '../control-plane/integrity/environment.ts';
import { readTree, type TreeEntry, treeDigest } from '../control-plane/integrity/measured-tree.ts';
import { packageRunner } from '../control-plane/integrity/package-runner.ts';
import type { Digest } from '../domain/digest.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import { sandboxOf } from './attestations.ts';
import type { ServerLaunch } from './servers.ts';

export interface MeasuredLaunch {
  readonly record: EnvironmentRecord;
  /** Has what was measured started, and nothing else. */
  readonly guard: StartGuard;
  /** What was installed for it just now; absent where it runs from where it lies. */
  readonly installed?: { readonly name: string; readonly version: string };
}

/** For an approval: everything is read. Undefined for a server that is no process. Rejects with a plain explanation. */
export async function measureForApproval(
  launch: ServerLaunch,
  state: string,
  means: Means,
): Promise<MeasuredLaunch | undefined> {
  const line = launch.line?.();
  if (line === undefined) return undefined;
  const runner = packageRunner(line.command, line.args);
  const stored =
    runner === undefined ? undefined : await storePackage(runner, means, { path: line.env.PATH, cwd: line.cwd });
  const started: StartLine = stored === undefined ? line : { ...line, command: stored.command, args: stored.args };
  const launched: LaunchLine = { ...started, sandbox: sandboxOf(launch.description) };
  const { record, texts } = await environmentOf(launched, means, { from: stored?.digest ?? null, anew: true });
  keepTrees(state, record, texts);
  return {
    record,
    guard: { before: async () => started, started: async () => {}, ended: () => {} },
    ...(stored === undefined ? {} : { installed: { name: stored.name, version: stored.version } }),
  };
}

/** As a gate would start it that goes by this approval; undefined for what a gate would not start at all. */
export async function measureAsApproved(
  launch: ServerLaunch,
  approved: EnvironmentRecord | undefined,
  means: Means,
): Promise<{ readonly record: EnvironmentRecord; readonly texts: ReadonlyMap<Digest, string> } | undefined> {
  const line = launch.line?.();
  if (line === undefined) return undefined;
  const sandbox = sandboxOf(launch.description);
  const program = approved?.store == null ? undefined : approved.files.find(({ role }) => role === 'program')?.path;
  if (approved !== undefined && program !== undefined)
    return environmentOf({ ...line, command: program, args: approved.args, sandbox }, means, {
      from: approved.store,
      anew: true,
    });
  if (packageRunner(line.command, line.args) !== undefined) return undefined;
  return environmentOf({ ...line, sandbox }, means, { anew: true });
}

/** What differs of where it runs since it was approved; undefined where that cannot be compared, because either was not measured. */
export function differencesSince(
  approved: Json,
  now: EnvironmentRecord | undefined,
): readonly EnvironmentDifference[] | undefined {
  const before = readEnvironment(approved);
  return before === undefined || now === undefined ? undefined : environmentDifferences(before, now);
}

/** Kept beside what was approved, so that a later difference can be named file by file. Whoever changes it changes its digest. */
function keepTrees(state: string, record: EnvironmentRecord, texts: ReadonlyMap<Digest, string>): void {
  const file = treesFile(state, environmentDigest(sha256, record));
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const members = [...texts].map(([digest, text]) => `${JSON.stringify(digest)}:${text}`);
  const fresh = `${file}.${Buffer.from(randomBytes(6)).toString('hex')}`;
  writeFileSync(fresh, `{${members.join(',')}}`, { mode: 0o600 });
  renameSync(fresh, file);
}

/** The entries of a tree that was approved; undefined where they were not kept, or are not what was approved. */
export function approvedTree(state: string, environment: Digest, digest: Digest): readonly TreeEntry[] | undefined {
  try {
    const json = JSON.parse(readFileSync(treesFile(state, environment), 'utf8')) as Json;
    const entries = isJsonObject(json) && Object.hasOwn(json, digest) ? readTree(json[digest] ?? null) : undefined;
    return entries !== undefined && treeDigest(sha256, entries) === digest ? entries : undefined;
  } catch {
    return undefined;
  }
}

function treesFile(state: string, environment: Digest): string {
  return join(state, 'trees', `${environment.slice('sha256:'.length)}.json`);
}
