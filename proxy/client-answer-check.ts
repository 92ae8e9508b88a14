// Whether what a client answered may go to the server that asked: its shape, and of a form what was filled in.

import { type Denial, deny } from '../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { formFault } from './form-check.ts';
import { isListOf } from './json-shapes.ts';
import type { Question } from './tool-server.ts';

/** Questions without the words for the person who answers: what is left is what an answer is compared with. */
export function answerable(questions: Readonly<Record<string, Question>>): Readonly<Record<string, Question>> {
  return Object.fromEntries(
    Object.entries(questions).map(([key, { method, params }]) => {
      const { mode, requestedSchema } = method === 'elicitation/create' ? params : ({} as JsonObject);
      const form = requestedSchema === undefined ? {} : { requestedSchema };
      return [key, { method, params: mode === undefined ? form : { ...form, mode } }];
    }),
  );
}

/** Why an answer to a question must be withheld from the server, or undefined where it may go. `asked`: the params of the question. */
export function checkClientAnswer(method: string, asked: JsonObject, answer: JsonObject): Denial | undefined {
  const fault = answerFault(method, asked, answer);
  return fault === undefined ? undefined : deny('OUTPUT_INVALID', fault);
}

function answerFault(method: string, asked: JsonObject, answer: JsonObject): string | undefined {
  switch (method) {
    case 'sampling/createMessage': {
      const isMessage = typeof answer.role === 'string' && typeof answer.model === 'string' && isBlocks(answer.content);
      return isMessage ? undefined : 'not a message with role, model and content';
    }
    case 'elicitation/create':
      return elicitationFault(asked, answer);
    case 'roots/list':
      return isListOf(answer.roots, ({ uri }) => typeof uri === 'string') ? undefined : 'roots is not a list of roots';
    default:
      return 'an answer to nothing that a client can be asked';
  }
}

function elicitationFault({ mode, requestedSchema }: JsonObject, { action, content }: JsonObject): string | undefined {
  if (!['accept', 'decline', 'cancel'].includes(String(action)))
    return 'the action is none of accept, decline and cancel';
  // Some clients send an empty form, or null, where there is none.
  const filled = isJsonObject(content) ? content : {};
  if (content !== undefined && content !== null && !isJsonObject(content)) return 'the form is not an object';
  const isForm = action === 'accept' && mode !== 'url';
  if (!isForm) return Object.keys(filled).length === 0 ? undefined : 'a form where none was asked for';
  return formFault(isJsonObject(requestedSchema) ? requestedSchema : {}, filled);
}

function isBlocks(content: Json | undefined): boolean {
  const isBlock = (block: JsonObject) => typeof block.type === 'string';
  return isListOf(content, isBlock) || (content !== undefined && isJsonObject(content) && isBlock(content));
}
