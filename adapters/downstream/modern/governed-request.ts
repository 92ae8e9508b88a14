// One governed request of a client of this era, and what goes on with it afterwards: it is answered with a result, with a refusal, or with
// questions and a state by which a later request continues.

import type { EarlierRound } from '../../../control-plane/lineage/place.ts';
import { type Denial, type DenialCode, deny } from '../../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { Reply } from '../../../proxy/client-port.ts';
import { type CallEnd, denialData, type OperatorHints } from '../../../proxy/client-view.ts';
import type { Conversation, Operation, Participation } from '../../../proxy/conversation.ts';
import { goingOnWith } from '../../../proxy/earlier-round.ts';
import { notificationMessage, RPC } from '../../../proxy/jsonrpc.ts';
import { HELD_ROUNDS_MAX, ROUNDS_MAX } from '../../../proxy/limits.ts';
import { isLoggable } from '../../../proxy/log-level.ts';
import { questionsOf } from '../../../proxy/output-check.ts';
import type { RunningCall } from '../../../proxy/running-call.ts';
import { renamedTasks } from '../../../proxy/task-names.ts';
import type { Question } from '../../../proxy/tool-server.ts';
import { type Answers, answersTo } from './answers.ts';
import { type Answer, type Asked, callReply, deniedError, questionsReply } from './call-reply.ts';
import { type Envelope, knowsTasks } from './envelope.ts';
import { HeldCall, type Outlet } from './held-call.ts';
import { failedForLack, lackingReply } from './lacking-reply.ts';
import type { Asker, OpenRounds } from './open-rounds.ts';
import { errorText } from './protocol.ts';
import { RELEASED } from './released-question.ts';
import { lackingFor } from './required-capabilities.ts';

export interface GovernedRequestOptions {
  readonly conversation: Conversation;
  readonly rounds: OpenRounds;
  readonly hints: OperatorHints;
  readonly identity: JsonObject;
  readonly view: string;
  readonly asked: Asked;
  readonly envelope: Envelope;
  /** Where messages go that belong to this request, its answer among them. */
  readonly reply: Reply;
}

export class GovernedRequest {
  readonly #options: GovernedRequestOptions;
  #held: HeldCall | undefined;
  #cancelled = false;
  #answered = false;
  /** What the client would have to be able to do, where that is why its call was denied. */
  #lacking: JsonObject | undefined;
  /** The round that this request goes on with, if it does. */
  #continues: EarlierRound | undefined;

  constructor(options: GovernedRequestOptions) {
    this.#options = options;
  }

  /** The client does not want the answer any more. A request that is answered is left as it is: its call may be held. */
  cancel(): void {
    if (this.#answered) return;
    this.#cancelled = true;
    this.#held?.stop('client');
  }

  get isCancelled(): boolean {
    return this.#cancelled;
  }

  /** Runs it to its answer. Resolves when nothing more will be said for it. */
  async run(said: Operation): Promise<void> {
    const { inputResponses, requestState, ...rest } = said.rest;
    // Only what continues a call has answers and state. What nobody asked for is not passed on: no rule would have seen it.
    const operation = { ...said, rest };
    const asker = { principal: this.#options.conversation.principal, view: this.#options.view, operation };
    if (requestState !== undefined) return this.#resume(asker, requestState, inputResponses);
    const { server, arguments: args } = said;
    const { tasks, scope } = this.#options.conversation.owner(server);
    const isUpdate = said.method === 'tasks/update';
    const questions = isUpdate ? tasks.questions(server, String(args.taskId), scope) : {};
    const answers = answersTo(questions, inputResponses);
    if (typeof answers === 'string') return this.#refuseParams('MESSAGE_MALFORMED', answers);
    const answered = isUpdate && inputResponses !== undefined ? { inputResponses: answers } : {};
    return this.#begin(asker, { ...operation, rest: { ...rest, ...answered } }, 1);
  }

  /** Records a refusal and answers it. */
  async refuse(denial: Denial, answer?: (data: JsonObject) => Answer | undefined): Promise<void> {
    const { conversation, asked } = this.#options;
    const call = await conversation.refuse(denial, asked.method);
    this.#answer(answer?.(denialData(denial.code, call)) ?? deniedError(asked.id, { code: denial.code, call }));
  }

  #refuseParams(code: DenialCode, detail: string): Promise<void> {
    const { id } = this.#options.asked;
    const message = code === 'REQUEST_STATE_INVALID' ? 'Invalid requestState' : `Invalid params: ${detail}`;
    return this.refuse(deny(code, detail), (data) => ({ text: errorText(id, RPC.invalidParams, message, data) }));
  }

  async #resume(asker: Asker, requestState: Json, inputResponses: Json | undefined): Promise<void> {
    const { rounds, conversation } = this.#options;
    const round = rounds.find(asker, requestState);
    if (typeof round === 'string') return this.#refuseParams('REQUEST_STATE_INVALID', round);
    const answers = answersTo(round.questions, inputResponses);
    if (typeof answers === 'string') return this.#refuseParams('MESSAGE_MALFORMED', answers);
    // While there is no room the state stays good for another try.
    if (!round.held && !conversation.hasRoom()) return this.refuse(deny('OVERLOADED', 'too many calls in flight'));
    // While the gate is shut nothing goes through it, not even an answer; what waits may go on when it opens again.
    const shut = round.held ? conversation.gate.generation() : undefined;
    if (shut !== undefined && 'code' in shut) return this.refuse(shut);
    if (!rounds.use(round)) return this.#refuseParams('REQUEST_STATE_INVALID', 'no more states can be used');
    if (round.held) {
      const held = rounds.held.take(round.call);
      if (held === undefined) return this.#refuseParams('REQUEST_STATE_INVALID', 'the call is not held any more');
      return this.#goOn(asker, held, answers, round.round + 1);
    }
    const { state: requestStateOfServer } = round;
    const rest = {
      ...asker.operation.rest,
      ...(Object.keys(round.questions).length === 0 ? {} : { inputResponses: answers }),
      ...given({ requestState: requestStateOfServer }),
    };
    const { continues } = round;
    this.#continues = continues;
    return this.#begin(asker, { ...asker.operation, rest, continues }, round.round + 1);
  }

  #begin(asker: Asker, operation: Operation, round: number): Promise<void> {
    const { conversation } = this.#options;
    if (!conversation.hasRoom()) return this.refuse(deny('OVERLOADED', 'too many calls in flight'));
    const held = new HeldCall(() => conversation.gate.generation());
    const participation: Participation = {
      onProgress: (progress) => held.outlet.onProgress(progress),
      onLog: (log) => held.outlet.onLog(log),
      client: held.client,
      onAsked: (question, answered) => held.asked(question, answered),
      admitQuestions: (questions) => this.#admit(running, operation, questions),
    };
    const running = conversation.begin(operation, participation);
    held.runs(running);
    return this.#follow(asker, held, running, round);
  }

  #goOn(asker: Asker, held: HeldCall, answers: Answers, round: number): Promise<void> {
    const { running } = held;
    if (running === undefined) return this.#refuseParams('REQUEST_STATE_INVALID', 'the call is not held any more');
    const withdrawn = held.withdrawn();
    if (withdrawn === undefined) held.answer(answers);
    else held.withdraw(withdrawn.code);
    return this.#follow(asker, held, running, round);
  }

  /** Until the call ends or asks: then this request is answered. */
  async #follow(asker: Asker, held: HeldCall, running: RunningCall, round: number): Promise<void> {
    const { rounds, asked, identity } = this.#options;
    this.#held = held;
    if (this.#cancelled) held.stop('client');
    held.outlet = this.#outlet();
    const event = await held.next();
    held.outlet = NOWHERE;
    if (event.kind === 'end') return this.#finish(asker, held, running, event.end, round);
    if (this.#cancelled) return;
    const { questions } = event;
    const refused = this.#cannotWait(questions, round);
    const state =
      refused === undefined ? rounds.begin(asker, { call: running.call, questions, round, held: true }) : undefined;
    if (state !== undefined && rounds.held.hold(held, running, asker.principal.agent))
      return this.#answer(questionsReply(asked.id, questions, state, identity));
    held.stop('disconnect');
    const why = state === undefined ? TOO_LARGE : TOO_MANY_HELD;
    return this.refuse(refused ?? why, (data) => this.#lackingReply(data));
  }

  /** Why a call that asks cannot wait here for this client to come back. */
  #cannotWait(questions: Readonly<Record<string, Question>>, round: number): Denial | undefined {
    this.#lacking = lackingFor(Object.values(questions), this.#options.envelope.capabilities);
    if (this.#lacking !== undefined) return CANNOT_BE_ASKED;
    return round >= HELD_ROUNDS_MAX ? TOO_MANY_ROUNDS : undefined;
  }

  async #finish(asker: Asker, held: HeldCall, running: RunningCall, end: CallEnd, round: number): Promise<void> {
    const { asked, hints, identity, rounds, envelope } = this.#options;
    if (this.#cancelled) return;
    const lacking =
      end.kind === 'denied'
        ? this.#lackingReply(denialData(end.code, end.call))
        : failedForLack(asked.id, end, held.questions, asker.operation.manner.capabilities);
    if (lacking !== undefined) return this.#answer(lacking);
    const answer = (added?: JsonObject) => this.#answer(callReply(asked, end, { hints, identity }, added));
    if (end.kind !== 'result') return answer();
    switch (end.type) {
      case 'complete':
        return answer(this.#renamed(asker.operation, end));
      case 'task':
        if (!knowsTasks(envelope)) return this.refuse(deny('OUTPUT_UNSUPPORTED', 'a task for a client without tasks'));
        if (end.result.task !== undefined) return this.refuse(deny('OUTPUT_UNSUPPORTED', 'a task of older revisions'));
        return answer(this.#renamed(asker.operation, end));
      case 'input_required': {
        if (round >= ROUNDS_MAX) return this.refuse(TOO_MANY_ROUNDS);
        const { requestState } = end.result;
        const state = typeof requestState === 'string' ? requestState : undefined;
        const questions = questionsOf(end.result);
        const continues = goingOnWith(running, this.#continues);
        const sealed = rounds.begin(asker, { call: running.call, questions, round, held: false, continues, state });
        if (sealed === undefined) return this.refuse(TOO_LARGE);
        return answer({ requestState: sealed });
      }
    }
  }

  /** Whether the questions of an answer may be put to the client: each is decided and recorded by itself. */
  async #admit(
    running: RunningCall,
    { server, manner }: Operation,
    questions: Readonly<Record<string, Question>>,
  ): Promise<Denial | undefined> {
    this.#lacking = lackingFor(Object.values(questions), manner.capabilities);
    if (this.#lacking !== undefined) return CANNOT_BE_ASKED;
    const within = { call: running.call, server, manner, lineage: running.lineage };
    const { conversation } = this.#options;
    const askings = Object.values(questions).map((question) => conversation.ask(within, question, RELEASED));
    const answers = await Promise.all(askings.map(({ answer }) => answer));
    return answers.every(({ kind }) => kind === 'result')
      ? undefined
      : deny('CLIENT_CANNOT_BE_ASKED', 'a question may not be put to the client');
  }

  /** What the client would have to be able to do, if that is why it was denied. */
  #lackingReply(denial: JsonObject): Answer | undefined {
    return this.#lacking === undefined ? undefined : lackingReply(this.#options.asked.id, this.#lacking, denial);
  }

  /** Tasks under the ids by which their owner knows them. */
  #renamed(operation: Operation, end: Extract<CallEnd, { kind: 'result' }>): JsonObject {
    return renamedTasks(operation, end, this.#options.conversation.owner(operation.server));
  }

  #outlet(): Outlet {
    const { asked, envelope, reply } = this.#options;
    const token = isJsonObject(asked.params._meta) ? asked.params._meta.progressToken : undefined;
    const tell = (method: string, params: JsonObject): void => {
      if (!this.#cancelled && !this.#answered) reply(notificationMessage(method, params));
    };
    return {
      onProgress: (progress) => {
        if (token !== undefined) tell('notifications/progress', { ...progress, progressToken: token });
      },
      onLog: (log) => {
        const { logLevel } = envelope;
        if (logLevel !== undefined && isLoggable(log.level, logLevel)) tell('notifications/message', log);
      },
    };
  }

  #answer({ text, status }: Answer): void {
    if (this.#cancelled || this.#answered) return;
    this.#answered = true;
    this.#options.reply(text, status);
  }
}

const CANNOT_BE_ASKED = deny('CLIENT_CANNOT_BE_ASKED', 'the client did not say that it can be asked this');
const TOO_MANY_ROUNDS = deny('CLIENT_CANNOT_BE_ASKED', 'too many rounds of questions');
const TOO_LARGE = deny('CLIENT_CANNOT_BE_ASKED', 'questions that are too large');
const TOO_MANY_HELD = deny('OVERLOADED', 'too many calls are held');

const NOWHERE: Outlet = { onProgress: () => {}, onLog: () => {} };

/** Members that are there. */
function given(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(members).filter((entry): entry is [string, Json] => entry[1] !== undefined));
}
