// Tools in the words of Anthropic's Messages API: the definitions for a request, the answers to what came back, tools for the SDK's runner, and functions
// that were described in these words already. Nothing of the vendor's library is imported.

import { describedFunctions, type Execute } from './described-functions.ts';
import type { CallOptions, GovernedAgent } from './governed-agent.ts';
import { answerCalls, carryOut, listOf, type ModelCall, membersOf, schemaCopy } from './model-calls.ts';
import type { JsonSchema, ToolFunction } from './tool-function.ts';

/** The API's pattern for names. */
const NAME = /^[A-Za-z0-9_-]{1,128}$/;

export interface AnthropicTool {
  name: string;
  description: string;
  input_schema: { type: 'object'; [keyword: string]: unknown };
}

export interface AnthropicToolResult {
  type: 'tool_result';
  tool_use_id: string;
  content: string;
  is_error?: true;
}

/** A tool that the SDK's runner carries out by itself. */
export interface AnthropicRunnableTool extends AnthropicTool {
  type: 'custom';
  run(input: unknown, context?: { readonly signal?: AbortSignal | null | undefined }): Promise<string>;
  parse(input: unknown): unknown;
}

export interface AnthropicTools {
  /** For `tools` of a request: what rules could let the agent call at this moment. */
  readonly tools: AnthropicTool[];
  /** The same for `client.beta.messages.toolRunner`. A denial is an error to the model, and the run goes on. */
  readonly runnable: AnthropicRunnableTool[];
  /** Carries out what an assistant's message asks for. The blocks are the content of the next message of the user. Never rejects. */
  answer(message: { readonly content?: unknown }, options?: CallOptions): Promise<AnthropicToolResult[]>;
}

/** For `client.messages.create`. */
export async function anthropicTools(agent: GovernedAgent): Promise<AnthropicTools> {
  const offered = (await agent.definitions()).filter(({ name }) => NAME.test(name));
  const tools = (): AnthropicTool[] =>
    offered.map(({ name, description, inputSchema }) => ({
      name,
      description,
      input_schema: { ...schemaCopy(inputSchema), type: 'object' },
    }));
  return {
    tools: tools(),
    runnable: tools().map((tool) => ({
      ...tool,
      type: 'custom',
      parse: (input) => input,
      run: async (input, context) => {
        const { signal } = membersOf(context);
        const options = signal instanceof AbortSignal ? { signal } : {};
        const answer = await carryOut(agent, { name: tool.name, arguments: { value: input } }, options);
        if (answer instanceof Error) throw answer;
        return answer.text;
      },
    })),
    answer: async (message, options = {}) => {
      const blocks = listOf(membersOf(message).content).map(membersOf);
      const calls = blocks
        .filter(({ type }) => type === 'tool_use')
        .map(({ id, name, input: value }): ModelCall => ({ id, name, arguments: { value } }));
      const answers = await answerCalls(agent, calls, options);
      return answers.map(({ id, text, isError }) => ({
        type: 'tool_result',
        tool_use_id: id,
        content: text,
        ...(isError ? { is_error: true } : {}),
      }));
    },
  };
}

export interface AnthropicDefinition {
  readonly name: string;
  readonly description?: string | undefined;
  /** A tool of the vendor's own has none: what it takes, nobody says. Such a tool is refused. */
  readonly input_schema?: object;
  /** Of a tool that the SDK's helpers made. */
  run?(input: never, ...rest: never[]): unknown;
  parse?(input: unknown): unknown;
}

/**
 * Functions for `govern`, from definitions and what carries each of them out: `execute`, or the tool itself where the SDK's helpers made it. Throws a
 * TypeError where they do not fit together.
 */
export function fromAnthropic(
  definitions: readonly AnthropicDefinition[],
  execute: Readonly<Record<string, Execute>> = {},
): Record<string, ToolFunction<JsonSchema, never, unknown>> {
  return describedFunctions(
    definitions.map((definition) => {
      const { name, description, input_schema: schema } = definition;
      if (schema === undefined) throw new TypeError(`no schema says what the tool ${JSON.stringify(name)} takes`);
      // A copy by its members: the vendor's type of a schema has no index.
      return { name, description, inputSchema: { ...schema }, execute: runOf(definition) };
    }),
    execute,
  );
}

/** Of the context that the runner gives there is the signal; a message that asked for it there is not. */
function runOf(definition: AnthropicDefinition): Execute | undefined {
  if (definition.run === undefined) return undefined;
  const run = definition.run.bind(definition) as (input: unknown, context: { readonly signal: AbortSignal }) => unknown;
  return (args, { signal }) => run(definition.parse === undefined ? args : definition.parse(args), { signal });
}
