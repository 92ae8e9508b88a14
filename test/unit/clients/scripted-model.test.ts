// The model that stands in for a vendor's in the runs with real clients: what it makes of a conversation in each format.

import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../domain/json.ts';
import { ANTHROPIC_MESSAGES } from '../../clients/model/anthropic-messages.ts';
import { GEMINI_CONTENT } from '../../clients/model/gemini-content.ts';
import { OPENAI_CHAT } from '../../clients/model/openai-chat.ts';
import { OPENAI_RESPONSES } from '../../clients/model/openai-responses.ts';
import { type Answer, answerTo, script, type Turn, type WireFormat } from '../../clients/model/turn.ts';

const PROMPT = `please ${script('counter.*count$', { by: 1 })} now`;
const NAME = 'mcp__counter__count';

interface Case {
  readonly format: WireFormat;
  readonly path: string;
  readonly asked: JsonObject;
  readonly told: JsonObject;
}

const CASES: readonly Case[] = [
  {
    format: ANTHROPIC_MESSAGES,
    path: '/v1/messages',
    asked: { tools: [{ name: NAME }], messages: [{ role: 'user', content: [{ type: 'text', text: PROMPT }] }] },
    told: {
      tools: [{ name: NAME }],
      messages: [
        { role: 'user', content: PROMPT },
        { role: 'user', content: [{ type: 'tool_result', content: [{ type: 'text', text: 'counted' }] }] },
      ],
    },
  },
  {
    format: OPENAI_RESPONSES,
    path: '/v1/responses',
    asked: {
      tools: [{ type: 'namespace', name: 'mcp__counter__', tools: [{ name: 'count' }] }],
      input: [{ role: 'user', content: [{ type: 'input_text', text: PROMPT }] }],
    },
    told: {
      tools: [{ type: 'function', name: NAME }],
      input: [
        { role: 'user', content: PROMPT },
        { type: 'function_call_output', output: 'counted' },
      ],
    },
  },
  {
    format: OPENAI_CHAT,
    path: '/v1/chat/completions',
    asked: { tools: [{ function: { name: NAME } }], messages: [{ role: 'user', content: PROMPT }] },
    told: {
      tools: [{ function: { name: NAME } }],
      messages: [
        { role: 'user', content: PROMPT },
        { role: 'tool', content: 'counted' },
      ],
    },
  },
  {
    format: GEMINI_CONTENT,
    path: '/v1beta/models/m:streamGenerateContent',
    asked: {
      tools: [{ functionDeclarations: [{ name: NAME }] }],
      contents: [{ role: 'user', parts: [{ text: PROMPT }] }],
    },
    told: {
      tools: [{ functionDeclarations: [{ name: NAME }] }],
      contents: [
        { role: 'user', parts: [{ text: PROMPT }] },
        { role: 'user', parts: [{ functionResponse: { response: { output: 'counted' } } }] },
      ],
    },
  },
];

function answerIn({ format, path }: Case, body: JsonObject): { turn: Turn; answer: Answer } {
  const turn = format.read(path, body);
  if (turn === undefined) throw new Error('it is not read');
  return { turn, answer: answerTo(turn) };
}

describe.each(CASES)('a scripted model that speaks $format.name', (one) => {
  it('does not read what is for another address', () => {
    expect(one.format.read('/elsewhere', one.asked)).toBeUndefined();
  });

  it('asks for the tool of the script, by the name that the client gave it', () => {
    const { answer } = answerIn(one, one.asked);
    expect(answer).toMatchObject({ kind: 'call', args: { by: 1 } });
    if (answer.kind !== 'call') return;
    expect(`${answer.tool.namespace ?? ''}${answer.tool.name}`).toBe(NAME);
    for (const streams of [true, false]) expect(one.format.write(answer, streams).body).toContain(answer.tool.name);
  });

  it('says what it was told once it has been told, and asks no more', () => {
    const { answer } = answerIn(one, one.told);
    expect(answer).toEqual({ kind: 'text', text: 'DONE counted' });
    for (const streams of [true, false]) expect(one.format.write(answer, streams).body).toContain('DONE counted');
  });

  it('has nothing to say to a request without tools', () => {
    expect(answerIn(one, { ...one.asked, tools: [] }).answer).toEqual({ kind: 'text', text: 'ok' });
  });
});
