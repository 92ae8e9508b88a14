// Whether an answer may be released: its shape, then the output schema of the pinned definition. An unknown kind of result is refused here,
// because a client would take it for a success.

import { TOOL_METHOD } from '../domain/action.ts';
import { type Denial, deny } from '../domain/denial.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { CapturedCall } from './captured-call.ts';
import type { Catalogue } from './catalogue.ts';
import { checkClientAnswer } from './client-answer-check.ts';
import { isListOf } from './json-shapes.ts';
import { QUESTION_SCHEMAS_CHARACTERS_MAX, QUESTIONS_PER_ANSWER_MAX, REQUEST_STATE_CHARACTERS_MAX } from './limits.ts';
import { QUESTION_METHODS, type Question, type ResultType } from './tool-server.ts';

/** Why a result must be withheld, or undefined when it may be released. */
export type OutputCheck = (call: CapturedCall, type: ResultType, result: JsonObject) => Promise<Denial | undefined>;

/** Validates structured content against a tool's output schema; undefined when it fits. Never rejects. */
export type SchemaCheck = (server: string, tool: string, structuredJson: string) => Promise<Denial | undefined>;

type Target = Pick<CapturedCall, 'server' | 'tool'>;

/** Members of a message about a task that are more than its state. */
export const OUTCOME_OF_TASK = ['result', 'error', 'inputRequests'];
/** The methods whose answer may need something from the client first. */
const ASKING: ReadonlySet<string> = new Set([TOOL_METHOD, 'prompts/get', 'resources/read']);

export function outputCheck(catalogue: Catalogue, matchesSchema: SchemaCheck): OutputCheck {
  return async (call, type, result) => {
    const { _meta } = result;
    if (_meta !== undefined && !isJsonObject(_meta)) return deny('OUTPUT_INVALID', '_meta is not an object');
    if (Object.hasOwn(result, 'resultType'))
      return deny('OUTPUT_UNSUPPORTED', `resultType ${JSON.stringify(result.resultType)}`);
    switch (type) {
      case 'input_required':
        // A question that was released in an answer: what the client says to it comes with its next request.
        if (QUESTION_METHODS.has(call.method)) return undefined;
        return ASKING.has(call.method)
          ? checkQuestions(result)
          : deny('OUTPUT_UNSUPPORTED', 'questions instead of an answer');
      case 'task':
        return call.method === TOOL_METHOD
          ? checkTask(result)
          : deny('OUTPUT_UNSUPPORTED', 'a task instead of an answer');
      case 'complete':
        switch (call.method) {
          case TOOL_METHOD:
            return checkToolResult(catalogue, matchesSchema, call, result);
          case 'tasks/result':
            return checkToolResult(catalogue, matchesSchema, madeBy(call), result);
          case 'tasks/get':
          case 'tasks/cancel':
          case 'tasks/update':
            return checkTaskState(catalogue, matchesSchema, call, result);
          default:
            return checkPlainResult(call, result);
        }
    }
  };
}

/** The tool whose result a task has: another name for it than the pinned one has no schema, and an unknown one is refused below. */
function madeBy({ server, resultOf = '' }: CapturedCall): Target {
  return { server, tool: resultOf };
}

/** What a server says of a task, and what the task has come to: that passes the same checks as if the tool had answered at once. */
async function checkTaskState(
  catalogue: Catalogue,
  matchesSchema: SchemaCheck,
  call: CapturedCall,
  state: JsonObject,
): Promise<Denial | undefined> {
  const { taskId, result, inputRequests } = state;
  const asked = (JSON.parse(call.argumentsJson) as JsonObject).taskId;
  if (call.method === 'tasks/get' && taskId === undefined) return deny('OUTPUT_INVALID', 'a task without an id');
  if (taskId !== undefined && taskId !== asked) return deny('OUTPUT_INVALID', 'another task than the one asked for');
  if (inputRequests !== undefined) {
    const refused = checkQuestions(state);
    if (refused !== undefined) return refused;
  }
  if (result === undefined) return undefined;
  if (!isJsonObject(result)) return deny('OUTPUT_INVALID', 'the result of the task is not an object');
  return checkToolResult(catalogue, matchesSchema, madeBy(call), result);
}

/** The questions of a result that was checked; none where it has none. */
export function questionsOf(result: JsonObject): Readonly<Record<string, Question>> {
  const questions: Record<string, Question> = {};
  for (const [key, value] of Object.entries(isJsonObject(result.inputRequests) ? result.inputRequests : {})) {
    const { method, params } = value as JsonObject;
    questions[key] = { method: String(method), params: isJsonObject(params) ? params : {} };
  }
  return questions;
}

async function checkToolResult(
  catalogue: Catalogue,
  matchesSchema: SchemaCheck,
  call: Target,
  result: JsonObject,
): Promise<Denial | undefined> {
  const { content, structuredContent, isError } = result;
  if (isError !== undefined && typeof isError !== 'boolean') return deny('OUTPUT_INVALID', 'isError is not a boolean');
  if ('task' in result) return deny('OUTPUT_UNSUPPORTED', 'the tool answered with a task');
  if (!isListOf(content, (block) => typeof block.type === 'string'))
    return deny('OUTPUT_INVALID', 'content is not a list of blocks with a type');
  const pinned = catalogue.tool(call.server, call.tool);
  if (call.tool === '') return deny('OUTPUT_INVALID', 'a result of no tool');
  if (pinned?.definition.outputSchema === undefined || isError === true) return undefined;
  if (structuredContent === undefined)
    return deny('OUTPUT_INVALID', 'the tool has an output schema and sent no structured content');
  return matchesSchema(call.server, call.tool, JSON.stringify(structuredContent));
}

/** What every other method answers with, as far as a client relies on it. */
function checkPlainResult(call: CapturedCall, result: JsonObject): Denial | undefined {
  const unless = (fits: boolean, what: string) => (fits ? undefined : deny('OUTPUT_INVALID', what));
  switch (call.method) {
    case 'prompts/get':
      return unless(
        isListOf(result.messages, ({ content, role }) => isJsonObject(content) && typeof role === 'string'),
        'messages is not a list of messages',
      );
    case 'resources/read':
      return unless(
        isListOf(result.contents, ({ uri }) => typeof uri === 'string'),
        'contents is not a list of contents with a uri',
      );
    case 'completion/complete':
      return unless(
        isJsonObject(result.completion) && Array.isArray(result.completion.values),
        'completion has no list of values',
      );
    case 'sampling/createMessage':
    case 'elicitation/create':
    case 'roots/list':
      return checkClientAnswer(call.method, JSON.parse(call.argumentsJson) as JsonObject, result);
    default:
      return undefined;
  }
}

function checkQuestions({ inputRequests, requestState }: JsonObject): Denial | undefined {
  if (inputRequests === undefined && requestState === undefined)
    return deny('OUTPUT_INVALID', 'input is required and nothing is asked');
  const isState = typeof requestState === 'string' && requestState.length <= REQUEST_STATE_CHARACTERS_MAX;
  if (requestState !== undefined && !isState) return deny('OUTPUT_INVALID', 'requestState is not text, or too long');
  if (inputRequests === undefined) return undefined;
  if (!isJsonObject(inputRequests)) return deny('OUTPUT_INVALID', 'inputRequests is not an object');
  const questions = Object.values(inputRequests);
  if (questions.length > QUESTIONS_PER_ANSWER_MAX)
    return deny('OUTPUT_INVALID', `${questions.length} questions at once`);
  let schemas = 0;
  for (const question of questions) {
    if (!isJsonObject(question) || !QUESTION_METHODS.has(String(question.method)))
      return deny('OUTPUT_UNSUPPORTED', 'a question that cannot be put to a client');
    if (question.params !== undefined && !isJsonObject(question.params))
      return deny('OUTPUT_INVALID', 'the params of a question are not an object');
    schemas += JSON.stringify(question.params?.requestedSchema ?? null).length;
  }
  return schemas > QUESTION_SCHEMAS_CHARACTERS_MAX ? deny('OUTPUT_INVALID', 'forms that are too large') : undefined;
}

/** What a call has left behind is a name and no more: what it comes to is asked for later, and decided about then. */
function checkTask(result: JsonObject): Denial | undefined {
  const task = isJsonObject(result.task) ? result.task : result;
  const early = OUTCOME_OF_TASK.find((member) => Object.hasOwn(result, member) || Object.hasOwn(task, member));
  if (early !== undefined) return deny('OUTPUT_UNSUPPORTED', `a task that begins with its ${early}`);
  return typeof task.taskId === 'string' && task.taskId !== ''
    ? undefined
    : deny('OUTPUT_INVALID', 'a task without an id');
}
