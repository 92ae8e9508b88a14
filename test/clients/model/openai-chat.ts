// The Chat Completions API: POST /chat/completions, in one piece or as chunks.

import type { JsonObject } from '../../../domain/json.ts';
import { event, list, textIn, type WireFormat } from './turn.ts';

export const OPENAI_CHAT: WireFormat = {
  name: 'openai-chat',
  read(path, body) {
    if (!/\/chat\/completions$/.test(path)) return undefined;
    const messages = list(body.messages);
    return {
      tools: list(body.tools).map((tool) => ({ name: String((tool.function as JsonObject | undefined)?.name) })),
      said: textIn(messages.filter(({ role }) => role === 'user').map(({ content }) => content ?? '')),
      results: messages.filter(({ role }) => role === 'tool').map(({ content }) => textIn(content)),
      streams: body.stream === true,
    };
  },
  write(answer, streams) {
    const calls =
      answer.kind === 'call'
        ? [
            {
              index: 0,
              id: answer.id,
              type: 'function',
              function: { name: answer.tool.name, arguments: JSON.stringify(answer.args) },
            },
          ]
        : undefined;
    const content = answer.kind === 'text' ? answer.text : null;
    const message = { role: 'assistant', content, ...(calls === undefined ? {} : { tool_calls: calls }) };
    const reason = calls === undefined ? 'stop' : 'tool_calls';
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const common = { id: 'chatcmpl-1', created: 1, model: 'scripted' };
    if (!streams) {
      const choices = [{ index: 0, message, finish_reason: reason }];
      return {
        type: 'application/json',
        body: JSON.stringify({ ...common, object: 'chat.completion', choices, usage }),
      };
    }
    const chunk = (delta: JsonObject, finish: string | null, more: JsonObject = {}): string =>
      event(undefined, {
        ...common,
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta, finish_reason: finish }],
        ...more,
      });
    return {
      type: 'text/event-stream',
      body: `${chunk(message, null)}${chunk({}, reason, { usage })}data: [DONE]\n\n`,
    };
  },
};
