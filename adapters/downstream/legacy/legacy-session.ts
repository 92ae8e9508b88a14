// One conversation with a client of the revisions up to 2025-11-25: asks the method table, answers what is local, filters lists, and has
// everything else governed. Whatever is refused is recorded first and answered then. The bytes were parsed by whoever hands a message over.

import { isGovernedMethod } from '../../../domain/action.ts';
import { type DenialCode, deny } from '../../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { type ClaimedClient, claimedClient } from '../../../proxy/claimed-client.ts';
import type { Reply } from '../../../proxy/client-port.ts';
import { denialData, denialError, type OperatorHints } from '../../../proxy/client-view.ts';
import type { Conversation, Participation } from '../../../proxy/conversation.ts';
import type { Enforcement } from '../../../proxy/enforcement.ts';
import {
  type Classified,
  classify,
  errorMessage,
  notificationMessage,
  type RequestId,
  RPC,
  resultMessage,
} from '../../../proxy/jsonrpc.ts';
import { CALLS_IN_FLIGHT_PER_SESSION_MAX } from '../../../proxy/limits.ts';
import { isLoggable, isLogLevel } from '../../../proxy/log-level.ts';
import {
  isServedRevision,
  LATEST_REVISION,
  lookupMethod,
  MODERN_REVISION,
  type ServedRevision,
  unservedCode,
} from '../../../proxy/method-table.ts';
import { LISTED_BY } from '../../../proxy/offers.ts';
import { operationOf } from '../../../proxy/operation.ts';
import { reservedMeta } from '../../../proxy/own-name.ts';
import { pageOf } from '../../../proxy/page.ts';
import type { Manner, Notice, OfferKind, Peer } from '../../../proxy/tool-server.ts';
import { AskedClient } from './asked-client.ts';
import { callReply } from './call-reply.ts';
import { olderDefinition } from './from-modern.ts';
import { offered } from './offered.ts';
import { RoundsOfCall } from './rounds.ts';

type Request = Extract<Classified, { kind: 'request' }>;
type Notification = Extract<Classified, { kind: 'notification' }>;

export interface LegacySessionOptions {
  readonly conversation: Conversation;
  readonly hints: OperatorHints;
  readonly version: string;
  /** Where messages go that belong to no request. */
  readonly notify: Reply;
  readonly greeted?: (revision: string, client: ClaimedClient | undefined) => void;
}

/** After these a server that wants to know the roots asks for them. */
const ABOUT_ROOTS: ReadonlySet<string> = new Set(['notifications/initialized', 'notifications/roots/list_changed']);

/** Where a batch is part of the protocol. */
const BATCH_REVISION: ServedRevision = '2025-03-26';

/** As a status of HTTP. */
const BAD_REQUEST = 400;

/** What the protocol wants said of every task, where its server has not said it. */
const UNTOLD: JsonObject = {
  status: 'working',
  createdAt: '1970-01-01T00:00:00Z',
  lastUpdatedAt: '1970-01-01T00:00:00Z',
  ttl: null,
};

export class LegacySession {
  readonly #gate: Enforcement;
  readonly #options: LegacySessionOptions;
  readonly #conversation: Conversation;
  readonly #asked = new AskedClient();
  readonly #running = new Map<RequestId, RoundsOfCall>();
  /** Calls that came before the servers were known: a client may send them right behind `initialize`. */
  readonly #early = new Map<RequestId, symbol>();
  /** Requests that the client withdrew: they get no reply. */
  readonly #withdrawn = new Set<RequestId>();
  /** Lists being read for it. */
  #listing = 0;
  #revision: ServedRevision | undefined;
  #capabilities: JsonObject = {};
  #claimed: ClaimedClient | undefined;
  #logLevel: string | undefined;
  /** The client has the answer to `initialize`: before it, it expects nothing else from us. */
  #introduced = false;
  /** Settles then, for what was asked right behind `initialize`. */
  #greeted: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(gate: Enforcement, options: LegacySessionOptions) {
    this.#gate = gate;
    this.#options = options;
    this.#conversation = options.conversation;
  }

  get revision(): ServedRevision | undefined {
    return this.#revision;
  }

  /** Handles one parsed message of so many bytes. Never rejects. Resolves when nothing more will be sent for it. */
  async handle(message: Json, bytes: number, reply: Reply): Promise<void> {
    const classified = classify(message);
    if (classified.kind !== 'batch') return this.#handle(classified, bytes, reply, reply);
    if (this.#revision !== BATCH_REVISION) return this.refuse('MESSAGE_BATCH', 'an array of messages', reply);
    return this.#handleBatch(classified.elements, bytes, reply);
  }

  /** Records a refusal, then answers it as an error of this protocol. */
  async refuse(
    code: DenialCode,
    detail: string,
    reply: Reply,
    id: RequestId | null = null,
    method = '(message)',
  ): Promise<void> {
    const call = await this.#conversation.refuse(deny(code, detail), method);
    // An error that answers no request is all that there is to say: on HTTP its status says so too.
    if (id === null) reply(denialError(this.#noId(), code, call), BAD_REQUEST);
    else reply(denialError(id, code, call));
  }

  /** Records that bytes came which are no message that we read, and says so. */
  async unreadable(reason: string, detail: string, reply: Reply): Promise<void> {
    const call = await this.#conversation.refuse(deny('MESSAGE_MALFORMED', detail), '(unreadable)');
    const data = denialData('MESSAGE_MALFORMED', call);
    reply(errorMessage(this.#noId(), RPC.parseError, `Parse error: ${reason}`, data), BAD_REQUEST);
  }

  /** The id of an error where none could be read. Before 2025-11-25 an error had to have one, and JSON-RPC says null; since then it is left out. */
  #noId(): null | undefined {
    return this.#revision === undefined || this.#revision === LATEST_REVISION ? undefined : null;
  }

  close(): void {
    this.#closed = true;
    this.#asked.close();
  }

  /** Every element is governed by itself; the answers go back as one array, as 2025-03-26 says. */
  async #handleBatch(elements: readonly Json[], bytes: number, reply: Reply): Promise<void> {
    if (elements.length === 0) return this.refuse('MESSAGE_MALFORMED', 'an empty batch', reply);
    if (elements.length > CALLS_IN_FLIGHT_PER_SESSION_MAX)
      return this.refuse('OVERLOADED', 'a batch that is too long', reply);
    const answers: string[] = [];
    const collect = (answer: string): void => {
      answers.push(answer);
    };
    await Promise.all(
      elements.map((element) => {
        const classified = classify(element);
        if (classified.kind === 'batch') return this.refuse('MESSAGE_BATCH', 'a batch inside a batch', collect);
        if (classified.kind === 'request' && classified.method === 'initialize')
          return this.refuse('MESSAGE_BATCH', 'initialize inside a batch', collect, classified.id, 'initialize');
        // The array holds answers only, and leaves when all are there: what is said meanwhile would come too late to mean anything.
        return this.#handle(classified, bytes, collect, undefined);
      }),
    );
    if (answers.length > 0) reply(`[${answers.join(',')}]`);
  }

  /** `meanwhile`: where messages go that belong to a request but are not its answer; undefined where there is no place for them. */
  async #handle(
    message: Exclude<Classified, { kind: 'batch' }>,
    bytes: number,
    reply: Reply,
    meanwhile: Reply | undefined,
  ): Promise<void> {
    switch (message.kind) {
      case 'malformed':
        if (message.answers !== undefined && this.#asked.misanswered(message.answers, message.reason, bytes)) return;
        return this.refuse('MESSAGE_MALFORMED', message.reason, reply, message.id);
      case 'response':
        // A response is not answered, not even one that nobody waits for.
        if (!this.#asked.answered(message, bytes))
          await this.#record('MESSAGE_DIRECTION', 'a response to nothing', '(response)');
        return;
      case 'notification':
        return this.#notification(message);
      case 'request':
        return this.#request(message, reply, meanwhile);
    }
  }

  async #notification({ method, params = {} }: Notification): Promise<void> {
    const row = lookupMethod('legacy', 'client', 'notification', method);
    if (row === undefined || row.action === 'deny')
      return this.#record(unservedCode('client', method, row), 'a notification', method);
    if (method === 'notifications/cancelled') this.#cancel(params);
    if (method === 'notifications/progress') this.#asked.progressed(params);
    if (ABOUT_ROOTS.has(method) && this.#introduced) await this.#conversation.rootsChanged();
  }

  #cancel({ requestId: id }: JsonObject): void {
    if (typeof id !== 'string' && typeof id !== 'number') return;
    this.#early.delete(id);
    // A cancellation that crosses its answer finds nothing running and changes nothing.
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#withdrawn.add(id);
    running.withdraw();
  }

  async #request(message: Request, reply: Reply, meanwhile: Reply | undefined): Promise<void> {
    const { id, method, params = {} } = message;
    const row = lookupMethod('legacy', 'client', 'request', method);
    const refuse = (code: DenialCode, detail: string) => this.refuse(code, detail, reply, id, method);
    if (row === undefined || row.action === 'deny') return refuse(unservedCode('client', method, row), method);
    const reserved = reservedMeta(params);
    if (reserved !== undefined) return refuse('META_RESERVED', reserved);
    if (method === 'initialize') return this.#initialize(message, reply);
    if (method === 'ping') return reply(resultMessage(id, {}));
    if (this.#revision === undefined) return refuse('NOT_INITIALIZED', method);
    if (isGovernedMethod(method)) return this.#govern(message, reply, meanwhile);
    if (method === 'logging/setLevel') return this.#setLevel(message, reply);
    return this.#list(message, reply);
  }

  async #initialize({ id, params = {} }: Request, reply: Reply): Promise<void> {
    const refuse = (detail: string) => this.refuse('MESSAGE_MALFORMED', detail, reply, id, 'initialize');
    if (this.#revision !== undefined) return refuse('initialized twice');
    const { protocolVersion, capabilities, clientInfo } = params;
    if (typeof protocolVersion !== 'string') return refuse('no protocolVersion');
    this.#revision = isServedRevision(protocolVersion) ? protocolVersion : LATEST_REVISION;
    this.#capabilities = isJsonObject(capabilities) ? capabilities : {};
    this.#claimed = claimedClient(clientInfo);
    this.#options.greeted?.(this.#revision, this.#claimed);
    const greeting = this.#greet(id, this.#revision, reply);
    this.#greeted = greeting.catch(() => {});
    await greeting;
  }

  async #greet(id: RequestId, revision: ServedRevision, reply: Reply): Promise<void> {
    await this.#conversation.meet('legacy');
    const able = await offered(this.#conversation, revision);
    const instructions = await this.#conversation.instructions();
    reply(
      resultMessage(id, {
        protocolVersion: revision,
        capabilities: able,
        serverInfo: { name: 'portcullis', version: this.#options.version },
        ...(instructions === undefined ? {} : { instructions }),
      }),
    );
    this.#introduced = true;
  }

  async #setLevel({ id, params = {} }: Request, reply: Reply): Promise<void> {
    await this.#greeted;
    const { level } = params;
    if (!isLogLevel(level)) return reply(errorMessage(id, RPC.invalidParams, 'Invalid log level'));
    this.#logLevel = level;
    reply(resultMessage(id, {}));
  }

  async #list(message: Request, reply: Reply): Promise<void> {
    const { id, method } = message;
    if (this.#listing >= CALLS_IN_FLIGHT_PER_SESSION_MAX)
      return this.refuse('OVERLOADED', 'too many lists at once', reply, id, method);
    this.#listing += 1;
    try {
      await this.#greeted;
      await this.#listNow(message, reply);
    } finally {
      this.#listing -= 1;
    }
  }

  async #listNow({ id, method, params = {} }: Request, reply: Reply): Promise<void> {
    const kind = LISTED_BY[method];
    const list = method === 'tasks/list' ? this.#ownTasks() : await this.#items(kind);
    const page = pageOf(this.#gate.crypto.sha256, this.#conversation.principal.agent, list, params.cursor);
    if (page === undefined) return reply(errorMessage(id, RPC.invalidParams, 'Invalid cursor'));
    const { items, nextCursor } = page;
    reply(
      resultMessage(id, {
        [method === 'tasks/list' ? 'tasks' : (kind ?? 'tools')]: items,
        ...(nextCursor === undefined ? {} : { nextCursor }),
      }),
    );
  }

  #items(kind: OfferKind | undefined): Promise<readonly JsonObject[]> {
    return kind === undefined ? this.#tools() : this.#conversation.offers(kind);
  }

  async #tools(): Promise<readonly JsonObject[]> {
    const tools = await this.#conversation.tools();
    return tools.map((tool) =>
      this.#isModern(this.#conversation.named(String(tool.name)).server) ? olderDefinition(tool) : tool,
    );
  }

  #isModern(server: string): boolean {
    return this.#gate.description(server)?.protocolVersion === MODERN_REVISION;
  }

  /** As their servers described them last: what has become of them since is asked of their server one by one, governed. */
  #ownTasks(): readonly JsonObject[] {
    const { tasks } = this.#gate;
    const { agent } = this.#conversation.principal;
    const seen = tasks.of(agent).filter((taskId) => this.#conversation.task(taskId) !== undefined);
    return seen.map((taskId) => ({ ...UNTOLD, ...tasks.state(taskId, agent), taskId }));
  }

  async #govern(message: Request, reply: Reply, meanwhile: Reply | undefined): Promise<void> {
    const { id, method } = message;
    const refuse = (code: DenialCode, detail: string) => this.refuse(code, detail, reply, id, method);
    if (this.#running.has(id) || this.#early.has(id)) return refuse('MESSAGE_MALFORMED', 'the id is in use');
    if (this.#early.size >= CALLS_IN_FLIGHT_PER_SESSION_MAX)
      return refuse('OVERLOADED', 'too many calls before the servers are known');
    // Once withdrawn an id can be taken anew: which of two calls it stands for is told by the mark.
    const mark = Symbol();
    this.#early.set(id, mark);
    await this.#greeted;
    await this.#gate.described();
    const operation = await operationOf(this.#conversation, message, this.#manner());
    const lacksTasks =
      'rest' in operation && operation.rest.task !== undefined && (await this.#lacksTasks(operation.server));
    if (this.#early.get(id) !== mark) return this.#record('CANCELLED', 'before the servers were known', method);
    this.#early.delete(id);
    if ('code' in operation) return refuse(operation.code, operation.detail ?? method);
    if (lacksTasks) return refuse('METHOD_NOT_SERVED', 'a call as a task of a server without tasks');
    if (this.#closed || !this.#conversation.hasRoom()) return refuse('OVERLOADED', 'too many calls in flight');
    const rounds = new RoundsOfCall(this.#conversation, operation, this.#participation(message, meanwhile));
    this.#running.set(id, rounds);
    const end = await rounds.end;
    this.#running.delete(id);
    if (this.#withdrawn.delete(id)) return;
    const { hints } = this.#options;
    const { server, tool } = operation;
    const definition = this.#gate.catalogue.tool(server, tool)?.definition;
    const modern = this.#isModern(server) ? { outputSchema: definition?.outputSchema } : undefined;
    reply(callReply(message, operation, end, { hints, owner: this.#conversation.owner(server), modern }));
  }

  /** Of a server that this client may not know of nothing is said here: the call is denied like any other. */
  async #lacksTasks(server: string): Promise<boolean> {
    if (!(await this.#gate.knows(this.#conversation.principal, server))) return false;
    return !isJsonObject(this.#gate.description(server)?.capabilities.tasks);
  }

  #participation({ id, params }: Request, meanwhile: Reply | undefined): Participation {
    const token = isJsonObject(params?._meta) ? params._meta.progressToken : undefined;
    const tell = (method: string, said: JsonObject): void => {
      if (!this.#withdrawn.has(id)) meanwhile?.(notificationMessage(method, said));
    };
    return {
      onProgress: (progress) => {
        if (token !== undefined) tell('notifications/progress', { ...progress, progressToken: token });
      },
      onLog: (log) => {
        if (isLoggable(log.level, this.#logLevel)) tell('notifications/message', log);
      },
      client: meanwhile === undefined ? undefined : this.#asked.through(meanwhile),
    };
  }

  #manner(): Manner {
    const logLevel = this.#logLevel === undefined ? {} : { logLevel: this.#logLevel };
    const claimed = this.#claimed === undefined ? {} : { claimed: this.#claimed };
    return { era: 'legacy', capabilities: this.#capabilities, ...logLevel, ...claimed };
  }

  /** Where the client is asked within no call; undefined before it was greeted. */
  client(): { readonly peer: Peer; readonly manner: Manner } | undefined {
    if (!this.#introduced || this.#closed) return undefined;
    return { peer: this.#asked.through(this.#options.notify), manner: this.#manner() };
  }

  /** What a server said unasked, if this era has a word for it. */
  noticed({ method, params }: Notice): void {
    if (!this.#introduced || this.#closed) return;
    if (lookupMethod('legacy', 'server', 'notification', method) === undefined) return;
    if (method === 'notifications/message' && !isLoggable(params.level, this.#logLevel)) return;
    const isEmpty = Object.keys(params).length === 0;
    this.#options.notify(notificationMessage(method, isEmpty ? undefined : params));
  }

  async #record(code: DenialCode, detail: string, method: string): Promise<void> {
    await this.#conversation.refuse(deny(code, detail), method);
  }
}
