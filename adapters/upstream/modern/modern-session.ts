// One conversation with a tool server that speaks 2026-07-28, over any pipe of messages. It promises what the session of the older revisions
// promises: our own ids and progress tokens, a request handed over in the tick it is asked for, one answer per call, a list taken whole.
// There is no handshake: each request carries its envelope, and what a server needs from the client is in its answer.

import { randomUUID } from 'node:crypto';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { isLogLevel } from '../../../proxy/log-level.ts';
import { MODERN_REVISION } from '../../../proxy/method-table.ts';
import type {
  CallHooks,
  Dispatch,
  Notice,
  OfferKind,
  ServerDescription,
  ToolAnswer,
  ToolDefinition,
  ToolRun,
} from '../../../proxy/tool-server.ts';
import { carriedHeaders } from '../carried-headers.ts';
import { OFFER_LISTS, readOffers } from '../legacy/offer-list.ts';
import { ProgressGuard } from '../legacy/progress.ts';
import { Rate } from '../legacy/rate.ts';
import { ToolList } from '../legacy/tool-list.ts';
import { callText, notificationText, requestText } from '../legacy/wire.ts';
import type { UpstreamLimits } from '../limits.ts';
import { OtherEra } from '../other-era.ts';
import type { DroppedCounts, OpenPipe, RefusedRequest, Secrets, UpstreamSession, WhenIgnored } from '../ports.ts';
import { type Discovery, discovered, HEADER_MISMATCH, isAtALoss, REVISION_UNSUPPORTED } from './discovery.ts';
import { envelope, neutralAnswer, serverInfoOf } from './envelope.ts';
import { type Heard, OpenRequests, type Said } from './open-requests.ts';
import { type MirroredArgument, mirroredArguments, routingHeaders } from './routing-headers.ts';
import { type ListenTimes, Subscriptions } from './subscriptions.ts';

/** How long the first list of tools waits for the word that changes of it will be told. */
const FIRST_LISTEN_MS = 1_000;

export interface ModernSessionOptions {
  readonly name: string;
  readonly open: OpenPipe;
  readonly clientInfo: JsonObject;
  readonly limits: UpstreamLimits;
  /** A monotonic clock, for rates only. */
  readonly nowMs: () => number;
  /** What no message may repeat. */
  readonly secrets?: Secrets;
  /** Each request is answered on a stream of its own, whose end is its cancellation; headers repeat what the request says. */
  readonly streams: boolean;
  readonly listenTimes?: ListenTimes;
  onTools(): void;
  onNotice(notice: Notice): void;
  onClosed(detail: string): void;
  onRefusedRequest(request: RefusedRequest): void;
  /** `withhold` when absent. */
  readonly whenIgnored?: WhenIgnored;
  /** A call that was cancelled was not answered within the grace. `ending`: so the peer is ended now, which may also come later. */
  onCancelIgnored?(ending: boolean): void;
}

/** A request made for a client. */
interface Call {
  readonly token: string;
  readonly hooks: CallHooks;
  readonly progress: ProgressGuard;
  readonly hearsLogs: boolean;
  /** Whose call it is. Nobody knows that of two calls without it. */
  readonly sender: object | undefined;
  readonly logs: Rate;
}

export class ModernSession implements UpstreamSession {
  readonly #options: ModernSessionOptions;
  readonly #requests: OpenRequests<Call | undefined>;
  readonly #byToken = new Map<string, Call>();
  #mirrored: ReadonlyMap<string, readonly MirroredArgument[]> = new Map();
  #subscriptions: Subscriptions | undefined;
  #description: ServerDescription | undefined;
  readonly #tools: ToolList;
  readonly #notices: Rate;
  /** By the method that was answered. */
  readonly #freshFor = new Map<string, number>();
  #probing = false;
  /** Has made a task, which goes on without a call. */
  #hasTasks = false;

  /** Opens the pipe; throws what the pipe throws. */
  constructor(options: ModernSessionOptions) {
    this.#options = options;
    const heard: Heard<Call | undefined> = {
      onNotification: (said) => this.#notification(said),
      onRequest: (said) => this.#request(said),
      // That of a subscription is found out when it is opened again.
      onLost: (detail, call) => {
        if (call !== undefined) this.#probe(detail);
      },
      onGap: () => this.#tools.changed(),
      onClosed: (detail) => this.#closed(detail),
    };
    this.#requests = new OpenRequests(options.open, options.limits, options.nowMs, heard, options.secrets);
    this.#notices = new Rate(options.limits.noticesPerSecondMax, options.nowMs);
    this.#tools = new ToolList({
      limits: options.limits,
      ask: (params, bytesMax) => this.#ask('tools/list', params, bytesMax),
      besides: () => this.#discoverAgain(),
      isBusy: () => this.#byToken.size > 0,
      hasEnded: () => this.#requests.ended,
      onRead: (listed) => {
        if (this.#description === undefined) return;
        this.#description = { ...this.#description, tools: this.#usable(listed) };
        options.onTools();
      },
      violate: (detail) => this.#requests.violate(detail),
    });
  }

  get description(): ServerDescription | undefined {
    return this.#description;
  }

  /** The shortest of what its answers say; those that say nothing, or that they are stale at once, say nothing of when they change. */
  get freshForMs(): number | undefined {
    const said = [...this.#freshFor.values()];
    return said.length === 0 ? undefined : Math.min(...said);
  }

  relist(): Promise<void> {
    return this.#tools.again();
  }

  get dropped(): Readonly<DroppedCounts> {
    return this.#requests.dropped;
  }

  async start(): Promise<ServerDescription> {
    const { limits, name } = this.#options;
    const late = () => this.#requests.violate(`it was not ready after ${limits.startTimeoutMs} ms`);
    const timer = setTimeout(late, limits.startTimeoutMs);
    try {
      const said = await this.#discover();
      const { capabilities, instructions } = offeredBy(said);
      this.#requests.agreed(MODERN_REVISION);
      this.#subscriptions = this.#listener(capabilities);
      await this.#subscriptions.start(FIRST_LISTEN_MS);
      const tools = this.#usable(await this.#tools.first(isJsonObject(capabilities.tools)));
      if (this.#requests.ended) throw new Error('the connection ended');
      this.#description = {
        name,
        protocolVersion: MODERN_REVISION,
        serverInfo: serverInfoOf(said),
        capabilities,
        ...(instructions === undefined ? {} : { instructions }),
        tools,
      };
      return this.#description;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.#requests.violate(detail);
      throw error instanceof OtherEra ? error : new Error(detail);
    } finally {
      clearTimeout(timer);
    }
  }

  dispatch(dispatch: Dispatch, hooks: CallHooks): ToolRun {
    const { limits, nowMs, clientInfo, streams } = this.#options;
    if (this.#requests.ended || this.#description === undefined || this.#subscriptions === undefined)
      return refused('SERVER_UNAVAILABLE', 'the server is not connected');
    if (this.#requests.size >= limits.callsInFlightMax)
      return refused('OVERLOADED', 'too many calls of this server are in flight');
    const { method, manner, body } = dispatch;
    // There is no such request any more: one stream tells of all resources.
    if (method === 'resources/subscribe') return this.#subscriptions.subscribe(uriIn(body));
    if (method === 'resources/unsubscribe') return this.#subscriptions.unsubscribe(uriIn(body));
    const token = randomUUID();
    const progress = new ProgressGuard((params) => hooks.onProgress(params), limits.progressPerSecondMax, nowMs);
    const call: Call = {
      token,
      hooks,
      progress,
      hearsLogs: manner.logLevel !== undefined,
      sender: manner.sender,
      logs: new Rate(limits.logsPerSecondMax, nowMs),
    };
    let settle: (answer: ToolAnswer) => void = () => undefined;
    const answer = new Promise<ToolAnswer>((resolve) => {
      settle = resolve;
    });
    const meta = { ...dispatch.meta, ...envelope(clientInfo, manner) };
    const { id, handover } = this.#requests.send({
      bytesMax: dispatch.outputBytesMax,
      text: (own) => callText(own, token, { ...dispatch, meta }),
      use: call,
      ...(streams ? { headers: { ...this.#headers(method, body), ...carriedHeaders(dispatch.meta) } } : {}),
      settle: (given) => {
        this.#byToken.delete(token);
        const answered = this.#answered(neutralAnswer(given, manner));
        if (answered.kind === 'result' && answered.type === 'task') this.#hasTasks = true;
        settle(answered);
        if (this.#requests.ignoredSize > 0) this.#endIfIgnored();
      },
    });
    if (handover === 'full') return refused('OVERLOADED', 'the server does not read what it is sent');
    if (handover === 'closed') return refused('SERVER_UNAVAILABLE', 'the connection to the server has ended');
    this.#byToken.set(token, call);
    return { answer, cancel: (reason, gently) => this.#cancel(id, reason, gently) };
  }

  async offers(kind: OfferKind): Promise<readonly JsonObject[]> {
    const { method, capability, called } = OFFER_LISTS[kind];
    const { limits } = this.#options;
    if (!isJsonObject(this.#description?.capabilities[capability])) return [];
    let stop: () => void = () => undefined;
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${called} was not read within ${limits.listTimeoutMs} ms`)),
        limits.listTimeoutMs,
      );
      stop = () => clearTimeout(timer);
    });
    try {
      const ask = (params: JsonObject, bytesMax: number) => this.#ask(method, params, bytesMax);
      return await Promise.race([readOffers(kind, ask, limits), late]);
    } finally {
      stop();
    }
  }

  close(): Promise<void> {
    this.#subscriptions?.close();
    return this.#requests.close();
  }

  /** What the answer to a call says about more than the call. */
  #answered(answer: ToolAnswer): ToolAnswer {
    if (answer.kind === 'result' && answer.type === 'task') {
      const { taskId } = answer.result;
      if (typeof taskId === 'string') this.#subscriptions?.watch(taskId);
    }
    if (answer.kind !== 'error') return answer;
    // The definitions that the headers were made from are old. The call is not sent again; later ones are made from new ones.
    if (answer.error.code === HEADER_MISMATCH) this.#tools.changed();
    if (answer.error.code !== REVISION_UNSUPPORTED) return answer;
    const detail = `it does not speak ${MODERN_REVISION} any more`;
    this.#requests.violate(detail);
    return { kind: 'refused', code: 'SERVER_UNAVAILABLE', detail };
  }

  #cancel(id: number, reason: string, gently = false): void {
    const { streams, limits } = this.#options;
    if (this.#requests.get(id) === undefined) return;
    if (streams) {
      this.#requests.abandon(id)?.settle({ kind: 'lost', detail: 'cancelled: its stream was closed' });
      return;
    }
    this.#requests.tell(notificationText('notifications/cancelled', { reason: reason.slice(0, 200), requestId: id }));
    const { cancelGraceMs } = limits;
    const detail = `cancelled, and no answer within ${cancelGraceMs} ms`;
    setTimeout(() => {
      // It is over when the peer is: until then it may still do something.
      if (this.#requests.get(id) === undefined) return;
      if (gently) return this.#requests.abandon(id)?.settle({ kind: 'lost', detail });
      if (this.#endIfIgnored(id)) return;
      this.#requests.ignored(id)?.settle({ kind: 'lost', detail });
      this.#options.onCancelIgnored?.(false);
    }, cancelGraceMs).unref();
  }

  /** Ends a peer that ignores a cancellation, if that hurts nobody else. `id`: the call that is cancelled and still open. */
  #endIfIgnored(id?: number): boolean {
    const { whenIgnored, limits, onCancelIgnored } = this.#options;
    if (whenIgnored !== 'end' || this.#requests.ended || this.#hasTasks) return false;
    for (const { exchange, use } of this.#requests.values()) if (use !== undefined && exchange.id !== id) return false;
    onCancelIgnored?.(true);
    this.#requests.violate(`it went on with a call that was cancelled ${limits.cancelGraceMs} ms before`);
    return true;
  }

  /** A server that is at a loss is asked once more, and then believed. */
  async #discover(): Promise<JsonObject> {
    const ask = () => this.#asked('server/discover', {}, this.#options.limits.messageBytesMax);
    const first = await ask();
    const said = discovered(isAtALoss(first) ? await ask() : first);
    this.#holds('server/discover', said);
    return said;
  }

  /** What it says of itself may be another one by now. What changes of it we are told of was agreed on when it was connected. */
  async #discoverAgain(): Promise<boolean> {
    const before = this.#description;
    const { capabilities, instructions } = offeredBy(await this.#discover());
    if (before === undefined || this.#description === undefined) return false;
    const textOf = (...said: Json[]): string => canonicalJson(said);
    if (textOf(capabilities, instructions ?? null) === textOf(before.capabilities, before.instructions ?? null))
      return false;
    const { instructions: _, ...kept } = this.#description;
    this.#description = { ...kept, capabilities, ...(instructions === undefined ? {} : { instructions }) };
    return true;
  }

  /** A request of our own. Never rejects. */
  #asked(method: string, params: JsonObject, bytesMax: number): Promise<Discovery> {
    const { clientInfo, streams } = this.#options;
    return new Promise((resolve) => {
      const { handover } = this.#requests.send({
        bytesMax,
        text: (id) => requestText(id, method, { ...params, _meta: envelope(clientInfo) }),
        use: undefined,
        ...(streams ? { headers: routingHeaders(method, params, []) } : {}),
        settle: (answer, status) => resolve({ answer, ...(status === undefined ? {} : { status }) }),
      });
      if (handover !== 'sent') resolve({ answer: { kind: 'lost', detail: 'the connection has ended' } });
    });
  }

  /** Rejects with a plain explanation on anything but a result that is complete. */
  async #ask(method: string, params: JsonObject, bytesMax: number): Promise<JsonObject> {
    const { answer } = await this.#asked(method, params, bytesMax);
    if (answer.kind === 'result') {
      if (answer.result.resultType !== 'complete') throw new Error(`its answer to ${method} is not complete`);
      this.#holds(method, answer.result);
      return answer.result;
    }
    if (answer.kind === 'error') throw new Error(`it answered ${method} with the error ${answer.error.code}`);
    throw new Error(answer.kind === 'lost' ? answer.detail : `its answer to ${method} was refused: ${answer.detail}`);
  }

  /** Of a list in pages, the last one says it. */
  #holds(method: string, { ttlMs }: JsonObject): void {
    if (typeof ttlMs === 'number' && ttlMs > 0 && method !== OFFER_LISTS.resources.method)
      this.#freshFor.set(method, ttlMs);
    else this.#freshFor.delete(method);
  }

  /** All tools but those whose arguments nobody could repeat in headers. */
  #usable(listed: readonly ToolDefinition[]): readonly ToolDefinition[] {
    const mirrored = new Map<string, readonly MirroredArgument[]>();
    for (const { name, raw } of listed) {
      const found = isJsonObject(raw.inputSchema) ? mirroredArguments(raw.inputSchema) : undefined;
      if (found !== undefined) mirrored.set(name, found);
    }
    this.#mirrored = mirrored;
    return listed.filter(({ name }) => mirrored.has(name));
  }

  #headers(method: string, body: string): Record<string, string> {
    const params = JSON.parse(body) as JsonObject;
    const mirrored = method === 'tools/call' ? this.#mirrored.get(String(params.name)) : undefined;
    return routingHeaders(method, params, mirrored ?? []);
  }

  #listener(capabilities: JsonObject): Subscriptions {
    const { limits, listenTimes } = this.#options;
    const port = {
      listen: (filter: JsonObject, settle: (answer: ToolAnswer) => void) => {
        const { id, handover } = this.#requests.send({
          bytesMax: limits.messageBytesMax,
          text: (own) =>
            requestText(own, 'subscriptions/listen', {
              notifications: filter,
              _meta: envelope(this.#options.clientInfo),
            }),
          use: undefined,
          ...(this.#options.streams ? { headers: routingHeaders('subscriptions/listen', {}, []) } : {}),
          settle,
        });
        return handover === 'sent' ? id : undefined;
      },
      stop: (id: number) => {
        const open = this.#requests.abandon(id) !== undefined;
        if (open && !this.#options.streams)
          this.#requests.tell(notificationText('notifications/cancelled', { requestId: id }));
      },
      onNotice: (notice: Notice) => {
        if (notice.method === 'notifications/tools/list_changed') this.#tools.changed();
        else this.#options.onNotice(notice);
      },
      onGap: () => {
        if (isJsonObject(capabilities.tools)) this.#tools.changed();
        for (const of of ['prompts', 'resources']) {
          const list = this.#description?.capabilities[of];
          if (list !== undefined && isJsonObject(list) && list.listChanged === true)
            this.#options.onNotice({ method: `notifications/${of}/list_changed`, params: {} });
        }
      },
      onDoubt: (detail: string) => this.#probe(detail),
    };
    return new Subscriptions(capabilities, port, listenTimes);
  }

  #notification(said: Said): void {
    const { method, params, bytes, exchange } = said;
    switch (method) {
      case 'notifications/progress': {
        const { progressToken } = params;
        const call = typeof progressToken === 'string' ? this.#byToken.get(progressToken) : undefined;
        const own = exchange === undefined || this.#requests.get(exchange)?.use === call;
        const fits = bytes <= this.#options.limits.progressBytesMax;
        if (call === undefined || !own || !fits || !call.progress.offer(params)) this.#drop('progress');
        return;
      }
      case 'notifications/message':
        if (!this.#log(said)) this.#drop('notifications');
        return;
      case 'notifications/cancelled':
        return this.#subscriptions?.cancelled(params.requestId);
      default:
        if (!this.#mayTell(said) || this.#subscriptions?.heard(said) !== true) this.#drop('notifications');
    }
  }

  /** What a task tells may be its result, as large as any; of everything else nobody can look at more than this. */
  #mayTell({ method, bytes }: Said): boolean {
    if (method === 'notifications/subscriptions/acknowledged') return true;
    return (method === 'notifications/tasks' || bytes <= this.#options.limits.noticeBytesMax) && this.#notices.take();
  }

  /** A log message belongs to the request on whose stream it came. */
  #log({ params, exchange, bytes }: Said): boolean {
    if (bytes > this.#options.limits.logBytesMax) return false;
    const { level, logger, data } = params;
    if (!isLogLevel(level) || data === undefined || (logger !== undefined && typeof logger !== 'string')) return false;
    const call = exchange === undefined ? this.#ofOneClient() : this.#requests.get(exchange)?.use;
    if (call?.hearsLogs !== true) return false;
    if (!call.logs.take()) return false;
    call.hooks.onLog(params);
    return true;
  }

  /** Where one stream is for all: the latest call that wants log messages, if all that do are one client's. */
  #ofOneClient(): Call | undefined {
    const hearing = [...this.#byToken.values()].filter((call) => call.hearsLogs);
    const [first] = hearing;
    const alone = hearing.every(({ sender }) => sender !== undefined && sender === first?.sender);
    return alone || hearing.length === 1 ? hearing.at(-1) : undefined;
  }

  /** A server of this era asks nothing. The call in whose name it does is over; where that cannot be told, the connection is. */
  #request({ method, exchange }: Said): void {
    this.#requests.dropped.requests++;
    this.#options.onRefusedRequest({ method, detail: `${this.#requests.size} requests in flight` });
    const [only] = this.#requests.size === 1 ? this.#requests.values() : [];
    const request = this.#requests.abandon(exchange ?? only?.exchange.id ?? 0);
    const detail = `it sent the request ${method.slice(0, 60)}, and ${MODERN_REVISION} has no requests of servers`;
    if (request === undefined) this.#requests.violate(detail);
    else request.settle({ kind: 'refused', code: 'OUTPUT_INVALID', detail });
  }

  /** A call was lost. Whether the server is still there is asked, so that the next call does not have to find out. */
  #probe(detail: string): void {
    if (this.#probing || this.#requests.ended || this.#description === undefined) return;
    this.#probing = true;
    const { pingTimeoutMs, messageBytesMax } = this.#options.limits;
    const late = () => this.#requests.violate(`it did not answer server/discover within ${pingTimeoutMs} ms`);
    const timer = setTimeout(late, pingTimeoutMs);
    void this.#asked('server/discover', {}, messageBytesMax).then(({ answer }) => {
      clearTimeout(timer);
      this.#probing = false;
      if (answer.kind !== 'result') this.#requests.violate(`${detail}, and then server/discover failed`);
    });
  }

  #drop(what: 'progress' | 'notifications'): void {
    this.#requests.dropped[what]++;
  }

  #closed(detail: string): void {
    this.#description = undefined;
    this.#subscriptions?.close();
    this.#options.onClosed(detail);
  }
}

function offeredBy({
  capabilities,
  instructions,
}: JsonObject): Pick<ServerDescription, 'capabilities' | 'instructions'> {
  if (!isJsonObject(capabilities)) throw new Error('its answer to server/discover lacks capabilities');
  if (instructions !== undefined && typeof instructions !== 'string') throw new Error('its instructions are not text');
  return { capabilities, ...(instructions === undefined ? {} : { instructions }) };
}

function uriIn(body: string): string {
  return String((JSON.parse(body) as JsonObject).uri);
}

function refused(code: 'OVERLOADED' | 'SERVER_UNAVAILABLE', detail: string): ToolRun {
  return { answer: Promise.resolve({ kind: 'refused', code, detail }), cancel: () => undefined };
}
