// Governed functions through the real libraries of model vendors, with a model that follows a script: what it asks for well, and what it asks for badly.

import Anthropic from '@anthropic-ai/sdk';
import { Agent, tool as agentsTool, OpenAIChatCompletionsModel, Runner } from '@openai/agents';
import { tool as aiTool, generateText, jsonSchema, stepCountIs } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { aiSdkTools, fromAiSdk } from '../../adapters/tools/ai-sdk.ts';
import { anthropicTools, fromAnthropic } from '../../adapters/tools/anthropic.ts';
import { type Governed, govern } from '../../adapters/tools/govern.ts';
import type { GovernedAgent } from '../../adapters/tools/governed-agent.ts';
import { fromOpenAi, openAiResponseTools, openAiTools } from '../../adapters/tools/openai.ts';
import { openAiAgentsTools } from '../../adapters/tools/openai-agents.ts';
import { tool } from '../../adapters/tools/tool-function.ts';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { closePrograms, type OpenedProgram, openProgram } from '../support/program-gate.ts';
import { chatCompletion, modelMessage, modelResponse, ScriptedModel } from '../support/scripted-model.ts';

const RULES = `@id("notes") @reason("the planner may read, and may try")
permit (principal == Portcullis::Agent::"planner", action in Portcullis::Action::"open", resource);
`;
const ran: string[] = [];
const functions = {
  read: tool({
    description: 'reads a note',
    inputSchema: z.object({ path: z.string() }),
    execute: ({ path }) => {
      ran.push(path);
      return { text: `the note ${path}` };
    },
  }),
  erase: tool({
    description: 'nobody may',
    inputSchema: z.object({ path: z.string() }),
    execute: ({ path }) => {
      ran.push(`erased ${path}`);
    },
  }),
  fail: tool({
    description: 'fails',
    inputSchema: { type: 'object', properties: {} },
    execute: () => {
      throw new Error('out of paper');
    },
  }),
};
const READ = 'notes__read';

const model = new ScriptedModel();
let program: OpenedProgram;
let planner: Governed<typeof functions>;
let agent: GovernedAgent;
let openai: OpenAI;
let anthropic: Anthropic;

beforeAll(async () => {
  program = await openProgram({
    manifest: {
      agents: { planner: { auth: 'local' } },
      servers: { notes: { inProcess: {} }, stated: { inProcess: {} } },
      groups: { open: ['notes/read', 'notes/fail', 'stated/add', 'stated/shout', 'stated/greet'] },
    },
    rules: RULES,
  });
  planner = govern(functions, program.gate, { agent: 'planner', server: 'notes' });
  const add = ({ a, b }: { a: number; b: number }) => a + b;
  const numbers = {
    type: 'object',
    properties: { a: { type: 'number' }, b: { type: 'number' } },
    required: ['a', 'b'],
  };
  const text = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] } as const;
  govern(
    {
      ...fromOpenAi([{ type: 'function', function: { name: 'add', description: 'adds', parameters: numbers } }], {
        add,
      }),
      ...fromAnthropic([{ name: 'shout', description: 'shouts', input_schema: text }], {
        shout: ({ text }: { text: string }) => text.toUpperCase(),
      }),
      ...fromAiSdk({
        greet: aiTool({
          description: 'greets',
          inputSchema: z.object({ name: z.string() }),
          execute: async ({ name }, { toolCallId, abortSignal }) =>
            `${name} ${toolCallId.length} ${abortSignal?.aborted}`,
        }),
      }),
    },
    program.gate,
    { agent: 'planner', server: 'stated' },
  );
  await program.gate.ready();
  agent = planner.agent;
  const baseURL = await model.listen();
  openai = new OpenAI({ apiKey: 'none', baseURL, maxRetries: 0 });
  anthropic = new Anthropic({ apiKey: 'none', baseURL, maxRetries: 0 });
});

beforeEach(() => {
  ran.length = 0;
  model.heard.length = 0;
  model.script.length = 0;
});

afterAll(async () => {
  await model.close();
  await closePrograms();
});

/** The last message of the last request. */
function lastMessage(): JsonObject {
  return (model.heard.at(-1)!.messages as readonly JsonObject[]).at(-1)!;
}

/** What the ledger says of calls since `before`, sorted: how each ended. */
async function endsSince(before: number): Promise<string[]> {
  const calls = (await program.calls()).slice(before);
  return calls.map(({ code, status }) => code ?? status ?? '').sort();
}

const NAMES = ['notes__read', 'notes__fail', 'stated__add', 'stated__shout', 'stated__greet'];

/** What a model asks for badly, as an id, a name and the text of its arguments; and what the answer names. */
const BAD: readonly (readonly [id: string, name: string, text: string, told: string])[] = [
  ['forbidden', 'notes__erase', '{"path":"x"}', 'TOOL_UNKNOWN'],
  ['unknown', 'notes__nothing', '{"path":"x"}', 'TOOL_UNKNOWN'],
  ['unqualified', 'read', '{"path":"x"}', 'TOOL_UNKNOWN'],
  ['inherited', 'constructor', '{}', 'TOOL_UNKNOWN'],
  ['long', 'x'.repeat(10_000), '{}', 'TOOL_UNKNOWN'],
  ['missing', READ, '{}', 'ARG_INVALID'],
  ['extra', READ, '{"path":"x","admin":true}', 'ARG_INVALID'],
  ['other', READ, '{"path":["x"]}', 'ARG_INVALID'],
  ['failing', 'notes__fail', '{}', 'out of paper'],
];
/** Only where the text of the arguments comes to us. */
const UNREADABLE: typeof BAD = [
  ['cut', READ, '{"path":"x"', 'ARG_INVALID'],
  ['prose', READ, 'I would like to read x', 'ARG_INVALID'],
  ['twice', READ, '{"path":"x","path":"y"}', 'ARG_INVALID'],
  ['proto', READ, '{"path":"x","__proto__":{}}', 'ARG_INVALID'],
  ['list', READ, '["x"]', 'ARG_INVALID'],
  ['huge', READ, `{"path":"${'x'.repeat(5_000_000)}"}`, 'MESSAGE_TOO_LARGE'],
];
const PENDING = { role: 'user', content: 'read the note' } as const;

describe('with the Chat Completions API of OpenAI', () => {
  const call = (id: string, name: string, text: string): JsonObject => ({
    id,
    type: 'function',
    function: { name, arguments: text },
  });

  proves(
    'G4',
    'every call that a model asks for badly is denied, recorded and answered, and the loop goes on',
    async () => {
      const before = (await program.calls()).length;
      const asked = [...BAD, ...UNREADABLE];
      const good = [call('good', READ, '{"path":"a"}')];
      const doubled = [call('same', READ, '{"path":"b"}'), call('same', READ, '{"path":"c"}')];
      model.script.push(
        chatCompletion({ tool_calls: [...good, ...asked.map(([id, name, text]) => call(id, name, text)), ...doubled] }),
        chatCompletion({ content: 'done' }),
      );
      const { tools, answer } = await openAiTools(agent);
      expect(tools.map(({ function: { name } }) => name)).toEqual(NAMES);
      const messages: OpenAI.ChatCompletionMessageParam[] = [PENDING];
      let said: OpenAI.ChatCompletionMessage;
      do {
        const completion = await openai.chat.completions.create({ model: 'scripted', messages, tools });
        said = completion.choices[0]!.message;
        messages.push(said, ...(await answer(said)));
      } while (said.tool_calls !== undefined);
      expect(said.content).toBe('done');
      expect(ran).toEqual(['a']);
      const answered = (model.heard[1]!.messages as readonly JsonObject[]).slice(2);
      const texts = new Map(answered.map(({ tool_call_id: id, content }) => [id, String(content)]));
      expect([...texts.keys()]).toEqual(['good', ...asked.map(([id]) => id), 'same']);
      expect(texts.get('good')).toBe('{"text":"the note a"}');
      for (const [id, , , told] of asked) expect(texts.get(id), id).toContain(told);
      expect(texts.get('same')).toContain('MESSAGE_MALFORMED');
      const codes = asked.map(([, , , told]) => (told === 'out of paper' ? 'errored' : told));
      expect(await endsSince(before)).toEqual([...codes, 'MESSAGE_MALFORMED', 'MESSAGE_MALFORMED', 'completed'].sort());
    },
  );

  it('what is no call is recorded, and nobody is answered', async () => {
    const before = (await program.calls()).length;
    const { answer } = await openAiTools(agent);
    const odd: unknown[] = [
      null,
      'call',
      { type: 'function', function: { name: READ, arguments: '{}' } },
      { id: 7, type: 'function', function: { name: READ, arguments: '{}' } },
      { id: '', type: 'function', function: { name: READ, arguments: '{}' } },
    ];
    expect(await answer({ tool_calls: odd })).toEqual([]);
    const answers = await answer({ tool_calls: [{ id: 'a' }, { id: 'b', function: { name: READ } }] });
    expect(answers.map(({ content }) => /\((\w+)\)/.exec(content)?.[1])).toEqual(['MESSAGE_MALFORMED', 'ARG_INVALID']);
    expect(await answer({ tool_calls: 'all of them' })).toEqual([]);
    expect(await answer({})).toEqual([]);
    expect(ran).toEqual([]);
    expect(await endsSince(before)).toEqual(['ARG_INVALID', ...Array(6).fill('MESSAGE_MALFORMED')]);
  });

  it('a message that asks for more than anybody would is refused once and answered as often as it asks', async () => {
    const before = (await program.calls()).length;
    const { answer } = await openAiTools(agent);
    const answers = await answer({
      tool_calls: Array.from({ length: 5_000 }, (_, n) => call(`c${n}`, READ, '{"path":"x"}')),
    });
    expect(answers).toHaveLength(5_000);
    expect(answers[4_999]).toMatchObject({ tool_call_id: 'c4999', content: expect.stringContaining('OVERLOADED') });
    expect(ran).toEqual([]);
    expect(await endsSince(before)).toEqual(['OVERLOADED']);
  });

  it('functions that were described in its words are governed as they are', async () => {
    const { answer } = await openAiTools(agent);
    const asked = [call('a', 'stated__add', '{"a":1,"b":2}'), call('b', 'stated__add', '{"a":1,"b":"2"}')];
    const [sum, bad] = await answer({ tool_calls: asked });
    expect(sum).toEqual({ role: 'tool', tool_call_id: 'a', content: '3' });
    expect(bad?.content).toContain('ARG_INVALID');
  });

  it.each<[string, () => unknown, string]>([
    ['nothing that carries it out', () => fromOpenAi([{ name: 'a' }], {}), 'nothing carries out the tool "a"'],
    [
      'something that nothing describes',
      () => fromOpenAi([], { a: () => 1 }),
      'no definition says what the tool "a" takes',
    ],
    ['two definitions', () => fromOpenAi([{ name: 'a' }, { name: 'a' }], { a: () => 1 }), 'is defined twice'],
  ])('a function with %s is refused', (_, wrong, message) => {
    expect(wrong).toThrow(message);
  });
});

describe('with the Responses API of OpenAI', () => {
  const call = (id: string, name: string, text: string): JsonObject => ({
    type: 'function_call',
    id: `fc_${id}`,
    call_id: id,
    name,
    arguments: text,
    status: 'completed',
  });

  it('every call is answered, and the loop goes on', async () => {
    const asked = [...BAD, ...UNREADABLE.slice(0, 2)];
    model.script.push(
      modelResponse(call('good', READ, '{"path":"a"}'), ...asked.map(([id, name, text]) => call(id, name, text))),
      modelResponse({
        type: 'message',
        id: 'm',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'done', annotations: [] }],
      }),
    );
    const { tools, answer } = await openAiResponseTools(agent);
    expect(tools.map(({ name }) => name)).toEqual(NAMES);
    const first = await openai.responses.create({ model: 'scripted', input: 'read the note', tools });
    const outputs = await answer(first);
    const second = await openai.responses.create({
      model: 'scripted',
      input: outputs,
      tools,
      previous_response_id: first.id,
    });
    expect(second.output_text).toBe('done');
    expect(ran).toEqual(['a']);
    expect(model.heard[1]?.input).toEqual([
      { type: 'function_call_output', call_id: 'good', output: '{"text":"the note a"}' },
      ...asked.map(([id, , , told]) => ({
        type: 'function_call_output',
        call_id: id,
        output: expect.stringContaining(told),
      })),
    ]);
  });
});

describe('with the Agents SDK of OpenAI', () => {
  it('a denial is what the tool says, and the run goes on to its end', async () => {
    const before = (await program.calls()).length;
    const unread = UNREADABLE.slice(0, 2);
    const asked = [...BAD, ...UNREADABLE.slice(2)].filter(([, name]) => NAMES.includes(name));
    const call = (id: string, name: string, text: string): JsonObject => ({
      id,
      type: 'function',
      function: { name, arguments: text },
    });
    model.script.push(
      chatCompletion({
        tool_calls: [
          call('good', READ, '{"path":"a"}'),
          ...[...asked, ...unread].map(([id, name, text]) => call(id, name, text)),
        ],
      }),
      chatCompletion({ content: 'done' }),
    );
    const reader = new Agent({
      name: 'reader',
      instructions: 'read',
      tools: await openAiAgentsTools(agent, agentsTool),
      model: new OpenAIChatCompletionsModel(openai, 'scripted'),
    });
    const result = await new Runner({ tracingDisabled: true }).run(reader, 'read the note');
    expect(result.finalOutput).toBe('done');
    expect(ran).toEqual(['a']);
    expect(
      (model.heard[0]!.tools as readonly { function: { name: string } }[]).map((one) => one.function.name),
    ).toEqual(NAMES);
    const answered = (model.heard[1]!.messages as readonly JsonObject[]).filter(({ role }) => role === 'tool');
    const texts = new Map(answered.map(({ tool_call_id: id, content }) => [id, JSON.stringify(content)]));
    expect(texts.get('good')).toContain('the note a');
    for (const [id, , , told] of asked) expect(texts.get(id), id).toContain(told);
    // The SDK reads the arguments itself before it invokes a tool: what is no JSON at all is answered by it and gets nowhere.
    for (const [id] of unread) expect(texts.get(id), id).toContain('valid JSON');
    expect(await endsSince(before)).toHaveLength(asked.length + 1);
  });
});

describe('with the Messages API of Anthropic', () => {
  const use = (id: string, name: string, input: unknown): JsonObject =>
    ({ type: 'tool_use', id, name, input }) as JsonObject;
  const USES = BAD.map(([id, name, text]) => use(id, name, JSON.parse(text)));
  const ODD = [use('text', READ, 'x'), use('none', READ, null), use('huge', READ, { path: 'x'.repeat(5_000_000) })];

  it('every call is answered as an error to the model, and the loop goes on', async () => {
    model.script.push(
      modelMessage(
        use('good', READ, { path: 'a' }),
        ...USES,
        ...ODD,
        use('same', READ, { path: 'b' }),
        use('same', READ, { path: 'c' }),
      ),
      modelMessage({ type: 'text', text: 'done' }),
    );
    const { tools, answer } = await anthropicTools(agent);
    expect(tools.map(({ name }) => name)).toEqual(NAMES);
    const ask = { model: 'scripted', max_tokens: 100, tools };
    const first = await anthropic.messages.create({ ...ask, messages: [PENDING] });
    const content = await answer(first);
    const second = await anthropic.messages.create({
      ...ask,
      messages: [PENDING, { role: 'assistant', content: first.content }, { role: 'user', content }],
    });
    expect(second.content).toMatchObject([{ type: 'text', text: 'done' }]);
    expect(ran).toEqual(['a']);
    const error = (id: unknown, told: string) => ({
      type: 'tool_result',
      tool_use_id: id,
      content: expect.stringContaining(told),
      is_error: true,
    });
    expect(lastMessage().content).toEqual([
      { type: 'tool_result', tool_use_id: 'good', content: '{"text":"the note a"}' },
      ...BAD.map(([id, , , told]) => error(id, told)),
      error('text', 'ARG_INVALID'),
      error('none', 'ARG_INVALID'),
      error('huge', 'MESSAGE_TOO_LARGE'),
      error('same', 'MESSAGE_MALFORMED'),
    ]);
  });

  it('the runner of the SDK goes on too', async () => {
    const asked = BAD.filter(([, name]) => NAMES.includes(name));
    model.script.push(
      modelMessage(
        use('good', READ, { path: 'a' }),
        ...asked.map(([id, name, text]) => use(id, name, JSON.parse(text))),
      ),
      modelMessage({ type: 'text', text: 'done' }),
    );
    const { runnable } = await anthropicTools(agent);
    const final = await anthropic.beta.messages.toolRunner({
      model: 'scripted',
      max_tokens: 100,
      messages: [PENDING],
      tools: runnable,
    });
    expect(final.content).toMatchObject([{ type: 'text', text: 'done' }]);
    expect(ran).toEqual(['a']);
    const results = lastMessage().content as readonly JsonObject[];
    expect(results[0]).toMatchObject({ tool_use_id: 'good', content: '{"text":"the note a"}' });
    for (const [index, [id, , , told]] of asked.entries())
      expect(results[index + 1]).toMatchObject({
        tool_use_id: id,
        is_error: true,
        content: expect.stringContaining(told),
      });
  });

  it('functions that were described in its words are governed as they are', async () => {
    const { answer } = await anthropicTools(agent);
    expect(await answer({ content: [use('a', 'stated__shout', { text: 'hi' })] })).toEqual([
      { type: 'tool_result', tool_use_id: 'a', content: 'HI' },
    ]);
  });
});

describe('with the AI SDK of Vercel', () => {
  const call = (id: string, name: string, text: string) =>
    ({ type: 'tool-call', toolCallId: id, toolName: name, input: text }) as const;
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  };

  it('every call is answered as an error to the model, and what the SDK refuses by itself is recorded too', async () => {
    const before = (await program.calls()).length;
    const asked = [...BAD, ...UNREADABLE.slice(0, 2)];
    const steps = [
      {
        content: [call('good', READ, '{"path":"a"}'), ...asked.map(([id, name, text]) => call(id, name, text))],
        finishReason: { unified: 'tool-calls', raw: undefined },
      },
      { content: [{ type: 'text', text: 'done' }], finishReason: { unified: 'stop', raw: undefined } },
    ] as const;
    const prompts: unknown[] = [];
    const scripted = new MockLanguageModelV3({
      doGenerate: async ({ prompt }) => {
        prompts.push(prompt);
        const { content, finishReason } = steps[prompts.length - 1]!;
        return { content: [...content], finishReason, usage, warnings: [] };
      },
    });
    const { tools, recordRefused } = await aiSdkTools(agent, jsonSchema);
    expect(Object.keys(tools)).toEqual(NAMES);
    const { text } = await generateText({
      model: scripted,
      prompt: 'read the note',
      tools,
      stopWhen: stepCountIs(3),
      experimental_repairToolCall: recordRefused,
    });
    expect(text).toBe('done');
    expect(ran).toEqual(['a']);
    const results = (prompts[1] as readonly { role: string; content: readonly JsonObject[] }[])
      .filter(({ role }) => role === 'tool')
      .flatMap(({ content }) => content);
    const output = new Map(results.map(({ toolCallId, output }) => [toolCallId, output as JsonObject]));
    expect(output.get('good')).toEqual({ type: 'json', value: { text: 'the note a' } });
    for (const [id] of asked) expect(output.get(id)?.type, id).toMatch(/^error/);
    const codes = asked.map(([, , , told]) => (told === 'out of paper' ? 'errored' : told));
    expect(await endsSince(before)).toEqual([...codes, 'completed'].sort());
  });

  it('its own tools are governed as they are', async () => {
    const { value, call: id } = await agent.call('stated__greet', { name: 'Ada' });
    expect(value).toBe(`Ada ${id.length} false`);
    await expect(agent.call('stated__greet', { name: 1 })).rejects.toMatchObject({ code: 'ARG_INVALID' });
  });

  it.each<[string, () => unknown]>([
    ['nothing that carries it out', () => fromAiSdk({ a: { description: 'a', inputSchema: z.object({}) } })],
    [
      'a schema that comes later',
      () => fromAiSdk({ a: { inputSchema: { jsonSchema: Promise.resolve({}) }, execute: () => 1 } }),
    ],
    ['a schema that is made later', () => fromAiSdk({ a: { inputSchema: () => z.object({}), execute: () => 1 } })],
  ])('a tool with %s is refused', (_, wrong) => {
    expect(wrong).toThrow(TypeError);
  });
});
