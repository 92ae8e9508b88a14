// Requests of ours that are open on one pipe, and what comes back: each gets our own id and one answer, nothing is believed before it was
// parsed strictly, and what answers nothing is counted. What a message means is for the session; this knows JSON-RPC and no method.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { type JsonLimits, parseStrictJson } from '../../../domain/strict-json.ts';
import type { ToolAnswer } from '../../../proxy/tool-server.ts';
import { answerWithin } from '../legacy/answer.ts';
import { Rate } from '../legacy/rate.ts';
import { jsonLimits, type UpstreamLimits } from '../limits.ts';
import type {
  DroppedCounts,
  Exchange,
  Handover,
  MessagePipe,
  OpenPipe,
  PipeHandlers,
  Secrets,
  TooLarge,
} from '../ports.ts';
import { guessId, outline, quoted, REPEATS_A_SECRET } from '../unparsed.ts';

/** Below this, an answer that is too large is parsed first, which costs less than looking for its id. */
const WORTH_A_GUESS_BYTES = 64 * 1024;

/** A notification or a request, in the words of the server. */
export interface Said {
  readonly method: string;
  readonly params: JsonObject;
  readonly bytes: number;
  /** The request on whose own stream it came, where there are such streams. */
  readonly exchange: number | undefined;
}

export interface Heard<Use> {
  onNotification(said: Said): void;
  onRequest(said: Said): void;
  /** A request was lost while the connection lives on. */
  onLost(detail: string, use: Use): void;
  onGap(): void;
  /** Once, after everything that was open was answered `lost`. */
  onClosed(detail: string): void;
}

export interface Outgoing<Use> {
  readonly bytesMax: number;
  readonly text: (id: number) => string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly use: Use;
  /** Told once. `status`: what HTTP said where there is no answer. */
  readonly settle: (answer: ToolAnswer, status?: number) => void;
}

export interface OpenRequest<Use> {
  readonly exchange: Exchange;
  readonly use: Use;
  readonly settle: Outgoing<Use>['settle'];
}

export class OpenRequests<Use> {
  readonly dropped: DroppedCounts = { answers: 0, notifications: 0, progress: 0, requests: 0 };
  readonly #limits: UpstreamLimits;
  readonly #unsolicited: Rate;
  readonly #heard: Heard<Use>;
  readonly #secrets: Secrets | undefined;
  readonly #pipe: MessagePipe;
  readonly #open = new Map<number, OpenRequest<Use>>();
  readonly #messageJson: JsonLimits;
  readonly #ignored = new Set<number>();
  #nextId = 1;
  #ended = false;

  /** Opens the pipe; throws what the pipe throws. */
  constructor(open: OpenPipe, limits: UpstreamLimits, nowMs: () => number, heard: Heard<Use>, secrets?: Secrets) {
    this.#secrets = secrets;
    this.#limits = limits;
    this.#unsolicited = new Rate(limits.unsolicitedPerSecondMax, nowMs);
    this.#heard = heard;
    this.#messageJson = jsonLimits(limits, limits.messageBytesMax);
    const handlers: PipeHandlers = {
      onMessage: (bytes, exchange) => this.#receive(bytes, exchange),
      messageBytesMax: () => Math.max(limits.messageBytesMax, this.#largestAnswer()),
      onTooLarge: (what) => this.#tooLarge(what),
      onExchangeLost: (id, detail, status) => this.#lost(id, detail, status),
      onExchangeRefused: (id, detail, code = 'SERVER_UNAVAILABLE') =>
        this.take(id)?.settle({ kind: 'refused', code, detail }),
      onGap: () => heard.onGap(),
      onClose: (detail) => this.#close(detail),
    };
    this.#pipe = open(handlers);
  }

  get ended(): boolean {
    return this.#ended;
  }

  get size(): number {
    return this.#open.size;
  }

  values(): IterableIterator<OpenRequest<Use>> {
    return this.#open.values();
  }

  get(id: number): OpenRequest<Use> | undefined {
    return this.#open.get(id);
  }

  /** Hands a request over before it returns. What was not taken is not settled either. */
  send({ bytesMax, text, headers, use, settle }: Outgoing<Use>): { readonly id: number; readonly handover: Handover } {
    const id = this.#nextId++;
    if (this.#ended) return { id, handover: 'closed' };
    const exchange: Exchange = { id, bytesMax, awaited: true, ...(headers === undefined ? {} : { headers }) };
    this.#open.set(id, { exchange, use, settle });
    const handover = this.#pipe.send(text(id), exchange);
    if (handover !== 'sent') this.#open.delete(id);
    return { id, handover };
  }

  /** A message that nobody answers. */
  tell(text: string): void {
    if (!this.#ended) this.#pipe.send(text);
  }

  /** The request is not open any more; whoever takes it settles it. */
  take(id: number): OpenRequest<Use> | undefined {
    const request = this.#open.get(id);
    if (request === undefined) return undefined;
    this.#open.delete(id);
    request.exchange.awaited = false;
    return request;
  }

  /** Calls that were given up and that the peer has not answered yet. */
  get ignoredSize(): number {
    return this.#ignored.size;
  }

  /** As `abandon`, of a request that the peer may still work on. */
  ignored(id: number): OpenRequest<Use> | undefined {
    this.#ignored.add(id);
    return this.abandon(id);
  }

  /** As `take`, and the transport stops waiting too. */
  abandon(id: number): OpenRequest<Use> | undefined {
    const request = this.take(id);
    if (request !== undefined) this.#pipe.abandon(request.exchange);
    return request;
  }

  agreed(revision: string): void {
    this.#pipe.agreed(revision);
  }

  close(): Promise<void> {
    return this.#pipe.close();
  }

  /** Reads nothing more. What is open stays open until the peer has ended: only then nothing of it can still happen unseen. */
  violate(detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pipe.destroy(detail);
  }

  #receive(bytes: Uint8Array, exchange: number | undefined): void {
    if (this.#ended) return;
    let limits = this.#messageJson;
    if (bytes.length > WORTH_A_GUESS_BYTES) {
      const largest = this.#largestAnswer();
      if (bytes.length > largest && this.#refuseUnparsed(bytes, exchange)) return;
      limits = jsonLimits(this.#limits, Math.max(largest, this.#limits.messageBytesMax));
    }
    if (this.#secrets?.isIn(bytes) === true) return this.#unfit(bytes, exchange, REPEATS_A_SECRET);
    const parsed = parseStrictJson(bytes, limits);
    if (parsed.ok) this.#message(parsed.value, bytes.length, exchange);
    else this.#notStrict(bytes, exchange, `${parsed.reason} at byte ${parsed.offset}`);
  }

  #message(value: Json, bytes: number, exchange: number | undefined): void {
    if (!isJsonObject(value)) return this.#misplaced(exchange, bytes, 'it wrote a message that is not a JSON object');
    if (Object.hasOwn(value, 'result') || Object.hasOwn(value, 'error')) return this.#answer(value, bytes, exchange);
    if (!this.#countUnsolicited()) return;
    const { id, method, jsonrpc, params = {} } = value;
    if (jsonrpc !== '2.0' || typeof method !== 'string' || !isJsonObject(params)) {
      // Not an answer, a request or a notification. Where it names an open request, that one pays; else nobody can say what it was.
      const named = typeof id === 'number' ? id : undefined;
      return this.#misplaced(exchange ?? named, bytes, 'it wrote a message that is not JSON-RPC');
    }
    const said: Said = { method, params, bytes, exchange };
    if (id === undefined) this.#heard.onNotification(said);
    else this.#heard.onRequest(said);
  }

  #answer(value: JsonObject, bytes: number, exchange: number | undefined): void {
    const { id } = value;
    // An answer on another request's stream is foreign, whatever its id says. An error on its own may lack the id: the peer could not read it.
    const unread = exchange !== undefined && (id === null || id === undefined) && Object.hasOwn(value, 'error');
    const whose = unread ? exchange : typeof id === 'number' && (exchange ?? id) === id ? id : undefined;
    const request = whose === undefined ? undefined : this.take(whose);
    if (request !== undefined) return request.settle(answerWithin(value, bytes, request.exchange.bytesMax));
    if (typeof id === 'number') this.#ignored.delete(id);
    this.dropped.answers++;
    this.#countUnsolicited();
  }

  #notStrict(bytes: Uint8Array, exchange: number | undefined, reason: string): void {
    if (outline(bytes) !== undefined) return this.#unfit(bytes, exchange, `the answer is not strict JSON: ${reason}`);
    const start = quoted(new TextDecoder('latin1').decode(bytes.subarray(0, 120)));
    const detail = `it wrote something that is not a JSON message (${reason}): ${start}`;
    this.#misplaced(exchange, bytes.length, detail);
  }

  /** Bytes that are not taken for what they say. Lenient eyes may still tell which request they belong to. */
  #unfit(bytes: Uint8Array, exchange: number | undefined, detail: string): void {
    const seen = outline(bytes);
    if (seen === undefined) return this.#misplaced(exchange, bytes.length, detail);
    if (seen.hasMethod) {
      if (this.#countUnsolicited()) this.dropped.notifications++;
      return;
    }
    const request = seen.id === undefined || (exchange ?? seen.id) !== seen.id ? undefined : this.take(seen.id);
    if (request === undefined) {
      this.dropped.answers++;
      this.#countUnsolicited();
      return;
    }
    request.settle({ kind: 'refused', code: 'OUTPUT_INVALID', detail, bytes: bytes.length });
  }

  /** Not a message at all. The request it came for pays, if there is one; else nobody can say what it was, and the connection ends. */
  #misplaced(id: number | undefined, bytes: number, detail: string): void {
    const request = id === undefined ? undefined : this.abandon(id);
    if (request === undefined) this.violate(detail);
    else request.settle({ kind: 'refused', code: 'OUTPUT_INVALID', detail, bytes });
  }

  #tooLarge(what: TooLarge): boolean {
    if (this.#ended) return true;
    const onStream = 'exchange' in what;
    let id = onStream ? what.exchange : guessId(what.head, what.tail);
    // With one request open there is nobody else it could concern.
    if (id === undefined && this.#open.size === 1) id = this.#open.keys().next().value;
    const request = id === undefined ? undefined : this.take(id);
    if (request !== undefined) {
      const detail = `the answer is larger than ${request.exchange.bytesMax} bytes`;
      request.settle({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail });
      return true;
    }
    if (onStream) return true;
    if (what.tail === undefined) return false;
    this.violate('it wrote a message that is too large and answers no request');
    return true;
  }

  #lost(id: number, detail: string, status: number | undefined): void {
    // Once the protocol was broken, the end of the connection answers for all.
    if (this.#ended) return;
    const request = this.take(id);
    if (request === undefined) return;
    request.settle({ kind: 'lost', detail }, status);
    this.#heard.onLost(detail, request.use);
  }

  /** An answer larger than every open request allows is refused without being parsed, if it shows whose it is. */
  #refuseUnparsed(bytes: Uint8Array, exchange: number | undefined): boolean {
    const latin1 = new TextDecoder('latin1');
    const id = exchange ?? guessId(latin1.decode(bytes.subarray(0, 256)), latin1.decode(bytes.subarray(-256)));
    const request = id === undefined ? undefined : this.take(id);
    if (request === undefined) return false;
    const detail = `the answer is larger than ${request.exchange.bytesMax} bytes`;
    request.settle({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail, bytes: bytes.length });
    return true;
  }

  /** Counts a message that answers nothing; false once there were too many, and the connection has ended. */
  #countUnsolicited(): boolean {
    if (this.#unsolicited.take()) return true;
    const { unsolicitedPerSecondMax } = this.#limits;
    this.violate(`it wrote more than ${unsolicitedPerSecondMax} unsolicited messages in a second`);
    return false;
  }

  #largestAnswer(): number {
    let largest = 0;
    for (const { exchange } of this.#open.values()) if (exchange.bytesMax > largest) largest = exchange.bytesMax;
    return largest;
  }

  #close(detail: string): void {
    this.#ended = true;
    for (const id of [...this.#open.keys()]) this.take(id)?.settle({ kind: 'lost', detail });
    this.#heard.onClosed(detail);
  }
}
