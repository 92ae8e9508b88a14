// Two gates that speak with each other over channels in memory: what each believes of the other's executions while sessions come and go.

import { afterEach, describe, expect, it } from 'vitest';
import { randomBytes } from '../../../adapters/crypto/node-crypto.ts';
import type { EntryBody } from '../../../domain/entry.ts';
import { type CallId, ulid } from '../../../domain/ids.ts';
import type { PeerChannel, PeerLine } from '../../../proxy/peer-session.ts';
import { Peers } from '../../../proxy/peers.ts';
import { proves } from '../../guarantees.ts';
import { announced, callId, NOW, type Side, sideOf } from '../../support/feed.ts';

const [EAST, WEST] = [sideOf('urn:portcullis:east'), sideOf('urn:portcullis:west')];
const NODE = callId(1);
const HANDED = { ...announced(1), intent: announced(1).entry, deadline: 60_000 };

/** One gate, as far as peers are concerned. Its clock stands still. */
class House {
  readonly recorded: EntryBody[] = [];
  readonly stopped: [CallId | undefined, string][] = [];
  readonly peers: Peers;

  constructor(own: Side, other: Side, dialled: boolean) {
    this.peers = new Peers({
      clock: { now: () => NOW, monotonic: () => 0, timer: () => () => {} },
      crypto: { randomBytes },
      signer: own.signer,
      issuer: own.issuer,
      boot: ulid(NOW, randomBytes(10)),
      trusted: [{ ...other.peer, name: 'other', dialled }],
      log: 'portcullis.local/x/serve',
      stopUnder: async (_, node, code) => void this.stopped.push([node, code]),
      stopChain: () => {},
      record: (entry) => this.recorded.push(entry),
      note: () => {},
    });
  }
}

class Pair {
  readonly east = new House(EAST, WEST, true);
  readonly west = new House(WEST, EAST, false);
  #ends: PeerLine[] = [];

  /** Joins both by a new connection. Nothing is on its way once this has returned. */
  connect(): void {
    const queue: (() => void)[] = [];
    const lines: { east?: PeerLine; west?: PeerLine } = {};
    const channel = (to: 'east' | 'west'): PeerChannel => ({
      send: (text) => void queue.push(() => lines[to]?.receive(text)),
      close: () => {},
    });
    lines.west = this.west.peers.connect(channel('east'));
    lines.east = this.east.peers.connect(channel('west'), WEST.issuer);
    this.#ends = [lines.east, lines.west];
    this.#queue = queue;
    this.deliver();
  }

  #queue: (() => void)[] = [];

  deliver(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
  }

  cut(): void {
    for (const end of this.#ends) end.gone();
  }

  /** What west believes of east's execution. */
  get believed() {
    return this.west.peers.state(EAST.issuer, NODE);
  }
}

let pair: Pair;
const open = (): Pair => {
  pair = new Pair();
  pair.connect();
  return pair;
};
afterEach(() => {
  pair.east.peers.close();
  pair.west.peers.close();
});

describe('an execution that was told to another gate', () => {
  it('is believed to run as long as the session lasts, and again in the next one', () => {
    const { east, west } = open();
    expect(pair.believed).toBe('unknown');
    east.peers.running(HANDED, [WEST.issuer]);
    pair.deliver();
    expect(pair.believed).toBe('running');
    pair.cut();
    expect(pair.believed).toBe('stale');
    expect(west.stopped).toEqual([[undefined, 'LINEAGE_PEER_STALE']]);
    pair.connect();
    expect(pair.believed).toBe('running');
  });

  proves('G12', 'and revoked is said to be so once, and no later session is told that it runs', () => {
    const { east, west } = open();
    east.peers.running(HANDED, [WEST.issuer]);
    east.peers.revoked(NODE);
    east.peers.revoked(NODE);
    pair.deliver();
    expect(pair.believed).toBe('revoked');
    expect(west.stopped).toEqual([[NODE, 'LINEAGE_REVOKED']]);
    pair.cut();
    pair.connect();
    expect(pair.believed).toBe('unknown');
  });

  proves('G12', 'and revoked while there is no session is known to none', () => {
    const { east } = open();
    east.peers.running(HANDED, [WEST.issuer]);
    pair.deliver();
    pair.cut();
    east.peers.revoked(NODE);
    pair.connect();
    expect(pair.believed).toBe('unknown');
  });

  proves('G12', 'is over with its end, which waits for what is under it there', async () => {
    const { east } = open();
    east.peers.running(HANDED, [WEST.issuer]);
    const closed = east.peers.ended(NODE);
    pair.deliver();
    expect(pair.believed).toBe('ended');
    await Promise.resolve();
    pair.deliver();
    expect(await closed).toBeUndefined();
  });

  proves('G11', 'has no end that is known where the session ended first', async () => {
    const { east } = open();
    east.peers.running(HANDED, [WEST.issuer]);
    pair.deliver();
    const closed = east.peers.ended(NODE);
    pair.cut();
    expect(await closed).toMatchObject({ code: 'LINEAGE_PEER_STALE' });
    pair.connect();
    expect(pair.believed).toBe('unknown');
  });
});
