// The composition root: wires the adapters to the core and starts a gate. Nothing is open before everything a call needs has reported ready.

import { dirname } from 'node:path';
import { randomBytes, sha256, Verifier } from '../adapters/crypto/node-crypto.ts';
import { WorkerAuthority } from '../adapters/policy-engine/worker-authority.ts';
import { StateDocumentRefused } from '../adapters/storage/state-document.ts';
import { anomalyLimits } from '../control-plane/anomaly/limits.ts';
import { Revocations } from '../control-plane/permits/revocations.ts';
import { ulid } from '../domain/ids.ts';
import { visibleText } from '../domain/visible-text.ts';
import { LedgerRefused } from '../ledger/open.ts';
import { BreakerLog } from '../proxy/breaker-log.ts';
import { Catalogue } from '../proxy/catalogue.ts';
import type { Enforcement } from '../proxy/enforcement.ts';
import { Governance } from '../proxy/governance.ts';
import { LedgerKeeper } from '../proxy/ledger-keeper.ts';
import { outputCheck } from '../proxy/output-check.ts';
import { PolicyTurnover } from '../proxy/policy-turnover.ts';
import type { GateCrypto } from '../proxy/ports.ts';
import { Quarantine } from '../proxy/quarantine.ts';
import { saysRepeatable } from '../proxy/unknown-calls.ts';
import { Approvals } from './approvals.ts';
import { ApprovedServers } from './approved-servers.ts';
import { attestServers } from './attestations.ts';
import { openBehaviour } from './behaviour.ts';
import { openChains } from './call-tree.ts';
import { afterCrash } from './crash-recovery.ts';
import { gateEnforcement } from './gate-enforcement.ts';
import { GateFacts } from './gate-facts.ts';
import { gateServers } from './gate-servers.ts';
import { gateSessions } from './gate-sessions.ts';
import { openGeneration } from './ledger.ts';
import { reasonOf } from './output.ts';
import { PolicyInForce } from './policy-in-force.ts';
import { ProcessAgents } from './process-agents.ts';
import { Relisting } from './relisting.ts';
import { RememberedDescriptions } from './remembered-descriptions.ts';
import { type ReviewVerb, reviewCommand } from './review-command.ts';
import type { GateOptions, RunningGate } from './running-gate.ts';
import { openSandboxing } from './sandboxing.ts';
import { systemClock } from './system-clock.ts';
import { durableUnknownCalls } from './unknown-calls.ts';
import { WantedServers } from './wanted-servers.ts';
import { openWithdrawals } from './withdrawals.ts';

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
  const command = (verb: ReviewVerb, server: string): string => {
    const launch = launches.find(({ name }) => name === server) ?? { name: server, description: {} };
    return reviewCommand(verb, launch, options.configuration);
  };
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
    command,
    note,
  });
  const wanted = new WantedServers(options.wanted ?? launches.map(({ name }) => name));
  // For these somebody waits while the gate still opens.
  for (const server of options.wanted ?? []) attestations.lookAhead(server);
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
  const { servers, pool, announce } = gateServers({
    options,
    clock,
    governance,
    catalogue,
    sandboxing,
    attestations,
    later: () => ({
      enforcement,
      policy,
      approved,
      facts,
      unknown,
      processAgents,
      remembered,
      onUnavailable: (server) => wanted.tell(server),
    }),
  });
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
  const halt = (defect: unknown): void => {
    note(`defect, the gate is shut: ${reasonOf(defect)}`);
    governance.shut('operator', 'GOV_HALTED', reasonOf(defect));
  };
  const enforcement: Enforcement = gateEnforcement({
    options,
    boot,
    permitKey,
    clock,
    crypto,
    governance,
    catalogue,
    revocations,
    quarantine,
    attestations,
    turnover,
    tree,
    keeper,
    servers: pool,
    authority: asked,
    checkOutput: outputCheck(catalogue, (...output) => authority.checkOutput(...output)),
    history: behaviour.history,
    retries: unknown.calls,
    policy: () => policy,
    described: () => servers.described(policy.settled),
    onDefect: halt,
  });

  const anomalies = anomalyLimits(options.configuration?.manifest ?? { agents: {} });
  let hasSettled = false;
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
      for (const name of names) wanted.tell(name);
      for (const name of names)
        if (hasSettled && launches.some((one) => one.name === name && one.ownProgram !== true))
          note(`server ${name} has come`);
    },
    onJudged: (names) => {
      approved.judged(names);
      for (const name of names) if (isKnown(name)) wanted.tell(name);
      options.onJudged?.(names);
    },
  });
  const approvals = new Approvals(dirname(folder.keys), keys.vault);
  const remembered = new RememberedDescriptions(dirname(folder.keys), keys.vault, approvals, (server) =>
    approved.standing(server),
  );
  const approved: ApprovedServers = new ApprovedServers({
    approvals,
    launches,
    catalogue,
    facts: {
      serverPinned: (...fact) => facts.serverPinned(...fact),
      serverDrifted: (...fact) => facts.serverDrifted(...fact),
      serverWithdrawn: (...fact) => facts.serverWithdrawn(...fact),
    },
    isWanted: (server) => wanted.has(server),
    setAside: (quarantined) => {
      const stopping = enforcement.setAside(quarantined);
      wanted.tell(quarantined.id);
      return stopping;
    },
    lift: (server, cause) => quarantine.lift('server', server, cause),
    begin: (server) => servers.begin(server),
    end: (server) => servers.end(server),
    arrived: (server, anew) => policy.arrived(server, anew),
    command: (verb, { name }) => command(verb, name),
    announce,
    note,
  });

  /** Whether a client that asks for it finds what will become of it for now. */
  const isKnown = (server: string): boolean =>
    policy.served.includes(server) ||
    policy.isLeftOut(server) ||
    quarantine.of('server', server) !== undefined ||
    servers.isMissing(server);

  const sessions = gateSessions(options, enforcement);
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
  void policy.settled.then(() => {
    hasSettled = true;
  });
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
    want: async (server) => {
      if (wanted.add(server)) await approved.want(server);
      await policy.settled;
      if (!isKnown(server)) await wanted.known(server);
    },
    served: () => policy.served,
    standings: () => breaker.standings(),
    quarantined: () => quarantine.all(),
    unknownCalls: () => unknown.calls.all(),
    command,
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
