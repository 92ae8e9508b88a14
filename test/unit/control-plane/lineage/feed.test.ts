import { describe, expect, it } from 'vitest';
import {
  BEAT_MS,
  CLOCKS_APART_MS_MAX,
  checkHello,
  type Feed,
  MESSAGES_PER_SECOND_MAX,
  STALE_AFTER_MS,
  type StaleReason,
} from '../../../../control-plane/lineage/feed.ts';
import { canonicalJson } from '../../../../domain/canonical-json.ts';
import type { FeedEvent } from '../../../../domain/feed-message.ts';
import type { Json, JsonObject } from '../../../../domain/json.ts';
import { announced, at, callId, helloOf, NOW, type Side, sessionOf, sideOf } from '../../../support/feed.ts';
import { digestOf } from '../../../support/permits.ts';

const A = sideOf('urn:portcullis:a');
const B = sideOf('urn:portcullis:b');
const STRANGER = sideOf('urn:portcullis:s');
const EMPTY: FeedEvent = { type: 'snapshot', running: [] };
const BEAT: FeedEvent = { type: 'beat' };
const ENDED: FeedEvent = { type: 'ended', node: callId(1) };

/** A message with other claims, or another header, under the same or another key. */
function altered(text: string, claims: (claims: JsonObject) => Json, by: Side = A, header: JsonObject = {}): string {
  const [head = '', body = ''] = text.split('.');
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as JsonObject;
  const parts = [{ ...read(head), ...header }, claims(read(body))];
  const input = parts.map((part) => Buffer.from(canonicalJson(part)).toString('base64url')).join('.');
  return `${input}.${Buffer.from(by.signer.sign(Buffer.from(input))).toString('base64url')}`;
}

/** The same with another signature. */
const unsigned = (text: string): string =>
  text.replace(/[^.]*$/, (signature) => `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`);

describe('a hello is refused', () => {
  const peers = (issuer: string) => (issuer === A.issuer ? A.peer : undefined);
  it.each<[string, string, StaleReason]>([
    ['that is none', 'hello', 'malformed'],
    ['that is too long', `${helloOf(A, B)}${'x'.repeat(3_000)}`, 'malformed'],
    ['of another type', altered(helloOf(A, B), (claims) => claims, A, { typ: 'portcullis-feed+jwt' }), 'malformed'],
    ['with a further header member', altered(helloOf(A, B), (claims) => claims, A, { crit: ['x'] }), 'malformed'],
    ['with a further claim', altered(helloOf(A, B), (claims) => ({ ...claims, more: 1 })), 'malformed'],
    ['with a nonce that is too short', helloOf(A, B, { nonce: 'short' }), 'malformed'],
    ['of a gate that is not trusted', helloOf(STRANGER, B), 'handshake'],
    ['that was said to another gate', helloOf(A, STRANGER), 'handshake'],
    ['that another key signed', altered(helloOf(A, B), (claims) => claims, STRANGER), 'signature'],
    [
      'that another key signed under the id of the right one',
      altered(helloOf(A, B), (claims) => claims, STRANGER, { kid: A.key.kid }),
      'signature',
    ],
  ])('%s', (_, text, reason) => {
    expect(checkHello(text, B.issuer, peers)).toBe(reason);
  });

  it('and one of a trusted gate is not', () => {
    expect(checkHello(helloOf(A, B), B.issuer, peers)).toMatchObject({ claims: { iss: A.issuer }, peer: A.peer });
  });
});

describe('a session of the feed ends for good', () => {
  /** One side has said three things, of which the other heard the first. */
  function begun(): { readonly one: Feed; readonly other: Feed; readonly said: readonly [string, string, string] } {
    const { one, other } = sessionOf(A, B);
    const said = [one.say(EMPTY, at(10)), one.say(BEAT, at(20)), one.say(BEAT, at(30))] as const;
    expect(other.hear(said[0], at(10))).toEqual(EMPTY);
    return { one, other, said };
  }
  type Begun = ReturnType<typeof begun>;

  it.each<[string, StaleReason, (session: Begun) => string | FeedEvent]>([
    ['where a message is missing', 'sequence', ({ other, said }) => other.hear(said[2], at(30))],
    ['where one comes twice', 'sequence', ({ other, said }) => other.hear(said[0], at(20))],
    ['by what is no message', 'malformed', ({ other }) => other.hear('{}', at(20))],
    ['by an empty text', 'malformed', ({ other }) => other.hear('', at(20))],
    ['by a message that is too long', 'malformed', ({ other }) => other.hear('x'.repeat(2_000_000), at(20))],
    ['by a changed signature', 'signature', ({ other, said }) => other.hear(unsigned(said[1]), at(20))],
    [
      'by what another key signed',
      'signature',
      ({ other, said }) =>
        other.hear(
          altered(said[1], (claims) => claims, STRANGER, { kid: A.key.kid }),
          at(20),
        ),
    ],
    ['by what it said itself', 'signature', ({ other }) => other.hear(other.say(EMPTY, at(20)), at(20))],
    [
      'by a message of another session',
      'session',
      ({ other }) => other.hear(sessionOf(A, B).one.say(EMPTY, at(20)), at(20)),
    ],
    [
      'by another history',
      'chain',
      ({ other, said }) =>
        other.hear(
          altered(said[1], (claims) => ({ ...claims, prev: digestOf('x') })),
          at(20),
        ),
    ],
    [
      'by an unknown event',
      'malformed',
      ({ other, said }) =>
        other.hear(
          altered(said[1], (claims) => ({ ...claims, ev: { type: 'allow' } })),
          at(20),
        ),
    ],
    [
      'by an event with a further member',
      'malformed',
      ({ other, said }) =>
        other.hear(
          altered(said[1], (claims) => ({ ...claims, ev: { type: 'beat', more: 1 } })),
          at(20),
        ),
    ],
    [
      'by a further claim',
      'malformed',
      ({ other, said }) =>
        other.hear(
          altered(said[1], (claims) => ({ ...claims, more: 1 })),
          at(20),
        ),
    ],
    [
      'by a second snapshot',
      'event',
      ({ other, said }) =>
        other.hear(
          altered(said[1], (claims) => ({ ...claims, ev: EMPTY as unknown as Json })),
          at(20),
        ),
    ],
    [
      'without a snapshot first',
      'event',
      () => {
        const { one, other } = sessionOf(A, B);
        return other.hear(one.say(BEAT, at(10)), at(10));
      },
    ],
    ['by silence', 'silent', ({ other, said }) => other.hear(said[1], at(10 + STALE_AFTER_MS + 1))],
    [
      'by news that were held back',
      'silent',
      ({ one, other, said }) => {
        let answer: FeedEvent | StaleReason = EMPTY;
        const late = [said[1], said[2], ...Array.from({ length: 20 }, (_, n) => one.say(BEAT, at(100 * n + 100)))];
        for (const [n, text] of late.entries()) {
          other.say(n === 0 ? EMPTY : BEAT, at(10 + 200 * n));
          answer = other.hear(text, at(10 + 200 * n));
        }
        expect(answer).toEqual(BEAT);
        return other.hear(one.say(BEAT, at(2_100)), at(11 + STALE_AFTER_MS));
      },
    ],
    [
      'where clocks are too far apart',
      'clocks',
      ({ other, said }) =>
        other.hear(
          altered(said[1], (claims) => ({ ...claims, at: NOW + CLOCKS_APART_MS_MAX + 100 })),
          at(20),
        ),
    ],
    [
      'by an answer to what was not said',
      'sequence',
      ({ other, said }) =>
        other.hear(
          altered(said[1], (claims) => ({ ...claims, ack: 1 })),
          at(20),
        ),
    ],
    [
      'by an answer to less than before',
      'sequence',
      ({ one, other, said }) => {
        one.hear(other.say(EMPTY, at(20)), at(20));
        other.hear(said[1], at(20));
        other.hear(said[2], at(20));
        expect(other.hear(one.say(BEAT, at(30)), at(30))).toEqual(BEAT);
        return other.hear(
          altered(one.say(BEAT, at(30)), (claims) => ({ ...claims, ack: 0 })),
          at(30),
        );
      },
    ],
    [
      'by a flood',
      'rate',
      ({ one, other, said }) => {
        let answer = other.hear(said[1], at(20));
        other.hear(said[2], at(20));
        for (let n = 0; n < MESSAGES_PER_SECOND_MAX; n++) {
          if (typeof answer === 'string') break;
          answer = other.hear(one.say(BEAT, at(30)), at(30));
        }
        return answer;
      },
    ],
  ])('%s', (_, reason, act) => {
    const session = begun();
    expect(act(session)).toBe(reason);
  });

  it('and hears nothing that follows, however good it is', () => {
    const { other, said } = begun();
    expect(other.hear(said[2], at(30))).toBe('sequence');
    expect(other.hear(said[1], at(30))).toBe('sequence');
    expect(other.stale(30)).toBe('sequence');
  });

  it('where nothing was ever heard, from our own hello on', () => {
    const { one } = sessionOf(A, B, 100);
    expect(one.stale(100 + STALE_AFTER_MS)).toBeUndefined();
    expect(one.stale(101 + STALE_AFTER_MS)).toBe('silent');
  });

  it('by clocks only when no message of several came fast', () => {
    const { one, other } = sessionOf(A, B);
    other.hear(one.say(EMPTY, at(0)), at(0));
    expect(other.hear(one.say(BEAT, { now: NOW - 20_000, monotonic: 10 }), at(10))).toEqual(BEAT);
    expect(other.clocksApart).toBe(0);
    const behind = Array.from({ length: 6 }, (_, n) =>
      other.hear(one.say(BEAT, { now: NOW - 20_000, monotonic: 20 + n }), at(20 + n)),
    );
    expect(behind.at(-1)).toBe('clocks');
  });
});

describe('a session that is intact', () => {
  it('hands on what is said, in order, for as long as it is said in time', () => {
    const { one, other } = sessionOf(A, B);
    const events: FeedEvent[] = [
      { type: 'snapshot', running: [announced(1)] },
      { type: 'running', ...announced(2) },
      { type: 'revoked', node: callId(1) },
      ENDED,
      { type: 'joined', node: callId(3), child: callId(4), entry: announced(4).entry },
      { type: 'closed', node: callId(3) },
      { type: 'stop', root: callId(0) },
      { type: 'stop', node: callId(3) },
      ...Array.from({ length: 20 }, () => BEAT),
    ];
    const heard = events.map((event, n) => {
      one.hear(other.say(n === 0 ? EMPTY : BEAT, at(BEAT_MS * n)), at(BEAT_MS * n));
      return other.hear(one.say(event, at(BEAT_MS * n)), at(BEAT_MS * n + 3));
    });
    expect(heard).toEqual(events);
    expect(other.isMutual).toBe(true);
    expect(other.clocksApart).toBe(3);
  });

  it('counts what was heard from when we said what it answers', () => {
    const { one, other } = sessionOf(A, B, 1_000);
    // Heard two seconds after our hello, which it answers: it may be as old as that.
    expect(other.hear(one.say(EMPTY, at(3_000)), at(3_000))).toEqual(EMPTY);
    expect(other.left(3_000)).toBe(3_000);
    one.hear(other.say(EMPTY, at(3_500)), at(3_600));
    const answer = one.say(BEAT, at(3_600));
    other.say(BEAT, at(3_700));
    expect(other.hear(answer, at(4_000))).toEqual(BEAT);
    expect(other.stale(3_500 + STALE_AFTER_MS)).toBeUndefined();
    expect(other.stale(3_501 + STALE_AFTER_MS)).toBe('silent');
  });
});
