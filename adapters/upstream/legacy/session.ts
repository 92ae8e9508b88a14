// One conversation with a tool server that speaks MCP 2024-10-07 to 2025-11-25, over any pipe of messages.
// It promises: our own ids and progress tokens, a request handed over in the tick it is asked for, one answer per call, and that nothing
// the server writes is believed before it was parsed strictly. It does not reconnect (connection.ts) and judges no result (the gate does).

import { randomUUID } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { type JsonLimits, parseStrictJson } from '../../../domain/strict-json.ts';
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
import { jsonLimits, type UpstreamLimits } from '../limits.ts';
import { OtherEra } from '../other-era.ts';
import type {
  DroppedCounts,
  Exchange,
  MessagePipe,
  OpenPipe,
  PipeHandlers,
  RefusedRequest,
  TooLarge,
} from '../ports.ts';
import { guessId, outline, quoted } from '../unparsed.ts';
import { answerOf } from './answer.ts';
import { ProgressGuard } from './progress.ts';
import { readToolList } from './tool-list.ts';
import * as wire from './wire.ts';

const OFFERED = '2025-11-25';
const SPOKEN: readonly string[] = [OFFERED, '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'];
/** The one revision in which a message may be an array of messages. */
const BATCHING = '2025-03-26';
const BATCH_MAX = 100;
/** Ids of a server's requests are sent back; longer ones are an attack. */
const FOREIGN_ID_CHARACTERS_MAX = 256;
/** Below this, an answer that is too large is parsed first, which costs less than looking for its id. */
const WORTH_A_GUESS_BYTES = 64 * 1024;

export interface SessionOptions {
  readonly name: string;
  readonly open: OpenPipe;
  readonly clientInfo: JsonObject;
  readonly limits: UpstreamLimits;
  /** A monotonic clock, for rates only. */
  readonly nowMs: () => number;
  onTools(): void;
  /** The server said something that belongs to no call. */
  onNotice(notice: Notice): void;
  /** Once, after every call in flight was answered `lost`. */
  onClosed(detail: string): void;
  onRefusedRequest(request: RefusedRequest): void;
}

interface Pending {
  readonly exchange: Exchange;
  settle(answer: ToolAnswer): void;
  readonly progress?: ProgressGuard;
  cancelled: boolean;
}

export class Session {
  readonly dropped: DroppedCounts = { answers: 0, notifications: 0, progress: 0, requests: 0 };
  readonly #options: SessionOptions;
  readonly #pipe: MessagePipe;
  readonly #pending = new Map<number, Pending>();
  readonly #byToken = new Map<string, Pending>();
  readonly #messageJson: JsonLimits;
  #description: ServerDescription | undefined;
  #protocolVersion = '';
  #nextId = 1;
  #ended = false;
  #listing = false;
  #listAgain = false;
  #probing = false;
  #windowStartMs = 0;
  #windowMessages = 0;

  /** Opens the pipe; throws what the pipe throws. */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#messageJson = jsonLimits(options.limits, options.limits.messageBytesMax);
    const handlers: PipeHandlers = {
      onMessage: (bytes, exchange) => this.#receive(bytes, exchange),
      messageBytesMax: () => Math.max(options.limits.messageBytesMax, this.#largestAnswer()),
      onTooLarge: (what) => this.#tooLarge(what),
      onExchangeLost: (id, detail) => this.#exchangeLost(id, detail),
      onExchangeRefused: (id, detail) =>
        this.#take(id)?.settle({ kind: 'refused', code: 'SERVER_UNAVAILABLE', detail }),
      onGap: () => void this.#relist(),
      onClose: (detail) => this.#close(detail),
    };
    this.#pipe = options.open(handlers);
  }

  get description(): ServerDescription | undefined {
    return this.#description;
  }

  /** The handshake and the first list of tools. Rejects with a plain explanation, and has ended the connection then. */
  async start(): Promise<ServerDescription> {
    const { limits, name } = this.#options;
    const timer = setTimeout(
      () => this.#violate(`it was not ready after ${limits.startTimeoutMs} ms`),
      limits.startTimeoutMs,
    );
    try {
      const params = { capabilities: {}, clientInfo: this.#options.clientInfo, protocolVersion: OFFERED };
      const hello = await this.#ask('initialize', params, limits.messageBytesMax);
      const { protocolVersion, capabilities, serverInfo, instructions } = hello;
      if (typeof protocolVersion !== 'string' || !SPOKEN.includes(protocolVersion)) {
        throw new Error(`it answered initialize with the unknown revision ${quoted(String(protocolVersion))}`);
      }
      if (!isJsonObject(capabilities) || !isJsonObject(serverInfo)) {
        throw new Error('its answer to initialize lacks capabilities or serverInfo');
      }
      if (instructions !== undefined && typeof instructions !== 'string')
        throw new Error('its instructions are not text');
      this.#protocolVersion = protocolVersion;
      this.#pipe.agreed(protocolVersion);
      this.#pipe.send(wire.notificationText('notifications/initialized'));
      this.#listing = true;
      const tools = isJsonObject(capabilities.tools) ? await this.#list() : [];
      this.#listing = false;
      const said = instructions === undefined ? {} : { instructions };
      this.#description = { name, protocolVersion, serverInfo, capabilities, ...said, tools };
      if (this.#listAgain) this.#listLater();
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
    const id = this.#nextId++;
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
    if (this.#pending.size >= limits.callsInFlightMax)
      return refuse('OVERLOADED', 'too many calls of this server are in flight');
    const progress = new ProgressGuard((params) => hooks.onProgress(params), limits.progressPerSecondMax, nowMs);
    const pending: Pending = {
      exchange: { id, bytesMax: dispatch.outputBytesMax, awaited: true },
      progress,
      cancelled: false,
      settle: (final) => {
        this.#byToken.delete(token);
        settle(final);
      },
    };
    this.#pending.set(id, pending);
    this.#byToken.set(token, pending);
    const handover = this.#pipe.send(text, pending.exchange);
    if (handover !== 'sent') {
      this.#pending.delete(id);
      this.#byToken.delete(token);
      return handover === 'full'
        ? refuse('OVERLOADED', 'the server does not read what it is sent')
        : refuse('SERVER_UNAVAILABLE', 'the connection to the server has ended');
    }
    return { answer, cancel: (reason) => this.#cancel(id, reason) };
  }

  /** One of its lists besides tools, whole. */
  async offers(_kind: OfferKind): Promise<readonly JsonObject[]> {
    return [];
  }

  /** Ends in order. */
  close(): Promise<void> {
    return this.#pipe.close();
  }

  #cancel(id: number, reason: string): void {
    const pending = this.#pending.get(id);
    if (pending === undefined || pending.cancelled) return;
    pending.cancelled = true;
    this.#pipe.send(wire.notificationText('notifications/cancelled', { reason: reason.slice(0, 200), requestId: id }));
    const { cancelGraceMs } = this.#options.limits;
    const timer = setTimeout(() => {
      if (this.#pending.get(id) !== pending) return;
      this.#pipe.abandon(pending.exchange);
      this.#take(id)?.settle({ kind: 'lost', detail: `cancelled, and no answer within ${cancelGraceMs} ms` });
    }, cancelGraceMs);
    timer.unref();
  }

  /** A request of our own. Rejects with a plain explanation on anything but a result. */
  async #ask(method: string, params: JsonObject, bytesMax: number): Promise<JsonObject> {
    const id = this.#nextId++;
    const answer = await new Promise<ToolAnswer>((settle) => {
      const exchange: Exchange = { id, bytesMax, awaited: true };
      this.#pending.set(id, { exchange, settle, cancelled: false });
      const handover = this.#pipe.send(wire.requestText(id, method, params), exchange);
      if (handover !== 'sent') this.#take(id)?.settle({ kind: 'lost', detail: 'the connection has ended' });
    });
    if (answer.kind === 'result') return answer.result;
    if (answer.kind === 'refused' && answer.code === 'SERVER_UNAVAILABLE') throw new Error(answer.detail);
    if (answer.kind === 'error') {
      const detail = `it answered ${method} with the error ${quoted(answer.error.message)}`;
      throw method === 'initialize' ? new OtherEra(detail) : new Error(detail);
    }
    throw new Error(answer.kind === 'lost' ? answer.detail : `its answer to ${method} was refused: ${answer.detail}`);
  }

  #list(): Promise<readonly ToolDefinition[]> {
    return readToolList((params, bytesMax) => this.#ask('tools/list', params, bytesMax), this.#options.limits);
  }

  /** The server says its list changed. Whatever goes wrong now ends the connection: an old list must not be taken for the new one. */
  async #relist(): Promise<void> {
    if (this.#listing || this.#description === undefined) {
      this.#listAgain = true;
      return;
    }
    this.#listing = true;
    this.#listAgain = false;
    const { listTimeoutMs } = this.#options.limits;
    const timer = setTimeout(
      () => this.#violate(`it did not list its tools within ${listTimeoutMs} ms`),
      listTimeoutMs,
    );
    try {
      const tools = await this.#list();
      if (this.#ended) return;
      this.#description = { ...this.#description, tools };
    } catch (error) {
      this.#violate(error instanceof Error ? error.message : String(error));
      return;
    } finally {
      clearTimeout(timer);
      this.#listing = false;
    }
    this.#options.onTools();
    if (this.#listAgain) this.#listLater();
  }

  #listLater(): void {
    setTimeout(() => {
      if (!this.#ended) void this.#relist();
    }, this.#options.limits.listIntervalMs).unref();
  }

  #receive(bytes: Uint8Array, exchange: number | undefined): void {
    if (this.#ended) return;
    let limits = this.#messageJson;
    if (bytes.length > WORTH_A_GUESS_BYTES) {
      const largest = this.#largestAnswer();
      if (bytes.length > largest && this.#refuseUnparsed(bytes, exchange)) return;
      limits = jsonLimits(this.#options.limits, Math.max(largest, this.#options.limits.messageBytesMax));
    }
    const parsed = parseStrictJson(bytes, limits);
    if (!parsed.ok) {
      this.#notStrict(bytes, exchange, `${parsed.reason} at byte ${parsed.offset}`);
      return;
    }
    const { value } = parsed;
    if (Array.isArray(value) && this.#protocolVersion === BATCHING && value.length <= BATCH_MAX) {
      for (const element of value as readonly Json[]) this.#message(element, bytes.length, exchange);
    } else {
      this.#message(value, bytes.length, exchange);
    }
  }

  #message(value: Json, bytes: number, exchange: number | undefined): void {
    if (this.#ended) return;
    if (!isJsonObject(value)) {
      this.#misplaced(exchange, bytes, 'it wrote a message that is not a JSON object');
      return;
    }
    if (Object.hasOwn(value, 'result') || Object.hasOwn(value, 'error')) {
      const { id } = value;
      // An answer on another request's stream is foreign, whatever its id says.
      const pending = typeof id === 'number' && (exchange ?? id) === id ? this.#take(id) : undefined;
      if (pending === undefined) {
        this.dropped.answers++;
        this.#countUnsolicited();
      } else {
        pending.settle(answerOf(value, bytes, pending.exchange.bytesMax));
      }
      return;
    }
    if (!this.#countUnsolicited()) return;
    const { id, method, jsonrpc } = value;
    if (jsonrpc !== '2.0' || typeof method !== 'string') {
      // Not an answer, a request or a notification. Where it names an open call, that call pays; else nobody can say what it was.
      const named = typeof id === 'number' ? id : undefined;
      this.#misplaced(exchange ?? named, bytes, 'it wrote a message that is not JSON-RPC');
      return;
    }
    if (id === undefined) this.#notification(method, value.params, bytes);
    else this.#request(id, method);
  }

  #notification(method: string, params: Json | undefined, bytes: number): void {
    switch (method) {
      case 'notifications/progress': {
        const token = isJsonObject(params) ? params.progressToken : undefined;
        const guard = typeof token === 'string' ? this.#byToken.get(token)?.progress : undefined;
        if (
          guard === undefined ||
          !isJsonObject(params) ||
          bytes > this.#options.limits.progressBytesMax ||
          !guard.offer(params)
        ) {
          this.dropped.progress++;
        }
        return;
      }
      case 'notifications/tools/list_changed':
        void this.#relist();
        return;
      default:
        this.dropped.notifications++;
    }
  }

  /** We declared no capability, so all a server may ask is whether we live. */
  #request(id: Json, method: string): void {
    const isId = typeof id === 'string' ? id.length <= FOREIGN_ID_CHARACTERS_MAX : Number.isSafeInteger(id);
    if (!isId) {
      this.#violate('it wrote a request whose id is neither text nor a number');
      return;
    }
    if (method === 'ping') {
      if (this.#pipe.send(wire.resultText(id, {})) !== 'sent') this.dropped.requests++;
      return;
    }
    const refusal = wire.errorText(id, -32601, 'this client does not carry that method');
    if (this.#pipe.send(refusal) !== 'sent') this.dropped.requests++;
    this.#options.onRefusedRequest({ method, detail: `${this.#pending.size} requests in flight` });
  }

  /** The strict parser refused the bytes. Lenient eyes may still tell which call they belong to. */
  #notStrict(bytes: Uint8Array, exchange: number | undefined, reason: string): void {
    const seen = outline(bytes);
    if (seen === undefined) {
      const start = new TextDecoder('latin1').decode(bytes.subarray(0, 120));
      this.#misplaced(
        exchange,
        bytes.length,
        `it wrote something that is not a JSON message (${reason}): ${quoted(start)}`,
      );
      return;
    }
    if (seen.hasMethod) {
      if (this.#countUnsolicited()) this.dropped.notifications++;
      return;
    }
    const pending = seen.id === undefined || (exchange ?? seen.id) !== seen.id ? undefined : this.#take(seen.id);
    if (pending === undefined) {
      this.dropped.answers++;
      this.#countUnsolicited();
      return;
    }
    const detail = `the answer is not strict JSON: ${reason}`;
    pending.settle({ kind: 'refused', code: 'OUTPUT_INVALID', detail, bytes: bytes.length });
  }

  /** Not a message at all. The call it came for pays, if there is one; else nobody can say what it was, and the connection ends. */
  #misplaced(id: number | undefined, bytes: number, detail: string): void {
    const pending = id === undefined ? undefined : this.#take(id);
    if (pending === undefined) this.#violate(detail);
    else pending.settle({ kind: 'refused', code: 'OUTPUT_INVALID', detail, bytes });
  }

  #tooLarge(what: TooLarge): boolean {
    if (this.#ended) return true;
    let id: number | undefined;
    if ('exchange' in what) id = what.exchange;
    else {
      id = guessId(what.head, what.tail);
      // With one request open there is nobody else it could concern.
      if (id === undefined && this.#pending.size === 1) id = this.#pending.keys().next().value;
    }
    const pending = id === undefined ? undefined : this.#take(id);
    if (pending !== undefined) {
      const detail = `the answer is larger than ${pending.exchange.bytesMax} bytes`;
      pending.settle({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail });
      return true;
    }
    if ('exchange' in what) return true;
    if (what.tail === undefined) return false;
    this.#violate('it wrote a message that is too large and answers no request');
    return true;
  }

  /** One stream broke. Whether the server is still there is asked, so that the next call does not have to find out. */
  #exchangeLost(id: number, detail: string): void {
    // Once the protocol was broken, the end of the connection answers for all.
    if (this.#ended) return;
    const pending = this.#take(id);
    if (pending === undefined) return;
    pending.settle({ kind: 'lost', detail });
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

  /** An answer larger than every open request allows is refused without being parsed, if it shows whose it is. */
  #refuseUnparsed(bytes: Uint8Array, exchange: number | undefined): boolean {
    const latin1 = new TextDecoder('latin1');
    const id = exchange ?? guessId(latin1.decode(bytes.subarray(0, 256)), latin1.decode(bytes.subarray(-256)));
    const pending = id === undefined ? undefined : this.#take(id);
    if (pending === undefined) return false;
    const detail = `the answer is larger than ${pending.exchange.bytesMax} bytes`;
    pending.settle({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail, bytes: bytes.length });
    return true;
  }

  /** Counts a message that answers nothing; false once there were too many, and the connection has ended. */
  #countUnsolicited(): boolean {
    const now = this.#options.nowMs();
    if (now - this.#windowStartMs >= 1_000) {
      this.#windowStartMs = now;
      this.#windowMessages = 0;
    }
    this.#windowMessages++;
    if (this.#windowMessages <= this.#options.limits.unsolicitedPerSecondMax) return true;
    this.#violate(
      `it wrote more than ${this.#options.limits.unsolicitedPerSecondMax} unsolicited messages in a second`,
    );
    return false;
  }

  #largestAnswer(): number {
    let largest = 0;
    for (const pending of this.#pending.values())
      if (pending.exchange.bytesMax > largest) largest = pending.exchange.bytesMax;
    return largest;
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.exchange.awaited = false;
    return pending;
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
    for (const id of [...this.#pending.keys()]) this.#take(id)?.settle({ kind: 'lost', detail });
    this.#options.onClosed(detail);
  }
}
