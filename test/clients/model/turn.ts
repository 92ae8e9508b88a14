// What a scripted model makes of a conversation, whatever wire format it came in. The prompt is the script: `CALL~TOOL~ARGUMENTS~END` names a tool by
// a regular expression and its arguments as JSON. The model asks for it once and then says what it was told.

import type { Json, JsonObject } from '../../../domain/json.ts';

export interface OfferedTool {
  /** As a call must name it. */
  readonly name: string;
  /** Where the format keeps tools in groups. */
  readonly namespace?: string;
}

/** A request, read. */
export interface Turn {
  readonly tools: readonly OfferedTool[];
  /** Every text that the user, or the client for the user, said. */
  readonly said: string;
  /** The results of tools, the newest last. */
  readonly results: readonly string[];
  readonly streams: boolean;
}

export type Answer =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'call'; readonly tool: OfferedTool; readonly args: JsonObject; readonly id: string };

/** One API: how its requests are read and its answers written. */
export interface WireFormat {
  readonly name: string;
  /** Undefined: the path is none of it. */
  read(path: string, body: JsonObject): Turn | undefined;
  write(answer: Answer, streams: boolean): { readonly type: string; readonly body: string };
}

const SCRIPT = /CALL~(?<tool>.*?)~(?<args>\{.*?\})~END/s;

export function script(tool: string, args: JsonObject): string {
  return `CALL~${tool}~${JSON.stringify(args)}~END`;
}

/** What every answer to a script begins with, and none to anything else. */
export const DONE = 'DONE';

export function answerTo(turn: Turn): Answer {
  const asked = SCRIPT.exec(turn.said)?.groups;
  // Titles, summaries, classifiers: clients ask for more than the conversation.
  if (asked?.tool === undefined || turn.tools.length === 0) return { kind: 'text', text: 'ok' };
  const result = turn.results.at(-1);
  if (result !== undefined) return { kind: 'text', text: `${DONE} ${result}` };
  const pattern = new RegExp(asked.tool);
  const tool = turn.tools.find(({ name, namespace = '' }) => pattern.test(`${namespace}${name}`));
  if (tool === undefined) return { kind: 'text', text: `${DONE} no tool matches ${asked.tool}` };
  const args = JSON.parse(asked.args ?? '{}') as JsonObject;
  return { kind: 'call', tool, args, id: `call_${Math.random().toString(36).slice(2, 12)}` };
}

/** Every text in a value, in order: formats nest content in their own ways. */
export function textIn(value: Json | undefined): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(textIn).filter(Boolean).join('\n');
  if (typeof value === 'object' && value !== null) {
    const { text, content, output, error } = value as JsonObject;
    return [text, content, output, error].map(textIn).filter(Boolean).join('\n');
  }
  return '';
}

export function list(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? (value as JsonObject[]) : [];
}

export function event(name: string | undefined, data: Json): string {
  return `${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`;
}
