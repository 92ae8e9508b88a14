// An answer to a request, judged by its shape alone: a result, an error, or refused. What a result means is for the gate to judge.

import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import type { ToolAnswer } from '../../../proxy/tool-server.ts';

const MEMBERS: readonly string[] = ['id', 'jsonrpc', 'result', 'error'];

/** See answerWithin. `wantsTask`: the request asked for a task, so that an answer can be one; to any other request it is a result. */
export function answerOf(message: JsonObject, bytes: number, bytesMax: number, wantsTask = false): ToolAnswer {
  const answer = answerWithin(message, bytes, bytesMax);
  return answer.kind === 'result' ? resultOf(answer.result, bytes, wantsTask) : answer;
}

/** `bytes` is the length of the whole message, which may not be more than `bytesMax`. A result is as it came, its kind included. */
export function answerWithin(message: JsonObject, bytes: number, bytesMax: number): ToolAnswer {
  if (bytes > bytesMax) {
    return { kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail: `the answer is larger than ${bytesMax} bytes`, bytes };
  }
  const invalid = (detail: string): ToolAnswer => ({ kind: 'refused', code: 'OUTPUT_INVALID', detail, bytes });
  if (message.jsonrpc !== '2.0') return invalid('the answer is not JSON-RPC 2.0');
  for (const member in message)
    if (!MEMBERS.includes(member)) return invalid('the answer has a member that JSON-RPC does not know');
  const { result, error } = message;
  if (result !== undefined && error !== undefined) return invalid('the answer is both a result and an error');
  if (result !== undefined)
    return isJsonObject(result) ? { kind: 'result', result, bytes } : invalid('the result is not an object');
  if (!isJsonObject(error)) return invalid('the error is not an object');
  const { code, message: text, data } = error;
  if (typeof code !== 'number' || !Number.isSafeInteger(code))
    return invalid('the code of the error is not an integer');
  if (typeof text !== 'string') return invalid('the error has no message');
  return { kind: 'error', error: data === undefined ? { code, message: text } : { code, message: text, data }, bytes };
}

/** Later revisions say `complete`; that is what these mean by saying nothing. Any other word stays, for the gate to refuse. */
function resultOf(said: JsonObject, bytes: number, wantsTask: boolean): ToolAnswer {
  const { resultType, ...others } = said;
  const result = resultType === 'complete' ? others : said;
  const isTask = wantsTask && isJsonObject(result.task) && typeof result.task.taskId === 'string';
  return isTask ? { kind: 'result', result, bytes, type: 'task' } : { kind: 'result', result, bytes };
}
