// One connection, several clients: what one of them gives up is given up when nobody else listens.

import { describe, expect, it } from 'vitest';
import { ResourceHolders } from '../../../../adapters/upstream/resource-holders.ts';
import type { ToolAnswer, ToolRun } from '../../../../proxy/tool-server.ts';
import { proves } from '../../../guarantees.ts';
import { settled } from '../../../support/gate-world.ts';

const OK: ToolAnswer = { kind: 'result', result: { theirs: true }, bytes: 2 };
const NO: ToolAnswer = { kind: 'error', error: { code: -32602, message: 'no' }, bytes: 2 };

function connection() {
  const holders = new ResourceHolders();
  const sent: string[] = [];
  const ask = (what: 'subscribe' | 'unsubscribe', sender: object | undefined, uri = 'a:b', answer = OK): ToolRun => {
    const manner = { era: 'legacy', capabilities: {}, ...(sender === undefined ? {} : { sender }) } as const;
    const dispatch = { method: `resources/${what}`, body: JSON.stringify({ uri }), manner };
    return holders.dispatch(dispatch, () => {
      sent.push(`${what} ${uri}`);
      return { answer: Promise.resolve(answer), cancel: () => {} };
    });
  };
  return { sent, ask, one: { client: 1 }, two: { client: 2 } };
}

describe('a resource that two clients listen to', () => {
  proves('G9', 'is not given up by one of them, however often it says so, nor by a third', async () => {
    const { sent, ask, one, two } = connection();
    ask('subscribe', one);
    ask('subscribe', two);
    ask('subscribe', two);
    for (const client of [two, two, { client: 3 }, undefined])
      expect(await ask('unsubscribe', client).answer).toEqual({ kind: 'result', result: {}, bytes: 2 });
    expect(sent).toEqual(['subscribe a:b', 'subscribe a:b', 'subscribe a:b']);
  });

  it('is given up by the last of them', async () => {
    const { sent, ask, one, two } = connection();
    ask('subscribe', one);
    ask('subscribe', two);
    ask('unsubscribe', one);
    expect(await ask('unsubscribe', two).answer).toEqual(OK);
    expect(sent.at(-1)).toBe('unsubscribe a:b');
  });

  it('counts from the moment in which it is asked for, and not where that is refused', async () => {
    const { sent, ask, one, two } = connection();
    ask('subscribe', one);
    ask('subscribe', two, 'a:b', NO);
    ask('unsubscribe', one);
    expect(sent).toHaveLength(2);
    await settled();
    ask('unsubscribe', two);
    expect(sent.at(-1)).toBe('unsubscribe a:b');
  });

  it('a refusal of what it listens to already takes nothing away', async () => {
    const { sent, ask, one, two } = connection();
    ask('subscribe', one);
    ask('subscribe', one, 'a:b', NO);
    await settled();
    ask('unsubscribe', two);
    expect(sent).toHaveLength(2);
  });
});

it('what nobody listens to is given up at the server all the same', async () => {
  const { sent, ask, one } = connection();
  ask('unsubscribe', one, 'a:other');
  expect(sent).toEqual(['unsubscribe a:other']);
});

it('so many are remembered: the oldest can be given up by anybody then', () => {
  const { sent, ask, one, two } = connection();
  for (let n = 0; n <= 10_000; n += 1) ask('subscribe', one, `a:${n}`);
  sent.length = 0;
  ask('unsubscribe', two, 'a:1');
  ask('unsubscribe', two, 'a:0');
  expect(sent).toEqual(['unsubscribe a:0']);
});
