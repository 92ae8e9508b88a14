// A call of a client that can be asked while it waits, at a server that cannot ask: where the server needs input it forgets the call and says
// so, the questions are put to the client here, and the call goes on as a new execution that continues the one before.

import type { EarlierRound } from '../../../control-plane/lineage/place.ts';
import { type DenialCode, deny } from '../../../domain/denial.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import type { Within } from '../../../proxy/client-questions.ts';
import type { CallEnd } from '../../../proxy/client-view.ts';
import type { Conversation, Operation, Participation } from '../../../proxy/conversation.ts';
import { goingOnWith } from '../../../proxy/earlier-round.ts';
import { ROUNDS_MAX } from '../../../proxy/limits.ts';
import { questionsOf } from '../../../proxy/output-check.ts';
import type { RunningCall } from '../../../proxy/running-call.ts';
import type { Asking, Question } from '../../../proxy/tool-server.ts';

/** Between rounds that ask nothing: the server only wants time. */
const PAUSE_MS = 250;

/** One call, however many rounds it takes within the bound. */
export class RoundsOfCall {
  /** The last round's, or why there was no further one. Never rejects. */
  readonly end: Promise<CallEnd>;
  readonly #conversation: Conversation;
  readonly #operation: Operation;
  readonly #participation: Participation;
  #running: RunningCall | undefined;
  #asked: readonly Asking[] = [];
  #withdrawn = false;

  constructor(conversation: Conversation, operation: Operation, participation: Participation) {
    this.#conversation = conversation;
    this.#operation = operation;
    this.#participation = participation;
    this.end = this.#run();
  }

  /** The client does not want an answer any more, in whatever round the call is, and between two of them too. */
  withdraw(): void {
    this.#withdrawn = true;
    this.#running?.stop({ type: 'call.cancelled', by: 'client' });
    for (const asking of this.#asked) asking.cancel('the call was cancelled');
  }

  async #run(): Promise<CallEnd> {
    const { server, manner, rest } = this.#operation;
    const { inputResponses: _, requestState: __, ...lasting } = rest;
    // Nobody was asked anything yet: answers that come with the first round are to no question that a rule has seen.
    let next: Operation = { ...this.#operation, rest: lasting };
    let continues: EarlierRound | undefined;
    for (let round = 1; ; round += 1) {
      const running = this.#conversation.begin(next, this.#participation);
      this.#running = running;
      const end = await running.end;
      if (end.kind !== 'result' || end.type !== 'input_required') return end;
      const refuse = (code: DenialCode, why: string) => this.#refused(running, code, why);
      if (this.#isOver()) return refuse('CANCELLED', 'between two rounds');
      if (round === ROUNDS_MAX) return refuse('CLIENT_CANNOT_BE_ASKED', 'too many rounds of questions');
      const { call, lineage } = running;
      const input = await this.#input({ call, server, manner, lineage }, end.result);
      if (this.#isOver()) return refuse('CANCELLED', 'between two rounds');
      if (input === undefined)
        return refuse('CLIENT_CANNOT_BE_ASKED', 'a question that the server depends on was not answered');
      continues = goingOnWith(running, continues);
      next = { ...this.#operation, rest: { ...lasting, ...input }, continues };
    }
  }

  #isOver(): boolean {
    return this.#withdrawn || this.#conversation.isClosed;
  }

  /** What the next round takes along: the answers, and the server's state as it gave it. Undefined where something was not answered. */
  async #input(within: Within, result: JsonObject): Promise<JsonObject | undefined> {
    const questions = questionsOf(result);
    const state: JsonObject = result.requestState === undefined ? {} : { requestState: result.requestState };
    if (Object.keys(questions).length === 0) {
      await new Promise<void>((go) => this.#conversation.gate.clock.timer(PAUSE_MS, go));
      return state;
    }
    const inputResponses = await this.#answers(within, questions);
    return inputResponses === undefined ? undefined : { ...state, inputResponses };
  }

  /** What the client answered, by the server's keys; undefined unless it answered all of it. */
  async #answers(within: Within, questions: Readonly<Record<string, Question>>): Promise<JsonObject | undefined> {
    const { client } = this.#participation;
    const entries = Object.entries(questions);
    this.#asked = entries.map(([, question]) => this.#conversation.ask(within, question, client));
    const answers = await Promise.all(this.#asked.map(({ answer }) => answer));
    this.#asked = [];
    const responses: Record<string, Json> = {};
    for (const [index, [key]] of entries.entries()) {
      const answer = answers[index];
      if (answer?.kind !== 'result') return undefined;
      responses[key] = answer.result;
    }
    return responses;
  }

  async #refused(after: RunningCall, code: DenialCode, why: string): Promise<CallEnd> {
    const { method, server } = this.#operation;
    const relation = { kind: 'continues', call: after.call } as const;
    const call = await this.#conversation.refuse(deny(code, why), method, server, relation, after.lineage);
    return { kind: 'denied', call, code, executed: 'perhaps', recorded: true };
  }
}
