// What one client may do here, in the neutral form: see what is offered to it, have a message governed, and be asked in turn. The eras are
// wrapped around it (adapters/downstream): they know the words on the wire, this knows the principal, the view and what belongs to whom.

import type { EarlierRound } from '../control-plane/lineage/place.ts';
import { actionId, type GovernedMethod } from '../domain/action.ts';
import { type Denial, deny } from '../domain/denial.ts';
import type { CallId } from '../domain/ids.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { type Lineage, lineageBeside, rootLineage } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';
import type { Scope } from '../domain/scope.ts';
import type { CallRelation, CallRequested } from '../state-machines/execution-events.ts';
import type { BoundTask } from './bound-tasks.ts';
import { captureCall } from './captured-call.ts';
import type { ViewName } from './client-port.ts';
import { ClientQuestions, momentOf, type Within } from './client-questions.ts';
import type { Enforcement } from './enforcement.ts';
import { forwarded } from './forwarded-meta.ts';
import { CALLS_IN_FLIGHT_PER_SESSION_MAX } from './limits.ts';
import type { Listener } from './notices.ts';
import { notInOurName } from './own-name.ts';
import type { RunningCall } from './running-call.ts';
import { Subscriptions } from './subscriptions.ts';
import type { OwnerOfTasks } from './task-names.ts';
import { TaskNotices } from './task-notices.ts';
import { exposedName, resolveName, toolsOf } from './tool-names.ts';
import type { Asking, Era, Manner, Notice, OfferKind, Peer, Question } from './tool-server.ts';
import { couldMake } from './uri-template.ts';

/** A governed message of a client, with its target found. */
export interface Operation {
  readonly method: GovernedMethod;
  readonly server: string;
  /** The tool of a tools/call. */
  readonly tool: string;
  /** What rules decide about: the arguments of a tool, the params of every other method, as the server knows them. */
  readonly arguments: JsonObject;
  /** Further params, forwarded as they are: answers and state of an earlier round, a task, whatever a later revision adds. */
  readonly rest: JsonObject;
  readonly meta: JsonObject;
  readonly manner: Manner;
  /** What shows the execution that it belongs to. */
  readonly token?: string | undefined;
  /** What it hands on at most, where its sender narrows that. */
  readonly narrowing?: Scope | undefined;
  /** The round that it goes on with. */
  readonly continues?: EarlierRound | undefined;
  readonly relation?: CallRelation | undefined;
  /** The tool whose result the answer may hold, where a message asks for that later. */
  readonly resultOf?: string | undefined;
}

/** How a client takes part in its own call while it runs. */
export interface Participation {
  onProgress(params: JsonObject): void;
  onLog(params: JsonObject): void;
  /** Where questions to it go that belong to this call; undefined where it cannot be asked in the middle of one. */
  readonly client: Peer | undefined;
  /** See CallOptions. Without it questions pass: whoever continues the call puts them through `ask`, each governed by itself. */
  readonly admitQuestions?: (questions: Readonly<Record<string, Question>>) => Promise<Denial | undefined>;
  /** Told of every question that the server asks in the middle of the call, put to the client or not; `answered` never rejects. */
  onAsked?(question: Question, answered: Promise<unknown>): void;
}

export interface ConversationOptions {
  readonly principal: Principal;
  readonly view: ViewName;
  /** See ClientSessions. */
  readonly ahead?: boolean;
  /** Told what a server in the view said unasked, as far as this client may hear it. */
  readonly onNotice: (notice: Notice, server: string) => void;
  /** Where its client is asked within no call, and what it can be asked; undefined while it cannot. */
  readonly client?: () => { readonly peer: Peer; readonly manner: Manner } | undefined;
}

/** The method by which what is listed is used. */
const USED_BY: Record<OfferKind, GovernedMethod> = {
  prompts: 'prompts/get',
  resources: 'resources/read',
  resourceTemplates: 'resources/read',
};

/** Where questions in an answer may pass because whoever continues the call puts them, each by itself. Nobody continues anything else. */
const CONTINUING: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);
const PASS = async (): Promise<undefined> => undefined;
const WITHHOLD = async (): Promise<Denial> => deny('OUTPUT_UNSUPPORTED', 'questions that nobody would put');

export class Conversation implements Listener {
  readonly gate: Enforcement;
  readonly principal: Principal;
  readonly view: ViewName;
  readonly #ahead: boolean;
  readonly #onNotice: ConversationOptions['onNotice'];
  readonly #client: NonNullable<ConversationOptions['client']>;
  readonly #running = new Set<RunningCall>();
  readonly #questions: ClientQuestions;
  readonly #subscriptions = new Subscriptions();
  readonly #tasks: TaskNotices;
  /** What was said before is told before. */
  #telling: Promise<void> = Promise.resolve();
  /** Of the client, as far as it was said: only one of the older era has to be met. */
  #era: Era = 'modern';
  /** Why nothing begins any more. */
  #closedBy: 'disconnect' | 'shutdown' | undefined;

  constructor(gate: Enforcement, { principal, view, onNotice, client, ahead }: ConversationOptions) {
    this.#ahead = ahead === true;
    this.#client = client ?? (() => undefined);
    this.gate = gate;
    this.principal = principal;
    this.view = view;
    this.#onNotice = onNotice;
    this.#questions = new ClientQuestions(gate, {
      principal,
      refuse: (denial, method, { call, server, lineage }) =>
        this.refuse(denial, method, server, call === undefined ? undefined : { kind: 'within', call }, lineage),
    });
    this.#tasks = new TaskNotices({
      agent: principal.agent,
      tasks: gate.tasks,
      scope: (server) => gate.scope(server, this),
      hasRoom: () => this.hasRoom(),
      begin: (operation, participation) => this.begin(operation, participation),
      tell: (notice, server) => this.#tell(notice, server),
      isClosed: () => this.isClosed,
    });
    gate.notices.join(this);
  }

  /** Stops what runs now. */
  stop(by: 'disconnect' | 'shutdown'): void {
    for (const call of [...this.#running]) call.stop({ type: 'call.cancelled', by });
  }

  /** Ends what runs and hears nothing more. Resolves when every call has its ending. */
  async close(by: 'disconnect' | 'shutdown'): Promise<void> {
    this.#closedBy ??= by;
    this.gate.notices.leave(this);
    const asked = this.#questions.close(by);
    const running = [...this.#running];
    this.stop(by);
    await Promise.all([asked, ...running.map((call) => call.end)]);
    this.gate.forget(this);
  }

  get isClosed(): boolean {
    return this.#closedBy !== undefined;
  }

  sees(server: string): boolean {
    return this.view.kind === 'all' || this.view.server === server;
  }

  noticed(server: string, { method, params: said }: Notice): void {
    const params = forwarded(said);
    switch (method) {
      case 'notifications/resources/updated':
        if (this.#subscriptions.concern(server, String(params.uri), () => this.#tell({ method, params }, server)))
          this.#tell({ method, params }, server);
        return;
      case 'notifications/tasks':
      case 'notifications/tasks/status':
        return this.#tasks.noticed(server, { method, params });
      default:
        // That a server exists is told by what it says too: only for those who may know of it at all.
        this.#telling = this.#telling.then(async () => {
          if (await this.gate.knows(this.principal, server)) this.#tell({ method, params }, server);
        });
    }
  }

  #tell(notice: Notice, server: string): void {
    if (!this.isClosed) this.#onNotice(notice, server);
  }

  /** Servers in the view, in the order of the configuration. Waits until they are described, or will not be in time. */
  async servers(): Promise<readonly string[]> {
    await this.gate.described();
    const names = this.gate.catalogue.servers().map(({ name }) => name);
    return names.filter((name) => this.sees(name) && this.gate.isOffered(name));
  }

  /** Has the servers in the view make ready for a client of this era. */
  async meet(era: Era): Promise<void> {
    this.#era = era;
    const servers = await this.servers();
    await Promise.all(servers.map((name) => this.gate.meet(name, era)));
  }

  /** What servers in the view can do and rules could ever allow this client, as a server declares it. */
  async capabilities(): Promise<JsonObject> {
    const servers = await this.servers();
    const visible = await this.gate.visible(this.principal);
    const able = new Set<string>();
    for (const server of servers) {
      const { capabilities = {} } = this.gate.description(server) ?? {};
      const { prompts, resources, completions, logging } = capabilities;
      const may = (method: GovernedMethod) => visible.has(actionId(method, server, method));
      if (isJsonObject(prompts) && may('prompts/get')) able.add('prompts');
      if (isJsonObject(resources) && may('resources/read')) able.add('resources');
      if (isJsonObject(resources) && resources.subscribe === true && may('resources/subscribe')) able.add('subscribe');
      if (isJsonObject(completions) && may('completion/complete')) able.add('completions');
      if (isJsonObject(logging) && (await this.gate.knows(this.principal, server))) able.add('logging');
    }
    return {
      tools: { listChanged: true },
      ...(able.has('prompts') ? { prompts: { listChanged: true } } : {}),
      ...(able.has('resources') ? { resources: { listChanged: true, subscribe: able.has('subscribe') } } : {}),
      ...(able.has('completions') ? { completions: {} } : {}),
      ...(able.has('logging') ? { logging: {} } : {}),
    };
  }

  /** A server's own words to the model, where the view is of one server. */
  async instructions(): Promise<string | undefined> {
    if (this.view.kind !== 'server' || !(await this.gate.knows(this.principal, this.view.server))) return undefined;
    if (!this.gate.isOffered(this.view.server)) return undefined;
    return this.gate.catalogue.server(this.view.server)?.instructions;
  }

  /** The pinned tools that this client may know of, under the names of its view. */
  async tools(): Promise<readonly JsonObject[]> {
    await this.gate.described();
    const { catalogue } = this.gate;
    const visible = await this.gate.visible(this.principal);
    const tools = toolsOf(this.view, catalogue)
      .filter(({ server, name }) => visible.has(`${server}/${name}`) && this.gate.isOffered(server))
      .map(({ server, name, definition }) => ({
        ...notInOurName(definition),
        name: exposedName(this.view, server, name),
      }));
    if (this.#ahead && this.view.kind === 'server' && tools.length > 0) this.#prepare(this.view.server);
    return tools;
  }

  /** A client that may call something soon does: its own server starts meanwhile. What comes of that the call will find. */
  #prepare(server: string): void {
    if (!this.isClosed) this.gate.prepare(server, { conversation: this, agent: this.principal.agent, era: this.#era });
  }

  /** What servers offer besides tools, as far as this client may know of it. */
  async offers(kind: OfferKind): Promise<readonly JsonObject[]> {
    const servers = await this.servers();
    const visible = await this.gate.visible(this.principal);
    const method = USED_BY[kind];
    const shown = servers.filter((server) => visible.has(actionId(method, server, method)));
    const lists = await Promise.all(
      shown.map(async (server) => {
        const items = (await this.#list(server, kind)).map(notInOurName);
        if (kind !== 'prompts' || this.view.kind === 'server') return items;
        return items.map((item) => ({ ...item, name: exposedName(this.view, server, String(item.name)) }));
      }),
    );
    return lists.flat();
  }

  #list(server: string, kind: OfferKind): Promise<readonly JsonObject[]> {
    return this.gate.offers.of(server, kind, { conversation: this, agent: this.principal.agent, era: this.#era });
  }

  /** What a client's name for a tool or a prompt means. */
  named(name: string): { readonly server: string; readonly name: string } {
    const target = resolveName(this.view, name);
    // A name that cannot be resolved names no server; the catalogue will not find it.
    return target === undefined ? { server: '', name } : { server: target.server, name: target.tool };
  }

  /** Whose resource this is: of the servers in the view the first that lists it, else the first with a template that could make it. */
  async holderOf(uri: string): Promise<string> {
    if (this.view.kind === 'server') return this.view.server;
    // What it may not know of must not stand before what it may.
    const visible = await this.gate.visible(this.principal);
    const servers = (await this.servers()).filter((server) =>
      visible.has(actionId(USED_BY.resources, server, USED_BY.resources)),
    );
    const resources = await Promise.all(servers.map((server) => this.#list(server, 'resources')));
    const listed = resources.findIndex((list) => list.some((resource) => resource.uri === uri));
    if (listed >= 0) return servers[listed] ?? '';
    const templates = await Promise.all(servers.map((server) => this.#list(server, 'resourceTemplates')));
    const made = templates.findIndex((list) =>
      list.some(({ uriTemplate }) => typeof uriTemplate === 'string' && couldMake(uriTemplate, uri)),
    );
    return servers[made] ?? '';
  }

  /** The task that this client knows under an id. */
  task(id: string): BoundTask | undefined {
    const task = this.gate.tasks.find(id, this.principal.agent);
    if (task === undefined || !this.sees(task.server)) return undefined;
    return task.scope === undefined || task.scope === this ? task : undefined;
  }

  /** Who a task of this server belongs to when this client makes it. */
  owner(server: string): OwnerOfTasks {
    return { agent: this.principal.agent, tasks: this.gate.tasks, scope: this.gate.scope(server, this) };
  }

  /** Whether one more call may begin. */
  hasRoom(): boolean {
    return this.#running.size < CALLS_IN_FLIGHT_PER_SESSION_MAX && this.gate.hasRoom();
  }

  /** Has a message governed. It ends by itself; whoever began it may stop it. */
  begin(operation: Operation, participation: Participation): RunningCall {
    const { gate } = this;
    const { client, admitQuestions = CONTINUING.has(operation.method) ? PASS : WITHHOLD } = participation;
    const manner = { ...operation.manner, sender: this };
    const { token, arguments: args, continues } = operation;
    const captured = captureCall(gate.crypto, {
      ...operation,
      ...momentOf(gate),
      principal: this.principal,
      manner,
      relation: continues === undefined ? operation.relation : { kind: 'continues', call: continues.call },
      place: (placing) => gate.place({ ...placing, arguments: args, token, continues }),
    });
    const within: Within = captured;
    const hooks = {
      onProgress: (params: JsonObject) => participation.onProgress(forwarded(params)),
      onLog: (params: JsonObject) => participation.onLog(forwarded(params)),
      ask: (question: Question) => {
        const asking = this.ask(within, question, client);
        participation.onAsked?.(question, asking.answer);
        return asking;
      },
    };
    const refuseQuestion = (question: Question, denial: Denial) => this.#questions.refuse(within, question, denial);
    const options = { limits: gate.limits(captured), hooks, refuseQuestion, admitQuestions };
    this.#subscriptions.requested(operation);
    const running = gate.start(captured, options, this);
    this.#keep(running);
    void running.end.then((end) => this.#subscriptions.ended(operation, end.kind === 'result'));
    return running;
  }

  asked(server: string, question: Question): Asking | undefined {
    const client = this.isClosed ? undefined : this.#client();
    if (client === undefined) return undefined;
    const manner = { ...client.manner, sender: this };
    return this.#questions.ask({ call: undefined, server, manner, lineage: undefined }, question, client.peer);
  }

  /** The roots of its client are others now: so hears every server that has no other client. What they are is asked, and governed. */
  async rootsChanged(): Promise<void> {
    for (const server of await this.servers()) await this.ready(server);
  }

  async ready(server: string): Promise<void> {
    const { roots } = this.#client()?.manner.capabilities ?? {};
    if (roots === undefined || !(await this.gate.knows(this.principal, server))) return;
    this.gate.onlyOf(server, this)?.tell?.({ method: 'notifications/roots/list_changed', params: {} });
  }

  /** Puts a server's question to a client: an execution of its own, which the client carries out. */
  ask(within: Within, question: Question, client: Peer | undefined): Asking {
    return this.#questions.ask(within, question, client);
  }

  /** Once closed, what begins ends at once. */
  #keep(running: RunningCall): void {
    this.#running.add(running);
    void running.end.then(() => this.#running.delete(running));
    if (this.#closedBy !== undefined) running.stop({ type: 'call.cancelled', by: this.#closedBy });
  }

  /** Records that something was refused which was never governed; it stands beside the call that it is about. Resolves with the id under which it is found in the ledger. */
  async refuse(
    denial: Denial,
    method: string,
    server?: string,
    relation?: CallRelation,
    beside?: Lineage,
  ): Promise<CallId> {
    const { call, at } = momentOf(this.gate);
    const requested: CallRequested = {
      type: 'call.requested',
      at,
      call,
      method,
      server: server ?? (this.view.kind === 'server' ? this.view.server : null),
      tool: null,
      principal: this.principal,
      args: null,
      lineage: beside === undefined ? rootLineage(call) : lineageBeside(beside, call),
      ...(relation === undefined ? {} : { relation }),
    };
    await this.gate.refuse({ requested, denial }).end;
    return call;
  }
}
