// What the compiler knows of governed functions. This file is only checked, never run: each line under an expectation is an error, or the check fails.

import type Anthropic from '@anthropic-ai/sdk';
import { Agent, tool as agentsTool } from '@openai/agents';
import { tool as aiTool, generateText, jsonSchema } from 'ai';
import type OpenAI from 'openai';
import { z } from 'zod';
import {
  aiSdkTools,
  anthropicTools,
  fromAiSdk,
  fromAnthropic,
  fromOpenAi,
  type GovernedAgent,
  govern,
  openAiAgentsTools,
  openAiResponseTools,
  openAiTools,
  tool,
} from '../../adapters/tools/exports.ts';
import type { ProgramGate } from '../../cli/program.ts';

declare const gate: ProgramGate;
declare const openai: OpenAI;
declare const anthropic: Anthropic;

const { tools, agent } = govern(
  {
    read: tool({
      description: 'x',
      inputSchema: z.object({ path: z.string(), line: z.number().default(1) }),
      execute: async ({ path, line }, { signal, agent: own }) => ({
        path,
        line,
        aborted: signal.aborted,
        by: own.name,
      }),
    }),
    plain: { description: 'x', inputSchema: { type: 'object' }, execute: ({ a }: { a: string }) => a.length },
    none: { description: 'x', inputSchema: { type: 'object' }, execute: () => {} },
  },
  gate,
  { agent: 'planner', server: 'notes' },
);

// A caller gives what the schema takes and gets what the function returns.
const read: { path: string; line: number; aborted: boolean; by: string } = await tools.read({ path: 'x' });
const length: number = await tools.plain({ a: 'x' }, { signal: AbortSignal.timeout(1) });
const nothing: Promise<void> = tools.none({});
const own: GovernedAgent = agent;

// @ts-expect-error
await tools.read({ path: 1 });
// @ts-expect-error
await tools.read({});
// @ts-expect-error
await tools.plain({ b: 'x' });
// @ts-expect-error
tools.missing;
// @ts-expect-error
tools.read = async () => read;
// @ts-expect-error
govern({ bad: { description: 'x', inputSchema: { type: 'object' } } }, gate, { agent: 'planner', server: 'notes' });
// @ts-expect-error
tool({ description: 'x', inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n.length });
// The functions themselves are not to be had, and neither is an agent that nobody governs.
// @ts-expect-error
tools.read.execute;
// @ts-expect-error
new agent.constructor(gate, 'planner');
// @ts-expect-error
agent.token;

// What vendors' libraries take and yield.
const chat = await openAiTools(agent);
const completion = await openai.chat.completions.create({ model: 'm', messages: [], tools: chat.tools });
for (const { message } of completion.choices)
  await openai.chat.completions.create({ model: 'm', messages: [message, ...(await chat.answer(message))] });
const responses = await openAiResponseTools(agent);
const response = await openai.responses.create({ model: 'm', input: 'x', tools: responses.tools });
await openai.responses.create({ model: 'm', input: await responses.answer(response) });
new Agent({ name: 'x', tools: await openAiAgentsTools(agent, agentsTool) });
const messages = await anthropicTools(agent);
const message = await anthropic.messages.create({ model: 'm', max_tokens: 1, messages: [], tools: messages.tools });
const content = await messages.answer(message);
await anthropic.messages.create({ model: 'm', max_tokens: 1, messages: [{ role: 'user', content }] });
anthropic.beta.messages.toolRunner({ model: 'm', max_tokens: 1, messages: [], tools: messages.runnable });
const { tools: sdkTools, recordRefused } = await aiSdkTools(agent, jsonSchema);
await generateText({ model: 'm', prompt: 'x', tools: sdkTools, experimental_repairToolCall: recordRefused });

// And their definitions, as they are.
fromOpenAi(chat.tools, {});
fromOpenAi(responses.tools, { x: ({ a }: { a: string }) => a });
fromAnthropic(messages.tools, {});
fromAiSdk({
  x: aiTool({ inputSchema: z.object({ a: z.string() }), execute: async ({ a }, { abortSignal }) => [a, abortSignal] }),
});

export { length, nothing, own, read };
