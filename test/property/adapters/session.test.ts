// Whatever a server writes, the session does not throw, and every call is answered exactly once.

import fc from 'fast-check';
import { it } from 'vitest';
import { Session } from '../../../adapters/upstream/legacy/session.ts';
import { UPSTREAM_LIMITS } from '../../../adapters/upstream/limits.ts';
import type { MessagePipe, PipeHandlers } from '../../../adapters/upstream/ports.ts';
import type { ToolAnswer } from '../../../proxy/tool-server.ts';
import { type Dispatch, PLAIN_MANNER } from '../../../proxy/tool-server.ts';
import { QUIET } from '../../support/hooks.ts';

interface Sent {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly _meta?: { readonly progressToken?: string } };
}

class Puppet {
  readonly sent: Sent[] = [];
  handlers: PipeHandlers | undefined;
  destroyed: string | undefined;

  open = (handlers: PipeHandlers): MessagePipe => {
    this.handlers = handlers;
    return {
      send: (text) => {
        const message = JSON.parse(text) as Sent;
        this.sent.push(message);
        const result = this.#honest(message.method);
        if (result !== undefined) queueMicrotask(() => this.write({ jsonrpc: '2.0', id: message.id, result }));
        return 'sent';
      },
      agreed: () => undefined,
      abandon: () => undefined,
      close: async () => undefined,
      destroy: (detail) => {
        this.destroyed ??= detail;
      },
    };
  };

  write(message: unknown): void {
    this.handlers?.onMessage(Buffer.from(JSON.stringify(message)));
  }

  #honest(method: string | undefined): unknown {
    if (method === 'initialize') return { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: {} };
    return method === 'tools/list' ? { tools: [] } : undefined;
  }
}

/** What a server may write: near misses of messages with real ids and tokens, and plain bytes. `ID` and `TOKEN` stand for real ones. */
const id = fc.oneof(fc.constant('ID'), fc.nat(20), fc.string(), fc.constantFrom(null, -1, 1.5, {}));
const method = fc.constantFrom(
  'ping',
  'notifications/progress',
  'notifications/tools/list_changed',
  'sampling/createMessage',
  'x',
);
const progress = fc.record({
  progressToken: fc.oneof(fc.constant('TOKEN'), fc.jsonValue()),
  progress: fc.oneof(fc.double(), fc.string()),
});
const message = fc.record(
  {
    jsonrpc: fc.constantFrom('2.0', '1.0'),
    id,
    method,
    params: fc.oneof(progress, fc.jsonValue()),
    result: fc.oneof(fc.constant({ content: [] }), fc.jsonValue()),
    error: fc.oneof(fc.constant({ code: 1, message: 'm' }), fc.jsonValue()),
  },
  { requiredKeys: [] },
);
const written = fc.oneof(
  { arbitrary: message.map((value) => JSON.stringify(value)), weight: 8 },
  fc.json(),
  fc.string(),
);

it('answers every call once, whatever the server writes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(written, { maxLength: 30 }), fc.nat(4), async (texts, cancelled) => {
      const puppet = new Puppet();
      let closed = 0;
      const session = new Session({
        name: 'puppet',
        open: puppet.open,
        clientInfo: {},
        limits: UPSTREAM_LIMITS,
        nowMs: () => 0,
        onTools: () => undefined,
        onNotice: () => undefined,
        onClosed: () => closed++,
        onRefusedRequest: () => undefined,
      });
      await session.start();
      const dispatch: Dispatch = {
        method: 'tools/call',
        meta: {},
        body: '{"name":"x"}',
        outputBytesMax: 10_000,
        manner: PLAIN_MANNER,
      };
      const runs = Array.from({ length: 4 }, () => session.dispatch(dispatch, QUIET));
      const calls = puppet.sent.filter((sent) => sent.method === 'tools/call');
      runs[cancelled]?.cancel('for the test');
      for (const [i, text] of texts.entries()) {
        const call = calls[i % calls.length];
        const real = text
          .replaceAll('"ID"', String(call?.id))
          .replaceAll('TOKEN', String(call?.params?._meta?.progressToken));
        puppet.handlers?.onMessage(Buffer.from(real));
      }
      puppet.handlers?.onClose('the end');
      const answers: ToolAnswer[] = await Promise.all(runs.map((run) => run.answer));
      if (closed !== 1) throw new Error(`closed ${closed} times`);
      for (const answer of answers) {
        if (answer.kind === 'result' && (typeof answer.result !== 'object' || answer.result === null))
          throw new Error('not a result');
      }
    }),
    { numRuns: 500 },
  );
});
