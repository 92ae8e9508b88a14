// The other gates that this one trusts, while it runs: which of them can be believed now, which of our executions they were told of, and what has to
// end here when theirs do. Whoever is silent, or says what cannot be, is believed in nothing. Chains themselves are call-tree.ts.

import type { Consequence, Heard } from '../control-plane/lineage/dealings.ts';
import { STALE_AFTER_MS, type StaleReason } from '../control-plane/lineage/feed.ts';
import type { PeerLiveness } from '../control-plane/lineage/ports.ts';
import { type Denial, type DenialCode, deny } from '../domain/denial.ts';
import type { EntryBody } from '../domain/entry.ts';
import type { Announced, LedgerPosition } from '../domain/feed-message.ts';
import type { CallId } from '../domain/ids.ts';
import {
  type PeerChannel,
  type PeerLine,
  PeerSession,
  type PeerSessionPorts,
  type TrustedPeer,
} from './peer-session.ts';

/** How long a call waits to be told of the execution that its token points at: the two come by different ways. */
export const EXPECTED_WITHIN_MS = 1_000;

export interface PeersPorts extends Pick<PeerSessionPorts, 'clock' | 'crypto' | 'signer' | 'issuer' | 'boot'> {
  readonly trusted: readonly TrustedPeer[];
  /** Of this gate's ledger. */
  readonly log: string;
  /** Stops everything under a peer's execution, or under all of them. Resolves when it has ended and is recorded. */
  readonly stopUnder: (issuer: string, node: CallId | undefined, code: DenialCode) => Promise<void>;
  /** Stops a chain of ours. */
  readonly stopChain: (kind: 'root' | 'node', id: CallId) => void;
  /** Never rejects. */
  readonly record: (entry: EntryBody) => void;
  readonly note: (text: string) => void;
}

/** Where the intent of a call of ours lies. */
export type Intent = Omit<LedgerPosition, 'log'>;

/** An execution of ours with a token that may be shown elsewhere. */
export interface Handed extends Pick<Announced, 'root' | 'node' | 'token'> {
  readonly intent: Intent;
  /** Monotonic. */
  readonly deadline: number;
}

interface Own extends Handed {
  /** The gates at which it may be, each as it was started then. */
  readonly boots: ReadonlyMap<string, string>;
  /** Then no new session is told of it: a peer that never heard of it lets nothing in under it. */
  revoked: boolean;
}

/** Anybody can fail to become a session: that is said now and then. */
const NOTED_EACH_MS = 60_000;

export class Peers implements PeerLiveness {
  readonly #ports: PeersPorts;
  readonly #trusted: ReadonlyMap<string, TrustedPeer>;
  readonly #sessions = new Map<string, PeerSession>();
  /** Connections, those included that have not proved anything yet. */
  readonly #open = new Set<PeerSession>();
  readonly #own = new Map<CallId, Own>();
  /** Who waits for the end of what is under one of ours, by session. */
  readonly #closing = new Map<PeerSession, Map<CallId, (closed: boolean) => void>>();
  readonly #expected = new Map<string, Set<() => void>>();
  /** When it was last said that there is no session, by what was said. */
  readonly #noted = new Map<string, number>();
  #closed = false;

  constructor(ports: PeersPorts) {
    this.#ports = ports;
    this.#trusted = new Map(ports.trusted.map((peer) => [peer.issuer, peer]));
  }

  /** Speaks with whoever is at the other end of a channel; `dialled` is the issuer that it is expected to be. */
  connect(channel: PeerChannel, dialled?: string): PeerLine {
    const { clock, crypto, signer, issuer, boot } = this.#ports;
    const session = new PeerSession(
      {
        clock,
        crypto,
        signer,
        issuer,
        boot,
        trusted: (by) => this.#trusted.get(by),
        running: (by) => this.#running(by),
        onLive: (live) => this.#adopt(live),
        onHeard: (live, consequence) => this.#heard(live, consequence),
        onOver: (over, reason) => this.#over(over, reason),
      },
      channel,
      dialled === undefined ? undefined : this.#trusted.get(dialled),
    );
    this.#open.add(session);
    return session;
  }

  verify(issuer: string, kid: string, input: Uint8Array, signature: Uint8Array): boolean | undefined {
    return this.#trusted.get(issuer)?.verify(kid, input, signature);
  }

  state(issuer: string, node: CallId): ReturnType<PeerLiveness['state']> {
    return this.#live(issuer)?.dealings.state(node) ?? 'stale';
  }

  /** What a peer says of one of its executions; undefined where it says nothing, or nothing that counts. */
  find(issuer: string, node: CallId): Heard | undefined {
    return this.#live(issuer)?.dealings.find(node);
  }

  /** Resolves when a peer has said of an execution that it runs, or will not have in time. Undefined where nothing is to be waited for. */
  expect(issuer: string, node: CallId): Promise<void> | undefined {
    if (this.state(issuer, node) !== 'unknown') return undefined;
    const key = `${issuer}|${node}`;
    return new Promise((resolve) => {
      const waiting = this.#expected.get(key) ?? new Set();
      this.#expected.set(key, waiting);
      const done = (): void => {
        callOff();
        waiting.delete(done);
        if (waiting.size === 0) this.#expected.delete(key);
        resolve();
      };
      const callOff = this.#ports.clock.timer(EXPECTED_WITHIN_MS, done);
      waiting.add(done);
    });
  }

  /** Of these gates those that can be told of an execution now. */
  reached(issuers: readonly string[]): readonly string[] {
    return issuers.filter((issuer) => this.#live(issuer)?.dealings.hasRoom === true);
  }

  /** Tells them, in the tick in which its token goes out. */
  running(handed: Handed, issuers: readonly string[]): void {
    const boots = new Map<string, string>();
    for (const issuer of issuers) {
      const session = this.#live(issuer);
      if (session !== undefined) boots.set(issuer, session.boot);
    }
    const own: Own = { ...handed, boots, revoked: false };
    this.#own.set(handed.node, own);
    for (const issuer of boots.keys()) {
      const session = this.#live(issuer);
      session?.say(session.dealings.running(this.#announce(own)));
    }
  }

  /** One of ours is over. Resolves when what is under it elsewhere has ended, with a denial where a gate does not say so. */
  ended(node: CallId): Promise<Denial | undefined> | undefined {
    const own = this.#own.get(node);
    if (own === undefined) return undefined;
    this.#own.delete(node);
    const closings = [...own.boots].map(([issuer, boot]) => this.#close(issuer, boot, node));
    return Promise.all(closings).then((denials) => denials.find((denial) => denial !== undefined));
  }

  /** One of ours was revoked: said in the same tick, before it ends. */
  revoked(node: CallId): void {
    const own = this.#own.get(node);
    if (own === undefined) return;
    own.revoked = true;
    for (const issuer of own.boots.keys()) {
      const session = this.#live(issuer);
      session?.say(session.dealings.revoked(node));
    }
  }

  /** A chain was revoked here: the gates above that have a part in it hear of it. */
  stop(kind: 'root' | 'node', id: CallId): void {
    for (const session of this.#sessions.values()) session.say(session.dealings.stop(kind, id));
  }

  /** A call here is about to be made under a peer's execution. */
  joined(issuer: string, node: CallId, child: CallId, intent: Intent): void {
    const session = this.#live(issuer);
    session?.say(session.dealings.joined(node, child, { ...intent, log: this.#ports.log }));
  }

  /** The gate itself ends: that says nothing about its peers. */
  close(): void {
    this.#closed = true;
    for (const session of [...this.#open]) session.end('closed');
    for (const waiting of [...this.#expected.values()]) for (const done of [...waiting]) done();
  }

  /** The session with a peer, as long as what it says counts. */
  #live(issuer: string): PeerSession | undefined {
    const session = this.#sessions.get(issuer);
    return session?.stale() === undefined ? session : undefined;
  }

  #announce({ root, node, token, intent, deadline }: Own): Announced {
    const left = Math.max(1, Math.floor(deadline - this.#ports.clock.monotonic()));
    return { root, node, token, left, entry: { ...intent, log: this.#ports.log } };
  }

  #running(issuer: string): readonly Announced[] {
    return [...this.#own.values()]
      .filter(({ boots, revoked }) => boots.has(issuer) && !revoked)
      .map((own) => this.#announce(own));
  }

  #adopt(session: PeerSession): void {
    const { peer } = session;
    if (peer === undefined) return;
    this.#sessions.get(peer.issuer)?.end('replaced');
    this.#sessions.set(peer.issuer, session);
    // What began or ended since its snapshot was said in the session before.
    const running = this.#running(peer.issuer);
    for (const one of running) if (!session.dealings.isTold(one.node)) session.say(session.dealings.running(one));
    for (const node of session.dealings.told()) {
      if (!running.some((one) => one.node === node)) session.say(session.dealings.ended(node));
    }
    const { name, issuer } = peer;
    const { boot, clocksApart } = session;
    this.#ports.record({ type: 'peer.connected', peer: name, issuer, boot, clocksApartMs: Math.round(clocksApart) });
    this.#ports.note(`peer ${name}: in session`);
  }

  #over(session: PeerSession, reason: StaleReason): void {
    this.#open.delete(session);
    const { peer } = session;
    for (const done of [...(this.#closing.get(session)?.values() ?? [])]) done(false);
    this.#closing.delete(session);
    if (peer === undefined || this.#sessions.get(peer.issuer) !== session) {
      return this.#noteNow(`peer ${peer?.name ?? '(unknown)'}: no session (${reason})`);
    }
    const { name, issuer } = peer;
    this.#sessions.delete(issuer);
    void this.#ports.stopUnder(issuer, undefined, 'LINEAGE_PEER_STALE');
    if (this.#closed) return;
    this.#ports.record({ type: 'peer.stale', peer: name, issuer, reason });
    this.#ports.note(`peer ${name}: not believed any more (${reason})`);
  }

  #noteNow(text: string): void {
    const now = this.#ports.clock.monotonic();
    if (now - (this.#noted.get(text) ?? Number.NEGATIVE_INFINITY) < NOTED_EACH_MS) return;
    this.#noted.set(text, now);
    this.#ports.note(text);
  }

  #heard(session: PeerSession, consequence: Consequence): void {
    const { peer } = session;
    if (peer === undefined) return;
    const { name, issuer } = peer;
    switch (consequence.type) {
      case 'heard':
        for (const done of [...(this.#expected.get(`${issuer}|${consequence.node}`) ?? [])]) done();
        return;
      case 'gone': {
        const { node, revoked, close } = consequence;
        const stopped = this.#ports.stopUnder(issuer, node, revoked ? 'LINEAGE_REVOKED' : 'LINEAGE_PARENT_ENDED');
        if (close) void stopped.then(() => session.say(session.dealings.closed(node)));
        return;
      }
      case 'joined': {
        const { node, child, entry } = consequence;
        this.#ports.record({ type: 'peer.joined', peer: name, issuer, node, child, entry: { ...entry } });
        return;
      }
      case 'closed':
        this.#closing.get(session)?.get(consequence.node)?.(true);
        return;
      case 'stop': {
        const { kind, id } = consequence;
        this.#ports.record({ type: 'peer.stopped', peer: name, issuer, kind, id });
        this.#ports.stopChain(kind, id);
        return;
      }
    }
  }

  /** Tells a gate that one of ours is over, and waits until it says that all under it is. */
  #close(issuer: string, boot: string, node: CallId): Promise<Denial | undefined> {
    const stale = deny('LINEAGE_PEER_STALE', `${issuer} has not said that all under it ended`);
    const session = this.#live(issuer);
    // A gate that was started anew knows nothing of what ran there before.
    if (session === undefined || session.boot !== boot || !session.dealings.isTold(node)) return Promise.resolve(stale);
    return new Promise((resolve) => {
      const waiting = this.#closing.get(session) ?? new Map();
      this.#closing.set(session, waiting);
      const done = (closed: boolean): void => {
        callOff();
        waiting.delete(node);
        resolve(closed ? undefined : stale);
      };
      const callOff = this.#ports.clock.timer(STALE_AFTER_MS, () => done(false));
      waiting.set(node, done);
      session.say(session.dealings.ended(node));
    });
  }
}
