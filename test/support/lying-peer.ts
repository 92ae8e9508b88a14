// A gate that holds the key that it should, and says what the test wants.

import { randomBytes, type SigningKey, sha256, Verifier } from '../../adapters/crypto/node-crypto.ts';
import { checkHello, Feed, sayHello } from '../../control-plane/lineage/feed.ts';
import { mintLineageToken } from '../../control-plane/lineage/token.ts';
import { encodeBase64url } from '../../domain/base64url.ts';
import type { FeedEvent } from '../../domain/feed-message.ts';
import { type CallId, ulid } from '../../domain/ids.ts';
import type { LineageTokenClaims } from '../../domain/lineage-token.ts';
import type { PeerLine } from '../../proxy/peer-session.ts';
import type { World } from './gate-world.ts';
import { digestOf } from './permits.ts';

export interface LyingPeerOptions {
  readonly key: SigningKey;
  readonly issuer: string;
  /** The gate that it speaks with, and what that is called. */
  readonly to: World;
  readonly audience: string;
  readonly theirs: SigningKey;
  /** Whether that one dials it. */
  readonly dialled: boolean;
}

export class LyingPeer {
  readonly heard: FeedEvent[] = [];
  closed = false;
  readonly #options: LyingPeerOptions;
  readonly #line: PeerLine;
  #hello: string | undefined;
  #feed: Feed | undefined;

  constructor(options: LyingPeerOptions) {
    this.#options = options;
    const { to, issuer, dialled } = options;
    const channel = {
      send: (text: string) => queueMicrotask(() => this.#receive(text)),
      close: () => {
        this.closed = true;
      },
    };
    this.#line = to.peers.connect(channel, dialled ? issuer : undefined);
    if (!dialled) this.#line.receive(this.#sayHello());
  }

  say(event: FeedEvent): void {
    const { clock } = this.#options.to;
    const said = this.#feed?.say(event, { now: clock.now(), monotonic: clock.monotonic() });
    if (said === undefined) throw new Error('there is no session');
    this.#line.receive(said);
  }

  /** A token of its own for the worker, of an execution of which nobody need have heard. */
  token(node: CallId, root: CallId, jkt: string): string {
    const { to, issuer, audience } = this.#options;
    const seconds = Math.floor(to.clock.now() / 1_000);
    const claims: LineageTokenClaims = {
      iss: issuer,
      sub: 'worker',
      aud: [audience],
      iat: seconds,
      exp: seconds + 60,
      jti: ulid(to.clock.now(), randomBytes(10)),
      lin: { root, node, depth: 0, chain: digestOf('chain'), servers: ['work'], agents: ['planner'] },
      scp: [],
      cnf: { jkt },
    };
    return mintLineageToken(claims, this.#signer)?.token ?? '';
  }

  get #signer() {
    const { kid, sign } = this.#options.key;
    return { kid, sign, sha256 };
  }

  #sayHello(): string {
    const { issuer, audience, to } = this.#options;
    const boot = ulid(to.clock.now(), randomBytes(10));
    const nonce = encodeBase64url(randomBytes(32));
    this.#hello = sayHello({ iss: issuer, aud: audience, boot, nonce }, this.#signer);
    return this.#hello;
  }

  #receive(text: string): void {
    const { issuer, theirs, audience, dialled, to } = this.#options;
    const moment = { now: to.clock.now(), monotonic: to.clock.monotonic() };
    if (this.#feed !== undefined) {
      const heard = this.#feed.hear(text, moment);
      if (typeof heard !== 'string') this.heard.push(heard);
      return;
    }
    const verifier = new Verifier();
    verifier.register(theirs.publicKey);
    const peer = { issuer: audience, verify: verifier.verify };
    if (typeof checkHello(text, issuer, () => peer) === 'string') throw new Error('no hello');
    const own = this.#hello ?? this.#sayHello();
    if (dialled) this.#line.receive(own);
    this.#feed = new Feed({
      hellos: dialled ? [text, own] : [own, text],
      helloAt: moment.monotonic,
      signer: this.#signer,
      peer,
    });
    this.say({ type: 'snapshot', running: [] });
  }
}
