// The composition root: wires the adapters to the core and starts a gate. Nothing is open before everything a call needs has reported ready.

import { randomBytes, sha256, Verifier } from '../adapters/crypto/node-crypto.ts';
import type { DecidingThread } from '../adapters/policy-engine/deciding-thread.ts';
import { WorkerAuthority } from '../adapters/policy-engine/worker-authority.ts';
import { Revocations } from '../control-plane/permits/revocations.ts';
import type { PolicySource, ServerTools } from '../control-plane/policy/source.ts';
import { problemText } from '../control-plane/policy/source.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import { deny } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import { ulid } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import { rootLineage } from '../domain/lineage.ts';
import { permitAudience, permitIssuer } from '../domain/permit.ts';
import type { Principal } from '../domain/principal.ts';
import { visibleText } from '../domain/visible-text.ts';
import { LedgerRefused } from '../ledger/open.ts';
import { commit } from '../ledger/vault.ts';
import { Catalogue } from '../proxy/catalogue.ts';
import type { ClientSessions } from '../proxy/client-port.ts';
import { LegacySession } from '../proxy/client-session.ts';
import { Enforcement } from '../proxy/enforcement.ts';
import { Gate } from '../proxy/gate.ts';
import { Governance } from '../proxy/governance.ts';
import { LedgerKeeper } from '../proxy/ledger-keeper.ts';
import { outputCheck } from '../proxy/output-check.ts';
import type { Authority, GateCrypto, Payload } from '../proxy/ports.ts';
import { SpentPermits } from '../proxy/spent-permits.ts';
import type { ServerDescription, ToolServer } from '../proxy/tool-server.ts';
import type { Configuration } from './configuration.ts';
import type { GateFolder } from './home.ts';
import { type GateKeys, openGeneration } from './ledger.ts';
import { reasonOf } from './output.ts';
import { openPins } from './pins.ts';
import type { ServerLaunch } from './servers.ts';
import { systemClock } from './system-clock.ts';

export interface GateOptions {
  readonly folder: GateFolder;
  readonly keys: GateKeys;
  readonly version: string;
  /** Undefined on a first run: the gate works, records, and denies every call. */
  readonly configuration: Configuration | undefined;
  readonly launches: readonly ServerLaunch[];
  /** Said to a model whose call was denied for want of a policy. */
  readonly missingPolicyHint: string;
  readonly note: (text: string) => void;
  /** Loading already; used for the policy where there is one, and ended where there is none. */
  readonly deciding?: DecidingThread | undefined;
  /** Stands between the gate and its deciding side. For showing what happens when that side is wrong or gone. */
  readonly interpose?: (authority: Authority) => Authority;
}

export interface RunningGate {
  readonly enforcement: Enforcement;
  readonly governance: Governance;
  readonly sessions: ClientSessions;
  readonly authority: WorkerAuthority;
  /** Settles when the gate is open, or cannot open by itself. */
  readonly ready: Promise<void>;
  /** Shuts the gate for a defect that was found outside of it. */
  halt(defect: unknown): void;
  close(): Promise<void>;
}

/** Waiting longer for slow servers would let clients give up on the conversation. */
const DESCRIBED_WITHIN_MS = 15_000;
const RESTART_FIRST_MS = 500;
const RESTART_MAX_MS = 30_000;

export async function startGate(options: GateOptions): Promise<RunningGate> {
  const { folder, keys, launches, note } = options;
  const clock = systemClock;
  const boot = ulid(clock.now(), randomBytes(10));
  const governance = new Governance(boot, ['ledger', 'policy', 'engine', 'servers']);
  const verifier = new Verifier();
  const permitKey = verifier.register(keys.permitPublicKey);
  if (permitKey === undefined) throw new Error('the public key for permits is not a usable Ed25519 key');
  const crypto: GateCrypto = { sha256, randomBytes, verifyPermit: verifier.verifyOnPool };

  const keeper = new LedgerKeeper({
    governance,
    clock,
    open: () => openGeneration(folder, keys),
    onFailure: (detail) => {
      note(`the ledger failed and the gate is shut: ${visibleText(detail)}`);
      void enforcement.stopAll({ type: 'fault.occurred', code: 'GOV_LEDGER_UNWRITABLE' });
    },
  });

  const catalogue = new Catalogue(sha256);
  const servers = new Map<string, ToolServer>();
  const limitsOf = new Map(launches.map((launch) => [launch.name, launch.limits]));
  const limits = (server: string) => limitsOf.get(server) ?? { timeoutMs: 1, outputBytes: 1 };
  let policy: Digest | undefined;

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
  const gate = new Gate({
    issuer: permitIssuer(keys.instance),
    audience: permitAudience(keys.instance, boot),
    permitKeys: new Set([permitKey]),
    crypto,
    clock,
    governance,
    catalogue,
    revocations: new Revocations(),
    spent: new SpentPermits(),
    policy: () => policy,
    limits,
    recorder: () => keeper.recorder(),
    server: (name) => servers.get(name),
  });

  const halt = (defect: unknown): void => {
    note(`defect, the gate is shut: ${reasonOf(defect)}`);
    governance.shut('operator', 'GOV_HALTED', reasonOf(defect));
  };
  const described = whenDescribed(launches.length);
  const enforcement: Enforcement = new Enforcement({
    clock,
    crypto,
    governance,
    admission: { authority: asked, catalogue, governance, server: (name) => servers.get(name), limits },
    runner: {
      gate,
      recorder: keeper,
      clock,
      crypto,
      checkOutput: outputCheck(catalogue, (server, tool, json) => authority.checkOutput(server, tool, json)),
      onUnrecorded: (code) => keeper.fail(`an ending could not be recorded (${code})`),
      onDefect: halt,
    },
    described: () => described.promise,
  });

  const sessions = new Set<LegacySession>();
  const announce = (): void => {
    for (const session of sessions) session.toolsChanged();
  };
  let closed = false;

  /** Appends a fact of the gate itself, with its text in the vault. */
  const record = async (type: string, fields: JsonObject, text?: string): Promise<void> => {
    const payloads: Payload[] = [];
    let source: JsonObject = {};
    if (text !== undefined) {
      const bytes = new TextEncoder().encode(text);
      const salt = randomBytes(32);
      const commitment = commit(sha256, salt, bytes);
      payloads.push({ commitment, salt, bytes });
      source = { source: { commitment, bytes: bytes.byteLength } };
    }
    await keeper.append({ type, ...fields, ...source }, payloads);
  };

  const installPolicy = async (): Promise<void> => {
    const { configuration } = options;
    if (
      configuration === undefined ||
      launches.some(({ name }) => configuration.manifest.servers[name] === undefined)
    ) {
      governance.open('engine');
      governance.shut('policy', 'GOV_POLICY_MISSING', 'no policy for this server');
      void options.deciding?.close();
      return;
    }
    const tools: ServerTools[] = catalogue.servers().map((server) => ({
      server: server.name,
      tools: [...server.tools.values()].map(({ name, definition }) => ({
        name,
        inputSchema: definition.inputSchema as JsonObject,
        ...(definition.outputSchema === undefined ? {} : { outputSchema: definition.outputSchema as JsonObject }),
      })),
    }));
    const source: PolicySource = { manifest: configuration.source, policies: configuration.policies, tools };
    const installed = await asked.install(source);
    if (!installed.ok) {
      const problems = installed.problems.map(problemText);
      note(`the policy is not valid, so every call is denied:\n  ${problems.join('\n  ')}`);
      governance.shut('policy', 'GOV_POLICY_INVALID', problems[0] ?? 'not valid');
      return;
    }
    // The JSON text of plain data: what replay assembles the same bundle from.
    const text = canonicalJson(source as unknown as JsonObject);
    await record('policy.installed', { policy: installed.digest, version: governance.epoch, boot }, text);
    policy = installed.digest;
    governance.open('policy');
  };

  const observe = async (launch: ServerLaunch, description: ServerDescription): Promise<void> => {
    const known = catalogue.server(launch.name) !== undefined;
    const pinned = catalogue.observe(description, launch.description);
    if (known) return announce();
    const tools = Object.fromEntries([...pinned.tools.values()].map(({ name, digest }) => [name, digest]));
    const { attestation } = pinned;
    const { known: seen, added, changed, removed } = await pins.observe(launch.name, tools);
    if (changed.length + added.length + removed.length > 0) {
      const names = (list: readonly string[]): string => list.map((tool) => visibleText(tool, 80)).join(', ') || 'none';
      note(
        `${launch.name}: the tools are not those of the last run. changed: ${names(changed)}; added: ${names(added)}; gone: ${names(removed)}`,
      );
    }
    // An entry is small and a server may have thousands of tools: what was pinned lies in the vault.
    const text = canonicalJson({ launch: launch.description, tools, since: seen ? { added, changed, removed } : null });
    const fields = { server: launch.name, attestation, count: pinned.tools.size, changed: changed.length };
    await record('tools.pinned', fields, text);
    described.count();
  };

  const startServer = (launch: ServerLaunch, server: ToolServer, retryMs: number): Promise<void> =>
    server
      .start()
      .then((description) => observe(launch, description))
      .catch((fault) => {
        if (closed) return;
        note(`server ${launch.name}: ${reasonOf(fault)}`);
        if (catalogue.server(launch.name) === undefined) {
          governance.shut('servers', 'SERVER_UNAVAILABLE', `${launch.name}: ${reasonOf(fault)}`);
        }
        setTimeout(() => {
          if (!closed) void startServer(launch, server, Math.min(retryMs * 2, RESTART_MAX_MS));
        }, retryMs).unref();
      });

  const pins = await openPins(folder.folder, keys.vault);
  await keeper.start((fault) => fault instanceof LedgerRefused);

  for (const launch of launches) {
    const server = launch.start({
      clientInfo: { name: 'portcullis', version: options.version },
      listener: {
        onStderr: (bytes) => {
          for (const line of new TextDecoder().decode(bytes).split('\n')) {
            if (line.trim() !== '') note(`${launch.name}: ${visibleText(line, 400)}`);
          }
        },
        onRefusedRequest: ({ method }) => {
          const call = ulid(clock.now(), randomBytes(10));
          const principal = serverPrincipal(launch.name);
          const lineage = rootLineage(call);
          const requested = {
            at: clock.now(),
            call,
            method,
            server: launch.name,
            tool: null,
            principal,
            args: null,
            lineage,
          };
          const denial = deny('METHOD_NOT_SERVED', 'a request of the server');
          void enforcement.refuse({ requested: { type: 'call.requested', ...requested }, denial }).end;
        },
      },
    });
    servers.set(launch.name, server);
    server.onChange((change) => {
      if (closed) return;
      if (change === 'tools' && server.description !== undefined) void observe(launch, server.description);
      if (change === 'down') void startServer(launch, server, RESTART_FIRST_MS);
    });
    void startServer(launch, server, RESTART_FIRST_MS);
  }

  const ready = described.all.then(async () => {
    if (closed) return;
    await installPolicy();
    governance.open('servers');
    described.release();
    announce();
  });
  ready.catch((fault) => {
    note(`the gate could not be opened: ${reasonOf(fault)}`);
    governance.shut('policy', 'GOV_NOT_READY', reasonOf(fault));
    described.release();
  });
  const patience = setTimeout(() => described.release(), DESCRIBED_WITHIN_MS);
  patience.unref();

  return {
    enforcement,
    governance,
    authority,
    ready: ready.catch(() => {}),
    halt,
    sessions: {
      open: ({ principal }, view) => {
        if (view.kind === 'server' && !servers.has(view.server)) return deny('METHOD_NOT_SERVED', 'no such server');
        const session = new LegacySession(enforcement, {
          principal,
          view,
          version: options.version,
          hints: { missingPolicy: options.missingPolicyHint },
          onClose: () => sessions.delete(session),
        });
        sessions.add(session);
        return session;
      },
    },
    close: async () => {
      closed = true;
      clearTimeout(patience);
      await enforcement.stopAll({ type: 'call.cancelled', by: 'shutdown' });
      await Promise.all([...servers.values()].map((server) => server.stop()));
      await authority.close();
      await keeper.close();
    },
  };
}

/** A server that asks for something is a principal too, and one without any authority. */
function serverPrincipal(name: string): Principal {
  const bytes = sha256(new TextEncoder().encode(`portcullis/server/v1\n${name}`));
  const connection: Digest = `sha256:${Buffer.from(bytes).toString('base64url')}`;
  return { agent: `server:${name}`, roles: [], root: false, authentication: 'local', connection };
}

/** Counts servers as they are described, and lets waiters go when all are, or when waiting longer would not help. */
function whenDescribed(expected: number): {
  readonly all: Promise<void>;
  readonly promise: Promise<void>;
  count(): void;
  release(): void;
} {
  let left = expected;
  let allDone: () => void = () => {};
  let release: () => void = () => {};
  const all = new Promise<void>((resolve) => {
    allDone = resolve;
  });
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  if (left === 0) allDone();
  return {
    all,
    promise,
    count: () => {
      left -= 1;
      if (left === 0) allDone();
    },
    release,
  };
}
