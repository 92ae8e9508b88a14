// A model on this machine for clients that want one: it answers four wire formats on loopback from the script in the prompt, and keeps what it was
// told. It knows nothing and decides nothing.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '../../../domain/json.ts';
import { ANTHROPIC_MESSAGES } from './anthropic-messages.ts';
import { GEMINI_CONTENT } from './gemini-content.ts';
import { OPENAI_CHAT } from './openai-chat.ts';
import { OPENAI_RESPONSES } from './openai-responses.ts';
import { answerTo, type Turn } from './turn.ts';

const FORMATS = [ANTHROPIC_MESSAGES, OPENAI_RESPONSES, OPENAI_CHAT, GEMINI_CONTENT];

export interface HeardTurn extends Turn {
  readonly format: string;
}

export class ScriptedModelServer {
  /** What was asked, in order; what clients ask for besides conversations is not in it. */
  readonly heard: HeardTurn[] = [];
  /** Method and path of everything that came. */
  readonly requests: string[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '/', 'http://localhost');
      this.requests.push(`${request.method} ${pathname}`);
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { status, type, body } = this.#answer(pathname, Buffer.concat(chunks).toString());
        response.writeHead(status, { 'content-type': type }).end(body);
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(path: string, text: string): { status: number; type: string; body: string } {
    const body = objectIn(text);
    if (body !== undefined) {
      for (const format of FORMATS) {
        const turn = format.read(path, body);
        if (turn === undefined) continue;
        this.heard.push({ ...turn, format: format.name });
        return { status: 200, ...format.write(answerTo(turn), turn.streams) };
      }
    }
    const json = 'application/json';
    if (/count_?tokens$/i.test(path))
      return { status: 200, type: json, body: JSON.stringify({ input_tokens: 1, totalTokens: 1 }) };
    if (path.endsWith('/models')) {
      const models = [{ id: 'scripted', object: 'model', created: 1, owned_by: 'nobody' }];
      return { status: 200, type: json, body: JSON.stringify({ object: 'list', data: models }) };
    }
    return { status: 404, type: json, body: JSON.stringify({ error: { message: 'not here' } }) };
  }
}

function objectIn(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
