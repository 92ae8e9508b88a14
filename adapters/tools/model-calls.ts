// The tool calls that a model asks for in one message, whoever made the model. What a model says is hostile: each call is read strictly, what cannot be
// read is denied and recorded, and everything is answered, because a loop goes on only when every call has its answer.

import { isJsonObject, type Json } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { Denied } from './denied.ts';
import type { Answer, CallOptions, GovernedAgent } from './governed-agent.ts';
import { ARGUMENT_LIMITS, CALLS_PER_MESSAGE_MAX } from './limits.ts';
import { ToolFailed } from './tool-failed.ts';

export interface ModelCall {
  /** By which the answer is known to the model. */
  readonly id: unknown;
  readonly name: unknown;
  /** As text, where the vendor leaves reading it to us; else as the vendor's library read it. */
  readonly arguments: { readonly text: unknown } | { readonly value: unknown };
}

export interface ModelAnswer {
  readonly id: string;
  readonly text: string;
  /** It was denied, or it failed. */
  readonly isError: boolean;
}

/** Carries out the calls of one message side by side. One answer for each id, in their order; never rejects. */
export async function answerCalls(
  agent: GovernedAgent,
  calls: readonly ModelCall[],
  options: CallOptions,
): Promise<readonly ModelAnswer[]> {
  const byId = new Map<string, ModelCall[]>();
  const nameless: ModelCall[] = [];
  for (const call of calls) {
    if (typeof call.id === 'string' && call.id !== '') byId.set(call.id, [...(byId.get(call.id) ?? []), call]);
    else nameless.push(call);
  }
  if (calls.length > CALLS_PER_MESSAGE_MAX) {
    const denied = await agent.refuse('OVERLOADED', `${calls.length} calls in one message`);
    return [...byId.keys()].map((id) => ({ id, text: denied.message, isError: true }));
  }
  // Nobody could be told what became of these.
  await Promise.all(nameless.map(() => agent.refuse('MESSAGE_MALFORMED', 'a tool call without an id')));
  return Promise.all(
    [...byId].map(async ([id, [call, ...others]]) => {
      if (call === undefined || others.length > 0) return duplicated(agent, id, others.length + 1);
      return told(id, await carryOut(agent, call, options));
    }),
  );
}

/** Carries out one call. Never rejects: what stands in for an answer is why there is none. */
export async function carryOut(
  agent: GovernedAgent,
  call: Omit<ModelCall, 'id'>,
  options: CallOptions,
): Promise<Answer | Denied | ToolFailed> {
  try {
    if (typeof call.name !== 'string') throw await agent.refuse('MESSAGE_MALFORMED', 'a tool call without a name');
    return await agent.call(call.name, await argumentsOf(agent, call.arguments), options);
  } catch (error) {
    if (error instanceof Denied || error instanceof ToolFailed) return error;
    throw error;
  }
}

/** Which of the calls the model would take the answer for cannot be known, so none of them is carried out. */
async function duplicated(agent: GovernedAgent, id: string, count: number): Promise<ModelAnswer> {
  const [first, ...others] = Array.from({ length: count }, () =>
    agent.refuse('MESSAGE_MALFORMED', 'several tool calls with one id'),
  );
  await Promise.all(others);
  return { id, text: (await first)?.message ?? '', isError: true };
}

function told(id: string, answer: Answer | Denied | ToolFailed): ModelAnswer {
  return answer instanceof Error
    ? { id, text: answer.message, isError: true }
    : { id, text: answer.text, isError: false };
}

async function argumentsOf(agent: GovernedAgent, given: ModelCall['arguments']): Promise<unknown> {
  if ('value' in given) return given.value;
  const { text } = given;
  if (typeof text !== 'string') throw await agent.refuse('ARG_INVALID', 'the arguments are not text');
  // Models leave the arguments of a function without any empty.
  if (text.trim() === '') return {};
  if (text.length > ARGUMENT_LIMITS.bytesMax) throw await agent.refuse('MESSAGE_TOO_LARGE', 'the arguments of a call');
  const parsed = parseStrictJson(new TextEncoder().encode(text), ARGUMENT_LIMITS);
  if (parsed.ok) return parsed.value;
  if (parsed.reason === 'too_large') throw await agent.refuse('MESSAGE_TOO_LARGE', 'the arguments of a call');
  throw await agent.refuse('ARG_INVALID', `the arguments are not JSON: ${parsed.reason} at byte ${parsed.offset}`);
}

/** The members of something that a vendor's library handed over; none where it is no object. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A schema for a vendor's library, which may change what it is given. */
export function schemaCopy(schema: Json): Record<string, unknown> {
  return isJsonObject(schema) ? structuredClone(schema as Record<string, unknown>) : { type: 'object' };
}
