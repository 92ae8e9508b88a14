// One session of the feed between two gates, as a state machine: what one says is signed, numbered, and bound to the message before it and to both
// hellos; what the other says must be all of that, and recent. The first thing that is not ends the session for good: nothing is repaired.
// What the messages mean is dealings.ts. Pure: clocks, keys and hashes come in.

import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Digest, Sha256 } from '../../domain/digest.ts';
import {
  FEED_TYPE,
  type FeedClaims,
  type FeedEvent,
  HELLO_TYPE,
  type HelloClaims,
  readFeedMessage,
  readHello,
} from '../../domain/feed-message.ts';
import type { Json } from '../../domain/json.ts';
import type { TokenSigner } from './token.ts';

/** Something is said at least this often. */
export const BEAT_MS = 1_000;
/** What was heard last counts for no longer, from when we said what it answers: it can be no older than that, whatever became of it on the way. */
export const STALE_AFTER_MS = 5_000;
/** How far the clocks of two gates may differ. */
export const CLOCKS_APART_MS_MAX = 10_000;
/** Messages of one second. A call is two or three. */
export const MESSAGES_PER_SECOND_MAX = 5_000;
/** Of so many messages the one that came fastest says how far the clocks differ. */
const CLOCK_WINDOW = 5;

/** Why a peer does not count any more. */
export type StaleReason =
  | 'handshake'
  | 'malformed'
  | 'signature'
  | 'session'
  | 'sequence'
  | 'chain'
  | 'event'
  | 'rate'
  | 'silent'
  | 'clocks'
  | 'closed'
  | 'replaced';

export interface Moment {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly monotonic: number;
}

export interface PeerKey {
  readonly issuer: string;
  /** Whether its key, named `kid`, made the signature. */
  readonly verify: (kid: string, signingInput: Uint8Array, signature: Uint8Array) => boolean;
}

const encoder = new TextEncoder();

function signed(type: string, claims: Json, { kid, sign }: TokenSigner): string {
  const input = [canonicalJson({ alg: 'Ed25519', kid, typ: type }), canonicalJson(claims)]
    .map((part) => encodeBase64url(encoder.encode(part)))
    .join('.');
  return `${input}.${encodeBase64url(sign(encoder.encode(input)))}`;
}

function digestOf(sha256: Sha256, text: string): Digest {
  return `sha256:${encodeBase64url(sha256(encoder.encode(text)))}`;
}

export function sayHello(claims: HelloClaims, signer: TokenSigner): string {
  return signed(HELLO_TYPE, claims as unknown as Json, signer);
}

/** What a hello says that was said to `self` by one of `peers`. */
export function checkHello(
  text: string,
  self: string,
  peers: (issuer: string) => PeerKey | undefined,
): { readonly claims: HelloClaims; readonly peer: PeerKey } | StaleReason {
  const { formProblem, headerProblem, kid, signingInput, signature, payload } = readHello(text);
  if (formProblem !== undefined || headerProblem !== undefined) return 'malformed';
  const { claims, problem } = payload();
  if (claims === undefined || problem !== undefined) return 'malformed';
  // Whose key it must be is believed only as the question which key to ask.
  const peer = peers(claims.iss);
  if (peer === undefined || claims.aud !== self) return 'handshake';
  return signature !== undefined && peer.verify(kid, signingInput, signature) ? { claims, peer } : 'signature';
}

export interface FeedTerms {
  /** The texts of both hellos: of whoever dialled, and of whoever was dialled. */
  readonly hellos: readonly [dialling: string, dialled: string];
  /** When ours was said, on our monotonic clock. */
  readonly helloAt: number;
  readonly signer: TokenSigner;
  readonly peer: PeerKey;
}

export class Feed {
  readonly #terms: FeedTerms;
  readonly #session: Digest;
  #said: { seq: number; text: Digest };
  #heard: { seq: number; text: Digest };
  /** When we said what the other has not answered yet, by number, and when what it answered last. */
  readonly #saidAt = new Map<number, number>();
  #answered = 0;
  #freshAt: number;
  readonly #apart: number[] = [];
  #second = { begun: 0, messages: 0 };
  #over: StaleReason | undefined;

  constructor(terms: FeedTerms) {
    this.#terms = terms;
    this.#session = digestOf(terms.signer.sha256, canonicalJson([...terms.hellos]));
    this.#said = { seq: 0, text: this.#session };
    this.#heard = { seq: 0, text: this.#session };
    this.#freshAt = terms.helloAt;
  }

  /** Whether the other has said anything: only then is it known that it holds its key now. */
  get isMutual(): boolean {
    return this.#heard.seq > 0;
  }

  /** How far the other's clock is behind ours, in milliseconds; negative where it is ahead. */
  get clocksApart(): number {
    return this.#apart.length === 0 ? 0 : Math.min(...this.#apart);
  }

  /** The next message. */
  say(event: FeedEvent, { now, monotonic }: Moment): string {
    const { signer } = this.#terms;
    const claims: FeedClaims = {
      ses: this.#session,
      seq: this.#said.seq + 1,
      prev: this.#said.text,
      ack: this.#heard.seq,
      at: Math.max(0, Math.floor(now)),
      ev: event,
    };
    this.#saidAt.set(claims.seq, monotonic);
    const text = signed(FEED_TYPE, claims as unknown as Json, signer);
    this.#said = { seq: claims.seq, text: digestOf(signer.sha256, text) };
    return text;
  }

  /** What the other says; or why nothing of it counts from here on. In this order: recent so far, genuine, of this session, next, in time. */
  hear(text: string, moment: Moment): FeedEvent | StaleReason {
    const stale = this.stale(moment.monotonic);
    if (stale !== undefined) return stale;
    const heard = this.#read(text, moment);
    if (typeof heard === 'string') {
      this.#over = heard;
      return heard;
    }
    return heard.ev;
  }

  /** For how long, in milliseconds, what was heard still counts if nothing else is. */
  left(monotonic: number): number {
    return Math.max(0, this.#freshAt + STALE_AFTER_MS - monotonic);
  }

  /** Why nothing that was heard counts any more; undefined while it does. */
  stale(monotonic: number): StaleReason | undefined {
    if (this.#over === undefined && monotonic - this.#freshAt > STALE_AFTER_MS) this.#over = 'silent';
    return this.#over;
  }

  /** Ends the session from this side. */
  end(reason: StaleReason): void {
    this.#over ??= reason;
  }

  /** When we said what this answers; undefined where it answers what we have not said, or less than what came before. */
  #answers(ack: number): number | undefined {
    if (ack === this.#answered) return this.#freshAt;
    const at = this.#saidAt.get(ack);
    if (at === undefined) return undefined;
    for (const seq of this.#saidAt.keys()) {
      if (seq > ack) break;
      this.#saidAt.delete(seq);
    }
    this.#answered = ack;
    return at;
  }

  #read(text: string, { now, monotonic }: Moment): FeedClaims | StaleReason {
    if (monotonic - this.#second.begun >= 1_000) this.#second = { begun: monotonic, messages: 0 };
    this.#second.messages += 1;
    if (this.#second.messages > MESSAGES_PER_SECOND_MAX) return 'rate';
    const { formProblem, headerProblem, kid, signingInput, signature, payload } = readFeedMessage(text);
    if (formProblem !== undefined || headerProblem !== undefined) return 'malformed';
    const { peer, signer } = this.#terms;
    if (signature === undefined || !peer.verify(kid, signingInput, signature)) return 'signature';
    const { claims, problem } = payload();
    if (claims === undefined || problem !== undefined) return 'malformed';
    if (claims.ses !== this.#session) return 'session';
    if (claims.seq !== this.#heard.seq + 1) return 'sequence';
    if (claims.prev !== this.#heard.text) return 'chain';
    if ((claims.ev.type === 'snapshot') !== (claims.seq === 1)) return 'event';
    const freshAt = this.#answers(claims.ack);
    if (freshAt === undefined) return 'sequence';
    this.#apart.push(now - claims.at);
    if (this.#apart.length > CLOCK_WINDOW) this.#apart.shift();
    if (Math.abs(this.clocksApart) > CLOCKS_APART_MS_MAX) return 'clocks';
    this.#freshAt = freshAt;
    this.#heard = { seq: claims.seq, text: digestOf(signer.sha256, text) };
    return claims;
  }
}
