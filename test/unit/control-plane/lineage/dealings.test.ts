import { describe, expect, it } from 'vitest';
import { type Consequence, Dealings, EXECUTIONS_MAX } from '../../../../control-plane/lineage/dealings.ts';
import type { FeedEvent } from '../../../../domain/feed-message.ts';
import { announced, callId } from '../../../support/feed.ts';

const N1 = callId(1);
const N2 = callId(2);
const ROOT = callId(0);
const entry = announced(9).entry;

/** Both sides of one session: what one says, the other takes. */
class Pair {
  readonly one = new Dealings();
  readonly other = new Dealings();

  say(event: FeedEvent | undefined, from: 'one' | 'other' = 'one'): readonly Consequence[] | undefined {
    if (event === undefined) throw new Error('nothing was said');
    return (from === 'one' ? this.other : this.one).take(event, 0);
  }

  running(number: number): void {
    expect(this.say(this.one.running(announced(number)))).toEqual([{ type: 'heard', node: callId(number) }]);
  }
}

describe('a peer is not believed any more when it says', () => {
  const told = new Pair();
  told.running(1);
  it.each<[string, FeedEvent]>([
    ['that an execution runs which it said to run', { type: 'running', ...announced(1) }],
    ['the end of an execution that nobody knows', { type: 'ended', node: N2 }],
    ['that one was revoked which nobody knows', { type: 'revoked', node: N2 }],
    ['that its call joined an execution that it was not told of', { type: 'joined', node: N2, child: N1, entry }],
    ['that its call joined an execution of its own', { type: 'joined', node: N1, child: N2, entry }],
    ['that all is over under one that it was not told of', { type: 'closed', node: N2 }],
    ['to stop a chain that it has no part in', { type: 'stop', root: callId(7) }],
    ['to stop a chain of its own, in which we have no execution', { type: 'stop', root: ROOT }],
    ['to stop an execution that it was not told of', { type: 'stop', node: N2 }],
  ])('%s', (_, event) => {
    expect(told.other.take(event, 0)).toBeUndefined();
  });

  it('that all is over under one that still runs', () => {
    expect(told.one.take({ type: 'closed', node: N1 }, 0)).toBeUndefined();
  });

  it('that one ended, twice', () => {
    const pair = new Pair();
    pair.running(1);
    pair.say({ type: 'ended', node: N1 });
    expect(pair.say({ type: 'ended', node: N1 })).toBeUndefined();
    expect(pair.say({ type: 'revoked', node: N1 })).toBeUndefined();
  });

  it('that one runs again which ended', () => {
    const pair = new Pair();
    pair.running(1);
    pair.say(pair.one.ended(N1));
    pair.other.closed(N1);
    expect(pair.say({ type: 'running', ...announced(1) })).toBeUndefined();
  });

  it('that more are running than can be', () => {
    const { one, other } = new Pair();
    for (let number = 1; number <= EXECUTIONS_MAX; number++) {
      one.running(announced(number));
      other.take({ type: 'running', ...announced(number) }, 0);
    }
    expect(one.running(announced(EXECUTIONS_MAX + 1))).toBeUndefined();
    expect(other.take({ type: 'running', ...announced(EXECUTIONS_MAX + 1) }, 0)).toBeUndefined();
  });

  it('the same one twice in a snapshot', () => {
    expect(new Dealings().take({ type: 'snapshot', running: [announced(1), announced(1)] }, 0)).toBeUndefined();
  });
});

describe('an execution of a peer', () => {
  it('is unknown, runs, was revoked, and is over, as the peer says', () => {
    const pair = new Pair();
    expect(pair.other.state(N1)).toBe('unknown');
    pair.running(1);
    expect(pair.other.state(N1)).toBe('running');
    expect(pair.other.find(N1)).toMatchObject({ root: ROOT, deadline: 10_000, entry: announced(1).entry });
    expect(pair.say(pair.one.revoked(N1))).toEqual([{ type: 'gone', node: N1, revoked: true, close: false }]);
    expect(pair.other.state(N1)).toBe('revoked');
    expect(pair.one.revoked(N1)).toBeUndefined();
    expect(pair.say(pair.one.ended(N1))).toEqual([{ type: 'gone', node: N1, revoked: false, close: true }]);
    expect(pair.other.state(N1)).toBe('ended');
    expect(pair.say(pair.other.closed(N1), 'other')).toEqual([{ type: 'closed', node: N1 }]);
    expect(pair.one.isTold(N1)).toBe(false);
    expect(pair.other.state(N1)).toBe('ended');
  });

  it('has what time is left to it when that is heard, whatever the clocks say', () => {
    const dealings = new Dealings();
    dealings.take({ type: 'snapshot', running: [announced(1, { left: 700 })] }, 5_000);
    expect(dealings.find(N1)?.deadline).toBe(5_700);
  });

  it('hears of what joined under it, also after its own end', () => {
    const pair = new Pair();
    pair.running(1);
    const joined = pair.other.joined(N1, N2, entry);
    pair.say(pair.one.ended(N1));
    expect(pair.say(joined, 'other')).toEqual([{ type: 'joined', node: N1, child: N2, entry }]);
    // The same call joins once.
    expect(pair.say(joined, 'other')).toBeUndefined();
  });

  it('is closed only when it is over', () => {
    const pair = new Pair();
    pair.running(1);
    expect(pair.other.closed(N1)).toBeUndefined();
    expect(pair.other.joined(N2, N1, entry)).toBeUndefined();
    expect(pair.one.ended(N2)).toBeUndefined();
    expect(pair.one.revoked(N2)).toBeUndefined();
  });
});

describe('a chain that was revoked', () => {
  it('is stopped where its executions are, and nobody is told twice', () => {
    const pair = new Pair();
    pair.running(1);
    expect(pair.one.stop('root', ROOT)).toBeUndefined();
    expect(pair.other.stop('root', callId(7))).toBeUndefined();
    expect(pair.other.stop('node', N2)).toBeUndefined();
    expect(pair.say(pair.other.stop('root', ROOT), 'other')).toEqual([{ type: 'stop', kind: 'root', id: ROOT }]);
    expect(pair.other.stop('root', ROOT)).toBeUndefined();
    expect(pair.say(pair.other.stop('node', N1), 'other')).toEqual([{ type: 'stop', kind: 'node', id: N1 }]);
  });
});
