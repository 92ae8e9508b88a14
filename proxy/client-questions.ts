// Servers' questions to one client: each is an execution of its own, which the client carries out. A client that did not say that it can be
// asked something is not asked it, and neither is one that has gone or has too many questions before it; that is recorded.

import { DENIALS, type Denial, type DenialCode, deny, rpcCode } from '../domain/denial.ts';
import { type CallId, ulid } from '../domain/ids.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { type Lineage, lineageBeside } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';
import type { Placed } from './call-tree.ts';
import { captureCall } from './captured-call.ts';
import { canBeAsked } from './client-capabilities.ts';
import { type CallEnd, denialData } from './client-view.ts';
import type { Enforcement } from './enforcement.ts';
import { forwarded, forwardedMeta } from './forwarded-meta.ts';
import { RPC } from './jsonrpc.ts';
import { QUESTIONS_AT_ONCE_PER_SESSION_MAX } from './limits.ts';
import { questionFault } from './question-check.ts';
import type { RunningCall } from './running-call.ts';
import type { Asking, Manner, Peer, Question, QuestionAnswer } from './tool-server.ts';

/** The call for which somebody is asked. */
export interface Within {
  /** Undefined where a server asks its one client within no call. */
  readonly call: CallId | undefined;
  readonly server: string;
  readonly manner: Manner;
  /** Where the call stands, and with it whatever is asked within it. */
  readonly lineage: Lineage | undefined;
}

export interface ClientQuestionsPorts {
  readonly principal: Principal;
  /** Records a question that was not put. Resolves with the id of the record. */
  readonly refuse: (denial: Denial, method: string, within: Within) => Promise<CallId>;
}

export class ClientQuestions {
  readonly #gate: Enforcement;
  readonly #ports: ClientQuestionsPorts;
  readonly #open = new Set<RunningCall>();
  /** Why nothing is asked any more. */
  #closedBy: 'disconnect' | 'shutdown' | undefined;

  constructor(gate: Enforcement, ports: ClientQuestionsPorts) {
    this.#gate = gate;
    this.#ports = ports;
  }

  ask(within: Within, question: Question, client: Peer | undefined): Asking {
    const gate = this.#gate;
    const { principal } = this.#ports;
    const { server, manner, lineage } = within;
    if (client === undefined || !canBeAsked(manner.capabilities, question)) {
      const detail = 'the client did not say that it can be asked this';
      return this.refuse(within, question, deny('CLIENT_CANNOT_BE_ASKED', detail));
    }
    const fault = questionFault(question);
    if (fault !== undefined) return this.refuse(within, question, deny('CLIENT_CANNOT_BE_ASKED', fault));
    if (this.#open.size >= QUESTIONS_AT_ONCE_PER_SESSION_MAX || !gate.hasRoomToAsk())
      return this.refuse(within, question, deny('OVERLOADED', 'too many questions at once'));
    // We told no server that a client answers with a task, so a client never hears that one was wanted.
    const { _meta: meta, task: _, ...params } = question.params;
    const moment = momentOf(gate);
    const askedThrough = within.call ?? moment.call;
    const captured = captureCall(gate.crypto, {
      ...moment,
      principal,
      method: question.method,
      server,
      tool: question.method,
      arguments: params,
      rest: {},
      meta: isJsonObject(meta) ? forwardedMeta(meta) : {},
      manner,
      relation: within.call === undefined ? undefined : { kind: 'within', call: within.call },
      askedThrough,
      ...(lineage === undefined ? {} : { place: ({ call }) => placeBeside(lineage, call) }),
    });
    const withdraw = gate.channels.open(askedThrough, client);
    const onProgress = (progress: JsonObject) => question.onProgress?.(forwarded(progress));
    const hooks = { onProgress, onLog: () => {}, ask: () => NOBODY };
    const nothing = { refuseQuestion: () => NOBODY, admitQuestions: async () => undefined };
    const running = gate.start(captured, { limits: gate.limits(captured), hooks, ...nothing }, this);
    this.#keep(running);
    return {
      answer: running.end.then((end) => {
        withdraw();
        return answerOf(question.method, end);
      }),
      cancel: () => running.stop({ type: 'call.cancelled', by: 'client' }),
    };
  }

  /** Records that a question is not put, and answers it so. */
  refuse(within: Within, { method }: Question, denial: Denial): Asking {
    const refused = this.#ports.refuse(denial, method, within);
    return { answer: refused.then((call) => refusedAnswer(method, denial.code, call)), cancel: () => {} };
  }

  /** Withdraws what is open. Resolves when every question has its ending. */
  async close(by: 'disconnect' | 'shutdown'): Promise<void> {
    this.#closedBy ??= by;
    const open = [...this.#open];
    for (const question of open) question.stop({ type: 'call.cancelled', by });
    await Promise.all(open.map((question) => question.end));
  }

  #keep(question: RunningCall): void {
    this.#open.add(question);
    void question.end.then(() => this.#open.delete(question));
    if (this.#closedBy !== undefined) question.stop({ type: 'call.cancelled', by: this.#closedBy });
  }
}

/** What a new execution begins with. */
export function momentOf({ clock, crypto }: Pick<Enforcement, 'clock' | 'crypto'>): {
  readonly call: CallId;
  readonly at: number;
  readonly atMonotonic: number;
} {
  const at = clock.now();
  return { call: ulid(at, crypto.randomBytes(10)), at, atMonotonic: clock.monotonic() };
}

function placeBeside(lineage: Lineage, call: CallId): Placed {
  const unlimited = { timeoutMs: Number.POSITIVE_INFINITY, narrowing: undefined };
  return { lineage: lineageBeside(lineage, call), refused: undefined, ...unlimited };
}

const NOBODY: Asking = {
  answer: Promise.resolve({
    kind: 'error',
    error: { code: RPC.methodNotFound, message: 'a client that is asked asks nobody' },
  }),
  cancel: () => {},
};

function refusedAnswer(method: string, code: DenialCode, call: CallId): QuestionAnswer {
  const rpc = code === 'CLIENT_CANNOT_BE_ASKED' ? undeclaredCode(method) : rpcCode(code);
  return { kind: 'error', error: { code: rpc, message: DENIALS[code].told, data: denialData(code, call) } };
}

/** What clients answer to what they did not declare: servers that can do without look at the code. */
function undeclaredCode(method: string): number {
  return method === 'elicitation/create' ? RPC.invalidParams : RPC.methodNotFound;
}

/** What the server hears of the client's answer. */
function answerOf(method: string, end: CallEnd): QuestionAnswer {
  switch (end.kind) {
    case 'result':
      return { kind: 'result', result: forwarded(end.result) };
    case 'error':
      return { kind: 'error', error: end.error };
    case 'denied':
      // What no rule could allow, and what the client cannot do, sound alike to a server.
      return refusedAnswer(method, end.code === 'TOOL_UNKNOWN' ? 'CLIENT_CANNOT_BE_ASKED' : end.code, end.call);
  }
}
