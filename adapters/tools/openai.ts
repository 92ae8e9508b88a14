// Tools in the words of OpenAI, for the Chat Completions and the Responses API: the definitions for a request, the answers to what came back, and
// functions that were described in these words already. Nothing of the vendor's library is imported.

import { describedFunctions, type Execute } from './described-functions.ts';
import type { CallOptions, GovernedAgent, OfferedTool } from './governed-agent.ts';
import { NAME_PATTERN } from './limits.ts';
import { answerCalls, listOf, type ModelCall, membersOf, schemaCopy } from './model-calls.ts';
import type { JsonSchema, ToolFunction } from './tool-function.ts';

export interface OpenAiFunctionTool {
  type: 'function';
  function: { name: string; description: string; parameters: Record<string, unknown> };
}

export interface OpenAiToolMessage {
  role: 'tool';
  tool_call_id: string;
  content: string;
}

export interface OpenAiTools {
  /** For `tools` of a request: what rules could let the agent call at this moment. */
  readonly tools: OpenAiFunctionTool[];
  /** Carries out what an assistant's message asks for. The messages go behind it into the next request. Never rejects. */
  answer(message: { readonly tool_calls?: unknown }, options?: CallOptions): Promise<OpenAiToolMessage[]>;
}

/** For `client.chat.completions.create`. */
export async function openAiTools(agent: GovernedAgent): Promise<OpenAiTools> {
  const offered = await offeredTo(agent);
  return {
    tools: offered.map(({ name, description, inputSchema }) => ({
      type: 'function',
      function: { name, description, parameters: schemaCopy(inputSchema) },
    })),
    answer: async (message, options = {}) => {
      const calls = listOf(membersOf(message).tool_calls).map((said): ModelCall => {
        const call = membersOf(said);
        const { name, arguments: text } = membersOf(call.function);
        return { id: call.id, name, arguments: { text } };
      });
      const answers = await answerCalls(agent, calls, options);
      return answers.map(({ id, text }) => ({ role: 'tool', tool_call_id: id, content: text }));
    },
  };
}

export interface OpenAiResponseTool {
  type: 'function';
  name: string;
  description: string;
  parameters: Record<string, unknown>;
  strict: false;
}

export interface OpenAiCallOutput {
  type: 'function_call_output';
  call_id: string;
  output: string;
}

export interface OpenAiResponseTools {
  readonly tools: OpenAiResponseTool[];
  /** Carries out the function calls among the output of a response. The items go into the input of the next one. Never rejects. */
  answer(response: { readonly output?: unknown }, options?: CallOptions): Promise<OpenAiCallOutput[]>;
}

/** For `client.responses.create`. */
export async function openAiResponseTools(agent: GovernedAgent): Promise<OpenAiResponseTools> {
  const offered = await offeredTo(agent);
  return {
    tools: offered.map(({ name, description, inputSchema }) => ({
      type: 'function',
      name,
      description,
      parameters: schemaCopy(inputSchema),
      strict: false,
    })),
    answer: async (response, options = {}) => {
      const items = listOf(membersOf(response).output).map(membersOf);
      const calls = items
        .filter(({ type }) => type === 'function_call')
        .map(({ call_id: id, name, arguments: text }): ModelCall => ({ id, name, arguments: { text } }));
      const answers = await answerCalls(agent, calls, options);
      return answers.map(({ id, text }) => ({ type: 'function_call_output', call_id: id, output: text }));
    },
  };
}

/** A definition of either API. */
export type OpenAiDefinition = StatedFunction | { readonly type: 'function'; readonly function: StatedFunction };
interface StatedFunction {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly parameters?: JsonSchema | null | undefined;
  /** Of a tool for the SDK's runner; what it takes is `parse`d from text where it has that. */
  function?(args: never, ...rest: never[]): unknown;
  parse?(text: string): unknown;
}

/**
 * Functions for `govern`, from definitions and what carries each of them out: `execute`, or the tool itself where it is one for the SDK's runner. Throws
 * a TypeError where they do not fit together.
 */
export function fromOpenAi(
  definitions: readonly OpenAiDefinition[],
  execute: Readonly<Record<string, Execute>> = {},
): Record<string, ToolFunction<JsonSchema, never, unknown>> {
  return describedFunctions(
    definitions.map((definition) => {
      const stated = isNested(definition) ? definition.function : definition;
      const { name, description, parameters } = stated;
      const inputSchema = parameters ?? { type: 'object', properties: {} };
      return { name, description, inputSchema, execute: functionOf(stated) };
    }),
    execute,
  );
}

function isNested(
  definition: OpenAiDefinition,
): definition is Extract<OpenAiDefinition, { readonly function: object }> {
  return typeof definition.function === 'object';
}

function functionOf(stated: StatedFunction): Execute | undefined {
  if (stated.function === undefined) return undefined;
  const run = stated.function.bind(stated) as (args: unknown) => unknown;
  const text = (args: unknown): string => JSON.stringify(args);
  return async (args) => run(stated.parse === undefined ? text(args) : await stated.parse(text(args)));
}

/** Those of a name that the API takes: others, which only a server elsewhere can have, would make it refuse the whole request. */
async function offeredTo(agent: GovernedAgent): Promise<readonly OfferedTool[]> {
  return (await agent.definitions()).filter(({ name }) => NAME_PATTERN.test(name));
}
