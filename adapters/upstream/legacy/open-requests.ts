// The requests of ours that a server has not answered, and for which client's call it works. Revisions up to 2025-11-25 do not say on whose
// behalf a server asks or logs something: a stream of its own tells, and otherwise only that nobody else could be meant.

import type { CallHooks, ToolAnswer } from '../../../proxy/tool-server.ts';
import { type Exchange, NO_EXCHANGE } from '../ports.ts';
import type { ProgressGuard } from './progress.ts';
import type { Rate } from './rate.ts';

/** A client's call that is with the server. */
export interface OpenCall {
  /** Whose call it is. Nobody knows that of two calls without it. */
  readonly sender: object | undefined;
  readonly hooks: CallHooks;
  readonly progress: ProgressGuard;
  readonly logs: Rate;
  /** It asked for a task instead of a result. */
  readonly wantsTask: boolean;
}

export interface OpenRequest {
  readonly exchange: Exchange;
  /** Absent for requests of our own. */
  readonly call?: OpenCall;
  cancelled: boolean;
  settle(answer: ToolAnswer): void;
}

export class OpenRequests {
  readonly #open = new Map<number, OpenRequest>();
  readonly #byToken = new Map<string, OpenCall>();
  /** Whose calls were given up without an answer. The server may still work on them and ask on their behalf. */
  readonly #givenUp = new Map<number, object | undefined>();
  readonly #ignored = new Set<number>();
  readonly #rememberedMs: number;
  #nextId = 1;

  constructor(rememberedMs: number) {
    this.#rememberedMs = rememberedMs;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Calls whose cancellation the server ignored, and that it has not answered since. */
  get ignoredSize(): number {
    return this.#ignored.size;
  }

  /** A client's call is open besides this one. */
  hasCallBeside(id: number | undefined): boolean {
    for (const [other, { call }] of this.#open) if (other !== id && call !== undefined) return true;
    return false;
  }

  nextId(): number {
    return this.#nextId++;
  }

  add(request: OpenRequest, token?: string): void {
    this.#open.set(request.exchange.id, request);
    if (token !== undefined && request.call !== undefined) this.#byToken.set(token, request.call);
  }

  get(id: number): OpenRequest | undefined {
    return this.#open.get(id);
  }

  withToken(token: string): OpenCall | undefined {
    return this.#byToken.get(token);
  }

  /** Its progress has nowhere to go any more. */
  forgetToken(token: string): void {
    this.#byToken.delete(token);
  }

  /** Nobody waits for it any more but the caller, who settles it. */
  take(id: number): OpenRequest | undefined {
    const request = this.#open.get(id);
    if (request === undefined) return undefined;
    this.#open.delete(id);
    request.exchange.awaited = false;
    return request;
  }

  /** Like `take`, of a request that the server may still work on. */
  giveUp(id: number): OpenRequest | undefined {
    const request = this.take(id);
    if (request?.call !== undefined) {
      this.#givenUp.set(id, request.call.sender);
      setTimeout(() => this.#givenUp.delete(id), this.#rememberedMs).unref();
    }
    return request;
  }

  /** An answer came that nobody waits for: if it was to a call that was given up, the server is done with that one. */
  answeredLate(id: number): void {
    this.#givenUp.delete(id);
    this.#ignored.delete(id);
  }

  /** Given up after a cancellation that was ignored. */
  ignored(id: number): OpenRequest | undefined {
    this.#ignored.add(id);
    return this.giveUp(id);
  }

  takeAll(): readonly OpenRequest[] {
    this.#givenUp.clear();
    const all = [...this.#open.values()];
    for (const { exchange } of all) this.take(exchange.id);
    return all;
  }

  /** With one request open there is nobody else whom something could concern. */
  onlyId(): number | undefined {
    return this.#open.size === 1 ? this.#open.keys().next().value : undefined;
  }

  largestAnswer(): number {
    let largest = 0;
    for (const { exchange } of this.#open.values()) if (exchange.bytesMax > largest) largest = exchange.bytesMax;
    return largest;
  }

  /**
   * The call that a server speaks for. A stream of one call tells. The stream of no call does not: common libraries write there whatever
   * the author of a tool did not take care to place, as on transports that have one stream for all.
   */
  spokenFor(exchange: number | undefined): OpenCall | undefined {
    if (exchange === undefined || exchange === NO_EXCHANGE) return this.#ofOneClient();
    const request = this.#open.get(exchange);
    return request?.cancelled === false ? request.call : undefined;
  }

  /** The latest call, if all that it may be working on are one client's. */
  #ofOneClient(): OpenCall | undefined {
    const calls: { readonly sender: object | undefined; readonly call?: OpenCall }[] = [];
    for (const sender of this.#givenUp.values()) calls.push({ sender });
    for (const { call, cancelled } of this.#open.values())
      if (call !== undefined) calls.push({ sender: call.sender, ...(cancelled ? {} : { call }) });
    const [first] = calls;
    const isOneClient =
      calls.length === 1 || calls.every(({ sender }) => sender !== undefined && sender === first?.sender);
    return isOneClient ? calls.findLast(({ call }) => call !== undefined)?.call : undefined;
  }
}
