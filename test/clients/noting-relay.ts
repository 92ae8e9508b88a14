// Stands in front of an HTTP server on this machine and notes which revision of MCP each request says that it speaks. It changes nothing but the host.

import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export class NotingRelay {
  /** Of the requests so far, in their order. A client of the session era names none before it has agreed on one. */
  readonly revisions: string[] = [];
  readonly #server: Server;
  readonly #target: URL;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((heard, answer) => {
      const revision = heard.headers['mcp-protocol-version'];
      if (typeof revision === 'string') this.revisions.push(revision);
      const { method, url = '/' } = heard;
      const sent = request(new URL(url, target), { method, headers: { ...heard.headers, host: target.host } });
      sent.on('response', (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
      });
      sent.on('error', () => answer.destroy());
      answer.on('close', () => sent.destroy());
      heard.pipe(sent);
    });
  }

  static async to(url: string): Promise<NotingRelay> {
    const relay = new NotingRelay(new URL(url));
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  /** Where it stands for the target. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    const url = new URL(this.#target);
    url.port = String(port);
    return url.href;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
