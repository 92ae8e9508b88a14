// Whether the clients of this machine really go through the gate: what their files say, held against who has been seen on the wire. Reads only.

import type { Machine } from '../adapters/clients/client-paths.ts';
import { foundFiles } from '../adapters/clients/found-files.ts';
import { visibleText } from '../domain/visible-text.ts';
import { gateAddresses } from './gate-addresses.ts';
import type { Home } from './home.ts';
import { thisMachine } from './onboarding/client-files.ts';
import { ownProgram } from './onboarding/own-program.ts';
import { planOf } from './onboarding/plan.ts';
import { placeText, problemText } from './onboarding/plan-text.ts';
import { ServerNames } from './onboarding/server-names.ts';
import type { Finding } from './server-findings.ts';
import { type Sighting, sightingsOf } from './sightings.ts';

/**
 * `seen`: on the wire. `unseen`: it is configured so. `bypassed`: its client reaches it without us. `left`: it cannot be governed as it stands. `off`: its
 * client does not use it.
 */
export type Governed = 'seen' | 'unseen' | 'bypassed' | 'left' | 'off';

export interface ClientServer {
  readonly client: string;
  readonly title: string;
  readonly file: string;
  /** As the client calls it. */
  readonly name: string;
  readonly state: Governed;
  readonly detail: string;
  readonly hint?: string;
  readonly seen?: Sighting;
}

export interface ClientFindings {
  readonly servers: readonly ClientServer[];
  readonly findings: readonly Finding[];
  /** Servers that agents reach, or may reach, without the gate, and those of which nothing was seen yet. */
  readonly gaps: number;
}

export function clientFindings(home: Home, now: number, machine: Machine = thisMachine()): ClientFindings {
  const { files, unread } = foundFiles(machine);
  const gate = { node: process.execPath, program: ownProgram(), home: machine.home, addresses: gateAddresses(home) };
  const plan = planOf(files, gate, new ServerNames(undefined, () => undefined), {});
  const seen = sightingsOf(home);
  const servers = files.flatMap((file) =>
    file.servers.map(({ name, entry }): ClientServer => {
      const { id: client, title, reload } = file.client;
      const common = { client, title, file: file.file, name };
      if (entry.kind === 'other' && entry.reason === 'disabled') return { ...common, state: 'off', detail: entry.why };
      const left = plan.left.find((one) => one.client === file.client && one.file === file.file && one.name === name);
      if (left === undefined) {
        const hint = `put it behind the gate: portcullis init --client ${client}`;
        return { ...common, state: 'bypassed', detail: 'its client reaches it without the gate', hint };
      }
      if (left.state === 'left') return { ...common, state: 'left', detail: left.why, hint: left.hint };
      if (entry.kind !== 'wrapped') return { ...common, state: 'seen', detail: left.why };
      const sighting = seen.find(({ agent, server }) => agent === entry.agent && server === entry.name);
      if (sighting !== undefined) return { ...common, state: 'seen', detail: seenText(sighting, now), seen: sighting };
      const detail = 'it is behind the gate, and nobody has come for it yet';
      return { ...common, state: 'unseen', detail, hint: reload };
    }),
  );
  const gaps = servers.filter(({ state }) => state !== 'seen' && state !== 'off').length;
  const unreadable = unread.map((one): Finding => {
    const detail = `${placeText(one.file)}: ${problemText(one)}`;
    return { check: one.client.id, state: 'problem', detail, hint: 'its servers are not known; mend the file' };
  });
  const titles = new Map(files.filter((one) => one.servers.length > 0).map((one) => [one.client.id, one.client]));
  const never = [...titles.values()].flatMap(({ id, ungoverned }): Finding[] =>
    ungoverned.length === 0 ? [] : [{ check: id, state: 'remark', detail: `passes no gate: ${ungoverned.join(', ')}` }],
  );
  return { servers, findings: [...servers.map(findingOf), ...unreadable, ...never], gaps: gaps + unreadable.length };
}

function findingOf({ client, file, name, state, detail, hint }: ClientServer): Finding {
  return {
    check: client,
    state: state === 'seen' || state === 'off' ? 'ok' : 'remark',
    detail: `${visibleText(name, 80)} (${placeText(file)}): ${visibleText(detail, 400)}`,
    ...(hint === undefined ? {} : { hint }),
  };
}

function seenText({ at, revision, client }: Sighting, now: number): string {
  const who = client === null ? 'a client' : [client.name, client.version].filter((one) => one !== undefined).join(' ');
  return `${who} came through the gate ${agoText(now - at)}, and speaks ${revision}`;
}

function agoText(ms: number): string {
  const minutes = Math.floor(Math.max(0, ms) / 60_000);
  if (minutes < 1) return 'a moment ago';
  if (minutes < 120) return `${minutes} min ago`;
  return minutes < 2_880 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1_440)} days ago`;
}
