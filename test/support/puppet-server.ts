// A tool server of the older revisions at the end of a pipe that has no transport: it completes the handshake by itself and says whatever a
// test has it say, in the same tick.

import { Session } from '../../adapters/upstream/legacy/session.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../../adapters/upstream/limits.ts';
import type { MessagePipe, PipeHandlers, RefusedRequest, WhenIgnored } from '../../adapters/upstream/ports.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { type CallHooks, type Dispatch, type Notice, PLAIN_MANNER, type ToolRun } from '../../proxy/tool-server.ts';
import { QUIET } from './hooks.ts';

export interface Heard {
  readonly id?: Json;
  readonly method?: string;
  readonly params?: JsonObject;
  readonly result?: Json;
  readonly error?: { readonly code: number; readonly message: string };
}

export class PuppetServer {
  /** What it was sent, the handshake left out once it is over. */
  readonly heard: Heard[] = [];
  readonly notices: Notice[] = [];
  /** Methods that it does not answer. */
  readonly silent = new Set<string>();
  readonly refused: RefusedRequest[] = [];
  readonly capabilities: JsonObject;
  readonly session: Session;
  /** Of each cancellation that was ignored, whether it ended the server. */
  readonly ignored: boolean[] = [];
  handlers: PipeHandlers | undefined;
  destroyed: string | undefined;
  closed = 0;

  constructor(
    capabilities: JsonObject = { tools: {} },
    limits: Partial<UpstreamLimits> = {},
    whenIgnored: WhenIgnored = 'withhold',
  ) {
    this.capabilities = capabilities;
    this.session = new Session({
      name: 'puppet',
      open: (handlers) => this.#open(handlers),
      clientInfo: {},
      limits: { ...UPSTREAM_LIMITS, ...limits },
      nowMs: () => 0,
      onTools: () => undefined,
      onNotice: (notice) => this.notices.push(notice),
      onClosed: () => {
        this.closed++;
      },
      onRefusedRequest: (request) => this.refused.push(request),
      whenIgnored,
      onCancelIgnored: (ending) => this.ignored.push(ending),
    });
  }

  async start(): Promise<this> {
    await this.session.start();
    this.heard.length = 0;
    return this;
  }

  /** Has a client call it. */
  called(
    hooks: CallHooks = QUIET,
    { manner = PLAIN_MANNER, body = '{"name":"x"}' }: Partial<Pick<Dispatch, 'manner' | 'body'>> = {},
  ): { readonly run: ToolRun; readonly id: number } {
    const run = this.session.dispatch({ method: 'tools/call', meta: {}, body, outputBytesMax: 10_000, manner }, hooks);
    return { run, id: Number(this.heard.findLast(({ method }) => method === 'tools/call')?.id) };
  }

  write(message: object, exchange?: number): void {
    this.handlers?.onMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })), exchange);
  }

  #open(handlers: PipeHandlers): MessagePipe {
    this.handlers = handlers;
    return {
      send: (text) => {
        const message = JSON.parse(text) as Heard;
        this.heard.push(message);
        const result = this.silent.has(message.method ?? '') ? undefined : this.#honest(message.method);
        if (result !== undefined) queueMicrotask(() => this.write({ id: message.id, result }));
        return 'sent';
      },
      agreed: () => undefined,
      abandon: () => undefined,
      close: async () => undefined,
      destroy: (detail) => {
        this.destroyed ??= detail;
      },
    };
  }

  #honest(method: string | undefined): Json | undefined {
    if (method === 'initialize')
      return { protocolVersion: '2025-11-25', capabilities: this.capabilities, serverInfo: {} };
    return method === 'tools/list' ? { tools: [] } : undefined;
  }
}
