// The Messages API: POST /v1/messages, in one piece or as events.

import type { JsonObject } from '../../../domain/json.ts';
import { type Answer, event, list, textIn, type WireFormat } from './turn.ts';

const USAGE = { input_tokens: 1, output_tokens: 1 };

export const ANTHROPIC_MESSAGES: WireFormat = {
  name: 'anthropic-messages',
  read(path, body) {
    if (!/\/messages$/.test(path)) return undefined;
    const blocks = list(body.messages)
      .filter(({ role }) => role === 'user')
      .flatMap(({ content }) => (typeof content === 'string' ? [{ type: 'text', text: content }] : list(content)));
    return {
      tools: list(body.tools).map(({ name }) => ({ name: String(name) })),
      said: textIn(blocks.filter(({ type }) => type === 'text')),
      results: blocks.filter(({ type }) => type === 'tool_result').map(({ content }) => textIn(content)),
      streams: body.stream === true,
    };
  },
  write(answer, streams) {
    const block = blockOf(answer);
    const reason = answer.kind === 'call' ? 'tool_use' : 'end_turn';
    const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'scripted', stop_sequence: null };
    if (!streams) {
      const whole = { ...message, content: [block], stop_reason: reason, usage: USAGE };
      return { type: 'application/json', body: JSON.stringify(whole) };
    }
    const begun = { ...message, content: [], stop_reason: null, usage: USAGE };
    const empty = answer.kind === 'call' ? { ...block, input: {} } : { type: 'text', text: '' };
    const delta =
      answer.kind === 'call'
        ? { type: 'input_json_delta', partial_json: JSON.stringify(answer.args) }
        : { type: 'text_delta', text: answer.text };
    const events: JsonObject[] = [
      { type: 'message_start', message: begun },
      { type: 'content_block_start', index: 0, content_block: empty },
      { type: 'content_block_delta', index: 0, delta },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: reason, stop_sequence: null }, usage: { output_tokens: 1 } },
      { type: 'message_stop' },
    ];
    return { type: 'text/event-stream', body: events.map((one) => event(String(one.type), one)).join('') };
  },
};

function blockOf(answer: Answer): JsonObject {
  return answer.kind === 'call'
    ? { type: 'tool_use', id: answer.id, name: answer.tool.name, input: answer.args }
    : { type: 'text', text: answer.text };
}
