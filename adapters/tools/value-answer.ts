// What a function returned, as the answer of a tool, and back again. Text is content, every other value the one member of the structured content,
// and nothing is no content: so whoever reads the answer knows which it was.

import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import type { ToolAnswer } from '../../proxy/tool-server.ts';
import { jsonValue } from './json-value.ts';
import { valueLimits } from './limits.ts';

/** The answer that holds a value; a refusal where it is not plain data, or is more than may be released. */
export function answerOf(value: unknown, isStructured: boolean, bytesMax: number): ToolAnswer {
  if (value === undefined && !isStructured) return within({ content: [] }, bytesMax);
  const json = jsonValue(value, valueLimits(bytesMax));
  if (!json.ok) {
    if (json.reason === 'too_large') return tooLarge(json.detail);
    return { kind: 'refused', code: 'OUTPUT_INVALID', detail: `the value is not plain data: ${json.detail}` };
  }
  if (typeof json.value === 'string' && !isStructured) return within({ content: [textBlock(json.value)] }, bytesMax);
  return within({ content: [], structuredContent: { result: json.value } }, bytesMax);
}

/** The answer of a function that failed: what it says of that is released like a value, and so it is checked like one. */
export function failureOf(message: string, bytesMax: number): ToolAnswer {
  if (message.length > bytesMax) return tooLarge('the message of an error');
  // Half of a surrogate pair cannot be recorded, and is not worth losing the rest for.
  const text = (message as string & { toWellFormed(): string }).toWellFormed();
  return within({ content: [textBlock(text)], isError: true }, bytesMax);
}

/** The value that an answer of such a function holds. */
export function returnedBy({ structuredContent, content }: JsonObject): Json | undefined {
  if (structuredContent !== undefined) return (structuredContent as JsonObject).result;
  const [block] = content as readonly JsonObject[];
  return block?.text;
}

function textBlock(text: string): JsonObject {
  return { type: 'text', text };
}

function within(result: JsonObject, bytesMax: number): ToolAnswer {
  const bytes = Buffer.byteLength(canonicalJson(result));
  if (bytes > bytesMax) return tooLarge(`${bytes} bytes`);
  return { kind: 'result', result, bytes };
}

function tooLarge(detail: string): ToolAnswer {
  return { kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail };
}
