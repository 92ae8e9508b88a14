// A client of 2026-07-28 over HTTP that writes its messages by hand: each request with its envelope and the headers that repeat it.

import type { JsonObject } from '../../domain/json.ts';
import { EventListener } from './event-listener.ts';
import { envelope, VERSION } from './modern-client.ts';
import type { RawReply } from './raw-mcp.ts';

export interface ModernRequest {
  readonly id?: string | number;
  readonly capabilities?: JsonObject;
  /** Further members of `_meta`. */
  readonly meta?: JsonObject;
}

/** What `Mcp-Name` repeats. */
const NAMES: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

export class RawModern {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  #nextId = 1;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.url = url;
    this.headers = headers;
  }

  /** Sends a request and waits for nothing. */
  begin(method: string, params: JsonObject = {}, request: ModernRequest = {}): EventListener {
    const { id = this.#nextId++, capabilities = {}, meta = {} } = request;
    const name = params[NAMES[method] ?? ''];
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': VERSION,
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      ...this.headers,
    };
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id,
      method,
      params: { ...params, _meta: envelope(capabilities, meta) },
    });
    return EventListener.begin(this.url, { method: 'POST', headers, body });
  }

  /** Sends a request and waits for its answer. */
  async ask(method: string, params: JsonObject = {}, request: ModernRequest = {}): Promise<RawReply> {
    const listener = this.begin(method, params, request);
    const isReply = (message: JsonObject) => message.method === undefined;
    await listener.until((messages) => messages.some(isReply));
    return listener.messages.find(isReply) as unknown as RawReply;
  }

  call(name: string, args: JsonObject, request?: ModernRequest): Promise<RawReply> {
    return this.ask('tools/call', { name, arguments: args }, request);
  }
}
