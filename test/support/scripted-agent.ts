// An MCP server over HTTP that is an agent: what its one tool `work` does is told by the test, and each call is kept with the headers it came with.

import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '../../domain/json.ts';

export type Flavour = 'legacy' | 'modern' | 'sse';

export interface AgentCall {
  readonly headers: IncomingHttpHeaders;
  readonly meta: JsonObject;
}

const TOOLS = [{ name: 'work', inputSchema: { type: 'object', properties: { n: { type: 'integer' } } } }];
const INFO = { capabilities: { tools: {} }, serverInfo: { name: 'scripted', version: '1' } };

export class ScriptedAgent {
  readonly flavour: Flavour;
  readonly calls: AgentCall[] = [];
  work: (call: AgentCall) => Promise<string> = async () => 'done';
  readonly #server: Server;
  #events: ServerResponse | undefined;

  constructor(flavour: Flavour) {
    this.flavour = flavour;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** How the manifest says where it is. */
  async listen(): Promise<JsonObject> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
    return this.flavour === 'sse' ? { sse: { url } } : { http: { url, era: this.flavour } };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET' && this.flavour === 'sse') {
      this.#events = response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: endpoint\ndata: /mcp\n\n');
      return;
    }
    if (request.method !== 'POST') return void response.writeHead(405).end();
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const { id, method, params = {} } = JSON.parse(body) as JsonObject;
    if (id === undefined) return void response.writeHead(202).end();
    if (this.flavour === 'sse') response.writeHead(202).end();
    const answer = await this.#answer(String(method), params as JsonObject, request.headers);
    const text = JSON.stringify({ jsonrpc: '2.0', id, ...answer });
    if (this.flavour === 'sse') this.#events?.write(`event: message\ndata: ${text}\n\n`);
    else response.writeHead(200, { 'content-type': 'application/json' }).end(text);
  }

  async #answer(method: string, { _meta: meta = {} }: JsonObject, headers: IncomingHttpHeaders): Promise<JsonObject> {
    const typed = this.flavour === 'modern' ? { resultType: 'complete' } : {};
    const listed = this.flavour === 'modern' ? { ...typed, ttlMs: 0, cacheScope: 'private' } : {};
    switch (method) {
      case 'initialize':
        return { result: { protocolVersion: this.flavour === 'sse' ? '2024-11-05' : '2025-11-25', ...INFO } };
      case 'server/discover':
        return { result: { ...listed, supportedVersions: ['2026-07-28'], ...INFO } };
      case 'tools/list':
        return { result: { ...listed, tools: TOOLS } };
      case 'tools/call': {
        const call = { headers, meta: meta as JsonObject };
        this.calls.push(call);
        return { result: { ...typed, content: [{ type: 'text', text: await this.work(call) }] } };
      }
      default:
        return { error: { code: -32601, message: 'unknown' } };
    }
  }
}
