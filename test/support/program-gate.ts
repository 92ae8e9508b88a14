// A gate inside of the test's own process, in a home of its own, as a program opens it.

import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findHome, gateFolder } from '../../cli/home.ts';
import { openKeys } from '../../cli/ledger.ts';
import { openGate, type ProgramGate } from '../../cli/program.ts';
import { launchOf } from '../../cli/servers.ts';
import type { ManifestInput } from '../../control-plane/policy/manifest.ts';
import { parseManifest } from '../../control-plane/policy/parse-manifest.ts';
import { approveLaunches } from './approve-first.mjs';
import { type CallEvidence, callsOf } from './evidence.ts';

export interface ProgramOptions {
  readonly manifest: Omit<ManifestInput, 'apiVersion'>;
  readonly rules: string;
  readonly name?: string;
  /** Shared with another gate. */
  readonly home?: string;
}

export interface OpenedProgram {
  readonly gate: ProgramGate;
  readonly home: string;
  /** What its ledger says of its calls. */
  calls(): Promise<readonly CallEvidence[]>;
  /** The same of one of them. */
  callOf(id: string): Promise<CallEvidence>;
  readonly notes: string[];
}

const opened: OpenedProgram[] = [];
const homes = new Set<string>();

export function temporaryHome(): string {
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
  homes.add(home);
  return home;
}

export async function openProgram({ manifest, rules, name, home }: ProgramOptions): Promise<OpenedProgram> {
  const at = home ?? temporaryHome();
  const notes: string[] = [];
  await approveServers(at, manifest);
  const gate = await openGate({
    configuration: { manifest: { apiVersion: 'portcullis/v1', ...manifest }, rules },
    name: name ?? 'program',
    home: at,
    onNote: (text) => notes.push(text),
  });
  const calls = (): Promise<readonly CallEvidence[]> =>
    callsOf({ home: at, ledger: () => gate.ledger }, name ?? 'program');
  const callOf = async (id: string): Promise<CallEvidence> => {
    const found = (await calls()).find(({ call }) => call === id);
    if (found === undefined) throw new Error(`the ledger has no call ${id}`);
    return found;
  };
  const program = { gate, home: at, notes, calls, callOf };
  opened.push(program);
  return program;
}

/** What a person would have done before: functions are the program's own, everything else is approved as it is now. */
async function approveServers(home: string, manifest: ProgramOptions['manifest']): Promise<void> {
  const parsed = parseManifest(JSON.stringify({ apiVersion: 'portcullis/v1', ...manifest }), 'manifest');
  if (!parsed.ok) return;
  const others = Object.entries(parsed.manifest.servers).filter(([, { inProcess }]) => inProcess === undefined);
  if (others.length === 0) return;
  const folder = gateFolder(findHome({ PORTCULLIS_HOME: home }), 'any');
  const launches = await Promise.all(others.map(([name, server]) => launchOf(name, server, '.')));
  await approveLaunches(dirname(folder.keys), openKeys(folder.keys).vault, launches);
}

export async function closePrograms(): Promise<void> {
  for (const { gate } of opened.splice(0)) await gate.close();
  for (const home of homes) rmSync(home, { recursive: true, force: true });
  homes.clear();
}
