// What two gates that trust each other's keys say to each other: a hello each, and then the messages of their feed. Both are compact JWS. Whether one
// is genuine, in its place and in time is control-plane/lineage/feed.ts. The format is docs/formats/feed.md.

import {
  count,
  digest,
  listOf,
  members,
  positive,
  type Refine,
  text,
  thumbprint,
  ulid,
  wrongMember,
} from './claim-shapes.ts';
import type { Digest } from './digest.ts';
import type { CallId } from './ids.ts';
import { isJsonObject, type Json } from './json.ts';
import { type SignedText, signedTextReader } from './signed-text.ts';

export const HELLO_TYPE = 'portcullis-hello+jwt';
export const FEED_TYPE = 'portcullis-feed+jwt';
const ALGORITHM = 'Ed25519';

/** A hello is about 500 characters. */
export const HELLO_CHARACTERS_MAX = 2_048;
/** The snapshot of a gate that has as many calls in flight as it may is about 600,000. */
export const FEED_CHARACTERS_MAX = 1_048_576;
const RUNNING_MAX = 1_024;

export interface HelloClaims {
  readonly iss: string;
  /** The issuer that it is said to. */
  readonly aud: string;
  /** This start of the gate. */
  readonly boot: string;
  /** 32 random bytes. */
  readonly nonce: string;
}

/** Where an entry lies: in which log, at which position, and the hash of its leaf. */
export interface LedgerPosition {
  readonly log: string;
  readonly seq: number;
  readonly leaf: Digest;
}

/** An execution whose token may be shown at the other gate. */
export interface Announced {
  readonly root: CallId;
  readonly node: CallId;
  /** Milliseconds that it has left. */
  readonly left: number;
  /** The one token that points at it. */
  readonly token: Digest;
  /** Its intent. */
  readonly entry: LedgerPosition;
}

/**
 * Of the sender's own executions: `snapshot` (the first message, and only that), `running`, `ended`, `revoked`. Of what came of the receiver's:
 * `joined` (a call under it is about to be made), `closed` (all of them have ended, and no more can come), `stop` (it was revoked where a part of
 * it is).
 */
export type FeedEvent =
  | { readonly type: 'beat' }
  | { readonly type: 'snapshot'; readonly running: readonly Announced[] }
  | ({ readonly type: 'running' } & Announced)
  | { readonly type: 'ended' | 'revoked' | 'closed'; readonly node: CallId }
  | { readonly type: 'joined'; readonly node: CallId; readonly child: CallId; readonly entry: LedgerPosition }
  | { readonly type: 'stop'; readonly root: CallId }
  | { readonly type: 'stop'; readonly node: CallId };

export interface FeedClaims {
  /** What both hellos come to: no message of another session has it. */
  readonly ses: Digest;
  /** From 1, in each direction. */
  readonly seq: number;
  /** Of the text of the message before it; the session's own of the first one. */
  readonly prev: Digest;
  /** The receiver's message that was heard last, 0 where none was: this one was said after that. */
  readonly ack: number;
  /** The sender's clock, in milliseconds since 1970. */
  readonly at: number;
  readonly ev: FeedEvent;
}

const issuer: Refine = (value) => text(value) && typeof value === 'string' && value.length <= 256;

const HELLO: Record<keyof HelloClaims, Refine> = { iss: issuer, aud: issuer, boot: ulid, nonce: thumbprint };

const position = members({ log: issuer, seq: count, leaf: digest } satisfies Record<keyof LedgerPosition, Refine>);
const ANNOUNCED: Record<keyof Announced, Refine> = {
  root: ulid,
  node: ulid,
  left: positive,
  token: digest,
  entry: position,
};
const announced = members(ANNOUNCED);
const own = { type: text, node: ulid };

const EVENTS: Readonly<Record<FeedEvent['type'], Refine>> = {
  beat: members({ type: text }),
  snapshot: members({
    type: text,
    running: (value) => listOf(announced)(value) && Array.isArray(value) && value.length <= RUNNING_MAX,
  }),
  running: members({ type: text, ...ANNOUNCED }),
  ended: members(own),
  revoked: members(own),
  closed: members(own),
  joined: members({ ...own, child: ulid, entry: position }),
  stop: (value) => members(own)(value) || members({ type: text, root: ulid })(value),
};

const event: Refine = (value) => {
  const { type } = isJsonObject(value) ? value : {};
  return typeof type === 'string' && Object.hasOwn(EVENTS, type) && EVENTS[type as FeedEvent['type']](value);
};

const CLAIMS: Record<keyof FeedClaims, Refine> = {
  ses: digest,
  seq: positive,
  prev: digest,
  ack: count,
  at: count,
  ev: event,
};

function problemOf(what: string, shape: Record<string, Refine>): (value: Json) => string | undefined {
  return (value) => {
    const name = isJsonObject(value) ? wrongMember(value, shape) : '';
    return name === undefined ? undefined : `${what} ${JSON.stringify(name.slice(0, 40))} is missing, unknown or wrong`;
  };
}

function readerOf<Claims>(type: string, charactersMax: number, claims: Record<string, Refine>) {
  const header = {
    alg: (value) => value === ALGORITHM,
    kid: thumbprint,
    typ: (value) => value === type,
  } satisfies Record<string, Refine>;
  return signedTextReader<Claims>({
    charactersMax,
    headerProblem: problemOf('the header member', header),
    claimsProblem: problemOf('the claim', claims),
  });
}

/** These take a text apart. Nothing is verified. */
export const readHello: (text: string) => SignedText<HelloClaims> = readerOf<HelloClaims>(
  HELLO_TYPE,
  HELLO_CHARACTERS_MAX,
  HELLO,
);
export const readFeedMessage: (text: string) => SignedText<FeedClaims> = readerOf<FeedClaims>(
  FEED_TYPE,
  FEED_CHARACTERS_MAX,
  CLAIMS,
);
