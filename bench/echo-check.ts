// Decides whether an answer is the answer: the right id, no error, the very text that was sent. Every call of every row passes here,
// because a target that is fast and wrong must not win.

import { isJsonObject, type Json } from '../domain/json.ts';

/** What is wrong with an answer to an echo call, or undefined. */
export function faultOf(answer: string, id: number, text: string): string | undefined {
  let message: Json;
  try {
    message = JSON.parse(answer) as Json;
  } catch {
    return `not JSON: ${answer.slice(0, 120)}`;
  }
  if (!isJsonObject(message) || message.id !== id) return `an answer to another call: ${answer.slice(0, 120)}`;
  const result = message.result;
  if (!isJsonObject(result)) return `an error: ${JSON.stringify(message.error).slice(0, 200)}`;
  const first = Array.isArray(result.content) ? result.content[0] : undefined;
  const said = isJsonObject(first) ? first.text : undefined;
  if (result.isError === true) return `refused: ${JSON.stringify(said).slice(0, 200)}`;
  if (said !== text) return `another text than was sent: ${JSON.stringify(said)?.slice(0, 120)}`;
  return undefined;
}

/** The JSON-RPC message in a response body: the body itself, or the event that carries the id when it is an event stream. */
export function messageIn(body: string, isEventStream: boolean, id: number): string {
  if (!isEventStream) return body;
  const wanted = `"id":${id}`;
  for (const line of body.split('\n')) {
    if (!line.startsWith('data:')) continue;
    const data = line.slice(5).trim();
    if (data.startsWith('{') && (data.slice(0, 200).includes(wanted) || data.slice(-200).includes(wanted))) return data;
  }
  return '';
}
