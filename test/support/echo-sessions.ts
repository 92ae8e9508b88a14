// Conversations that answer by themselves: enough of the protocol for a real client library, and everything the edge did is remembered.
// Tools: `echo` answers its arguments; `progress` first reports twice; `slow` answers when released; `mute` never says anything.

import type { Denial, DenialCode } from '../../domain/denial.ts';
import type {
  ClientIdentity,
  ClientSession,
  ClientSessions,
  CloseReason,
  Delivery,
  Reply,
  ViewName,
} from '../../proxy/client-port.ts';

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: {
    readonly name?: string;
    readonly arguments?: unknown;
    readonly protocolVersion?: string;
    readonly _meta?: { readonly progressToken?: unknown };
  };
}

export class EchoSession implements ClientSession {
  readonly identity: ClientIdentity;
  readonly view: ViewName;
  revision: string | undefined;
  readonly received: string[] = [];
  readonly deliveries: (Delivery | undefined)[] = [];
  readonly refused: DenialCode[] = [];
  closedBy: CloseReason | undefined;
  notify: Reply = () => {};
  readonly #slow: (() => void)[] = [];

  constructor(identity: ClientIdentity, view: ViewName) {
    this.identity = identity;
    this.view = view;
  }

  async receive(bytes: Uint8Array, reply: Reply, delivery?: Delivery): Promise<void> {
    const text = Buffer.from(bytes).toString();
    this.received.push(text);
    this.deliveries.push(delivery);
    let message: Message | Message[];
    try {
      message = JSON.parse(text) as Message | Message[];
    } catch {
      return reply('{"error":{"code":-32700,"message":"Parse error"},"id":null,"jsonrpc":"2.0"}');
    }
    if (!Array.isArray(message)) return this.#handle(message, reply);
    const answers: string[] = [];
    await Promise.all(message.map((element) => this.#handle(element, (json) => answers.push(json))));
    if (answers.length > 0) reply(`[${answers.join(',')}]`);
  }

  async refuse(code: DenialCode, _detail: string, reply: Reply): Promise<void> {
    this.refused.push(code);
    reply(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: 40_302, message: code } }));
  }

  onNotification(send: Reply): void {
    this.notify = send;
  }

  async close(reason: CloseReason): Promise<void> {
    this.closedBy ??= reason;
    this.release();
  }

  /** Lets the calls of `slow` that wait now be answered. */
  release(): void {
    for (const go of this.#slow.splice(0)) go();
  }

  get waiting(): number {
    return this.#slow.length;
  }

  async #handle(message: Message, reply: Reply): Promise<void> {
    const { id, method, params } = message;
    if (id === undefined || method === undefined) return;
    const answer = (result: unknown): void => reply(JSON.stringify({ jsonrpc: '2.0', id, result }));
    if (method === 'initialize') {
      this.revision = params?.protocolVersion ?? '2025-11-25';
      const serverInfo = { name: 'echo', version: '0' };
      return answer({ protocolVersion: this.revision, capabilities: { tools: { listChanged: true } }, serverInfo });
    }
    if (method === 'ping') return answer({});
    if (this.revision === undefined) {
      return reply(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32600, message: 'not initialized' } }));
    }
    if (method === 'tools/list') return answer({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] });
    const { name } = params ?? {};
    if (name === 'mute') return;
    if (name === 'slow') await new Promise<void>((go) => this.#slow.push(go));
    if (name === 'progress') {
      const progressToken = params?._meta?.progressToken ?? 'none';
      for (const progress of [1, 2]) {
        reply(
          JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress } }),
        );
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    answer({ content: [{ type: 'text', text: JSON.stringify(params?.arguments ?? null) }] });
  }
}

export class EchoSessions implements ClientSessions {
  readonly opened: EchoSession[] = [];
  /** What was refused outside of any session. */
  readonly refused: DenialCode[] = [];
  /** The next `open` is refused with this. */
  refusal: Denial | undefined;

  open(identity: ClientIdentity, view: ViewName): ClientSession | Denial {
    if (this.refusal !== undefined) return this.refusal;
    const session = new EchoSession(identity, view);
    this.opened.push(session);
    return session;
  }

  async refuse(_identity: ClientIdentity, _view: ViewName, code: DenialCode): Promise<void> {
    this.refused.push(code);
  }

  get last(): EchoSession {
    const session = this.opened.at(-1);
    if (session === undefined) throw new Error('no session was opened');
    return session;
  }
}
