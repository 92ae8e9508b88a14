import { describe, expect, it } from 'vitest';
import { aiSdkTools } from '../../../../adapters/tools/ai-sdk.ts';
import { anthropicTools } from '../../../../adapters/tools/anthropic.ts';
import type { GovernedAgent, OfferedTool } from '../../../../adapters/tools/governed-agent.ts';
import { openAiResponseTools, openAiTools } from '../../../../adapters/tools/openai.ts';
import { openAiAgentsTools } from '../../../../adapters/tools/openai-agents.ts';

const LONG = `fs__${'x'.repeat(80)}`;
const inputSchema = { type: 'object', properties: { path: { type: 'string' } } };
const offered = ['fs__read', 'fs__read.note', 'fs__läs', '', LONG, 'x'.repeat(129)].map(
  (name): OfferedTool => ({ name, description: `does ${name}`, inputSchema }),
);
/** Only asked what it may call. */
const agent = { definitions: async () => offered } as unknown as GovernedAgent;
type Named = readonly { readonly name: string }[];

describe('what a model is offered', () => {
  it.each<[string, () => Promise<Named>, readonly string[]]>([
    ['Chat Completions', async () => (await openAiTools(agent)).tools.map((tool) => tool.function), ['fs__read']],
    ['Responses', async () => (await openAiResponseTools(agent)).tools, ['fs__read']],
    ['the Agents SDK', () => openAiAgentsTools(agent, (tool) => ({ ...tool, invoke: async () => '' })), ['fs__read']],
    ['Messages', async () => (await anthropicTools(agent)).tools, ['fs__read', LONG]],
    ['the runner', async () => (await anthropicTools(agent)).runnable, ['fs__read', LONG]],
    [
      'the AI SDK',
      async () => Object.keys((await aiSdkTools(agent, (schema) => schema)).tools).map((name) => ({ name })),
      ['fs__read'],
    ],
  ])('has only names that its API takes: %s', async (_, offer, names) => {
    expect((await offer()).map(({ name }) => name)).toEqual(names);
  });

  it('has schemas of its own: what a library does to one changes no other', async () => {
    const [chat, messages] = [await openAiTools(agent), await anthropicTools(agent)];
    chat.tools[0]!.function.parameters.properties = 'gone';
    (messages.tools[0]!.input_schema.properties as Record<string, unknown>).path = 'gone';
    expect(messages.runnable[0]!.input_schema).toEqual(inputSchema);
    expect((await openAiTools(agent)).tools[0]!.function.parameters).toEqual(inputSchema);
    expect(offered[0]!.inputSchema).toEqual({ type: 'object', properties: { path: { type: 'string' } } });
  });
});
