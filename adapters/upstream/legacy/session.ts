// One conversation with a tool server that speaks MCP 2024-10-07 to 2025-11-25, over any pipe of messages.
// It promises: our own ids and progress tokens, a request handed over in the tick it is asked for, one answer per call, and that nothing
// the server writes is believed before it was parsed strictly. It does not reconnect (connection.ts) and judges no result (the gate does).

import { randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import {
  type Asking,
  type CallHooks,
  type Dispatch,
  NOT_HANDED_OVER,
  type Notice,
  type OfferKind,
  type Question,
  type ServerDescription,
  type ToolAnswer,
  type ToolRun,
} from '../../../proxy/tool-server.ts';
import { carriedHeaders } from '../carried-headers.ts';
import type { UpstreamLimits } from '../limits.ts';
import { OtherEra } from '../other-era.ts';
import type { DroppedCounts, Exchange, MessagePipe, OpenPipe, RefusedRequest, Secrets, WhenIgnored } from '../ports.ts';
import { quoted } from '../unparsed.ts';
import { helloOf, readHello } from './handshake.ts';
import { Inbox } from './inbox.ts';
import { LogLevel } from './log-level.ts';
import { Notifications } from './notifications.ts';
import { OFFER_LISTS, readOffers } from './offer-list.ts';
import { type OpenCall, OpenRequests } from './open-requests.ts';
import { ProgressGuard } from './progress.ts';
import { Rate } from './rate.ts';
import { ServerRequests } from './server-requests.ts';
import { ToolList } from './tool-list.ts';
import * as wire from './wire.ts';

/** The one revision in which a message may be an array of messages. */
const BATCHING = '2025-03-26';
const METHOD_NOT_FOUND = -32601;

export interface SessionOptions {
  readonly name: string;
  readonly open: OpenPipe;
  readonly clientInfo: JsonObject;
  readonly limits: UpstreamLimits;
  /** A monotonic clock, for rates only. */
  readonly nowMs: () => number;
  /** What no message may repeat. */
  readonly secrets?: Secrets;
  onTools(): void;
  /** The server said something that belongs to no call. */
  onNotice(notice: Notice): void;
  /** The server asks something within no call. */
  onQuestion?(question: Question): Asking | undefined;
  /** Once, after every call in flight was answered `lost`. */
  onClosed(detail: string): void;
  onRefusedRequest(request: RefusedRequest): void;
  /** `withhold` when absent. */
  readonly whenIgnored?: WhenIgnored;
  /** A call that was cancelled was not answered within the grace. `ending`: so the peer is ended now, which may also come later. */
  onCancelIgnored?(ending: boolean): void;
}

/** The server answered a request of our own with an error. */
class ServerError extends Error {
  readonly code: number;

  constructor(method: string, { code, message }: { readonly code: number; readonly message: string }) {
    super(`it answered ${method} with the error ${quoted(message)}`);
    this.code = code;
  }
}

export class Session {
  readonly dropped: DroppedCounts = { answers: 0, notifications: 0, progress: 0, requests: 0 };
  readonly #options: SessionOptions;
  readonly #pipe: MessagePipe;
  readonly #requests: OpenRequests;
  readonly #asked: ServerRequests;
  readonly #notifications: Notifications;
  readonly #tools: ToolList;
  readonly #logLevel: LogLevel;
  #description: ServerDescription | undefined;
  #protocolVersion = '';
  #ended = false;
  #probing = false;
  /** Has made a task, which goes on without a call. */
  #hasTasks = false;

  /** Opens the pipe; throws what the pipe throws. */
  constructor(options: SessionOptions) {
    const { limits, nowMs } = options;
    const { dropped } = this;
    this.#options = options;
    const requests = new OpenRequests(limits.givenUpMs);
    this.#requests = requests;
    const hasEnded = () => this.#ended;
    const violate = (detail: string) => this.#violate(detail);
    const send = (text: string) => this.#pipe.send(text);
    const onRefused = (request: RefusedRequest) => options.onRefusedRequest(request);
    const unasked = (question: Question) => options.onQuestion?.(question);
    this.#asked = new ServerRequests({ limits, requests, dropped, nowMs, send, unasked, onRefused, violate });
    this.#tools = new ToolList({
      limits,
      ask: (params, bytesMax) => this.#ask('tools/list', params, bytesMax),
      hasEnded,
      isBusy: () => requests.hasCallBeside(undefined),
      violate,
      onRead: (tools) => {
        if (this.#description === undefined) return;
        this.#description = { ...this.#description, tools };
        options.onTools();
      },
    });
    this.#logLevel = new LogLevel((params) => this.#ask('logging/setLevel', params, limits.messageBytesMax));
    this.#notifications = new Notifications({
      limits,
      requests,
      dropped,
      nowMs,
      onNotice: (notice) => options.onNotice(notice),
      onToolsChanged: () => this.#tools.changed(),
      onCancelled: (params) => this.#asked.cancelled(params),
    });
    const inbox = new Inbox({
      limits,
      requests,
      dropped,
      nowMs,
      secrets: options.secrets,
      hasEnded,
      violate,
      takesBatches: () => this.#protocolVersion === BATCHING,
      onRequest: (request) => this.#asked.receive(request),
      onNotification: (notification) => this.#notifications.receive(notification),
    });
    this.#pipe = options.open({
      onMessage: (bytes, exchange) => inbox.receive(bytes, exchange),
      messageBytesMax: () => Math.max(limits.messageBytesMax, requests.largestAnswer()),
      onTooLarge: (what) => inbox.tooLarge(what),
      onExchangeLost: (id, detail) => this.#exchangeLost(id, detail),
      onExchangeRefused: (id, detail, code = 'SERVER_UNAVAILABLE') =>
        requests.take(id)?.settle({ kind: 'refused', code, detail }),
      onGap: () => this.#gap(),
      onClose: (detail) => this.#close(detail),
    });
  }

  tell({ method, params }: Notice): void {
    if (this.#description !== undefined) this.#pipe.send(wire.notificationText(method, params));
  }

  get description(): ServerDescription | undefined {
    return this.#description;
  }

  /** What it said in the handshake holds as long as the connection. */
  relist(): Promise<void> {
    return this.#tools.again();
  }

  /** The handshake and the first list of tools. Rejects with a plain explanation, and has ended the connection then. */
  async start(): Promise<ServerDescription> {
    const { limits, name, clientInfo } = this.#options;
    const late = () => this.#violate(`it was not ready after ${limits.startTimeoutMs} ms`);
    const timer = setTimeout(late, limits.startTimeoutMs);
    try {
      const hello = readHello(await this.#ask('initialize', helloOf(clientInfo), limits.messageBytesMax));
      this.#protocolVersion = hello.protocolVersion;
      this.#pipe.agreed(hello.protocolVersion);
      this.#pipe.send(wire.notificationText('notifications/initialized'));
      const tools = await this.#tools.first(isJsonObject(hello.capabilities.tools));
      this.#description = { name, ...hello, tools };
      return this.#description;
    } catch (error) {
      // The reason is ours to tell; the end of the connection that follows is not news.
      const detail = error instanceof Error ? error.message : String(error);
      this.#violate(detail);
      throw error instanceof OtherEra ? error : new Error(detail);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Hands the request over before it returns. What was not handed over is answered `refused`. */
  dispatch(dispatch: Dispatch, hooks: CallHooks): ToolRun {
    const { limits, nowMs } = this.#options;
    const { manner, outputBytesMax: bytesMax } = dispatch;
    const id = this.#requests.nextId();
    const token = randomUUID();
    const text = wire.callText(id, token, dispatch);
    let settle: (answer: ToolAnswer) => void = () => undefined;
    const answer = new Promise<ToolAnswer>((resolve) => {
      settle = resolve;
    });
    const refuse = (code: 'OVERLOADED' | 'SERVER_UNAVAILABLE', detail: string): ToolRun => {
      settle({ kind: 'refused', code, detail });
      return { answer, cancel: () => undefined };
    };
    if (this.#ended || this.#description === undefined)
      return refuse('SERVER_UNAVAILABLE', 'the server is not connected');
    if (this.#requests.size >= limits.callsInFlightMax)
      return refuse('OVERLOADED', 'too many calls of this server are in flight');
    if (isJsonObject(this.#description.capabilities.logging)) this.#logLevel.wanted(manner.logLevel);
    const call: OpenCall = {
      sender: manner.sender,
      hooks,
      progress: new ProgressGuard((params) => hooks.onProgress(params), limits.progressPerSecondMax, nowMs),
      logs: new Rate(limits.logsPerSecondMax, nowMs),
      wantsTask: wire.asksForTask(dispatch),
    };
    const headers = carriedHeaders(dispatch.meta);
    const exchange: Exchange = { id, bytesMax, awaited: true, ...(headers === undefined ? {} : { headers }) };
    const ended = (final: ToolAnswer): void => {
      this.#requests.forgetToken(token);
      this.#asked.callEnded(call);
      if (final.kind === 'result' && final.type === 'task') this.#hasTasks = true;
      settle(final);
      if (this.#requests.ignoredSize > 0) this.#endIfIgnored();
    };
    this.#requests.add({ exchange, call, cancelled: false, settle: ended }, token);
    const handover = this.#pipe.send(text, exchange);
    if (handover !== 'sent') {
      this.#requests.take(id);
      this.#requests.forgetToken(token);
      return handover === 'full'
        ? refuse('OVERLOADED', 'the server does not read what it is sent')
        : refuse('SERVER_UNAVAILABLE', 'the connection to the server has ended');
    }
    return { answer, cancel: (reason, gently) => this.#cancel(id, reason, gently) };
  }

  /** One of its lists besides tools, whole. Rejects with a plain explanation. */
  async offers(kind: OfferKind): Promise<readonly JsonObject[]> {
    const { limits } = this.#options;
    const { method, capability, called } = OFFER_LISTS[kind];
    if (!isJsonObject(this.#description?.capabilities[capability])) return [];
    let isLate = false;
    let open: number | undefined;
    const timer = setTimeout(() => {
      isLate = true;
      if (open !== undefined) this.#cancel(open, 'it takes too long');
    }, limits.listTimeoutMs);
    const late = () => new Error(`${called} was not read within ${limits.listTimeoutMs} ms`);
    try {
      const ask = (params: JsonObject, bytesMax: number): Promise<JsonObject> => {
        if (isLate) throw late();
        return this.#ask(method, params, bytesMax, (id) => {
          open = id;
        });
      };
      return await readOffers(kind, ask, limits);
    } catch (error) {
      // With resources, templates are optional, and nothing but this says so.
      if (error instanceof ServerError && error.code === METHOD_NOT_FOUND) return [];
      throw isLate ? late() : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends in order. */
  close(): Promise<void> {
    return this.#pipe.close();
  }

  #cancel(id: number, reason: string, gently = false): void {
    const request = this.#requests.get(id);
    if (request === undefined || request.cancelled) return;
    request.cancelled = true;
    this.#pipe.send(wire.notificationText('notifications/cancelled', { reason: reason.slice(0, 200), requestId: id }));
    const { cancelGraceMs } = this.#options.limits;
    const timer = setTimeout(() => {
      if (this.#requests.get(id) !== request) return;
      this.#pipe.abandon(request.exchange);
      // It is over when the peer is: until then it may still do something.
      const insists = request.call !== undefined && !gently;
      if (insists && this.#endIfIgnored(id)) return;
      const detail = `cancelled, and no answer within ${cancelGraceMs} ms`;
      const ignored = insists ? this.#requests.ignored(id) : this.#requests.giveUp(id);
      ignored?.settle({ kind: 'lost', detail });
      if (insists) this.#options.onCancelIgnored?.(false);
    }, cancelGraceMs);
    timer.unref();
  }

  /** Ends a peer that ignores a cancellation, if that hurts nobody else. `id`: the call that is cancelled and still open. */
  #endIfIgnored(id?: number): boolean {
    if (this.#options.whenIgnored !== 'end' || this.#ended || this.#hasTasks || this.#requests.hasCallBeside(id))
      return false;
    this.#options.onCancelIgnored?.(true);
    this.#violate(`it went on with a call that was cancelled ${this.#options.limits.cancelGraceMs} ms before`);
    return true;
  }

  /** A request of our own. Rejects with a plain explanation on anything but a result. */
  async #ask(method: string, params: JsonObject, bytesMax: number, opened?: (id: number) => void): Promise<JsonObject> {
    const id = this.#requests.nextId();
    opened?.(id);
    const answer = await new Promise<ToolAnswer>((settle) => {
      const exchange: Exchange = { id, bytesMax, awaited: true };
      this.#requests.add({ exchange, settle, cancelled: false });
      const handover = this.#pipe.send(wire.requestText(id, method, params), exchange);
      if (handover !== 'sent') this.#requests.take(id)?.settle({ kind: 'lost', detail: 'the connection has ended' });
    });
    if (answer.kind === 'result') return answer.result;
    if (answer.kind === 'refused' && NOT_HANDED_OVER.has(answer.code)) throw new Error(answer.detail);
    if (answer.kind === 'error') {
      const fault = new ServerError(method, answer.error);
      throw method === 'initialize' ? new OtherEra(fault.message) : fault;
    }
    throw new Error(answer.kind === 'lost' ? answer.detail : `its answer to ${method} was refused: ${answer.detail}`);
  }

  /** Whatever the server said of its lists may have been missed. */
  #gap(): void {
    this.#tools.changed();
    const { prompts, resources } = this.#description?.capabilities ?? {};
    if (isJsonObject(prompts)) this.#notifications.listChanged('notifications/prompts/list_changed');
    if (isJsonObject(resources)) this.#notifications.listChanged('notifications/resources/list_changed');
  }

  /** One stream broke. Whether the server is still there is asked, so that the next call does not have to find out. */
  #exchangeLost(id: number, detail: string): void {
    // Once the protocol was broken, the end of the connection answers for all.
    if (this.#ended) return;
    const request = this.#requests.giveUp(id);
    if (request === undefined) return;
    request.settle({ kind: 'lost', detail });
    if (this.#probing || this.#description === undefined) return;
    this.#probing = true;
    const { pingTimeoutMs, messageBytesMax } = this.#options.limits;
    const timer = setTimeout(() => this.#violate(`it did not answer a ping within ${pingTimeoutMs} ms`), pingTimeoutMs);
    this.#ask('ping', {}, messageBytesMax)
      .catch((error: Error) => this.#violate(`${detail}, and then a ping failed: ${error.message}`))
      .finally(() => {
        clearTimeout(timer);
        this.#probing = false;
      });
  }

  /** Reads nothing more. Calls in flight stay open until the peer has ended: only then nothing of them can still happen unseen. */
  #violate(detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pipe.destroy(detail);
  }

  #close(detail: string): void {
    this.#ended = true;
    this.#description = undefined;
    for (const request of this.#requests.takeAll()) request.settle({ kind: 'lost', detail });
    this.#options.onClosed(detail);
  }
}
