// The servers of a gate, wired: what is heard of one that starts, speaks, asks or ends goes to whoever has to know. Nothing is started here.

import { randomBytes, sha256 } from '../adapters/crypto/node-crypto.ts';
import { CredentialStore } from '../adapters/upstream/http/oauth/credentials.ts';
import { StartedProcesses } from '../adapters/upstream/stdio/left-processes.ts';
import type { DefinedList } from '../control-plane/integrity/definition.ts';
import { deny } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import { ulid } from '../domain/ids.ts';
import { rootLineage } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';
import type { Catalogue } from '../proxy/catalogue.ts';
import type { Enforcement } from '../proxy/enforcement.ts';
import type { Governance } from '../proxy/governance.ts';
import type { Clock } from '../proxy/ports.ts';
import { ServerPool } from '../proxy/server-pool.ts';
import type { Notice, OfferKind } from '../proxy/tool-server.ts';
import type { ApprovedServers } from './approved-servers.ts';
import type { ServerAttestations } from './attestations.ts';
import type { GateFacts } from './gate-facts.ts';
import { credentialsFile, processesFile } from './home.ts';
import { reasonOf } from './output.ts';
import type { PolicyInForce } from './policy-in-force.ts';
import type { ProcessAgents } from './process-agents.ts';
import type { RememberedDescriptions } from './remembered-descriptions.ts';
import type { GateOptions } from './running-gate.ts';
import type { Sandboxing } from './sandboxing.ts';
import { SupervisedServers } from './supervised-servers.ts';
import type { DurableUnknownCalls } from './unknown-calls.ts';

export interface GateServersPorts {
  readonly options: GateOptions;
  readonly clock: Clock;
  readonly governance: Governance;
  readonly catalogue: Catalogue;
  readonly sandboxing: Sandboxing;
  readonly attestations: Pick<ServerAttestations, 'guard'>;
  /** What is wired after this, and is there before the first server starts. */
  readonly later: () => {
    readonly enforcement: Enforcement;
    readonly policy: PolicyInForce;
    readonly approved: ApprovedServers;
    readonly facts: GateFacts;
    readonly unknown: DurableUnknownCalls;
    readonly processAgents: ProcessAgents;
    readonly remembered: RememberedDescriptions;
    readonly onUnavailable: (server: string) => void;
  };
}

export interface GateServers {
  readonly servers: SupervisedServers;
  readonly pool: ServerPool;
  /** Tells clients that what they may see of a server is another: its tools, or what else is named. */
  readonly announce: (server: string, lists?: readonly DefinedList[]) => void;
}

/** Lists that are not what they were once a server said so. */
const CHANGED_BY: Readonly<Record<string, readonly OfferKind[]>> = {
  'notifications/prompts/list_changed': ['prompts'],
  'notifications/resources/list_changed': ['resources', 'resourceTemplates'],
};

/** The same for every gate over this folder, of which there is one at a time. */
function gateMark(folder: string): string {
  return Buffer.from(sha256(new TextEncoder().encode(folder)))
    .toString('base64url')
    .slice(0, 22);
}

export function gateServers(ports: GateServersPorts): GateServers {
  const { clock, governance, catalogue, sandboxing, attestations, later } = ports;
  const { folder, keys, launches, note, configuration, version, consent, oneClient } = ports.options;
  const started = new StartedProcesses(processesFile(folder));
  /** Of a server that is a process its end is recorded, with what it said last. */
  const connectionEnded = (server: string): void => {
    const stated = configuration?.manifest.servers[server];
    const isRemote = stated !== undefined && stated.stdio === undefined && stated.inProcess === undefined;
    if (isRemote) void later().facts.serverEnded(server);
  };
  const servers = new SupervisedServers(launches, {
    version: version,
    gate: gateMark(folder.folder),
    note,
    credentials: new CredentialStore(credentialsFile(folder), keys.vault),
    consent: consent,
    onProcess: (pid) => started.note(pid),
    onDescribed: async (launch, live, when) => {
      await later().approved.described(launch, live);
      await later().unknown.calls.forgetRepeatable(launch.name);
      // While it was away nothing of it could be called; what is listed while it runs is what was approved, whatever it says.
      if (when === 'started' && later().policy.served.includes(launch.name)) announce(launch.name);
    },
    remembered: (launch) => later().remembered.of(launch),
    onAsked: (launch, { live, description }) => {
      if (later().approved.likeness(launch, live) === 'same') later().remembered.put(launch, description);
    },
    onRelisted: (launch, live) => later().approved.described(launch, live),
    onUnavailable: (server, reason) => {
      later().onUnavailable(server);
      // As long as another server is there the gate is open, and only calls of this one are denied.
      const code = sandboxing.lacks(server) === undefined ? 'SERVER_UNAVAILABLE' : 'SANDBOX_MISSING';
      if (later().policy.served.length === 0) governance.shut('servers', code, `${server}: ${reason}`);
    },
    lacks: (server) => sandboxing.lacks(server),
    sandbox: (server) => sandboxing.maker(server),
    compare: (launch, live) => later().approved.likeness(launch, live),
    onNotice: (server, notice) => noticed(server, notice),
    onQuestion: (server, question) =>
      oneClient === true && later().enforcement.isOffered(server)
        ? later().enforcement.notices.ask(server, question)
        : undefined,
    onReady: (server) => {
      if (oneClient === true && later().enforcement.isOffered(server)) later().enforcement.notices.ready(server);
    },
    onEnded: connectionEnded,
    adopt: (server) => later().processAgents.of(server),
    guard: (server) => attestations.guard(server),
    onProcessEnded: (server, ended) => {
      later()
        .facts.processEnded(server, ended)
        .catch((error: unknown) => note(`server ${server}: its end is not recorded: ${reasonOf(error)}`));
    },
    onRefusedRequest: (server, { method, nobodyThere }) => {
      const call = ulid(clock.now(), randomBytes(10));
      const requested = {
        type: 'call.requested',
        at: clock.now(),
        call,
        method,
        server,
        tool: null,
        principal: serverPrincipal(server),
        args: null,
        lineage: rootLineage(call),
      } as const;
      // That nobody can be asked is no doing of the server's, which was told that somebody might be. To go on asking is.
      const denial = nobodyThere
        ? deny('CLIENT_CANNOT_BE_ASKED', 'a request of the server')
        : deny('METHOD_NOT_SERVED', 'a request of the server');
      void later().enforcement.refuse({ requested, denial }).end;
    },
  });
  const announce = (server: string, lists: readonly DefinedList[] = ['tools']): void => {
    for (const list of lists) {
      const called = list === 'resourceTemplates' ? 'resources' : list;
      later().enforcement.notices.tell(server, { method: `notifications/${called}/list_changed`, params: {} });
    }
  };
  /** `only`: the server belongs to this conversation alone. */
  const noticed = (server: string, notice: Notice, only?: object): void => {
    // Nothing is heard of a server that is not offered, or not any more.
    if (!later().enforcement.isOffered(server) || catalogue.server(server) === undefined) return;
    for (const kind of CHANGED_BY[notice.method] ?? []) later().enforcement.offers.changed(server, kind, only);
    later().enforcement.notices.tell(server, notice, only);
  };
  const pool = new ServerPool({
    shared: (name) => servers.get(name),
    returning: (name) => servers.returning(name),
    apart: (name) => servers.apart(name),
    lacks: (name) => sandboxing.lacks(name),
    onNotice: noticed,
    onQuestion: (server, question, conversation) => later().enforcement.notices.ask(server, question, conversation),
    onReady: (server, conversation) => later().enforcement.notices.ready(server, conversation),
    onEnded: connectionEnded,
    note,
  });
  return { servers, pool, announce };
}

/** A server that asks for something is a principal too, and one without any authority. */
function serverPrincipal(name: string): Principal {
  const bytes = sha256(new TextEncoder().encode(`portcullis/server/v1\n${name}`));
  const connection: Digest = `sha256:${Buffer.from(bytes).toString('base64url')}`;
  return { agent: `server:${name}`, roles: [], root: false, authentication: 'local', connection };
}
