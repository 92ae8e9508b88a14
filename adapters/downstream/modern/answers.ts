// The client's answers to the questions of a round: each is checked against the question it is for. What nobody asked for is left out, as the
// specification says; an answer that its question cannot have refuses the request. Of its `_meta` an answer keeps what may go on.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { checkClientAnswer } from '../../../proxy/client-answer-check.ts';
import { forwarded } from '../../../proxy/forwarded-meta.ts';
import type { Question } from '../../../proxy/tool-server.ts';

export type Answers = Readonly<Record<string, JsonObject>>;

/** The answers to `questions`; a text says what is wrong with them. */
export function answersTo(
  questions: Readonly<Record<string, Question>>,
  responses: Json | undefined,
): Answers | string {
  if (responses === undefined) return {};
  if (!isJsonObject(responses)) return 'inputResponses is not an object';
  const answers: Record<string, JsonObject> = {};
  for (const [key, answer] of Object.entries(responses)) {
    if (!isJsonObject(answer)) return 'an input response is not an object';
    const question = Object.hasOwn(questions, key) ? questions[key] : undefined;
    if (question === undefined) continue;
    const fault = checkClientAnswer(question.method, question.params, answer);
    if (fault !== undefined) return `an input response: ${fault.detail ?? fault.code}`;
    answers[key] = forwarded(answer);
  }
  return answers;
}
