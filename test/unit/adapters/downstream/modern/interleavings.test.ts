// Whatever ends a call, at whatever moment: it ends once, it is recorded once, nobody is answered twice, and nothing waits for ever. The moments
// are the turns between two things that happen by themselves, one after the other.

import { describe, expect } from 'vitest';
import type { JsonObject } from '../../../../../domain/json.ts';
import { proves } from '../../../../guarantees.ts';
import { resultOf, settled } from '../../../../support/gate-world.ts';
import { type Exchange, ModernClient, request } from '../../../../support/modern-client.ts';

const FORM = {
  method: 'elicitation/create',
  params: { message: 'Who?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
};
const ABLE = { elicitation: {} };
const ACCEPTED = { action: 'accept', content: { name: 'Ada' } };
/** So many turns of the loop, and then so many steps within one. */
const MOMENTS = [0, 1, 2].flatMap((turns) => Array.from({ length: 10 }, (_, steps) => ({ turns, steps: 2 * steps })));

interface Scene {
  readonly client: ModernClient;
  readonly exchanges: Exchange[];
  gone(): void;
}

/** Has a request of the client under way whose stream can be closed. */
function say(client: ModernClient, exchanges: Exchange[], id: number, more: JsonObject = {}): () => void {
  let gone: () => void = () => {};
  const params = { name: 'write_file', arguments: { path: '/w' }, ...more };
  const onGone = (listener: () => void): void => {
    gone = listener;
  };
  exchanges.push(client.begin(request(id, 'tools/call', params, ABLE), { onGone }));
  return () => gone();
}

/** Each leaves a request under way that goes on by itself, as far as it goes. */
const SCENES: Readonly<Record<string, () => Promise<Scene>>> = {
  'a call': async () => {
    const client = await ModernClient.open();
    const exchanges: Exchange[] = [];
    return { client, exchanges, gone: say(client, exchanges, 1) };
  },
  'a call whose server asks in its answer': async () => {
    const client = await ModernClient.open();
    client.world.server.respond = () => ({
      kind: 'result',
      type: 'input_required',
      result: { inputRequests: { who: FORM }, requestState: 'theirs' },
      bytes: 10,
    });
    const exchanges: Exchange[] = [];
    return { client, exchanges, gone: say(client, exchanges, 1) };
  },
  'a call whose server asks in the middle': async () => {
    const client = await ModernClient.open();
    const { server } = client.world;
    server.respond = () => {
      queueMicrotask(() => server.heard.at(-1)?.hooks.ask(FORM));
      return undefined;
    };
    const exchanges: Exchange[] = [];
    return { client, exchanges, gone: say(client, exchanges, 1) };
  },
  'a held call whose client comes back': async () => {
    const client = await ModernClient.open();
    const { server } = client.world;
    server.respond = () => undefined;
    const exchanges: Exchange[] = [];
    say(client, exchanges, 1);
    await settled();
    const [heard] = server.heard;
    void heard?.hooks.ask(FORM).answer.then(() => heard.answer(resultOf('done')));
    await exchanges[0]?.done;
    const { result } = exchanges[0]?.last().message ?? {};
    const [key = ''] = Object.keys((result?.inputRequests ?? {}) as JsonObject);
    const more = { requestState: String(result?.requestState), inputResponses: { [key]: ACCEPTED } };
    return { client, exchanges, gone: say(client, exchanges, 2, more) };
  },
};

const ENDS: Readonly<Record<string, (scene: Scene) => void>> = {
  'its stream is closed': ({ gone }) => gone(),
  'its conversation ends': ({ client }) => void client.session.close('disconnect'),
  'the gate shuts down': ({ client }) => void client.session.close('shutdown'),
  'the rules change': ({ client }) => client.world.governance.advanceEpoch(),
  'the engine is gone': ({ client }) => client.world.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone'),
};

for (const [what, begun] of Object.entries(SCENES)) {
  describe(what, () => {
    for (const [why, end] of Object.entries(ENDS)) {
      proves('G6', `${why}, at any moment: one ending, and at most one answer`, async () => {
        for (const { turns, steps } of MOMENTS) {
          const scene = await begun();
          const { client, exchanges } = scene;
          for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
          for (let step = 0; step < steps; step += 1) await Promise.resolve();
          end(scene);
          await settled();
          await client.session.close('shutdown');
          await Promise.all(exchanges.map(({ done }) => done));
          const moment = `after ${turns} turns and ${steps} steps`;
          const entries = client.world.entries();
          const of = (type: string) => entries.filter((entry) => entry.type === type).map(({ call }) => call);
          expect([...of('call.ending')].sort(), moment).toEqual([...of('call.intent')].sort());
          for (const { heard } of exchanges) expect(heard.length, moment).toBeLessThanOrEqual(1);
          expect(client.world.defects, moment).toEqual([]);
          expect(client.faults, moment).toEqual([]);
          expect(client.world.enforcement.hasRoom(), moment).toBe(true);
        }
      });
    }
  });
}
