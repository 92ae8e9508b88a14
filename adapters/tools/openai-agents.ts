// Tools for the OpenAI Agents SDK. The SDK's own `tool` makes them, so that they are whatever its version wants them to be; what they do is ours.

import type { GovernedAgent } from './governed-agent.ts';
import { NAME_PATTERN } from './limits.ts';
import { carryOut, membersOf, schemaCopy } from './model-calls.ts';

/** What the SDK's `tool` takes. */
export interface AgentsToolOptions {
  name: string;
  description: string;
  // The SDK's word for a schema that it does not make strict.
  parameters: { type: 'object'; properties: Record<string, never>; required: string[]; additionalProperties: true };
  strict: false;
  execute: () => never;
}

type Invoke = (context: never, input: string, details?: never) => Promise<unknown>;

/**
 * The tools that rules could let the agent call at this moment, for `new Agent({ tools })`. A denial goes to the model as the output of the tool, and the
 * run goes on. A name that no tool has never gets here: the SDK ends the run by itself.
 */
export async function openAiAgentsTools<Tool extends { readonly invoke: Invoke }>(
  agent: GovernedAgent,
  tool: (options: AgentsToolOptions) => Tool,
): Promise<Tool[]> {
  const offered = (await agent.definitions()).filter(({ name }) => NAME_PATTERN.test(name));
  return offered.map(({ name, description, inputSchema }) => {
    const made = tool({
      name,
      description,
      // The schema is whatever the tool says; the SDK passes it on to the model and looks at no more of it than that it is one.
      parameters: schemaCopy(inputSchema) as unknown as AgentsToolOptions['parameters'],
      strict: false,
      execute: () => {
        throw new TypeError('a governed tool is called by invoke');
      },
    });
    const invoke = async (_: unknown, input: unknown, details?: unknown): Promise<string> => {
      const { signal } = membersOf(details);
      const options = signal instanceof AbortSignal ? { signal } : {};
      const answer = await carryOut(agent, { name, arguments: { text: input } }, options);
      return answer instanceof Error ? answer.message : answer.text;
    };
    return { ...made, invoke };
  });
}
