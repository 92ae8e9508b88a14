// A whole enforcement point for tests: the real gate, runner, governance, catalogue and ledger, with real keys and real permits. Only the
// edges are fake: the clock is moved by hand, the disk is memory, and the deciding side and the tools do what the test says.

import {
  generateSigningKey,
  randomBytes,
  type SigningKey,
  sha256,
  Verifier,
} from '../../adapters/crypto/node-crypto.ts';
import { type Faults, MemoryStore } from '../../adapters/storage/memory-store.ts';
import type { Authorization, AuthorizationRequest, CallLimits } from '../../control-plane/authorization.ts';
import type { ServerDefinition } from '../../control-plane/integrity/definition.ts';
import { CLOCKS_APART_MS_MAX } from '../../control-plane/lineage/feed.ts';
import { LineageRegistry } from '../../control-plane/lineage/registry.ts';
import { mintPermit, type PermitIssuer, permitSigner } from '../../control-plane/permits/mint.ts';
import { Revocations } from '../../control-plane/permits/revocations.ts';
import { actionId, PLAIN_METHODS } from '../../domain/action.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Entry, EntryBody } from '../../domain/entry.ts';
import { type CallId, ulid } from '../../domain/ids.ts';
import type { JsonObject } from '../../domain/json.ts';
import { permitAudience, permitIssuer } from '../../domain/permit.ts';
import type { Principal } from '../../domain/principal.ts';
import { decodeEntry } from '../../ledger/entry-line.ts';
import { emptyHead, type Head } from '../../ledger/head.ts';
import type { LedgerWriter } from '../../ledger/writer.ts';
import { inPlace, serverOf } from '../../proxy/admission.ts';
import { CallTree, type CallTreePorts } from '../../proxy/call-tree.ts';
import { type CapturedCall, captureCall } from '../../proxy/captured-call.ts';
import { Catalogue } from '../../proxy/catalogue.ts';
import { Channels } from '../../proxy/channels.ts';
import type { CallEnd } from '../../proxy/client-view.ts';
import { Enforcement } from '../../proxy/enforcement.ts';
import { Gate, type GatePorts, type RecordedCall, type VerifiedPermit } from '../../proxy/gate.ts';
import { Governance, type Guard } from '../../proxy/governance.ts';
import type { OnPolicyChange } from '../../proxy/guards/why-not.ts';
import { type LedgerGeneration, LedgerKeeper } from '../../proxy/ledger-keeper.ts';
import { outputCheck } from '../../proxy/output-check.ts';
import type { TrustedPeer } from '../../proxy/peer-session.ts';
import { Peers } from '../../proxy/peers.ts';
import type { PolicyTurnover } from '../../proxy/policy-turnover.ts';
import type { Authority, GateCrypto, InstallResult } from '../../proxy/ports.ts';
import { Quarantine } from '../../proxy/quarantine.ts';
import type { RunningCall } from '../../proxy/running-call.ts';
import { type ApartServer, ServerPool } from '../../proxy/server-pool.ts';
import { SpentPermits } from '../../proxy/spent-permits.ts';
import type {
  Dispatch,
  OfferKind,
  ServerDescription,
  ToolAnswer,
  ToolRun,
  ToolServer,
} from '../../proxy/tool-server.ts';
import { type CallHooks, PLAIN_MANNER } from '../../proxy/tool-server.ts';
import type { RetryGuard } from '../../proxy/unknown-calls.ts';
import { closeOpen, replay } from '../../state-machines/replay.ts';
import { begin, step } from '../../state-machines/step.ts';
import { commitmentOf } from './commitments.ts';
import { EVENTS } from './execution-events.ts';
import { hooks, NO_QUESTIONS } from './hooks.ts';
import { ManualClock, ORIGIN, type TestKey, testKey } from './ledger.ts';
import { linesOf, openMemoryLedger } from './memory-ledger.ts';

export const POLICY: Digest = commitmentOf('policy');
export const INSTANCE = 'test';
export const LIMITS: CallLimits = { timeoutMs: 10_000, outputBytes: 65_536 };

export const PRINCIPAL: Principal = {
  agent: 'coder',
  roles: ['developer'],
  root: true,
  authentication: 'local',
  connection: commitmentOf('connection'),
};

export const TOOLS: readonly JsonObject[] = [
  { name: 'write_file', inputSchema: { type: 'object' } },
  { name: 'read_file', inputSchema: { type: 'object' } },
  { name: 'secret', inputSchema: { type: 'object' } },
];

/** Lets everything run that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** One call as the tool saw it, and the means to answer it. */
export interface HeardCall {
  readonly dispatch: Dispatch;
  readonly answer: (answer: ToolAnswer) => void;
  readonly progress: (params: JsonObject) => void;
  readonly hooks: CallHooks;
  cancelled: string | undefined;
}

export function resultOf(text: string): ToolAnswer {
  return { kind: 'result', result: { content: [{ type: 'text', text }] }, bytes: text.length };
}

/** A server that answers when the test says so. */
export class ScriptedServer implements ToolServer {
  readonly name: string;
  readonly heard: HeardCall[] = [];
  description: ServerDescription | undefined;
  /** Called in the tick of each dispatch. */
  onDispatch: (dispatch: Dispatch) => void = () => {};
  /** Answers at once where it returns something. */
  respond: (dispatch: Dispatch) => ToolAnswer | undefined = () => resultOf('done');

  constructor(name: string, tools: readonly JsonObject[]) {
    this.name = name;
    this.description = describe(name, tools);
  }

  async start(): Promise<ServerDescription> {
    return this.description as ServerDescription;
  }

  dispatch(dispatch: Dispatch, hooks: CallHooks): ToolRun {
    this.onDispatch(dispatch);
    let answer: (answer: ToolAnswer) => void = () => {};
    const answered = new Promise<ToolAnswer>((resolve) => {
      answer = resolve;
    });
    const heard: HeardCall = { dispatch, answer, hooks, progress: hooks.onProgress, cancelled: undefined };
    this.heard.push(heard);
    const now = this.respond(dispatch);
    if (now !== undefined) answer(now);
    return {
      answer: answered,
      cancel: (reason) => {
        heard.cancelled ??= reason;
      },
    };
  }

  onChange(): void {}
  onNotice(): void {}
  /** Reads a list; empty unless the test says otherwise. */
  list: (kind: OfferKind) => Promise<readonly JsonObject[]> = async () => [];
  async stop(): Promise<void> {}
}

export function describe(name: string, tools: readonly JsonObject[]): ServerDescription {
  return {
    name,
    protocolVersion: '2025-11-25',
    serverInfo: { name },
    capabilities: { tools: {} },
    instructions: `how to use ${name}`,
    tools: tools.map((raw) => ({ name: raw.name as string, raw })),
  };
}

/** What a person would have approved of a server that says this of itself. */
export function definitionOf(
  { instructions, tools }: ServerDescription,
  launch: JsonObject = { command: 'fs' },
): ServerDefinition {
  return {
    launch,
    instructions: instructions ?? null,
    tools: tools.map(({ raw }) => raw),
    prompts: [],
    resourceTemplates: [],
  };
}

export class ScriptedAuthority implements Authority {
  decide: (request: AuthorizationRequest) => Promise<Authorization>;
  hidden = new Set(['fs/secret']);
  checks: (json: string) => Denial | undefined = () => undefined;
  readonly #catalogue: Catalogue;

  constructor(catalogue: Catalogue, decide: (request: AuthorizationRequest) => Promise<Authorization>) {
    this.#catalogue = catalogue;
    this.decide = decide;
  }

  authorize(request: AuthorizationRequest): Promise<Authorization> {
    return this.decide(request);
  }

  async install(): Promise<InstallResult> {
    return { ok: true, digest: POLICY };
  }

  async visible(_principal: Principal): Promise<ReadonlySet<string>> {
    const all = this.#catalogue
      .servers()
      .flatMap(({ name, tools }) => [
        ...[...tools.keys()].map((tool) => `${name}/${tool}`),
        ...PLAIN_METHODS.map((method) => actionId(method, name, method)),
      ]);
    return new Set(all.filter((tool) => !this.hidden.has(tool)));
  }

  async checkOutput(_server: string, _tool: string, json: string): Promise<Denial | undefined> {
    return this.checks(json);
  }

  async close(): Promise<void> {}
}

export interface WorldOptions {
  readonly faults?: Faults;
  readonly tools?: readonly JsonObject[];
  /** Replaces parts of the gate, to show that a test notices. */
  readonly makeGate?: (ports: GatePorts) => Gate;
  readonly makeEnforcement?: (ports: ConstructorParameters<typeof Enforcement>[0]) => Enforcement;
  readonly described?: () => Promise<void>;
  /** Calls that may be with the tool at once. */
  readonly concurrency?: number;
  /** How the server is made of which each conversation has one of its own; the one server is everybody's when absent. */
  readonly apart?: ApartServer;
  /** Where policies take over from each other. */
  readonly turnover?: (clock: ManualClock) => PolicyTurnover;
  /** Who may start chains, and which servers are agents. */
  readonly terms?: CallTreePorts['terms'];
  readonly callee?: CallTreePorts['callee'];
  /** The name of the installation, its key, and other gates that it trusts. */
  readonly instance?: string;
  readonly key?: SigningKey;
  readonly trusted?: readonly TrustedPeer[];
  /** What becomes of calls that run when other rules come into force, and for how long a tool may be silent. */
  readonly onPolicyChange?: OnPolicyChange;
  readonly idleTimeoutMs?: number;
  /** What is done when an ending could not be written, instead of giving the ledger up. */
  readonly onUnrecorded?: () => void;
  /** Remembers calls of which nobody knows whether they ran. */
  readonly retries?: RetryGuard;
  /** Which guard a defect shuts: the one that never opens again, when absent. */
  readonly defectShuts?: Guard;
}

export class World {
  readonly clock = new ManualClock();
  readonly boot = ulid(this.clock.now(), randomBytes(10));
  readonly governance = new Governance(this.boot, ['ledger', 'policy', 'engine', 'servers']);
  readonly catalogue = new Catalogue(sha256);
  readonly revocations = new Revocations();
  readonly spent = new SpentPermits();
  readonly quarantine = new Quarantine();
  /** Why a server is not what was approved, where a test says so. */
  environment: Denial | undefined;
  readonly attestations = {
    of: (server: string): Digest | Denial =>
      this.environment ?? this.catalogue.server(server)?.attestation ?? deny('ENV_UNKNOWN'),
    whileRunning: (server: string): Digest | Denial => this.attestations.of(server),
    settled: () => Promise.resolve(),
  };
  readonly server: ScriptedServer;
  readonly authority: ScriptedAuthority;
  readonly store: MemoryStore;
  readonly keeper: LedgerKeeper;
  readonly gate: Gate;
  readonly enforcement: Enforcement;
  readonly registry: LineageRegistry;
  readonly tree: CallTree;
  readonly crypto: GateCrypto;
  readonly gatePorts: GatePorts;
  readonly logKey: TestKey = testKey(ORIGIN);
  readonly defects: unknown[] = [];
  /** How often the ledger was opened. */
  generations = 0;
  policy: Digest | undefined = POLICY;
  /** Which rules are in force. */
  rules = 1;
  serverIsThere = true;
  #head: Head = emptyHead(ORIGIN);
  readonly #permitKey: SigningKey;
  readonly #instance: string;
  readonly peers: Peers;
  /** What the other gates were about, in the order in which it happened. */
  readonly ofPeers: EntryBody[] = [];

  constructor(options: WorldOptions = {}) {
    const { clock, governance, catalogue } = this;
    this.#permitKey = options.key ?? generateSigningKey();
    this.#instance = options.instance ?? INSTANCE;
    const tools = options.tools ?? TOOLS;
    const verifier = new Verifier();
    const kid = verifier.register(this.#permitKey.publicKey) as string;
    this.store = new MemoryStore(options.faults);
    this.server = new ScriptedServer('fs', tools);
    catalogue.pin('fs', definitionOf(this.server.description as ServerDescription));
    this.authority = new ScriptedAuthority(catalogue, async (request) => this.allow(request));
    this.crypto = { sha256, randomBytes, verifyPermit: verifier.verify };
    this.keeper = new LedgerKeeper({
      governance,
      clock,
      open: () => this.#openGeneration(),
      onFailure: () => void this.enforcement.stopAll({ type: 'fault.occurred', code: 'GOV_LEDGER_UNWRITABLE' }),
    });
    const channels = new Channels();
    const issuer = permitIssuer(this.#instance);
    const audience = permitAudience(this.#instance, this.boot);
    this.peers = new Peers({
      clock,
      crypto: this.crypto,
      signer: { kid, sign: this.#permitKey.sign, sha256 },
      issuer,
      boot: this.boot,
      log: ORIGIN,
      trusted: options.trusted ?? [],
      stopUnder: (...meant) => this.tree.stopUnder(...meant),
      stopChain: (what, id) => void this.tree.revoke(what, id),
      record: (entry) => {
        this.ofPeers.push(entry);
        void this.keeper.append(entry, []);
      },
      note: () => {},
    });
    this.registry = new LineageRegistry({
      revocations: this.revocations,
      peers: options.trusted === undefined ? { state: () => 'unknown' } : this.peers,
    });
    this.tree = new CallTree({
      registry: this.registry,
      clock,
      crypto: this.crypto,
      signer: { kid, sign: this.#permitKey.sign, sha256 },
      reader: {
        audience: (by) => (by === issuer ? audience : issuer),
        verify: (by, ...signed) => (by === issuer ? verifier.verify(...signed) : this.peers.verify(by, ...signed)),
        sha256,
        clockDriftMs: (by) => (by === issuer ? 0 : CLOCKS_APART_MS_MAX),
      },
      issuer,
      audiences: [audience],
      terms: options.terms ?? (({ root }) => ({ root, unsaid: root ? 'root' : 'deny' })),
      callee: options.callee ?? (() => undefined),
      ...(options.trusted === undefined ? {} : { peers: this.peers }),
    });
    const serverNamed = (name: string) => (name === 'fs' && this.serverIsThere ? this.server : undefined);
    const apart = (name: string) => (name === 'fs' ? options.apart : undefined);
    const servers = new ServerPool({ shared: serverNamed, apart });
    this.gatePorts = {
      issuer,
      audience,
      tree: this.tree,
      permitKeys: new Set([kid]),
      crypto: this.crypto,
      clock,
      governance,
      catalogue,
      revocations: this.revocations,
      spent: this.spent,
      quarantine: this.quarantine,
      attestations: this.attestations,
      policy: () => this.policy,
      rules: () => this.rules,
      onPolicyChange: () => options.onPolicyChange,
      limits: (call) => inPlace(LIMITS, call),
      recorder: () => this.keeper.recorder(),
      peer: (call) => (call.askedThrough === undefined ? serverOf(servers, call) : channels.get(call.askedThrough)),
    };
    this.gate = options.makeGate?.(this.gatePorts) ?? new Gate(this.gatePorts);
    const ports: ConstructorParameters<typeof Enforcement>[0] = {
      clock,
      crypto: this.crypto,
      governance,
      admission: {
        authority: this.authority,
        catalogue,
        governance,
        servers,
        limits: (call) => inPlace(LIMITS, call),
        quarantine: this.quarantine,
        retries: options.retries,
        attestations: this.attestations,
      },
      runner: {
        gate: this.gate,
        recorder: this.keeper,
        clock,
        crypto: this.crypto,
        checkOutput: outputCheck(catalogue, (server, tool, json) => this.authority.checkOutput(server, tool, json)),
        turnover: options.turnover?.(clock),
        idleTimeoutMs: () => options.idleTimeoutMs,
        tree: this.tree,
        retries: options.retries,
        onUnrecorded: options.onUnrecorded ?? ((code) => this.keeper.fail(`an ending could not be recorded (${code})`)),
        onDefect: (defect) => {
          this.defects.push(defect);
          governance.shut(options.defectShuts ?? 'operator', 'GOV_HALTED', String(defect));
        },
      },
      concurrency: () => options.concurrency,
      described: options.described ?? (async () => {}),
      channels,
      tree: this.tree,
    };
    this.enforcement = options.makeEnforcement?.(ports) ?? new Enforcement(ports);
  }

  /** A world whose gate is open. */
  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    await world.keeper.start(() => true);
    for (const guard of ['policy', 'engine', 'servers'] as const) world.governance.open(guard);
    return world;
  }

  async #openGeneration(): Promise<LedgerGeneration> {
    let opened: LedgerWriter | undefined;
    const { writer, epoch, open } = await openMemoryLedger(this.store, this.logKey, this.#head, {
      clock: this.clock,
      onCommitted: () => this.#keepHead(opened?.head()),
    });
    opened = writer;
    this.#keepHead(writer.head());
    const endings: EntryBody[] = open.map(({ key, entry }) => {
      const ending = closeOpen({ call: key, entries: [entry] }, epoch);
      if (ending === undefined) throw new Error(`the intent of ${key} cannot be replayed`);
      return ending;
    });
    try {
      if (endings.length > 0) await writer.append(endings);
    } catch (error) {
      await writer.close();
      throw error;
    }
    this.generations += 1;
    return {
      epoch,
      append: async (body, payloads) => {
        const [receipt] = await writer.append([body], payloads);
        if (receipt === undefined) throw new Error('an append without a receipt');
        return receipt;
      },
      onFailure: (listener) => writer.onFailure((failure) => listener(failure.message)),
      close: () => writer.close(),
    };
  }

  #keepHead(head: Head | undefined): void {
    if (head !== undefined) this.#head = head;
  }

  /** What the deciding side answers when it allows the call. */
  allow(request: AuthorizationRequest, limits: CallLimits = request.limits): Authorization {
    const permit = this.permitFor(request, limits);
    return { decision: 'allow', policy: POLICY, by: ['r1'], obligations: [], limits, inputJson: '{}', permit };
  }

  permitFor(request: AuthorizationRequest, limits: CallLimits = request.limits, ttlMs = 15_000): string {
    const decision = {
      policy: POLICY,
      version: request.governance.epoch,
      by: ['r1'],
      approvals: [],
      obligations: [],
      limits,
    };
    const issuer: PermitIssuer = { instance: this.#instance, gateway: this.boot, ttlMs };
    const signer = permitSigner(this.#permitKey.kid, this.#permitKey.sign, sha256);
    return mintPermit(request, decision, issuer, signer, ulid(this.clock.now(), randomBytes(10)));
  }

  /** The question that the deciding side would be asked for this call. */
  requestFor(call: CapturedCall): AuthorizationRequest {
    const snapshot = this.governance.snapshot();
    if ('code' in snapshot) throw new Error(`the gate is shut: ${snapshot.code}`);
    return {
      call: call.call,
      at: call.at,
      principal: call.principal,
      method: 'tools/call',
      server: call.server,
      tool: call.tool,
      argumentsJson: call.argumentsJson,
      args: call.args,
      req: call.req,
      definition: this.catalogue.tool(call.server, call.tool)?.digest ?? commitmentOf('no definition'),
      attestation: this.catalogue.server(call.server)?.attestation ?? commitmentOf('no attestation'),
      lineage: call.lineage,
      governance: snapshot,
      limits: inPlace(LIMITS, call),
    };
  }

  capture(args: JsonObject = { path: '/w/a.txt' }, tool = 'write_file', meta: JsonObject = {}): CapturedCall {
    return captureCall(this.crypto, {
      call: ulid(this.clock.now(), randomBytes(10)),
      at: this.clock.now(),
      atMonotonic: this.clock.monotonic(),
      principal: PRINCIPAL,
      method: 'tools/call',
      server: 'fs',
      tool,
      arguments: args,
      rest: {},
      meta,
      manner: PLAIN_MANNER,
      place: (placing) => this.enforcement.place({ ...placing, arguments: args, token: undefined }),
    });
  }

  start(
    captured: CapturedCall,
    onProgress: (params: JsonObject) => void = () => {},
    sender: object = this,
  ): RunningCall {
    const options = { limits: this.enforcement.limits(captured), hooks: hooks({ onProgress }), ...NO_QUESTIONS };
    return this.enforcement.start(captured, options, sender);
  }

  run(args: JsonObject = { path: '/w/a.txt' }, tool = 'write_file'): Promise<CallEnd> {
    return this.start(this.capture(args, tool)).end;
  }

  /** The first step for a call: a verified permit. */
  async verified(captured = this.capture()): Promise<VerifiedPermit> {
    const verification = await this.gate.verify(this.permitFor(this.requestFor(captured)), captured);
    if ('code' in verification) throw new Error(`refused: ${verification.code}`);
    return verification.verified;
  }

  /** The first two steps for a call. */
  async recorded(captured = this.capture()): Promise<RecordedCall> {
    const recorded = await this.gate.record(await this.verified(captured), intentOf(captured), []);
    if ('code' in recorded) throw new Error(`not recorded: ${recorded.code}`);
    return recorded.recorded;
  }

  /** The server is approved with another definition of a tool. */
  drift(tool = 'write_file'): void {
    const changed = (this.server.description as ServerDescription).tools.map(({ raw }) =>
      raw.name === tool ? { ...raw, description: 'now quite different' } : raw,
    );
    this.catalogue.pin('fs', definitionOf(describe('fs', changed)));
  }

  revoke(kind: 'agent' | 'server' | 'jti', id: string): void {
    const number = this.revocations.number + 1;
    this.revocations.apply({ number, kind, id, at: this.clock.now() });
    this.governance.noteRevocation(number);
  }

  /** The entries that a reader sees; with `durable`, those that survive if the power goes now. */
  entries(durable = false): readonly Entry[] {
    const files = durable ? this.store.afterPowerLoss(() => false) : this.store.contents();
    const lines = linesOf(
      new Map([...files].map(([path, bytes]) => [path, bytes.slice(0, bytes.lastIndexOf(0x0a) + 1)])),
    );
    const lastCommit = lines.findLastIndex((line) => line.commit);
    return lines.slice(0, lastCommit).flatMap((line) => {
      if (line.commit) return [];
      const entry = decodeEntry(line.bytes);
      return entry === undefined ? [] : [entry];
    });
  }

  entriesOf(call: CallId, durable = false): readonly Entry[] {
    return this.entries(durable).filter((entry) => entry.call === call);
  }

  verdictOf(call: CallId): ReturnType<typeof replay> {
    return replay({ call, entries: this.entriesOf(call) });
  }
}

/** The intent that the fold orders for a call. */
export function intentOf(captured: CapturedCall): EntryBody {
  const { at, call, server, tool, principal, args, argumentsBytes, lineage } = captured;
  const what = { method: 'tools/call', server, tool, principal, args: { commitment: args, bytes: argumentsBytes } };
  let [execution, effects] = begin({ type: 'call.requested', at, call, ...what, lineage });
  for (const event of [EVENTS['decision.allowed'], EVENTS['permit.verified']]) {
    [execution, effects] = step(execution, event);
  }
  const order = effects.find((effect) => effect.type === 'record_intent');
  if (order?.type !== 'record_intent') throw new Error('the fold orders no intent');
  return order.body;
}

export function endingOf(captured: CapturedCall): EntryBody {
  return { type: 'call.ending', call: captured.call, events: [] };
}
