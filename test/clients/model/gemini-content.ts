// The Gemini API: POST .../models/MODEL:generateContent and :streamGenerateContent.

import type { JsonObject } from '../../../domain/json.ts';
import { event, list, textIn, type WireFormat } from './turn.ts';

export const GEMINI_CONTENT: WireFormat = {
  name: 'gemini-content',
  read(path, body) {
    if (!/:(?:streamG|g)enerateContent$/.test(path)) return undefined;
    const parts = list(body.contents).flatMap((content) =>
      list(content.parts).map((part) => ({ ...part, of: content.role })),
    );
    return {
      tools: list(body.tools)
        .flatMap((tool) => list(tool.functionDeclarations))
        .map(({ name }) => ({ name: String(name) })),
      said: textIn(parts.filter((part) => part.of === 'user').map((part) => (part as JsonObject).text ?? '')),
      results: parts.flatMap((part) => {
        const { functionResponse } = part as { functionResponse?: JsonObject };
        return functionResponse === undefined ? [] : [textIn(functionResponse.response)];
      }),
      streams: path.endsWith(':streamGenerateContent'),
    };
  },
  write(answer, streams) {
    const part: JsonObject =
      answer.kind === 'call' ? { functionCall: { name: answer.tool.name, args: answer.args } } : { text: answer.text };
    const whole = {
      candidates: [{ index: 0, content: { role: 'model', parts: [part] }, finishReason: 'STOP' }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
      modelVersion: 'scripted',
    };
    return streams
      ? { type: 'text/event-stream', body: event(undefined, whole) }
      : { type: 'application/json', body: JSON.stringify(whole) };
  },
};
