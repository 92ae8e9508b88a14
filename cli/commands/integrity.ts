// portcullis integrity: of every server that is a process what was approved of its environment, what it is now, and what differs, item by item. It only looks:
// nothing is started, installed or approved.

import { dirname, resolve } from 'node:path';
import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import type { Means } from '../../adapters/integrity/environment-of.ts';
import {
  type EnvironmentRecord,
  environmentDifferences,
  environmentDigest,
  readEnvironment,
} from '../../control-plane/integrity/environment.ts';
import { readTree, treeDifferences } from '../../control-plane/integrity/measured-tree.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Json } from '../../domain/json.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { Approvals, approvalFor } from '../approvals.ts';
import { measuringMeans } from '../attestations.ts';
import { personsEnvironment } from '../client-variables.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome, gateFolder } from '../home.ts';
import { openKeys } from '../ledger.ts';
import { approvedTree, measureAsApproved } from '../measured-launch.ts';
import { loadConfiguration } from '../open-gate.ts';
import { CommandError, type Output, reasonOf } from '../output.ts';
import { launchOf, type ServerLaunch } from '../servers.ts';

export interface IntegrityOptions {
  readonly config?: string;
  /** Where servers are started that the manifest starts nowhere in particular. */
  readonly cwd?: string;
}

type State = 'as approved' | 'different' | 'not approved' | 'approved unmeasured' | 'not measurable' | 'no process';

interface Looked {
  readonly server: string;
  readonly state: State;
  readonly approved: Digest | null;
  readonly now: Digest | null;
  readonly runsFrom: string | null;
  readonly differences: readonly { readonly item: string; readonly what: string }[];
  readonly problem?: string;
}

const DIFFERENCES_SHOWN_MAX = 40;

export async function integrity(
  servers: readonly string[],
  { config, cwd }: IntegrityOptions,
  out: Output,
): Promise<number> {
  const home = findHome();
  const configuration = loadConfiguration(home, config);
  if (configuration === undefined) {
    throw new CommandError(`there is no ${home.config}/portcullis.yaml`, EXIT.usage, ['name one with --config FILE']);
  }
  const { manifest, file } = configuration;
  const unknown = servers.find((name) => !Object.hasOwn(manifest.servers, name));
  if (unknown !== undefined) {
    throw new CommandError(`${file} lists no server "${visibleText(unknown, 80)}"`, EXIT.usage, [
      `servers: ${Object.keys(manifest.servers).join(', ')}`,
    ]);
  }
  const { vault } = openKeys(gateFolder(home, 'any').keys);
  const { approvals } = await new Approvals(home.state, vault).read();
  const means = measuringMeans(home.state, vault);
  const environment = personsEnvironment(home);
  const looked: Looked[] = [];
  try {
    for (const [name, server] of Object.entries(manifest.servers)) {
      if ((servers.length > 0 && !servers.includes(name)) || server.inProcess !== undefined) continue;
      const launch = await launchOf(name, server, dirname(file), resolve(cwd ?? '.'), environment(name));
      const approval = approvalFor(approvals, name, launch.description);
      looked.push(await lookAt(launch, approval?.environment, home.state, means));
    }
  } finally {
    await means.thread.close();
  }
  for (const one of looked) tell(one, out);
  out.answer({ servers: looked });
  return looked.some(({ state }) => state === 'different' || state === 'not measurable')
    ? EXIT.verificationFailed
    : EXIT.ok;
}

async function lookAt(
  launch: ServerLaunch,
  environment: Json | undefined,
  state: string,
  means: Means,
): Promise<Looked> {
  const record = readEnvironment(environment ?? undefined);
  const approved = record === undefined ? null : environmentDigest(sha256, record);
  const runsFrom = record === undefined ? null : placeOf(record);
  const common = { server: launch.name, approved, now: null, runsFrom, differences: [] };
  if (launch.line === undefined) return { ...common, state: 'no process' };
  try {
    const measured = await measureAsApproved(launch, record, means);
    if (measured === undefined)
      return {
        ...common,
        state: 'not approved',
        problem: 'it fetches what it runs: nothing is known before it is approved',
      };
    const now = environmentDigest(sha256, measured.record);
    const seen = { ...common, now, runsFrom: placeOf(measured.record) };
    if (environment === undefined) return { ...seen, state: 'not approved' };
    if (record === undefined || approved === null) return { ...seen, state: 'approved unmeasured' };
    const differences = environmentDifferences(record, measured.record).flatMap((one) => {
      const tree = record.trees.find(({ role, root }) => one.item === `tree ${role} ${root}`);
      const files = tree === undefined ? [] : filesOf(state, approved, tree, measured);
      return files.length === 0 ? [one] : files;
    });
    return { ...seen, state: differences.length === 0 ? 'as approved' : 'different', differences };
  } catch (error) {
    return { ...common, state: 'not measurable', problem: reasonOf(error) };
  }
}

/** Of a tree that is another one, file by file where it is known what it was. */
function filesOf(
  state: string,
  approved: Digest,
  { role, root, digest }: EnvironmentRecord['trees'][number],
  { record, texts }: { readonly record: EnvironmentRecord; readonly texts: ReadonlyMap<Digest, string> },
): { readonly item: string; readonly what: string }[] {
  const now = record.trees.find((tree) => tree.role === role && tree.root === root);
  const text = now === undefined ? undefined : texts.get(now.digest);
  const before = approvedTree(state, approved, digest);
  const after = text === undefined ? undefined : readTree(JSON.parse(text) as Json);
  if (before === undefined || after === undefined) return [];
  return treeDifferences(before, after).map(({ path, what }) => ({ item: `${root}/${path}`, what }));
}

function placeOf({ store, trees, files }: EnvironmentRecord): string {
  const tree = trees.find(({ role }) => role !== 'dependency');
  const place = tree?.root ?? files[0]?.path ?? '';
  return store === null ? place : `${place} (a copy)`;
}

function tell({ server, state, approved, now, runsFrom, differences, problem }: Looked, out: Output): void {
  out.line(out.style('bold', `server ${server}: ${state}`));
  if (runsFrom !== null) out.line(`    runs from  ${visibleText(runsFrom, 400)}`);
  if (approved !== null) out.line(`    approved   ${approved}`);
  if (now !== null) out.line(`    now        ${now}`);
  if (problem !== undefined) out.line(`    ${problem}`);
  for (const { item, what } of differences.slice(0, DIFFERENCES_SHOWN_MAX))
    out.line(out.style('red', `    ${what.padEnd(8)}  ${visibleText(item, 400)}`));
  const more = differences.length - DIFFERENCES_SHOWN_MAX;
  if (more > 0) out.line(`    and ${more} more: --json shows all`);
}
