// The feed of one gate to another over a line that loses, repeats, reorders and holds back, or falls silent; and a registry that lives by it.

import fc from 'fast-check';
import { expect } from 'vitest';
import { Dealings } from '../../../control-plane/lineage/dealings.ts';
import { BEAT_MS, type Feed, STALE_AFTER_MS } from '../../../control-plane/lineage/feed.ts';
import { LineageRegistry } from '../../../control-plane/lineage/registry.ts';
import type { FeedEvent } from '../../../domain/feed-message.ts';
import type { CallId } from '../../../domain/ids.ts';
import { proves } from '../../guarantees.ts';
import { announced, callId, NOW, sessionOf, sideOf } from '../../support/feed.ts';
import { digestOf } from '../../support/permits.ts';

const A = sideOf('urn:portcullis:a');
const B = sideOf('urn:portcullis:b');
/** The clocks of the two gates have started at different times, and one is faster than the other. */
const clockOfOne = (now: number) => 500_000 + now * 1.3;

const which = fc.nat({ max: 1_000 });
const own = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'start' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('end' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const), which }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 900 }) }) },
);
const line = fc.oneof(
  { weight: 12, arbitrary: fc.constant({ kind: 'deliver' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('repeat' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('swap' as const), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('hold' as const), ms: fc.integer({ min: 1, max: 4_000 }) }) },
);
type Happening =
  typeof own extends fc.Arbitrary<infer O> ? (typeof line extends fc.Arbitrary<infer L> ? O | L : O) : never;

class TwoGates {
  readonly #one: Feed;
  readonly #other: Feed;
  readonly #ours = new Dealings();
  readonly #theirs = new Dealings();
  readonly #registry: LineageRegistry;
  readonly #line: string[] = [];
  /** When each execution of the one ended or was revoked; infinite while it runs. */
  readonly ended = new Map<CallId, number>();
  #now = 0;
  #said = 0;
  #answered = 0;
  #calls = 0;

  constructor() {
    const { one, other } = sessionOf(A, B);
    this.#one = one;
    this.#other = other;
    this.#registry = new LineageRegistry({
      revocations: { has: () => false },
      peers: {
        state: (_, node) => (this.#other.stale(this.#now) === undefined ? this.#theirs.state(node) : 'stale'),
      },
    });
    this.#answer({ type: 'snapshot', running: [] });
    this.#say(this.#ours.snapshot([]));
  }

  get isBelieved(): boolean {
    return this.#other.stale(this.#now) === undefined;
  }

  get hasAllArrived(): boolean {
    return this.#line.length === 0;
  }

  happen(event: Happening): void {
    switch (event.kind) {
      case 'start': {
        const number = ++this.#calls;
        this.ended.set(callId(number), Number.POSITIVE_INFINITY);
        this.#say(this.#ours.running(announced(number, { left: 600_000 })));
        return;
      }
      case 'end':
      case 'revoke': {
        const node = [...this.ended.keys()][event.which % Math.max(1, this.ended.size)];
        if (node === undefined) return;
        const said = event.kind === 'end' ? this.#ours.ended(node) : this.#ours.revoked(node);
        // Both are said once: a call that was revoked ends right after.
        if (said === undefined || this.ended.get(node) !== Number.POSITIVE_INFINITY) return;
        this.ended.set(node, this.#now);
        this.#say(said);
        return;
      }
      case 'wait':
      case 'hold':
        for (let left = event.ms; left > 0; left -= 100) {
          this.#now += Math.min(left, 100);
          if (this.#now - this.#said >= BEAT_MS) this.#say({ type: 'beat' });
          if (this.#now - this.#answered >= BEAT_MS) this.#answer({ type: 'beat' });
          if (event.kind === 'wait') this.deliver();
        }
        return;
      case 'deliver':
        return this.deliver();
      case 'lose':
        this.#line.splice(event.which % Math.max(1, this.#line.length), 1);
        return;
      case 'repeat': {
        const text = this.#line[event.which % Math.max(1, this.#line.length)];
        if (text !== undefined) this.#line.splice(event.which % (this.#line.length + 1), 0, text);
        return;
      }
      case 'swap': {
        const [text] = this.#line.splice(event.which % Math.max(1, this.#line.length), 1);
        if (text !== undefined) this.#line.push(text);
        return;
      }
    }
  }

  deliver(): void {
    for (const text of this.#line.splice(0)) {
      const heard = this.#other.hear(text, { now: NOW + this.#now, monotonic: this.#now });
      if (typeof heard === 'string') {
        this.#registry.peerEnded(A.issuer);
        continue;
      }
      const consequences = this.#theirs.take(heard, this.#now);
      if (consequences === undefined) this.#other.end('event');
      for (const one of consequences ?? []) if (one.type === 'gone') this.#registry.peerEnded(A.issuer, one.node);
    }
  }

  /** Whether a call is admitted here under an execution of the other. */
  admits(node: CallId): boolean {
    const call = callId(50_000 + ++this.#calls);
    const heard = this.#theirs.find(node);
    const place = this.#registry.join({
      call,
      agent: 'worker',
      terms: { root: false, unsaid: 'deny' },
      target: { server: 'fs', method: 'tools/call', tool: 'read', args: { n: this.#calls } },
      step: () => digestOf(call),
      link: () => digestOf(call),
      presented: {
        from: 'peer',
        issuer: A.issuer,
        root: callId(0),
        node,
        depth: 0,
        chain: digestOf('chain'),
        scopes: [],
        servers: [],
        agents: ['planner'],
        deadline: heard?.deadline ?? this.#now,
      },
      now: this.#now,
      timeoutMs: 1_000,
    });
    if ('code' in place) return false;
    this.#registry.end(call);
    return true;
  }

  get now(): number {
    return this.#now;
  }

  #say(event: FeedEvent | undefined): void {
    if (event === undefined) return;
    this.#said = this.#now;
    this.#line.push(this.#one.say(event, { now: NOW + this.#now, monotonic: clockOfOne(this.#now) }));
  }

  /** In the other direction the line is good. */
  #answer(event: FeedEvent): void {
    this.#answered = this.#now;
    const said = this.#other.say(event, { now: NOW + this.#now, monotonic: this.#now });
    this.#one.hear(said, { now: NOW + this.#now, monotonic: clockOfOne(this.#now) });
  }
}

proves('G11', 'whatever becomes of the feed, nothing is admitted under what ended longer ago than the bound', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(own, line), { maxLength: 60 }), (events) => {
      const gates = new TwoGates();
      for (const event of events) {
        gates.happen(event);
        for (const [node, endedAt] of gates.ended) {
          if (gates.now - endedAt > STALE_AFTER_MS) expect(gates.admits(node)).toBe(false);
        }
      }
      // And once all is silent, under nothing.
      gates.happen({ kind: 'hold', ms: STALE_AFTER_MS + 1 });
      for (const node of gates.ended.keys()) expect(gates.admits(node)).toBe(false);
    }),
    { numRuns: 150 },
  );
});

proves('G11', 'a feed that is intact admits under what runs, and under nothing else', () => {
  fc.assert(
    fc.property(fc.array(own, { maxLength: 40 }), (events) => {
      const gates = new TwoGates();
      for (const event of events) {
        gates.happen(event);
        gates.deliver();
        expect(gates.isBelieved && gates.hasAllArrived).toBe(true);
        for (const [node, endedAt] of gates.ended)
          expect(gates.admits(node)).toBe(endedAt === Number.POSITIVE_INFINITY);
      }
    }),
    { numRuns: 100 },
  );
});
