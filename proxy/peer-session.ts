// One connection to another gate, from its hello to its end: says what is to be said in time, and hands on what was heard. It knows no network: texts
// go out and come in. Once over it stays over.

import { type Consequence, Dealings } from '../control-plane/lineage/dealings.ts';
import {
  BEAT_MS,
  checkHello,
  Feed,
  type Moment,
  type PeerKey,
  type StaleReason,
  sayHello,
} from '../control-plane/lineage/feed.ts';
import type { TokenSigner } from '../control-plane/lineage/token.ts';
import { encodeBase64url } from '../domain/base64url.ts';
import type { Announced, FeedEvent } from '../domain/feed-message.ts';
import type { Clock, GateCrypto } from './ports.ts';

/** From the connection to the first message that is bound to both hellos. */
export const HANDSHAKE_MS_MAX = 5_000;

/** A way to the other gate, for texts. */
export interface PeerChannel {
  send(text: string): void;
  close(): void;
}

/** What the other side of the channel is told. */
export interface PeerLine {
  /** Whether whoever is there has shown that it holds a key that is trusted. */
  readonly isProven: boolean;
  receive(text: string): void;
  /** The connection is gone. */
  gone(): void;
}

export interface TrustedPeer extends PeerKey {
  /** In the manifest. */
  readonly name: string;
  /** Whether we dial it: then it does not dial us. */
  readonly dialled: boolean;
}

export interface PeerSessionPorts {
  readonly clock: Clock;
  readonly crypto: Pick<GateCrypto, 'randomBytes'>;
  readonly signer: TokenSigner;
  readonly issuer: string;
  readonly boot: string;
  readonly trusted: (issuer: string) => TrustedPeer | undefined;
  /** What of ours may be shown there. */
  readonly running: (issuer: string) => readonly Announced[];
  /** The other has shown that it holds its key now. */
  readonly onLive: (session: PeerSession) => void;
  readonly onHeard: (session: PeerSession, consequence: Consequence) => void;
  /** It is over; whether it was ever live, `boot` tells. */
  readonly onOver: (session: PeerSession, reason: StaleReason) => void;
}

export class PeerSession implements PeerLine {
  readonly dealings = new Dealings();
  readonly #ports: PeerSessionPorts;
  readonly #channel: PeerChannel;
  #peer: TrustedPeer | undefined;
  #hello: { readonly text: string; readonly at: number } | undefined;
  #feed: Feed | undefined;
  #boot = '';
  #over: StaleReason | undefined;
  /** Timers: until it is live that of the handshake, then those of our beat and of its silence. */
  #callOff: () => void;
  #unwatch: () => void = () => {};

  /** `dialled`: whom we have dialled. */
  constructor(ports: PeerSessionPorts, channel: PeerChannel, dialled?: TrustedPeer) {
    this.#ports = ports;
    this.#channel = channel;
    this.#peer = dialled;
    this.#callOff = ports.clock.timer(HANDSHAKE_MS_MAX, () => this.end('handshake'));
    if (dialled !== undefined) this.#sayHello(dialled);
  }

  get peer(): TrustedPeer | undefined {
    return this.#peer;
  }

  /** The present start of the other gate. */
  get boot(): string {
    return this.#boot;
  }

  get clocksApart(): number {
    return this.#feed?.clocksApart ?? 0;
  }

  /** Why nothing of it counts; undefined while it does. */
  stale(): StaleReason | undefined {
    return this.#over ?? this.#feed?.stale(this.#ports.clock.monotonic()) ?? (this.isProven ? undefined : 'handshake');
  }

  get isProven(): boolean {
    return this.#feed?.isMutual === true;
  }

  say(event: FeedEvent | undefined): void {
    if (event === undefined || this.#over !== undefined || this.#feed === undefined) return;
    this.#channel.send(this.#feed.say(event, this.#moment()));
  }

  receive(text: string): void {
    if (this.#over !== undefined) return;
    if (this.#feed === undefined) return this.#greeted(text);
    const wasProven = this.isProven;
    const moment = this.#moment();
    const heard = this.#feed.hear(text, moment);
    if (typeof heard === 'string') return this.end(heard);
    const consequences = this.dealings.take(heard, moment.monotonic);
    if (consequences === undefined) return this.end('event');
    if (!wasProven) {
      this.#callOff();
      this.#beat();
      this.#watch(this.#feed);
      this.#ports.onLive(this);
    }
    for (const one of consequences) if (this.#over === undefined) this.#ports.onHeard(this, one);
  }

  gone(): void {
    this.end('closed');
  }

  end(reason: StaleReason): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    this.#feed?.end(reason);
    this.#callOff();
    this.#unwatch();
    this.#channel.close();
    this.#ports.onOver(this, reason);
  }

  #moment(): Moment {
    const { clock } = this.#ports;
    return { now: clock.now(), monotonic: clock.monotonic() };
  }

  #sayHello(peer: TrustedPeer): string {
    const { issuer, boot, crypto, signer, clock } = this.#ports;
    const claims = { iss: issuer, aud: peer.issuer, boot, nonce: encodeBase64url(crypto.randomBytes(32)) };
    const text = sayHello(claims, signer);
    this.#hello = { text, at: clock.monotonic() };
    this.#channel.send(text);
    return text;
  }

  #greeted(text: string): void {
    const { issuer, trusted, signer, running } = this.#ports;
    const hello = checkHello(text, issuer, trusted);
    if (typeof hello === 'string') return this.end(hello);
    const dialled = this.#peer;
    const peer = dialled ?? trusted(hello.claims.iss);
    // Nobody but whom we dialled answers us, and whom we dial does not dial us: there would be two sessions.
    const isExpected = dialled === undefined ? peer?.dialled === false : dialled.issuer === hello.claims.iss;
    if (peer === undefined || !isExpected) return this.end('handshake');
    this.#peer = peer;
    this.#boot = hello.claims.boot;
    const own = this.#hello?.text ?? this.#sayHello(peer);
    this.#feed = new Feed({
      hellos: dialled === undefined ? [text, own] : [own, text],
      helloAt: this.#hello?.at ?? 0,
      signer,
      peer,
    });
    this.say(this.dealings.snapshot(running(peer.issuer)));
  }

  #beat(): void {
    this.#callOff = this.#ports.clock.timer(BEAT_MS, () => {
      this.say({ type: 'beat' });
      this.#beat();
    });
  }

  /** Wakes when it would be stale if nothing were heard until then. */
  #watch(feed: Feed): void {
    const { clock } = this.#ports;
    this.#unwatch = clock.timer(feed.left(clock.monotonic()) + 1, () => {
      const stale = feed.stale(clock.monotonic());
      if (stale === undefined) this.#watch(feed);
      else this.end(stale);
    });
  }
}
