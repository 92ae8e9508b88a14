// A model's API on this machine that answers from a script: each request gets the next answer, and is kept as it came.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '../../domain/json.ts';

export class ScriptedModel {
  readonly heard: JsonObject[] = [];
  /** What is answered next, in this order. */
  readonly script: JsonObject[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        this.heard.push(JSON.parse(Buffer.concat(chunks).toString()) as JsonObject);
        const answer = this.script.shift();
        response
          .writeHead(answer === undefined ? 500 : 200, { 'content-type': 'application/json' })
          .end(JSON.stringify(answer ?? { error: { message: 'the script is over' } }));
      });
    });
  }

  /** The address that a client of the vendor is given in place of the vendor's. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A completion of the Chat Completions API. */
export function chatCompletion(message: JsonObject): JsonObject {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'scripted',
    choices: [
      {
        index: 0,
        finish_reason: message.tool_calls === undefined ? 'stop' : 'tool_calls',
        logprobs: null,
        message: { role: 'assistant', content: null, refusal: null, ...message },
      },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  };
}

/** A response of the Responses API. */
export function modelResponse(...output: readonly JsonObject[]): JsonObject {
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1,
    model: 'scripted',
    status: 'completed',
    error: null,
    output,
  };
}

/** A message of the Messages API. */
export function modelMessage(...content: readonly JsonObject[]): JsonObject {
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'scripted',
    content,
    stop_reason: content.some(({ type }) => type === 'tool_use') ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  };
}
