import { describe, expect, it } from 'vitest';
import { SUBSCRIPTIONS_PER_SESSION_MAX } from '../../../proxy/limits.ts';
import { Subscriptions } from '../../../proxy/subscriptions.ts';

const subscribe = (uri: string, server = 'fs') => ({ method: 'resources/subscribe', server, arguments: { uri } });
const nothing = (): void => {};

function subscribed(...uris: string[]): Subscriptions {
  const subscriptions = new Subscriptions();
  for (const uri of uris) {
    subscriptions.requested(subscribe(uri));
    subscriptions.ended(subscribe(uri), true);
  }
  return subscriptions;
}

describe('an update is not told', () => {
  it('of what nobody asked for, of another server, and of what merely begins alike', () => {
    const subscriptions = subscribed('file:///a');
    for (const uri of ['file:///b', 'file:///', 'file:///ab', 'file:///b?file:///a'])
      expect(subscriptions.concern('fs', uri, nothing)).toBe(false);
    expect(subscriptions.concern('git', 'file:///a', nothing)).toBe(false);
  });

  it('after a refusal, and after the end of the subscription', async () => {
    const told: string[] = [];
    const subscriptions = subscribed('file:///a');
    subscriptions.ended({ ...subscribe('file:///a'), method: 'resources/unsubscribe' }, false);
    expect(subscriptions.concern('fs', 'file:///a', nothing)).toBe(true);
    subscriptions.ended({ ...subscribe('file:///a'), method: 'resources/unsubscribe' }, true);
    expect(subscriptions.concern('fs', 'file:///a', nothing)).toBe(false);
    subscriptions.requested(subscribe('file:///b'));
    expect(subscriptions.concern('fs', 'file:///b', () => told.push('b'))).toBe(false);
    subscriptions.ended(subscribe('file:///b'), false);
    await Promise.resolve();
    expect(told).toEqual([]);
    expect(subscriptions.concern('fs', 'file:///b', nothing)).toBe(false);
  });

  it('of more resources than one client may have', () => {
    const uris = Array.from({ length: SUBSCRIPTIONS_PER_SESSION_MAX + 1 }, (_, n) => `x:${n}`);
    expect(subscribed(...uris).concern('fs', `x:${SUBSCRIPTIONS_PER_SESSION_MAX}`, nothing)).toBe(false);
  });
});

describe('an update is told', () => {
  it.each(['file:///a', 'file:///a/b', 'file:///a/b/c', 'file:///a#x', 'file:///a?x'])(
    'of the resource and of its parts: %s',
    (uri) => {
      expect(subscribed('file:///a').concern('fs', uri, nothing)).toBe(true);
    },
  );

  it('that came while the subscription was recorded, once, after it was', async () => {
    const told: string[] = [];
    const subscriptions = new Subscriptions();
    subscriptions.requested(subscribe('file:///a'));
    for (const n of [1, 2]) subscriptions.concern('fs', 'file:///a', () => told.push(`update ${n}`));
    expect(told).toEqual([]);
    subscriptions.ended(subscribe('file:///a'), true);
    await Promise.resolve();
    expect(told).toEqual(['update 2']);
  });
});
