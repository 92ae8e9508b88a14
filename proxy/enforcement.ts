// The live side of the gate as a conversation sees it: starts executions, keeps count of them, and answers what may be shown to whom. Wired
// by the composition root.

import type { Authorization, CallLimits, GovernanceSnapshot } from '../control-plane/authorization.ts';
import type { RevokedThing } from '../control-plane/lineage/ports.ts';
import type { RevocationKind } from '../control-plane/permits/revocations.ts';
import { actionId, PLAIN_METHODS, serverOfAction, TOOL_METHOD, toolsOf } from '../domain/action.ts';
import type { Denial, DenialCode } from '../domain/denial.ts';
import type { Principal } from '../domain/principal.ts';
import { type AdmissionPorts, admit, refusalOf, type Visibility } from './admission.ts';
import { BoundTasks } from './bound-tasks.ts';
import type { Arriving, CallTree, Placed } from './call-tree.ts';
import type { CapturedCall } from './captured-call.ts';
import type { Catalogue, PinnedServer } from './catalogue.ts';
import type { Channels } from './channels.ts';
import type { CallEnd } from './client-view.ts';
import type { Governance } from './governance.ts';
import { Watchdog } from './guards/watchdog.ts';
import {
  CALLS_IN_FLIGHT_MAX,
  PRINCIPALS_REMEMBERED_MAX,
  QUESTIONS_AT_ONCE_MAX,
  REFUSALS_AT_ONCE_MAX,
} from './limits.ts';
import { Notices } from './notices.ts';
import { Offers } from './offers.ts';
import type { Clock, GateCrypto } from './ports.ts';
import type { Quarantined } from './quarantine.ts';
import { refuseRequest, runCall } from './runner.ts';
import type { CallOptions, RefusedRequest, RunnerPorts, RunningCall } from './running-call.ts';
import type { Customer, ServerPool } from './server-pool.ts';
import { ServerTurns, type Turn } from './server-turns.ts';
import type { Era, ServerDescription, ToolServer } from './tool-server.ts';

export interface EnforcementPorts {
  readonly clock: Clock;
  readonly crypto: GateCrypto;
  readonly governance: Governance;
  readonly admission: AdmissionPorts;
  readonly runner: Omit<RunnerPorts, 'decide' | 'watchdog'>;
  /** How many calls of a server may be with it at once; undefined where nothing but the bounds of the gate says so. */
  readonly concurrency: (server: string) => number | undefined;
  /** Resolves when the servers have been described, or will not be in time. */
  readonly described: () => Promise<void>;
  /** Ways to clients that are being asked something: where the gate finds those who execute questions. */
  readonly channels: Channels;
  /** The chains that calls belong to. */
  readonly tree: CallTree;
  /** The gate has one client for as long as it lives: every server is that client's. */
  readonly oneClient?: boolean;
}

export class Enforcement {
  readonly #ports: EnforcementPorts;
  readonly #admission: AdmissionPorts & Visibility;
  readonly #runner: RunnerPorts;
  readonly #turns: ServerTurns;
  readonly #inFlight = new Set<RunningCall>();
  readonly #watchdog: Watchdog;
  /** Of those, the questions to clients. */
  readonly #questions = new Map<RunningCall, CapturedCall>();
  readonly offers: Offers;
  readonly notices = new Notices();
  readonly tasks = new BoundTasks();
  /** Refusals that are being recorded, and those that wait for their turn. Whoever sends bounds how many: see the edges. */
  #refusing = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #visible = new Map<string, { epoch: number; tools: ReadonlySet<string> }>();

  constructor(ports: EnforcementPorts) {
    this.#ports = ports;
    this.#admission = { ...ports.admission, visible: (principal: Principal) => this.visible(principal) };
    const { clock, governance } = ports;
    this.#watchdog = new Watchdog({ clock, governance, calls: () => this.#inFlight });
    this.#runner = { ...ports.runner, watchdog: this.#watchdog, decide: (call) => this.#admit(call) };
    this.#turns = new ServerTurns(ports.concurrency);
    this.offers = new Offers(ports.clock, ports.admission.servers, ports.admission.catalogue);
  }

  get channels(): Channels {
    return this.#ports.channels;
  }

  get clock(): Clock {
    return this.#ports.clock;
  }

  get crypto(): GateCrypto {
    return this.#ports.crypto;
  }

  get catalogue(): Catalogue {
    return this.#ports.admission.catalogue;
  }

  /** The state of governance that a decision is good for now, or why there is none. */
  generation(): GovernanceSnapshot | Denial {
    return this.#ports.governance.standingSnapshot();
  }

  async #admit(call: CapturedCall): Promise<Authorization> {
    await this.#watchdog.smooth();
    return admit(this.#admission, call);
  }

  /** Whether anything of a server is offered now: nothing is of one that was set aside. */
  isOffered(server: string): boolean {
    return this.#ports.admission.quarantine.of('server', server) === undefined;
  }

  /** What a server said of itself, or undefined while it is not there. */
  description(server: string): ServerDescription | undefined {
    return this.#servers.description(server);
  }

  /** Has a server make ready for a client of this era. Never rejects. */
  meet(server: string, era: Era): Promise<void> {
    return this.#servers.meet(server, era);
  }

  /** To whom alone the server belongs that a conversation speaks with; undefined where all share it. */
  scope(server: string, conversation: object): object | undefined {
    return this.#servers.scope(server, conversation);
  }

  /** A server that this conversation shares with no other one. */
  onlyOf(server: string, conversation: object): ToolServer | undefined {
    const isOnly = this.#ports.oneClient === true || this.scope(server, conversation) !== undefined;
    return isOnly ? this.#servers.of(server, conversation) : undefined;
  }

  /** A conversation is over: nothing that was its own is kept. Whoever stops the servers waits for those that are being stopped. */
  forget(conversation: object): void {
    this.tasks.forget(conversation);
    void this.#servers.end(conversation);
  }

  get #servers(): ServerPool {
    return this.#ports.admission.servers;
  }

  limits(call: CapturedCall): CallLimits {
    return this.#ports.admission.limits(call);
  }

  /** Starts a server of its own for whoever will call it. Nothing waits for that. */
  prepare(server: string, customer: Customer): void {
    if (this.#ports.governance.reason !== undefined || !this.isOffered(server)) return;
    if (this.#servers.isOwn(server)) void this.#servers.ready(server, customer);
  }

  described(): Promise<void> {
    return this.#ports.described();
  }

  /** Whether the gate as a whole takes one more call. Refusals have a bound of their own: nonsense from one must not crowd out others. */
  hasRoom(): boolean {
    return this.#inFlight.size - this.#refusing - this.#questions.size < CALLS_IN_FLIGHT_MAX;
  }

  /** Whether one more question may be put. They have a bound of their own: what servers ask must not crowd out what clients call. */
  hasRoomToAsk(): boolean {
    return this.#questions.size < QUESTIONS_AT_ONCE_MAX;
  }

  /** Finds the place of a call in a chain. Whoever is placed must be started. */
  place(arriving: Omit<Arriving, 'timeoutMs'>): Placed {
    const { server } = arriving;
    const { timeoutMs } = this.#ports.admission.limits({ server, askedThrough: undefined, timeoutMsMax: undefined });
    return this.#ports.tree.place({ ...arriving, timeoutMs });
  }

  /** Waits for what a token points at, where that is at another gate and not known here yet. Undefined where nothing is waited for. */
  expected(token: string, principal: Principal): Promise<void> | undefined {
    return this.#ports.tree.expected(token, principal);
  }

  /**
   * Stops every execution that a revocation means, and everything under it. Resolves with their number when they have ended. The revocation itself
   * is in force before: what is not running yet will not.
   */
  async revoke(kind: RevocationKind, id: string): Promise<number> {
    switch (kind) {
      case 'root':
      case 'node':
      case 'agent':
      case 'server':
      case 'tool': {
        // A question stands beside its call, and not in the registry.
        const asked = this.#withdraw('AUTHORITY_WITHDRAWN', (call) => isMeant(this.#questions.get(call), kind, id));
        const calls = this.#ports.tree.revoke(kind, id);
        return (await asked) + (await calls);
      }
      case 'jti':
        return this.#withdraw('REVOKED_JTI', ({ permit }) => permit === id);
      case 'key':
        return this.#withdraw('REVOKED_KEY', () => true);
      case 'policy':
        return this.#withdraw('REVOKED_POLICY', () => true);
      case 'approval':
        return 0;
    }
  }

  /**
   * Sets a server or an agent aside and stops what runs with it, and everything under that. Resolves with the number of calls when they have
   * ended; new ones are denied from this very tick on.
   */
  setAside(quarantined: Quarantined): Promise<number> {
    this.#ports.admission.quarantine.put(quarantined);
    return this.revoke(quarantined.kind, quarantined.id);
  }

  async #withdraw(code: DenialCode, isMeant: (call: RunningCall) => boolean): Promise<number> {
    const meant = [...this.#inFlight].filter(isMeant);
    for (const call of meant) call.stop({ type: 'authority.withdrawn', code });
    await Promise.all(meant.map(({ end }) => end));
    return meant.length;
  }

  /** Runs a captured call through the machine. `sender` is whoever shares its turns with nobody else: a session. */
  start(captured: CapturedCall, options: Omit<CallOptions, 'turn'>, sender: object): RunningCall {
    if (captured.askedThrough !== undefined) return this.#startQuestion(captured, options);
    const { server, lineage } = captured;
    const holder = this.#servers.holder(server, sender, lineage.root);
    const scope = this.scope(server, holder);
    const turn = this.#turns.of(server, sender, scope);
    const waits = turn !== undefined || scope !== undefined;
    const inTurn = waits ? { ...options, turn: this.#forWhoMayWait(captured, turn, holder) } : options;
    const running = runCall(this.#runner, captured, inTurn);
    void running.end.then(() => {
      if (this.#servers.hasChain(lineage.root) && !this.#ports.tree.isOpen(lineage.root))
        this.#servers.endChain(lineage.root);
    });
    this.#ports.tree.watch(captured.call, {
      stop: (code) => running.stop({ type: 'authority.withdrawn', code }),
      end: running.end,
    });
    return this.#track(running);
  }

  /** A question waits for no turn: it is part of a call that has its turn already. */
  #startQuestion(captured: CapturedCall, options: Omit<CallOptions, 'turn'>): RunningCall {
    const question = this.#track(runCall(this.#runner, captured, options));
    this.#questions.set(question, captured);
    void question.end.then(() => this.#questions.delete(question));
    return question;
  }

  /**
   * A call that could not go whatever the rules say is denied at once. That must not tell how busy a server is, nor hold up anybody, nor start
   * a server.
   */
  #forWhoMayWait(captured: CapturedCall, turn: Turn | undefined, conversation: object): Turn {
    const { agent } = captured.principal;
    const customer: Customer = { conversation, agent, era: captured.manner.era };
    return {
      take: async () => {
        await this.#servers.returned(captured.server);
        await this.#watchdog.smooth();
        const refused =
          (await refusalOf(this.#admission, captured)) ??
          (await this.#servers.ready(captured.server, customer)) ??
          (await turn?.take());
        // The call whose turn it was before may be the one that the server was ended for.
        if (refused === undefined) await this.#servers.returned(captured.server);
        return refused;
      },
      leave: () => turn?.leave(),
    };
  }

  /**
   * Records the refusal of something that was never a call. Where many come at once the later ones wait: a flood of nonsense would else fill
   * the queue of the ledger, which then counts as failed for everybody.
   */
  refuse(refused: RefusedRequest): { readonly end: Promise<CallEnd> } {
    return { end: this.#refuseInTurn(refused) };
  }

  async #refuseInTurn(refused: RefusedRequest): Promise<CallEnd> {
    if (this.#refusing < REFUSALS_AT_ONCE_MAX) this.#refusing += 1;
    else await new Promise<void>((go) => this.#waiting.push(go));
    const end = await this.#track(refuseRequest(this.#runner, refused)).end;
    const next = this.#waiting.shift();
    if (next === undefined) this.#refusing -= 1;
    else next();
    return end;
  }

  /**
   * Tools, as `server/tool`, that this principal may know of. Asked once for each generation of the rules. While no policy is installed at all
   * every tool is shown, because the denial that answers a call is how the user learns what to do. Never rejects: whoever cannot be asked
   * shows nothing.
   */
  async visible(principal: Principal): Promise<ReadonlySet<string>> {
    const { governance, admission } = this.#ports;
    if (governance.reason?.code === 'GOV_POLICY_MISSING') {
      return new Set(this.catalogue.servers().flatMap(everyAction));
    }
    const key = JSON.stringify([principal.agent, principal.roles]);
    const { epoch } = governance;
    const known = this.#visible.get(key);
    if (known?.epoch === epoch) return known.tools;
    let tools: ReadonlySet<string>;
    try {
      tools = await admission.authority.visible(principal);
    } catch {
      return new Set();
    }
    // An answer from a time when nobody could answer properly is not kept: it would hide everything from then on.
    if (tools.size === 0 || governance.reason !== undefined || governance.epoch !== epoch) return tools;
    if (this.#visible.size >= PRINCIPALS_REMEMBERED_MAX) this.#visible.clear();
    this.#visible.set(key, { epoch, tools });
    return tools;
  }

  /** Whether this principal may know anything that this server has. Never rejects. */
  async knows(principal: Principal, server: string): Promise<boolean> {
    for (const action of await this.visible(principal)) {
      if (serverOfAction(action) === server && action !== toolsOf(server)) return true;
    }
    return false;
  }

  /** Stops everything that is running; resolves with its number when each call has its ending. */
  async stopAll(event: Parameters<RunningCall['stop']>[0]): Promise<number> {
    const running = [...this.#inFlight];
    for (const call of running) call.stop(event);
    await Promise.all(running.map((call) => call.end));
    return running.length;
  }

  #track(call: RunningCall): RunningCall {
    this.#inFlight.add(call);
    this.#watchdog.watch();
    void call.end.then(() => this.#inFlight.delete(call));
    return call;
  }
}

function everyAction({ name, tools }: PinnedServer): string[] {
  return [
    ...[...tools.keys()].map((tool) => actionId(TOOL_METHOD, name, tool)),
    ...PLAIN_METHODS.map((method) => actionId(method, name, method)),
  ];
}

/** Whether a revocation means a question to a client. */
function isMeant(question: CapturedCall | undefined, kind: RevokedThing, id: string): boolean {
  if (question === undefined) return false;
  const { call, lineage, principal, method, server, tool } = question;
  const ids = { root: lineage.root, node: call, agent: principal.agent, server, tool: actionId(method, server, tool) };
  return ids[kind] === id;
}
