// Whatever a server writes, the session does not throw, every call is answered exactly once, and every question that reached a client and was
// not withdrawn is answered exactly once.

import fc from 'fast-check';
import { it } from 'vitest';
import type { Question, QuestionAnswer, ToolAnswer } from '../../../proxy/tool-server.ts';
import { PLAIN_MANNER } from '../../../proxy/tool-server.ts';
import { hooks } from '../../support/hooks.ts';
import { PuppetServer } from '../../support/puppet-server.ts';

/** What a server may write: near misses of messages with real ids and tokens, and plain bytes. `ID` and `TOKEN` stand for real ones. */
const id = fc.oneof(fc.constant('ID'), fc.nat(20), fc.string(), fc.constantFrom(null, -1, 1.5, {}));
const method = fc.constantFrom(
  'ping',
  'notifications/progress',
  'notifications/message',
  'notifications/cancelled',
  'notifications/resources/updated',
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'sampling/createMessage',
  'elicitation/create',
  'roots/list',
  'tasks/get',
  'x',
);
const params = fc.oneof(
  fc.record({
    progressToken: fc.oneof(fc.constant('TOKEN'), fc.jsonValue()),
    progress: fc.oneof(fc.double(), fc.string()),
  }),
  fc.record({ requestId: id, reason: fc.oneof(fc.string(), fc.jsonValue()) }, { requiredKeys: ['requestId'] }),
  fc.record({ level: fc.constantFrom('info', 'x', 1), data: fc.jsonValue(), uri: fc.oneof(fc.string(), fc.nat()) }),
  fc.jsonValue(),
);
const message = fc.record(
  {
    jsonrpc: fc.constantFrom('2.0', '2.0', '2.0', '1.0'),
    id,
    method,
    params,
    result: fc.oneof(fc.constant({ content: [] }), fc.jsonValue()),
    error: fc.oneof(fc.constant({ code: 1, message: 'm' }), fc.jsonValue()),
  },
  { requiredKeys: [] },
);
const asking = fc.record({ jsonrpc: fc.constant('2.0'), id, method, params }, { requiredKeys: ['jsonrpc', 'method'] });
const written = fc.oneof(
  { arbitrary: message.map((value) => JSON.stringify(value)), weight: 5 },
  { arbitrary: asking.map((value) => JSON.stringify(value)), weight: 5 },
  fc.json(),
  fc.string(),
);
/** On whose stream it comes: that of a call, of none, or of all. */
const stream = fc.constantFrom('call', 'none', 'all');

it('answers every call and every question once, whatever the server writes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(written, stream), { maxLength: 30 }),
      fc.nat(4),
      fc.boolean(),
      async (lines, cancelled, alone) => {
        const puppet = await new PuppetServer({ tools: {}, logging: {} }).start();
        let open = 0;
        let answered = 0;
        const ask = (_: Question) => {
          open++;
          let end: (answer: QuestionAnswer) => void = () => undefined;
          const answer = new Promise<QuestionAnswer>((resolve) => {
            end = resolve;
          });
          setImmediate(() => end({ kind: 'result', result: { answered: answered++ } }));
          return { answer, cancel: () => end({ kind: 'error', error: { code: 1, message: 'cancelled' } }) };
        };
        const sender = {};
        const calls = Array.from({ length: 4 }, (_, i) =>
          puppet.called(hooks({ ask }), {
            manner: { ...PLAIN_MANNER, ...(alone ? {} : { sender }), logLevel: i === 0 ? 'info' : 'debug' },
          }),
        );
        const tokens = new Map(
          puppet.heard.map(({ id: one, params: said }) => [
            one,
            String((said?._meta as { progressToken?: string } | undefined)?.progressToken),
          ]),
        );
        calls[cancelled]?.run.cancel('for the test');
        for (const [i, [text, on]] of lines.entries()) {
          const call = calls[i % calls.length];
          const real = text.replaceAll('"ID"', String(call?.id)).replaceAll('TOKEN', tokens.get(call?.id ?? 0) ?? '');
          puppet.handlers?.onMessage(Buffer.from(real), on === 'call' ? call?.id : on === 'none' ? 0 : undefined);
        }
        await new Promise((resolve) => setImmediate(resolve));
        puppet.handlers?.onClose('the end');
        const answers: ToolAnswer[] = await Promise.all(calls.map(({ run }) => run.answer));
        if (puppet.closed !== 1) throw new Error(`closed ${puppet.closed} times`);
        for (const answer of answers) {
          if (answer.kind === 'result' && (typeof answer.result !== 'object' || answer.result === null))
            throw new Error('not a result');
        }
        const results = puppet.heard.filter(
          ({ result }) => typeof result === 'object' && result !== null && 'answered' in result,
        );
        const numbers = results.map(({ result }) => (result as { answered: number }).answered);
        if (new Set(numbers).size !== numbers.length || numbers.length > open)
          throw new Error('a question was answered twice');
      },
    ),
    { numRuns: 500 },
  );
});
