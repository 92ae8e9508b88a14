// The composition root: wires the adapters to the core and starts a gate. Nothing is open before everything a call needs has reported ready.

import { dirname } from 'node:path';
import { randomBytes, sha256, Verifier } from '../adapters/crypto/node-crypto.ts';
import { EraSession } from '../adapters/downstream/era-session.ts';
import { OpenRounds } from '../adapters/downstream/modern/open-rounds.ts';
import type { PeerFront } from '../adapters/downstream/ws/ws-front.ts';
import type { DecidingThread } from '../adapters/policy-engine/deciding-thread.ts';
import { WorkerAuthority } from '../adapters/policy-engine/worker-authority.ts';
import { StateDocumentRefused } from '../adapters/storage/state-document.ts';
import { CredentialStore } from '../adapters/upstream/http/oauth/credentials.ts';
import { StartedProcesses } from '../adapters/upstream/stdio/left-processes.ts';
import { anomalyLimits } from '../control-plane/anomaly/limits.ts';
import type { CallLimits } from '../control-plane/authorization.ts';
import type { DefinedList } from '../control-plane/integrity/definition.ts';
import { Revocations } from '../control-plane/permits/revocations.ts';
import { deny } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import { ulid } from '../domain/ids.ts';
import { rootLineage } from '../domain/lineage.ts';
import { permitAudience, permitIssuer } from '../domain/permit.ts';
import type { Principal } from '../domain/principal.ts';
import { visibleText } from '../domain/visible-text.ts';
import { LedgerRefused } from '../ledger/open.ts';
import { inPlace, type LimitsOf, serverOf } from '../proxy/admission.ts';
import { BreakerLog, type StandingSince } from '../proxy/breaker-log.ts';
import { Catalogue } from '../proxy/catalogue.ts';
import { Channels } from '../proxy/channels.ts';
import type { ClientSessions } from '../proxy/client-port.ts';
import { Conversation } from '../proxy/conversation.ts';
import { Enforcement } from '../proxy/enforcement.ts';
import { Gate } from '../proxy/gate.ts';
import { Governance } from '../proxy/governance.ts';
import { LedgerKeeper } from '../proxy/ledger-keeper.ts';
import { MESSAGE_BYTES_MAX, QUESTION_TIMEOUT_MS } from '../proxy/limits.ts';
import { outputCheck } from '../proxy/output-check.ts';
import { PolicyTurnover } from '../proxy/policy-turnover.ts';
import type { Authority, GateCrypto } from '../proxy/ports.ts';
import { Quarantine, type Quarantined } from '../proxy/quarantine.ts';
import { ServerPool } from '../proxy/server-pool.ts';
import { SpentPermits } from '../proxy/spent-permits.ts';
import type { Notice, OfferKind } from '../proxy/tool-server.ts';
import { saysRepeatable, type UnknownCall } from '../proxy/unknown-calls.ts';
import { Approvals } from './approvals.ts';
import { ApprovedServers } from './approved-servers.ts';
import { attestServers } from './attestations.ts';
import { openBehaviour } from './behaviour.ts';
import { openChains } from './call-tree.ts';
import type { Configuration } from './configuration.ts';
import { afterCrash } from './crash-recovery.ts';
import { GateFacts } from './gate-facts.ts';
import { credentialsFile, type GateFolder, processesFile } from './home.ts';
import { type GateKeys, openGeneration } from './ledger.ts';
import { reasonOf } from './output.ts';
import { PolicyInForce } from './policy-in-force.ts';
import { ProcessAgents } from './process-agents.ts';
import type { Quarantines } from './quarantines.ts';
import { Relisting } from './relisting.ts';
import { reviewCommand } from './review-command.ts';
import { openSandboxing, type SandboxingPorts } from './sandboxing.ts';
import type { ServerLaunch, ServerSurroundings } from './servers.ts';
import { SupervisedServers } from './supervised-servers.ts';
import { systemClock } from './system-clock.ts';
import { durableUnknownCalls, type Settlement } from './unknown-calls.ts';
import { openWithdrawals, type Withdrawals } from './withdrawals.ts';

export interface GateOptions {
  readonly folder: GateFolder;
  readonly keys: GateKeys;
  readonly version: string;
  /** Undefined on a first run: the gate works, records, and denies every call. */
  readonly configuration: Configuration | undefined;
  readonly launches: readonly ServerLaunch[];
  /** Said to a model whose call was denied for want of a policy. */
  readonly missingPolicyHint: string;
  /** There is one client for as long as the gate lives, so that whatever a server asks is for that one. */
  readonly oneClient?: boolean;
  readonly note: (text: string) => void;
  /** See PolicyInForce. */
  readonly onJudged?: ((servers: readonly string[]) => void) | undefined;
  /** Loading already; used for the policy where there is one, and ended where there is none. */
  readonly deciding?: DecidingThread | undefined;
  /** Consents to an authorization in a person's place. For tests: a gate has nobody to ask, and says `portcullis login` instead. */
  readonly consent?: ServerSurroundings['consent'];
  /** In place of looking what this machine has. For tests. */
  readonly findSandbox?: SandboxingPorts['find'];
  /** Stands between the gate and its deciding side. For showing what happens when that side is wrong or gone. */
  readonly interpose?: (authority: Authority) => Authority;
}

export interface RunningGate extends Withdrawals {
  readonly enforcement: Enforcement;
  readonly governance: Governance;
  readonly sessions: ClientSessions;
  /** Takes in the gates that dial this one; undefined where none may. */
  readonly peers: PeerFront | undefined;
  readonly authority: WorkerAuthority;
  readonly quarantines: Quarantines;
  /** Settles when the gate is open, or cannot open by itself. */
  readonly ready: Promise<void>;
  /** The servers whose calls can be decided now. */
  served(): readonly string[];
  /** What keeps the gate shut, and what does not, guard by guard. */
  standings(): readonly StandingSince[];
  /** Whoever is set aside. */
  quarantined(): readonly Quarantined[];
  /** Calls that nobody knows the end of, and that are not made again before a person has looked. */
  unknownCalls(): readonly UnknownCall[];
  /** A person has. Rejects, and changes nothing, when it cannot be recorded. */
  settle(call: string, as: Settlement, by?: string): Promise<void>;
  /** Has what was approved or taken back since then count now. Never rejects. */
  takeApprovals(): Promise<void>;
  /** Shuts the gate for a defect that was found outside of it. */
  halt(defect: unknown): void;
  close(): Promise<void>;
}

/** A question has the client's time, and an answer as large as any message. */
const QUESTION_LIMITS: CallLimits = { timeoutMs: QUESTION_TIMEOUT_MS, outputBytes: MESSAGE_BYTES_MAX };

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

export async function startGate(options: GateOptions): Promise<RunningGate> {
  const { folder, keys, launches, note } = options;
  const clock = systemClock;
  const boot = ulid(clock.now(), randomBytes(10));
  const governance = new Governance(boot, ['ledger', 'revocations', 'policy', 'engine', 'servers']);
  const verifier = new Verifier();
  const permitKey = verifier.register(keys.permitPublicKey);
  if (permitKey === undefined) throw new Error('the public key for permits is not a usable Ed25519 key');
  const crypto: GateCrypto = { sha256, randomBytes, verifyPermit: verifier.verify };

  const quarantine = new Quarantine();
  const behaviour = await openBehaviour({
    folder,
    secret: keys.vault,
    manifest: options.configuration?.manifest,
    enforcement: { setAside: (quarantined) => enforcement.setAside(quarantined) },
    quarantine,
    recorder: { append: (...entry) => keeper.append(...entry) },
    note,
  });
  const repeatable = new Set(
    launches.flatMap(({ name, retryAfterUnknown }) => (retryAfterUnknown === 'allow' ? [name] : [])),
  );
  const unknown = durableUnknownCalls({
    folder,
    secret: keys.vault,
    now: () => clock.monotonic(),
    mayRepeat: (server, tool) => repeatable.has(server) || saysRepeatable(catalogue.tool(server, tool)?.definition),
  });
  const keeper = new LedgerKeeper({
    governance,
    clock,
    open: () =>
      openGeneration(folder, keys, { watch: behaviour, onRecovered: (intents) => unknown.recovered(intents) }),
    onFailure: (detail) => {
      note(`the ledger failed and the gate is shut: ${visibleText(detail)}`);
      void enforcement.stopAll({ type: 'fault.occurred', code: 'GOV_LEDGER_UNWRITABLE' });
    },
  });

  const breaker = new BreakerLog({
    governance,
    recorder: keeper,
    clock,
    onUnrecorded: (detail) => keeper.fail(`what shut or opened the gate could not be recorded: ${detail}`),
  });

  const catalogue = new Catalogue(
    sha256,
    launches.map(({ name }) => name),
  );
  const attestations = attestServers({
    state: dirname(folder.keys),
    secret: keys.vault,
    launches,
    catalogue,
    recorder: keeper,
    approved: (server) => approved.standing(server),
    setAside: (quarantined) => {
      const stopping = enforcement.setAside(quarantined);
      approved.broke(quarantined.id);
      return stopping;
    },
    lift: (server) => quarantine.lift('server', server, 'environment'),
    note,
  });
  const channels = new Channels();
  const turnover = new PolicyTurnover(clock);
  const sandboxing = await openSandboxing(launches, {
    folder,
    configuration: options.configuration,
    recorder: keeper,
    clock,
    mayGoOut: (server) =>
      !(['operator', 'halt', 'ledger'] as const).some((guard) => governance.isShutBy(guard)) &&
      // One that was approved a moment ago starts before it is offered.
      quarantine
        .all()
        .every(({ kind, id, code }) => kind !== 'server' || id !== server || code === 'SERVER_UNAPPROVED'),
    ...(options.findSandbox === undefined ? {} : { find: options.findSandbox }),
  });
  const started = new StartedProcesses(processesFile(folder));
  /** Of a server that is a process its end is recorded, with what it said last. */
  const connectionEnded = (server: string): void => {
    const stated = options.configuration?.manifest.servers[server];
    const isRemote = stated !== undefined && stated.stdio === undefined && stated.inProcess === undefined;
    if (isRemote) void facts.serverEnded(server);
  };
  const servers = new SupervisedServers(launches, {
    version: options.version,
    gate: gateMark(folder.folder),
    note,
    credentials: new CredentialStore(credentialsFile(folder), keys.vault),
    consent: options.consent,
    onProcess: (pid) => started.note(pid),
    onDescribed: async (launch, live) => {
      await approved.described(launch, live);
      await unknown.calls.forgetRepeatable(launch.name);
      if (policy.served.includes(launch.name)) announce(launch.name);
    },
    onRelisted: (launch, live) => approved.described(launch, live),
    onUnavailable: (server, reason) => {
      // As long as another server is there the gate is open, and only calls of this one are denied.
      const code = sandboxing.lacks(server) === undefined ? 'SERVER_UNAVAILABLE' : 'SANDBOX_MISSING';
      if (policy.served.length === 0) governance.shut('servers', code, `${server}: ${reason}`);
    },
    lacks: (server) => sandboxing.lacks(server),
    sandbox: (server) => sandboxing.maker(server),
    compare: (launch, live) => approved.likeness(launch, live),
    onNotice: (server, notice) => noticed(server, notice),
    onQuestion: (server, question) =>
      options.oneClient === true && enforcement.isOffered(server)
        ? enforcement.notices.ask(server, question)
        : undefined,
    onReady: (server) => {
      if (options.oneClient === true && enforcement.isOffered(server)) enforcement.notices.ready(server);
    },
    onEnded: connectionEnded,
    adopt: (server) => processAgents.of(server),
    guard: (server) => attestations.guard(server),
    onProcessEnded: (server, ended) => {
      facts
        .processEnded(server, ended)
        .catch((error: unknown) => note(`server ${server}: its end is not recorded: ${reasonOf(error)}`));
    },
    onRefusedRequest: (server, method) => {
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
      void enforcement.refuse({ requested, denial: deny('METHOD_NOT_SERVED', 'a request of the server') }).end;
    },
  });
  /** `only`: the server belongs to this conversation alone. */
  const noticed = (server: string, notice: Notice, only?: object): void => {
    // Nothing is heard of a server that is not offered, or not any more.
    if (!enforcement.isOffered(server) || catalogue.server(server) === undefined) return;
    for (const kind of CHANGED_BY[notice.method] ?? []) enforcement.offers.changed(server, kind, only);
    enforcement.notices.tell(server, notice, only);
  };
  const pool = new ServerPool({
    shared: (name) => servers.get(name),
    returning: (name) => servers.returning(name),
    apart: (name) => servers.apart(name),
    lacks: (name) => sandboxing.lacks(name),
    onNotice: noticed,
    onQuestion: (server, question, conversation) => enforcement.notices.ask(server, question, conversation),
    onReady: (server, conversation) => enforcement.notices.ready(server, conversation),
    onEnded: connectionEnded,
    note,
  });
  const limitsOf = new Map(launches.map((launch) => [launch.name, launch.limits]));
  const limits: LimitsOf = (call) =>
    call.askedThrough === undefined
      ? inPlace(limitsOf.get(call.server) ?? { timeoutMs: 1, outputBytes: 1 }, call)
      : QUESTION_LIMITS;
  const launchOf = new Map(launches.map((launch) => [launch.name, launch]));

  const authority = new WorkerAuthority({
    keyFile: keys.permitKeyFile,
    instance: keys.instance,
    gateway: boot,
    warm: options.deciding,
    onHealth: (health) => {
      if (health.state === 'ready') governance.open('engine');
      else governance.shut('engine', 'POLICY_ENGINE_FAULT', health.reason);
    },
  });
  const asked = options.interpose?.(authority) ?? authority;
  const revocations = new Revocations();
  const issuer = permitIssuer(keys.instance);
  const audience = permitAudience(keys.instance, boot);
  const { tree, peers } = await openChains({
    folder,
    keys,
    boot,
    manifest: options.configuration?.manifest,
    launches,
    revocations,
    recorder: keeper,
    clock,
    crypto,
    note,
  });
  const gate = new Gate({
    issuer,
    audience,
    tree,
    permitKeys: new Set([permitKey]),
    crypto,
    clock,
    governance,
    catalogue,
    revocations,
    spent: new SpentPermits(),
    quarantine,
    attestations,
    policy: () => policy.digest,
    rules: () => policy.rules,
    onPolicyChange: (server) => launchOf.get(server)?.onPolicyChange,
    limits,
    recorder: () => keeper.recorder(),
    peer: (call) => (call.askedThrough === undefined ? serverOf(pool, call) : channels.get(call.askedThrough)),
  });

  const halt = (defect: unknown): void => {
    note(`defect, the gate is shut: ${reasonOf(defect)}`);
    governance.shut('operator', 'GOV_HALTED', reasonOf(defect));
  };
  const announce = (server: string): void =>
    enforcement.notices.tell(server, { method: 'notifications/tools/list_changed', params: {} });
  const announceLists = (server: string, lists: readonly DefinedList[]): void => {
    for (const list of lists) {
      const called = list === 'resourceTemplates' ? 'resources' : list;
      enforcement.notices.tell(server, { method: `notifications/${called}/list_changed`, params: {} });
    }
  };
  const enforcement: Enforcement = new Enforcement({
    clock,
    crypto,
    governance,
    admission: {
      authority: asked,
      catalogue,
      governance,
      servers: pool,
      limits,
      quarantine,
      attestations,
      history: behaviour.history,
      retries: unknown.calls,
    },
    runner: {
      gate,
      recorder: keeper,
      clock,
      crypto,
      checkOutput: outputCheck(catalogue, (server, tool, json) => authority.checkOutput(server, tool, json)),
      turnover,
      idleTimeoutMs: (server) => launchOf.get(server)?.idleTimeoutMs,
      tree,
      retries: unknown.calls,
      onUnrecorded: (code) => keeper.fail(`an ending could not be recorded (${code})`),
      onDefect: halt,
    },
    concurrency: (server) => launchOf.get(server)?.concurrency,
    described: () => servers.described(policy.settled),
    channels,
    tree,
    oneClient: options.oneClient === true,
  });

  const anomalies = anomalyLimits(options.configuration?.manifest ?? { agents: {} });
  const rounds = new OpenRounds(clock, crypto);
  const policy = new PolicyInForce({
    configuration: options.configuration,
    servers: launches.map(({ name }) => name),
    setAside: (server) => quarantine.of('server', server)?.code,
    authority: asked,
    catalogue,
    facts: { policyInstalled: (...fact) => facts.policyInstalled(...fact, anomalies) },
    governance,
    turnover,
    clock,
    note,
    onServed: (names) => {
      if (governance.reason?.code === 'GOV_POLICY_MISSING') void options.deciding?.close();
      for (const name of names) announce(name);
    },
    onJudged: (names) => {
      approved.judged(names);
      options.onJudged?.(names);
    },
  });
  const approved = new ApprovedServers({
    approvals: new Approvals(dirname(folder.keys), keys.vault),
    launches,
    catalogue,
    facts: {
      serverPinned: (...fact) => facts.serverPinned(...fact),
      serverDrifted: (...fact) => facts.serverDrifted(...fact),
      serverWithdrawn: (...fact) => facts.serverWithdrawn(...fact),
    },
    setAside: (quarantined) => enforcement.setAside(quarantined),
    lift: (server, cause) => quarantine.lift('server', server, cause),
    begin: (server) => servers.begin(server),
    end: (server) => servers.end(server),
    arrived: (server, anew) => policy.arrived(server, anew),
    command: (verb, launch) => reviewCommand(verb, launch, options.configuration),
    announce: (server, lists) => announceLists(server, lists),
    note,
  });

  const sessions: ClientSessions = {
    // The view of a server that does not exist is one in which nothing is offered: so is that of a forbidden one, and nobody learns which.
    open: ({ principal }, view) =>
      new EraSession(enforcement, {
        principal,
        view,
        rounds,
        version: options.version,
        hints: { missingPolicy: options.missingPolicyHint },
      }),
    refuse: async ({ principal }, view, code, detail) => {
      const conversation = new Conversation(enforcement, { principal, view, onNotice: () => {} });
      await conversation.refuse(deny(code, detail), '(message)');
      await conversation.close('disconnect');
    },
  };
  const processAgents = new ProcessAgents(options.configuration?.manifest, sessions);

  const facts = new GateFacts(keeper, note);
  await keeper.start((fault) => fault instanceof LedgerRefused || fault instanceof StateDocumentRefused);
  const withdrawals = await openWithdrawals({
    folder,
    secret: keys.vault,
    enforcement,
    governance,
    revocations,
    recorder: keeper,
    clock,
    note,
  }).catch(async (refused: unknown) => {
    await keeper.close();
    throw refused;
  });
  await afterCrash({ folder, keys, unknown, governance, revoke: withdrawals.revoke, note });
  servers.start();
  const relisting = new Relisting(() => [...servers.running(), ...pool.own()]);
  await approved.open().catch(async (refused: unknown) => {
    relisting.close();
    await Promise.all([keeper.close(), authority.close()]);
    throw refused;
  });
  peers.start();

  return {
    ...withdrawals,
    quarantines: behaviour.quarantines,
    peers: peers.front,
    enforcement,
    governance,
    authority,
    ready: policy.settled,
    served: () => policy.served,
    standings: () => breaker.standings(),
    quarantined: () => quarantine.all(),
    unknownCalls: () => unknown.calls.all(),
    settle: (call, as, by) => unknown.settle(call, as, by, keeper),
    takeApprovals: () => approved.look(),
    halt,
    sessions,
    close: async () => {
      breaker.close();
      policy.close();
      approved.close();
      relisting.close();
      await processAgents.close();
      await enforcement.stopAll({ type: 'call.cancelled', by: 'shutdown' });
      peers.close();
      await Promise.all([pool.stop(), servers.stop()]);
      await sandboxing.close();
      await attestations.close();
      await authority.close();
      await keeper.close();
      await behaviour.close();
    },
  };
}

/** A server that asks for something is a principal too, and one without any authority. */
function serverPrincipal(name: string): Principal {
  const bytes = sha256(new TextEncoder().encode(`portcullis/server/v1\n${name}`));
  const connection: Digest = `sha256:${Buffer.from(bytes).toString('base64url')}`;
  return { agent: `server:${name}`, roles: [], root: false, authentication: 'local', connection };
}
