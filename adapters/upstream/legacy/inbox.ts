// Bytes from a server become messages here: parsed once and strictly, told apart, and answers given to the request that they name. What
// cannot be read costs the call it was meant for, if that shows; else nobody can say what it was, and the connection ends.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { type JsonLimits, parseStrictJson } from '../../../domain/strict-json.ts';
import { jsonLimits, type UpstreamLimits } from '../limits.ts';
import type { DroppedCounts, Secrets, TooLarge } from '../ports.ts';
import { guessId, outline, quoted, REPEATS_A_SECRET } from '../unparsed.ts';
import { answerOf } from './answer.ts';
import type { Notification } from './notifications.ts';
import type { OpenRequests } from './open-requests.ts';
import { Rate } from './rate.ts';
import type { ServerRequest } from './server-requests.ts';

const BATCH_MAX = 100;
/** Below this, an answer that is too large is parsed first, which costs less than looking for its id. */
const WORTH_A_GUESS_BYTES = 64 * 1024;

export interface InboxOptions {
  readonly limits: UpstreamLimits;
  readonly requests: OpenRequests;
  readonly dropped: DroppedCounts;
  readonly nowMs: () => number;
  readonly secrets: Secrets | undefined;
  /** Nothing is read any more. */
  readonly hasEnded: () => boolean;
  /** Whether a message may be an array of messages. */
  readonly takesBatches: () => boolean;
  readonly onRequest: (request: ServerRequest) => void;
  readonly onNotification: (notification: Notification) => void;
  readonly violate: (detail: string) => void;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #messageJson: JsonLimits;
  readonly #unsolicited: Rate;

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#messageJson = jsonLimits(options.limits, options.limits.messageBytesMax);
    this.#unsolicited = new Rate(options.limits.unsolicitedPerSecondMax, options.nowMs);
  }

  receive(bytes: Uint8Array, exchange: number | undefined): void {
    const { limits: bounds, requests, hasEnded, takesBatches } = this.#options;
    if (hasEnded()) return;
    let limits = this.#messageJson;
    if (bytes.length > WORTH_A_GUESS_BYTES) {
      const largest = requests.largestAnswer();
      if (bytes.length > largest && this.#refuseUnparsed(bytes, exchange)) return;
      limits = jsonLimits(bounds, Math.max(largest, bounds.messageBytesMax));
    }
    if (this.#options.secrets?.isIn(bytes) === true) return this.#unfit(bytes, exchange, REPEATS_A_SECRET);
    const parsed = parseStrictJson(bytes, limits);
    if (!parsed.ok) return this.#notStrict(bytes, exchange, `${parsed.reason} at byte ${parsed.offset}`);
    const { value } = parsed;
    if (Array.isArray(value) && takesBatches() && value.length <= BATCH_MAX) {
      for (const element of value as readonly Json[]) this.#message(element, bytes.length, exchange);
    } else {
      this.#message(value, bytes.length, exchange);
    }
  }

  /** See PipeHandlers. */
  tooLarge(what: TooLarge): boolean {
    const { requests, hasEnded, violate } = this.#options;
    if (hasEnded()) return true;
    const id = 'exchange' in what ? what.exchange : (guessId(what.head, what.tail) ?? requests.onlyId());
    const request = id === undefined ? undefined : requests.take(id);
    if (request !== undefined) {
      const detail = `the answer is larger than ${request.exchange.bytesMax} bytes`;
      request.settle({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail });
      return true;
    }
    if ('exchange' in what) return true;
    if (what.tail === undefined) return false;
    violate('it wrote a message that is too large and answers no request');
    return true;
  }

  #message(value: Json, bytes: number, exchange: number | undefined): void {
    const { hasEnded, onRequest, onNotification } = this.#options;
    if (hasEnded()) return;
    if (!isJsonObject(value)) return this.#misplaced(exchange, bytes, 'it wrote a message that is not a JSON object');
    if (Object.hasOwn(value, 'result') || Object.hasOwn(value, 'error')) return this.#answer(value, bytes, exchange);
    if (!this.#countUnsolicited()) return;
    const { id, method, params, jsonrpc } = value;
    if (jsonrpc !== '2.0' || typeof method !== 'string') {
      // Not an answer, a request or a notification. Where it names an open call, that call pays; else nobody can say what it was.
      const named = typeof id === 'number' ? id : undefined;
      return this.#misplaced(exchange ?? named, bytes, 'it wrote a message that is not JSON-RPC');
    }
    if (id === undefined) onNotification({ method, params, bytes, exchange });
    else onRequest({ id, method, params, exchange });
  }

  #answer(message: JsonObject, bytes: number, exchange: number | undefined): void {
    const { requests, dropped } = this.#options;
    const { id } = message;
    // An answer on another request's stream is foreign, whatever its id says.
    const request = typeof id === 'number' && (exchange ?? id) === id ? requests.take(id) : undefined;
    if (request !== undefined) {
      const { exchange: asked, call } = request;
      return request.settle(answerOf(message, bytes, asked.bytesMax, call?.wantsTask));
    }
    dropped.answers++;
    if (typeof id === 'number') requests.answeredLate(id);
    this.#countUnsolicited();
  }

  #notStrict(bytes: Uint8Array, exchange: number | undefined, reason: string): void {
    if (outline(bytes) !== undefined) return this.#unfit(bytes, exchange, `the answer is not strict JSON: ${reason}`);
    const start = quoted(new TextDecoder('latin1').decode(bytes.subarray(0, 120)));
    const detail = `it wrote something that is not a JSON message (${reason}): ${start}`;
    this.#misplaced(exchange, bytes.length, detail);
  }

  /** Bytes that are not taken for what they say. Lenient eyes may still tell which call they belong to. */
  #unfit(bytes: Uint8Array, exchange: number | undefined, detail: string): void {
    const { requests, dropped } = this.#options;
    const seen = outline(bytes);
    if (seen === undefined) return this.#misplaced(exchange, bytes.length, detail);
    if (seen.hasMethod) {
      if (this.#countUnsolicited()) dropped.notifications++;
      return;
    }
    const request = seen.id === undefined || (exchange ?? seen.id) !== seen.id ? undefined : requests.take(seen.id);
    if (request === undefined) {
      dropped.answers++;
      this.#countUnsolicited();
      return;
    }
    request.settle({ kind: 'refused', code: 'OUTPUT_INVALID', detail, bytes: bytes.length });
  }

  /** Not a message at all. The call it came for pays, if there is one; else nobody can say what it was, and the connection ends. */
  #misplaced(id: number | undefined, bytes: number, detail: string): void {
    const request = id === undefined ? undefined : this.#options.requests.take(id);
    if (request === undefined) this.#options.violate(detail);
    else request.settle({ kind: 'refused', code: 'OUTPUT_INVALID', detail, bytes });
  }

  /** An answer larger than every open request allows is refused without being parsed, if it shows whose it is. */
  #refuseUnparsed(bytes: Uint8Array, exchange: number | undefined): boolean {
    const latin1 = new TextDecoder('latin1');
    const id = exchange ?? guessId(latin1.decode(bytes.subarray(0, 256)), latin1.decode(bytes.subarray(-256)));
    const request = id === undefined ? undefined : this.#options.requests.take(id);
    if (request === undefined) return false;
    const detail = `the answer is larger than ${request.exchange.bytesMax} bytes`;
    request.settle({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail, bytes: bytes.length });
    return true;
  }

  /** Counts a message that answers nothing; false once there were too many, and the connection has ended. */
  #countUnsolicited(): boolean {
    if (this.#unsolicited.take()) return true;
    const { limits, violate } = this.#options;
    violate(`it wrote more than ${limits.unsolicitedPerSecondMax} unsolicited messages in a second`);
    return false;
  }
}
