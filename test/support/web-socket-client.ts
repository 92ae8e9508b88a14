// A WebSocket client that remembers: what came, in order, and how it ended. And frames as bytes, for what no library would send.

import { type ClientOptions, WebSocket } from 'ws';

export class WebSocketClient {
  readonly socket: WebSocket;
  readonly received: string[] = [];
  /** The close code, once it is closed. */
  closed: number | undefined;

  constructor(url: string, options: ClientOptions & { protocols?: string | string[] } = {}) {
    const { protocols = 'mcp', ...rest } = options;
    this.socket = new WebSocket(url, protocols, rest);
    this.socket.on('message', (data) => this.received.push(String(data)));
    this.socket.on('close', (code) => {
      this.closed = code;
    });
    this.socket.on('error', () => {});
  }

  /** Resolves when it is open, or with the status of the response that refused it. */
  async opened(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.socket.once('open', () => resolve(101));
      this.socket.once('unexpected-response', (request, response) => {
        request.destroy();
        resolve(response.statusCode ?? 0);
      });
      this.socket.once('error', reject);
    });
  }

  send(text: string): this {
    this.socket.send(text);
    return this;
  }

  async until(holds: (received: readonly string[]) => boolean, timeoutMs = 5000): Promise<readonly string[]> {
    const end = Date.now() + timeoutMs;
    while (!holds(this.received)) {
      if (Date.now() > end || this.closed !== undefined) {
        throw new Error(`${this.closed ?? 'timed out'}; received: ${JSON.stringify(this.received).slice(0, 500)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.received;
  }

  /** The close code. */
  async end(timeoutMs = 5000): Promise<number> {
    const end = Date.now() + timeoutMs;
    while (this.closed === undefined) {
      if (Date.now() > end) throw new Error('timed out; still open');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.closed;
  }
}

/** One frame from a client, masked with zeros. `length` is what it claims. */
export function frame(first: number, payload: Uint8Array | string, length?: number, masked = true): Buffer {
  const bytes = Buffer.from(payload as string);
  const claimed = length ?? bytes.length;
  const bit = masked ? 0x80 : 0;
  const head = [first];
  if (claimed < 126) head.push(bit | claimed);
  else if (claimed < 65_536) head.push(bit | 126, claimed >> 8, claimed & 0xff);
  else {
    const long = Buffer.alloc(8);
    long.writeBigUInt64BE(BigInt(claimed));
    head.push(bit | 127, ...long);
  }
  return Buffer.concat([Buffer.from(head), Buffer.alloc(masked ? 4 : 0), bytes]);
}
