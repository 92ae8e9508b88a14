// MCP clients that write and read messages as they are, over a running command's pipes or over HTTP: nothing is checked, retried or hidden.

import type { JsonObject } from '../../domain/json.ts';
import type { RunningCommand } from './cli.ts';

export interface RawReply {
  readonly id: string | number | null;
  readonly result?: JsonObject;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: JsonObject };
}

export const INITIALIZE = {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'raw', version: '0' },
} as const;

/** Speaks to a command on its standard input and output. */
export class RawStdio {
  readonly running: RunningCommand;
  readonly notifications: JsonObject[] = [];
  /** Replies nobody waited for: errors with id null, and answers that came twice. */
  readonly stray: RawReply[] = [];
  readonly #waiting = new Map<string | number, (reply: RawReply) => void>();
  #nextId = 1;
  #rest = '';

  constructor(running: RunningCommand) {
    this.running = running;
    running.child.stdout.on('data', (text: string) => this.#hear(text));
  }

  send(bytes: string | Uint8Array): void {
    this.running.child.stdin.write(bytes);
  }

  notify(method: string, params: JsonObject = {}): void {
    this.send(`${JSON.stringify({ jsonrpc: '2.0', method, params })}\n`);
  }

  /** Sends a request; resolves with the reply, whatever it is, or with undefined when the command ends first. */
  ask(method: string, params: JsonObject = {}, id: string | number = this.#nextId++): Promise<RawReply | undefined> {
    const reply = new Promise<RawReply>((resolve) => this.#waiting.set(id, resolve));
    this.send(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    return Promise.race([reply, this.running.ended.then(() => undefined)]);
  }

  async initialize(): Promise<RawReply | undefined> {
    const reply = await this.ask('initialize', INITIALIZE);
    this.notify('notifications/initialized');
    return reply;
  }

  call(name: string, args: JsonObject, meta?: JsonObject): Promise<RawReply | undefined> {
    return this.ask('tools/call', { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) });
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as JsonObject & RawReply;
      if (typeof message.method === 'string') {
        this.notifications.push(message);
        continue;
      }
      const waiting = message.id === null ? undefined : this.#waiting.get(message.id);
      if (waiting === undefined) this.stray.push(message);
      else {
        this.#waiting.delete(message.id as string | number);
        waiting(message);
      }
    }
  }
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Headers;
  readonly messages: readonly (JsonObject & Partial<RawReply>)[];
}

/** One session over Streamable HTTP. */
export class RawHttp {
  readonly url: string;
  readonly headers: Record<string, string>;
  #nextId = 1;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.url = url;
    this.headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers };
  }

  async post(body: string | Uint8Array<ArrayBuffer>): Promise<HttpReply> {
    const response = await fetch(this.url, { method: 'POST', headers: this.headers, body });
    const text = await response.text();
    const events = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    const texts = events ? [...text.matchAll(/^data: ?(.+)$/gm)].map((match) => match[1] ?? '') : [text];
    const messages = texts.filter((one) => one.trim() !== '').map((one) => JSON.parse(one) as JsonObject);
    return { status: response.status, headers: response.headers, messages };
  }

  async ask(method: string, params: JsonObject = {}): Promise<RawReply> {
    const id = this.#nextId++;
    const { status, messages } = await this.post(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    const reply = messages.find((message) => message.id === id);
    if (reply === undefined) throw new Error(`HTTP ${status} without a reply: ${JSON.stringify(messages)}`);
    return reply as unknown as RawReply;
  }

  async initialize(): Promise<void> {
    const { status, headers } = await this.post(
      JSON.stringify({ jsonrpc: '2.0', id: this.#nextId++, method: 'initialize', params: INITIALIZE }),
    );
    const session = headers.get('mcp-session-id');
    if (status !== 200 || session === null) throw new Error(`initialize: HTTP ${status}`);
    this.headers['mcp-session-id'] = session;
    this.headers['mcp-protocol-version'] = INITIALIZE.protocolVersion;
    await this.post(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }));
  }

  call(name: string, args: JsonObject): Promise<RawReply> {
    return this.ask('tools/call', { name, arguments: args });
  }
}

/** The text of a result's first content block. */
export function textOf(reply: { readonly result?: JsonObject } | undefined): string {
  const [first] = (reply?.result?.content ?? []) as readonly { text?: string }[];
  return first?.text ?? '';
}

/** The code of a denial, wherever it is said; undefined when it is none. */
export function denialOf(reply: RawReply | undefined): string | undefined {
  const meta = (reply?.result?._meta ?? reply?.error?.data) as Record<string, { code?: string }> | undefined;
  return meta?.['dev.portcullis/denial']?.code;
}
