// Tools that the helpers of vendors' libraries made, governed as they are: what they take, and what carries them out.

import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { tool as aiTool, jsonSchema, zodSchema } from 'ai';
import { zodFunction } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fromAiSdk } from '../../adapters/tools/ai-sdk.ts';
import { fromAnthropic } from '../../adapters/tools/anthropic.ts';
import { type Governed, govern } from '../../adapters/tools/govern.ts';
import { fromOpenAi } from '../../adapters/tools/openai.ts';
import { closePrograms, openProgram } from '../support/program-gate.ts';

const NUMBERS = z.object({ a: z.number(), b: z.number().default(10) });
const ran: string[] = [];
const sum = (from: string, { a, b }: { a: number; b: number }): string => {
  ran.push(from);
  return `${a + b}`;
};
const functions = {
  ...fromOpenAi([zodFunction({ name: 'helped', parameters: z.object({ a: z.number(), b: z.number() }) })], {
    helped: (args: { a: number; b: number }) => sum('openai', args),
  }),
  ...fromOpenAi([
    {
      type: 'function',
      function: {
        name: 'parsed',
        description: 'takes what it parses',
        parameters: { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
        parse: (text: string) => NUMBERS.parse(JSON.parse(text)),
        function: (args: { a: number; b: number }) => sum('openai', args),
      },
    },
    {
      type: 'function',
      function: {
        name: 'unparsed',
        description: 'takes text',
        parameters: { type: 'object', properties: { a: { type: 'number' } } },
        function: (args: string) => {
          ran.push('openai');
          return args;
        },
      },
    },
  ]),
  ...fromAnthropic([
    betaZodTool({
      name: 'runnable',
      description: 'runs',
      inputSchema: z.object({ a: z.number(), b: z.number() }),
      run: (args, context) => `${sum('anthropic', args)} ${context?.signal?.aborted}`,
    }),
  ]),
  ...fromAiSdk({
    made: aiTool({ inputSchema: zodSchema(NUMBERS), execute: async (args) => sum('ai', args) }),
    zod: aiTool({ inputSchema: NUMBERS, execute: async (args) => sum('ai', args) }),
    judged: aiTool({
      inputSchema: jsonSchema<{ a: number }>(
        { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
        {
          validate: (value) =>
            (value as { a: number }).a > 0
              ? { success: true, value: value as { a: number } }
              : { success: false, error: new Error('not above zero') },
        },
      ),
      execute: async ({ a }) => sum('ai', { a, b: 0 }),
    }),
  }),
};
let planner: Governed<typeof functions>;

beforeAll(async () => {
  const { gate } = await openProgram({
    manifest: { agents: { planner: { auth: 'local' } }, servers: { sums: { inProcess: {} } } },
    rules: '@id("all") @reason("harmless") permit (principal, action, resource);',
  });
  planner = govern(functions, gate, { agent: 'planner', server: 'sums' });
  await gate.ready();
});

afterAll(closePrograms);

const call = (name: string, args: unknown) => planner.agent.call(`sums__${name}`, args);

describe('tools of vendors', () => {
  it.each([
    ['helped', { a: 1, b: '2' }, 'ARG_INVALID'],
    ['helped', { a: 1, b: 2, c: 3 }, 'ARG_INVALID'],
    ['parsed', { a: '1' }, 'ARG_INVALID'],
    ['unparsed', { a: '1' }, 'ARG_INVALID'],
    ['runnable', { a: 1 }, 'ARG_INVALID'],
    ['made', { a: 'x' }, 'ARG_INVALID'],
    ['zod', { b: 1 }, 'ARG_INVALID'],
    ['judged', {}, 'ARG_INVALID'],
  ])('are not run with arguments that they do not take: %s %j', async (name, args, code) => {
    await expect(call(name, args)).rejects.toMatchObject({ code, executed: 'no' });
    expect(ran).toEqual([]);
  });

  it('are refused where nobody says what they take', () => {
    expect(() => fromAnthropic([{ name: 'memory', run: () => '' }])).toThrow(
      'no schema says what the tool "memory" takes',
    );
  });

  it('judge what their schema cannot say', async () => {
    await expect(call('judged', { a: -1 })).rejects.toThrow('The arguments are not valid: not above zero');
    expect(ran).toEqual([]);
  });

  it.each<[string, unknown, unknown, string]>([
    ['helped', { a: 1, b: 2 }, '3', 'openai'],
    ['parsed', { a: 1 }, '11', 'openai'],
    ['unparsed', { a: 1 }, '{"a":1}', 'openai'],
    ['runnable', { a: 1, b: 2 }, '3 false', 'anthropic'],
    ['made', { a: 1 }, '11', 'ai'],
    ['zod', { a: 1 }, '11', 'ai'],
    ['judged', { a: 5 }, '5', 'ai'],
  ])('are run as their libraries would: %s %j', async (name, args, value, from) => {
    await expect(call(name, args)).resolves.toMatchObject({ value });
    expect(ran.splice(0)).toEqual([from]);
  });
});
