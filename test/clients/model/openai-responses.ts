// The Responses API: POST /responses, in one piece or as events. Tools may stand in groups, which a call then names beside the tool.

import type { JsonObject } from '../../../domain/json.ts';
import { type Answer, event, list, type OfferedTool, textIn, type WireFormat } from './turn.ts';

export const OPENAI_RESPONSES: WireFormat = {
  name: 'openai-responses',
  read(path, body) {
    if (!/\/responses$/.test(path)) return undefined;
    const items = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : list(body.input);
    return {
      tools: list(body.tools).flatMap(toolsOf),
      said: textIn(items.filter(({ role }) => role === 'user')),
      results: items
        .filter(({ type }) => type === 'function_call_output')
        .map(({ output }) => (typeof output === 'string' ? output : textIn(output))),
      streams: body.stream === true,
    };
  },
  write(answer, streams) {
    const item = itemOf(answer);
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
    const response = { id: 'resp_1', object: 'response', created_at: 1, model: 'scripted', error: null };
    const completed = { ...response, status: 'completed', output: [item], usage };
    if (!streams) return { type: 'application/json', body: JSON.stringify(completed) };
    const events: JsonObject[] = [
      { type: 'response.created', response: { ...response, status: 'in_progress', output: [] } },
      { type: 'response.output_item.added', output_index: 0, item: { ...item, status: 'in_progress' } },
      ...deltasOf(answer, String(item.id)),
      { type: 'response.output_item.done', output_index: 0, item },
      { type: 'response.completed', response: completed },
    ];
    const numbered = events.map((one, sequence) => event(String(one.type), { ...one, sequence_number: sequence }));
    return { type: 'text/event-stream', body: numbered.join('') };
  },
};

function toolsOf({ type, name, tools }: JsonObject): OfferedTool[] {
  if (type === 'namespace') return list(tools).map((tool) => ({ name: String(tool.name), namespace: String(name) }));
  return name === undefined ? [] : [{ name: String(name) }];
}

function itemOf(answer: Answer): JsonObject {
  if (answer.kind === 'text') {
    const content = [{ type: 'output_text', text: answer.text, annotations: [] }];
    return { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content };
  }
  const { name, namespace } = answer.tool;
  const named = namespace === undefined ? { name } : { name, namespace };
  const args = JSON.stringify(answer.args);
  return { type: 'function_call', id: 'fc_1', call_id: answer.id, ...named, arguments: args, status: 'completed' };
}

function deltasOf(answer: Answer, item: string): JsonObject[] {
  const at = { item_id: item, output_index: 0 };
  if (answer.kind === 'call') {
    const args = JSON.stringify(answer.args);
    return [
      { type: 'response.function_call_arguments.delta', ...at, delta: args },
      { type: 'response.function_call_arguments.done', ...at, arguments: args },
    ];
  }
  const part = { type: 'output_text', text: answer.text, annotations: [] };
  return [
    { type: 'response.content_part.added', ...at, content_index: 0, part: { ...part, text: '' } },
    { type: 'response.output_text.delta', ...at, content_index: 0, delta: answer.text },
    { type: 'response.output_text.done', ...at, content_index: 0, text: answer.text },
    { type: 'response.content_part.done', ...at, content_index: 0, part },
  ];
}
