// What a server asks of us. Whether it is there is answered here; what is for a client is put to the client within the call it belongs to,
// where rules decide about it. What belongs to no call, or perhaps to somebody else's, is put to the one client that the server has, and
// where it has several it is refused and reported.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { type Asking, QUESTION_METHODS, type Question, type QuestionAnswer } from '../../../proxy/tool-server.ts';
import type { UpstreamLimits } from '../limits.ts';
import type { DroppedCounts, Handover, RefusedRequest } from '../ports.ts';
import type { OpenCall, OpenRequests } from './open-requests.ts';
import { ProgressGuard } from './progress.ts';
import * as wire from './wire.ts';

/** Ids of a server's requests are sent back; longer ones are an attack. */
const FOREIGN_ID_CHARACTERS_MAX = 256;
const REASON_CHARACTERS_MAX = 200;

const METHOD_NOT_FOUND = -32601;
const INVALID_REQUEST = -32600;
const INVALID_PARAMS = -32602;

const ROOTS = 'roots/list';

export interface ServerRequest {
  readonly id: Json;
  readonly method: string;
  readonly params: Json | undefined;
  /** On whose stream it came: see PipeHandlers. */
  readonly exchange: number | undefined;
}

export interface ServerRequestsOptions {
  readonly limits: UpstreamLimits;
  readonly requests: OpenRequests;
  readonly dropped: DroppedCounts;
  readonly nowMs: () => number;
  readonly send: (text: string) => Handover;
  /** Who is asked within no call; undefined where that cannot be told. */
  readonly unasked: (question: Question) => Asking | undefined;
  readonly onRefused: (request: RefusedRequest) => void;
  readonly violate: (detail: string) => void;
}

interface OpenQuestion {
  call: OpenCall | undefined;
  asking: Asking | undefined;
}

export class ServerRequests {
  readonly #options: ServerRequestsOptions;
  readonly #open = new Map<string | number, OpenQuestion>();
  /** What was asked when nobody was there. */
  readonly #inVain = new Set<string>();

  constructor(options: ServerRequestsOptions) {
    this.#options = options;
  }

  receive({ id, method, params, exchange }: ServerRequest): void {
    if (!isForeignId(id)) return this.#options.violate('it wrote a request whose id is neither text nor a number');
    if (method === 'ping') return this.#send(wire.resultText(id, {}));
    if (!QUESTION_METHODS.has(method)) return this.#refuse(id, method, 'this client does not carry that method');
    if (this.#open.has(id)) return this.#refuse(id, method, 'that id is in use', INVALID_REQUEST);
    if (this.#open.size >= this.#options.limits.questionsOpenMax)
      return this.#refuse(id, method, 'too many questions are open', INVALID_REQUEST);
    if (params !== undefined && !isJsonObject(params))
      return this.#refuse(id, method, 'the params are not an object', INVALID_PARAMS);
    const call = this.#options.requests.spokenFor(exchange);
    // No call decides what the roots are: where nothing says that it is part of one, it must not end with one that happens to run.
    this.#ask(id, method, params ?? {}, call, call === undefined || (method === ROOTS && exchange === undefined));
  }

  /** The server withdraws a request of its own; it expects no answer then. */
  cancelled({ requestId: id, reason }: JsonObject): void {
    const question = typeof id === 'string' || typeof id === 'number' ? this.#open.get(id) : undefined;
    if (question === undefined || (typeof id !== 'string' && typeof id !== 'number')) return;
    this.#open.delete(id);
    question.asking?.cancel(typeof reason === 'string' ? reason.slice(0, REASON_CHARACTERS_MAX) : 'withdrawn');
  }

  /** Nobody is asked for a call that is over, and the server is not left waiting. */
  callEnded(call: OpenCall): void {
    for (const [id, question] of this.#open) {
      if (question.call !== call) continue;
      this.#open.delete(id);
      question.asking?.cancel('the call has ended');
      this.#send(wire.errorText(id, { code: INVALID_REQUEST, message: 'the call has ended' }));
    }
  }

  /** `isOfNone`: it is put to the one client that the server has, and within a call only where that cannot be told. */
  #ask(id: string | number, method: string, said: JsonObject, call: OpenCall | undefined, isOfNone: boolean): void {
    const { limits, nowMs, unasked } = this.#options;
    // We declare no tasks for what is asked of us. Then, says 2025-11-25, the wish for one is passed over.
    const { task: _, ...params } = said;
    const question: OpenQuestion = { call: undefined, asking: undefined };
    this.#open.set(id, question);
    const token = isJsonObject(params._meta) ? params._meta.progressToken : undefined;
    const tell = (progress: JsonObject): void => {
      if (token === undefined || this.#open.get(id) !== question) return;
      this.#send(wire.notificationText('notifications/progress', { ...progress, progressToken: token }));
    };
    const guard = new ProgressGuard(tell, limits.progressPerSecondMax, nowMs);
    const asked: Question = { method, params, onProgress: (progress) => guard.offer(progress) };
    if (isOfNone) question.asking = unasked(asked);
    if (question.asking === undefined && call !== undefined) {
      question.call = call;
      question.asking = call.hooks.ask(asked);
    }
    if (question.asking === undefined) {
      this.#open.delete(id);
      return this.#refuseForNobody(id, method);
    }
    void question.asking.answer.then((answer) => this.#answered(id, question, answer));
  }

  #answered(id: string | number, question: OpenQuestion, answer: QuestionAnswer): void {
    // Withdrawn, or the call ended meanwhile; the id may stand for another question by now.
    if (this.#open.get(id) !== question) return;
    this.#open.delete(id);
    this.#send(answer.kind === 'result' ? wire.resultText(id, answer.result) : wire.errorText(id, answer.error));
  }

  #refuseForNobody(id: string | number, method: string): void {
    const isFirst = !this.#inVain.has(method);
    this.#inVain.add(method);
    const message = 'no call of a client that this could be part of';
    this.#refuse(id, method, message, METHOD_NOT_FOUND, isFirst ? { nobodyThere: true } : {});
  }

  #refuse(
    id: string | number,
    method: string,
    message: string,
    code = METHOD_NOT_FOUND,
    more: Pick<RefusedRequest, 'nobodyThere'> = {},
  ): void {
    this.#send(wire.errorText(id, { code, message }));
    const detail = `${message}; ${this.#options.requests.size} requests in flight`;
    this.#options.onRefused({ method, detail, ...more });
  }

  #send(text: string): void {
    if (this.#options.send(text) !== 'sent') this.#options.dropped.requests++;
  }
}

function isForeignId(id: Json): id is string | number {
  return typeof id === 'string' ? id.length <= FOREIGN_ID_CHARACTERS_MAX : Number.isSafeInteger(id);
}
