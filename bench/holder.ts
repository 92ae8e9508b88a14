// An agent behind tools that does nothing but hold its calls open, so that something can run under them. It says which token came with each, and when
// it was told to stop.

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const TOKEN = 'dev.portcullis/lineage';

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: {
    readonly protocolVersion?: string;
    readonly requestId?: number | string;
    readonly arguments?: { readonly name?: string };
    readonly _meta?: Readonly<Record<string, unknown>>;
  };
}

interface Held {
  readonly id: number | string;
  readonly response: ServerResponse;
}

const TOOL = {
  name: 'hold',
  description: 'Holds on',
  inputSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
};

export class Holder {
  /** Any path below it is a server of its own. */
  readonly url: string;
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Map<string, (token: string) => void>();
  readonly #close: () => Promise<void>;
  /** When calls were told to stop, as `performance.now()` says it. */
  readonly stoppedAt: number[] = [];

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  static async listen(): Promise<Holder> {
    const later: { holder?: Holder } = {};
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () =>
        later.holder?.hear(
          JSON.parse(Buffer.concat(chunks).toString() || '{}') as Message,
          request.url ?? '',
          response,
        ),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    later.holder = new Holder(`http://127.0.0.1:${port}`, async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return later.holder;
  }

  /** The token of the call with this name, once it is there. */
  arrival(name: string): Promise<string> {
    return new Promise((resolve) => this.#waiting.set(name, resolve));
  }

  /** Answers everything that is held, the innermost first. */
  release(): void {
    for (const held of [...this.#held.values()].toReversed()) this.#answer(held);
    this.#held.clear();
  }

  close(): Promise<void> {
    this.release();
    return this.#close();
  }

  hear({ id, method, params }: Message, path: string, response: ServerResponse): void {
    if (method === 'notifications/cancelled') {
      this.stoppedAt.push(performance.now());
      const which = `${path} ${params?.requestId}`;
      const held = this.#held.get(which);
      if (held !== undefined) this.#answer(held);
      this.#held.delete(which);
    }
    if (id === undefined) {
      response.writeHead(202).end();
      return;
    }
    if (method === 'tools/call') {
      const name = params?.arguments?.name ?? '';
      this.#held.set(`${path} ${id}`, { id, response });
      this.#waiting.get(name)?.(String(params?._meta?.[TOKEN] ?? ''));
      this.#waiting.delete(name);
      return;
    }
    const result =
      method === 'initialize'
        ? {
            protocolVersion: '2025-06-18',
            capabilities: { tools: {} },
            serverInfo: { name: 'holder', version: '1.0.0' },
          }
        : method === 'tools/list'
          ? { tools: [TOOL] }
          : {};
    say(response, { jsonrpc: '2.0', id, result });
  }

  #answer({ id, response }: Held): void {
    say(response, { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'held' }] } });
  }
}

function say(response: ServerResponse, message: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(message));
}
