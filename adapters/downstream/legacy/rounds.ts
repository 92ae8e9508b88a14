// A call of a client that can be asked while it waits, at a server that cannot ask: where the server needs input it forgets the call and says
// so, the questions are put to the client here, and the call goes on as a new execution that continues the one before.

import { deny } from '../../../domain/denial.ts';
import type { Json } from '../../../domain/json.ts';
import type { CallEnd } from '../../../proxy/client-view.ts';
import type { Conversation, Operation, Participation, Within } from '../../../proxy/conversation.ts';
import { ROUNDS_MAX } from '../../../proxy/limits.ts';
import { questionsOf } from '../../../proxy/output-check.ts';
import type { RunningCall } from '../../../proxy/runner.ts';
import type { Peer, Question } from '../../../proxy/tool-server.ts';

export interface Rounds {
  readonly participation: Participation;
  /** Told of each round as it begins. */
  readonly began: (running: RunningCall) => void;
  /** The client does not want an answer any more. */
  readonly isWithdrawn: () => boolean;
}

/** Between rounds that ask nothing: the server only wants time. */
const PAUSE_MS = 250;

/** Runs a call to its end, however many rounds that takes within the bound. */
export async function runRounds(conversation: Conversation, operation: Operation, rounds: Rounds): Promise<CallEnd> {
  let next = operation;
  for (let round = 1; ; round += 1) {
    const running = conversation.begin(next, rounds.participation);
    rounds.began(running);
    const end = await running.end;
    if (end.kind !== 'result' || end.type !== 'input_required' || rounds.isWithdrawn()) return end;
    if (round === ROUNDS_MAX) return refused(conversation, operation, 'too many rounds of questions');
    const { server, manner } = operation;
    const questions = questionsOf(end.result);
    const within = { call: running.call, server, manner };
    const inputResponses = await answersTo(conversation, within, questions, rounds.participation.client);
    if (inputResponses === undefined)
      return refused(conversation, operation, 'a question that the server depends on was not answered');
    const isPause = Object.keys(questions).length === 0;
    if (isPause) await new Promise<void>((go) => conversation.gate.clock.timer(PAUSE_MS, go));
    const { requestState } = end.result;
    next = {
      ...operation,
      rest: {
        ...operation.rest,
        ...(isPause ? {} : { inputResponses }),
        ...(requestState === undefined ? {} : { requestState }),
      },
      relation: { kind: 'continues', call: running.call },
    };
  }
}

/** What the client answered, by the server's keys; undefined unless it answered all of it. */
async function answersTo(
  conversation: Conversation,
  within: Within,
  questions: Readonly<Record<string, Question>>,
  client: Peer | undefined,
): Promise<Record<string, Json> | undefined> {
  const entries = Object.entries(questions);
  const answers = await Promise.all(entries.map(([, question]) => conversation.ask(within, question, client).answer));
  const responses: Record<string, Json> = {};
  for (const [index, [key]] of entries.entries()) {
    const answer = answers[index];
    if (answer?.kind !== 'result') return undefined;
    responses[key] = answer.result;
  }
  return responses;
}

async function refused(conversation: Conversation, { method, server }: Operation, why: string): Promise<CallEnd> {
  const code = 'CLIENT_CANNOT_BE_ASKED';
  const call = await conversation.refuse(deny(code, why), method, server);
  return { kind: 'denied', call, code, executed: 'perhaps', recorded: true };
}
