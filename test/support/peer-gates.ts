// Two gates in one process, with a line between them that the test can look into, hold, change and cut; and a third that trusts the first. The gates are
// those of gate-world.ts, and what they say to each other is real.

import { generateSigningKey, type SigningKey, Verifier } from '../../adapters/crypto/node-crypto.ts';
import type { LineageTokenClaims } from '../../domain/lineage-token.ts';
import { permitIssuer } from '../../domain/permit.ts';
import type { Principal } from '../../domain/principal.ts';
import { LINEAGE_KEY } from '../../proxy/own-name.ts';
import type { PeerLine, TrustedPeer } from '../../proxy/peer-session.ts';
import type { RunningCall } from '../../proxy/running-call.ts';
import { commitmentOf } from './commitments.ts';
import { settled, World } from './gate-world.ts';
import { until } from './legacy-client.ts';
import { LyingPeer } from './lying-peer.ts';
import { type Calling, startCall } from './placed-call.ts';

const [A, B] = [permitIssuer('a'), permitIssuer('b')];
export const PROOF_KEY = 'k'.repeat(43);
/** The agent behind the first gate, as the other knows it. */
export const WORKER: Principal = {
  agent: 'worker',
  roles: [],
  root: false,
  authentication: 'jwt',
  connection: commitmentOf('worker'),
  proofKey: PROOF_KEY,
};

type Direction = 'there' | 'back';

/** A connection between two gates. What passes, the test may see, hold and change. */
export class Line {
  readonly passed: string[] = [];
  /** What arrives for a text; as it is when absent. */
  change: (text: string, direction: Direction) => readonly string[] = (text) => [text];
  readonly #held: (() => void)[] = [];
  #isHeld = false;
  #ends: PeerLine[] = [];

  constructor(from: World, to: World, dialled = permitIssuer('b')) {
    const ends: { from?: PeerLine; to?: PeerLine } = {};
    const channel = (direction: Direction) => ({
      send: (text: string) => {
        this.passed.push(text);
        for (const one of this.change(text, direction)) {
          this.#deliver(() => (direction === 'there' ? ends.to : ends.from)?.receive(one));
        }
      },
      close: () => this.cut(),
    });
    ends.to = to.peers.connect(channel('back'));
    ends.from = from.peers.connect(channel('there'), dialled);
    this.#ends = [ends.to, ends.from];
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const deliver of this.#held.splice(0)) queueMicrotask(deliver);
  }

  cut(): void {
    for (const end of this.#ends.splice(0)) queueMicrotask(() => end.gone());
  }

  /** Only whoever dialled learns of it: the other hears nothing more. */
  cutAtOneEnd(): void {
    const [, from] = this.#ends;
    this.#ends = [];
    queueMicrotask(() => from?.gone());
  }

  #deliver(deliver: () => void): void {
    if (this.#isHeld) this.#held.push(deliver);
    else queueMicrotask(deliver);
  }
}

export const trust = (instance: string, { publicKey }: SigningKey, dialled = false): TrustedPeer => {
  const verifier = new Verifier();
  verifier.register(publicKey);
  return { name: instance, issuer: permitIssuer(instance), verify: verifier.verify, dialled };
};

/** The first gate, with the agent; the other one, which it dials; and a third, which trusts the first. */
export class Gates {
  readonly first: World;
  readonly other: World;
  readonly third: World;
  readonly keys: { readonly a: SigningKey; readonly b: SigningKey };
  line: Line;

  private constructor(keys: { a: SigningKey; b: SigningKey }, first: World, other: World, third: World) {
    this.keys = keys;
    this.first = first;
    this.other = other;
    this.third = third;
    this.line = new Line(first, other);
  }

  /** `cnf`: what the worker's tokens are bound to. */
  static async open(cnf: LineageTokenClaims['cnf'] = { jkt: PROOF_KEY }): Promise<Gates> {
    const [a, b] = [generateSigningKey(), generateSigningKey()];
    const first = await World.open({
      instance: 'a',
      key: a,
      trusted: [trust('b', b, true)],
      callee: () => ({ agent: 'worker', cnf, peers: [permitIssuer('b')] }),
    });
    const other = await World.open({ instance: 'b', key: b, trusted: [trust('a', a)] });
    const third = await World.open({ instance: 'c', trusted: [trust('a', a)] });
    for (const world of [first, other, third]) world.server.respond = () => undefined;
    const gates = new Gates({ a, b }, first, other, third);
    await settled();
    return gates;
  }

  /** Time passes at every gate, as it does: in small steps, in which what was said arrives. */
  async wait(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 250) {
      for (const world of [this.first, this.other, this.third]) world.clock.advance(Math.min(left, 250));
      await settled();
    }
  }

  start(world: World, calling: Calling = {}): RunningCall {
    return startCall(world, calling);
  }

  async running(world: World, calling: { token?: string; by?: Principal; path?: string } = {}) {
    const { heard } = world.server;
    const before = heard.length;
    const call = this.start(world, calling);
    await until(() => heard.length > before);
    await settled();
    const at = heard[before] as (typeof heard)[number];
    return { call, token: String(at.dispatch.meta[LINEAGE_KEY]), heard: at };
  }

  /** A call at the first gate, and one of the worker under it at the other. */
  async chain() {
    const above = await this.running(this.first);
    const below = await this.running(this.other, { by: WORKER, token: above.token, path: '/w/b' });
    return { above, below };
  }

  /** Why a call of the worker with this token is denied at a gate. */
  async denied(token: string, world = this.other, by = WORKER): Promise<string | undefined> {
    const end = await this.start(world, { by, token, path: `/w/${world.server.heard.length}/x` }).end;
    return end.kind === 'denied' ? end.code : undefined;
  }

  /** Somebody with the first gate's key speaks with the other, or with the other's key to the first. */
  async liar(as: 'first' | 'other'): Promise<LyingPeer> {
    this.line.cut();
    await settled();
    const { a, b } = this.keys;
    const [key, theirs, to] = as === 'first' ? [a, b, this.other] : [b, a, this.first];
    const [issuer, audience] = as === 'first' ? [A, B] : [B, A];
    const liar = new LyingPeer({ key, theirs, to, issuer, audience, dialled: as === 'other' });
    await settled();
    return liar;
  }

  reasons(world: World): unknown[] {
    return world.ofPeers.filter(({ type }) => type === 'peer.stale').map(({ reason }) => reason);
  }

  close(): void {
    for (const { peers } of [this.first, this.other, this.third]) peers.close();
  }
}
