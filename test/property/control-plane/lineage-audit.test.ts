// Random histories that the registry allows, as a gate records them: the audit finds nothing in them, and finds whatever one lie is put into them.

import fc from 'fast-check';
import { expect } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import type { Place } from '../../../control-plane/lineage/place.ts';
import { LineageRegistry } from '../../../control-plane/lineage/registry.ts';
import type { Digest } from '../../../domain/digest.ts';
import type { Entry } from '../../../domain/entry.ts';
import type { CallId } from '../../../domain/ids.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { chainLink } from '../../../domain/lineage.ts';
import type { Scope } from '../../../domain/scope.ts';
import { proves } from '../../guarantees.ts';
import { chainFindings } from '../../support/audited.ts';

const AGENTS = ['planner', 'reviewer', 'worker'];
const SERVERS = ['fs', 'db', 'web', 'mail'];
const SCOPES: readonly Scope[] = [
  SERVERS.map((server) => ({ server, actions: ['*'] })),
  SERVERS.map((server) => ({ server, actions: ['t'] })),
];
const pick = fc.nat({ max: 10_000 });
const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      under: fc.option(pick, { freq: 8 }),
      agent: fc.constantFrom(...AGENTS),
      server: fc.constantFrom(...SERVERS),
      process: fc.option(fc.constantFrom('p', 'q'), { freq: 2 }),
      narrowing: fc.option(fc.constantFrom(...SCOPES), { freq: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), which: pick, asks: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('revoke' as const), what: fc.constantFrom('root', 'node'), which: pick }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
);
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

/** What a gate does with its registry and its ledger, and nothing else of it. */
class SmallGate {
  readonly entries: Entry[] = [];
  readonly #revoked = new Set<string>();
  #registry = this.#start();
  #epoch = 1;
  #calls = 0;
  readonly #open: CallId[] = [];

  #start(): LineageRegistry {
    const revocations = { has: (kind: string, id: string) => this.#revoked.has(`${kind} ${id}`) };
    return new LineageRegistry({ revocations, peers: { state: () => 'unknown' } });
  }

  take(event: Event): void {
    const at = (which: number) => this.#open[which % this.#open.length];
    switch (event.kind) {
      case 'call':
        return this.#call(event);
      case 'end': {
        const call = at(event.which);
        if (call !== undefined) this.#end(call, event.asks ? 'incomplete' : 'completed');
        return;
      }
      case 'revoke': {
        const id = at(event.which);
        if (id === undefined || this.#revoked.has(`${event.what} ${id}`)) return;
        this.#revoked.add(`${event.what} ${id}`);
        const stopped = this.#registry.revoke(event.what as 'root', id);
        this.#record('revocation.added', { number: this.#revoked.size, kind: event.what, id });
        for (const call of stopped.toReversed()) this.#end(call, 'aborted');
        return;
      }
      case 'crash': {
        this.#epoch += 1;
        this.#record('log.recovered', { after: 'crash' });
        for (const call of this.#open.splice(0))
          this.#record('call.ending', {
            call,
            outcome: { status: 'unknown', dispatched: true },
            events: [{ type: 'gate.restarted', epoch: this.#epoch }],
          });
        this.#registry = this.#start();
      }
    }
  }

  #record(type: string, more: JsonObject): void {
    const seq = this.entries.length;
    const ts = new Date(Date.UTC(2026, 0, 1) + seq).toISOString();
    this.entries.push({ v: 1, log: 'gate', seq, epoch: this.#epoch, ts, type, ...more } as unknown as Entry);
  }

  #call({ under, agent, server, process, narrowing }: Extract<Event, { kind: 'call' }>): void {
    const call: CallId = `call-${this.#calls++}`;
    const parent = under === null ? undefined : this.#open[under % this.#open.length];
    const args: Digest = `sha256:${call}`;
    const place = this.#registry.join({
      call,
      agent,
      terms: { root: true, unsaid: 'root' },
      target: { server, method: 'tools/call', tool: 't', args: {} },
      step: () => args,
      link: (above) => chainLink(sha256, above, { agent, server, tool: 't', args }),
      now: 0,
      timeoutMs: 60_000,
      ...(process === null || parent === undefined ? {} : { process }),
      ...(parent === undefined
        ? {}
        : { presented: { from: 'self', root: parent, node: parent, digest: `sha256:token-${parent}` } }),
    });
    if ('code' in place) return;
    const narrowed = narrowing === null ? {} : { narrowed: narrowing as unknown as JsonObject[] };
    const target = { method: 'tools/call', server, tool: 't', args: { commitment: args, bytes: 2 } };
    const lineage = { ...recorded(place), ...narrowed };
    const requested = {
      type: 'call.requested',
      call,
      ...target,
      principal: { agent },
      lineage,
    } as unknown as JsonObject;
    this.#record('call.intent', { call, events: [requested] });
    const refused = this.#registry.start(call, {
      now: 0,
      token: `sha256:token-${call}`,
      ...(process === null ? {} : { process }),
      ...(narrowing === null ? {} : { narrowing }),
    });
    this.#open.push(call);
    if (refused !== undefined) this.#end(call, 'aborted', false);
  }

  /** Everything under it first. */
  #end(call: CallId, status: string, dispatched = true): void {
    if (!this.#open.includes(call)) return;
    for (const below of this.#registry.end(call).toReversed()) this.#end(below, 'aborted');
    this.#open.splice(this.#open.indexOf(call), 1);
    const answered = { type: 'tool.answered', ...(status === 'incomplete' ? { incomplete: 'input_required' } : {}) };
    this.#record('call.ending', { call, outcome: { status, dispatched }, events: [answered] });
  }
}

function recorded({ root, node, parent, depth, origin, joined, above, agents, scopes }: Place): JsonObject {
  return {
    root,
    node,
    parent,
    depth,
    ...(origin === 'root' ? {} : { origin }),
    ...(joined.length === 0 ? {} : { joined }),
    ...(above === undefined ? {} : { above }),
    ...(agents.length === 0 ? {} : { agents }),
    ...(scopes.length === 0 ? {} : { scopes: scopes as unknown as JsonObject[] }),
  };
}

const lineageOf = (entry: Entry): JsonObject =>
  (entry.events as unknown as { lineage: JsonObject }[])[0]?.lineage as JsonObject;
const withPlace = (entry: Entry, more: JsonObject): Entry => {
  const [requested, ...rest] = entry.events as unknown as JsonObject[];
  return { ...entry, events: [{ ...requested, lineage: { ...lineageOf(entry), ...more } }, ...rest] };
};

/** Lies about a call that has a parent. */
const LIES: Readonly<Record<string, (entry: Entry) => Entry>> = {
  root: (entry) => withPlace(entry, { root: 'call-none' }),
  parent: (entry) => withPlace(entry, { parent: 'call-none' }),
  itself: (entry) => withPlace(entry, { parent: String(entry.call) }),
  'no parent': (entry) => withPlace(entry, { parent: null }),
  depth: (entry) => withPlace(entry, { depth: Number(lineageOf(entry).depth) + 1 }),
  agents: (entry) => withPlace(entry, { agents: [...(lineageOf(entry).agents as string[]), 'another'] }),
  link: (entry) => withPlace(entry, { above: 'sha256:another' }),
  name: (entry) => withPlace(entry, { node: 'call-none' }),
};

const histories = fc.array(event, { minLength: 20, maxLength: 120 }).map((events) => {
  const gate = new SmallGate();
  for (const event of events) gate.take(event);
  return gate.entries;
});

proves('G11', 'nothing is found in whatever the registry lets happen', () => {
  fc.assert(
    fc.property(histories, (entries) => {
      expect(chainFindings(entries)).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

proves('G11', 'one lie about the place of any call is found', () => {
  fc.assert(
    fc.property(histories, pick, fc.constantFrom(...Object.keys(LIES)), (entries, which, lie) => {
      const below = entries.filter((entry) => entry.type === 'call.intent' && lineageOf(entry).parent !== null);
      const chosen = below[which % below.length];
      fc.pre(chosen !== undefined);
      const told = entries.map((entry) => (entry === chosen ? (LIES[lie]?.(entry) ?? entry) : entry));
      expect(chainFindings(told).map(({ seq }) => seq)).toContain(chosen?.seq);
    }),
    { numRuns: 300 },
  );
});

proves('G11', 'a call that is free of any scope that its parent had is found', () => {
  fc.assert(
    fc.property(histories, pick, (entries, which) => {
      const scoped = entries.filter((entry) => entry.type === 'call.intent' && Array.isArray(lineageOf(entry).scopes));
      const chosen = scoped[which % scoped.length];
      fc.pre(chosen !== undefined && lineageOf(chosen).parent !== null);
      const scopes = lineageOf(chosen as Entry).scopes as unknown as JsonObject[];
      const less = scopes.filter((_, at) => at !== which % scopes.length);
      // The same scope twice is the same scope.
      fc.pre(!less.some((scope) => JSON.stringify(scope) === JSON.stringify(scopes[which % scopes.length])));
      const told = entries.map((entry) => (entry === chosen ? withPlace(entry, { scopes: less }) : entry));
      expect(chainFindings(told).map(({ rule }) => rule)).toContain('scopes');
    }),
    { numRuns: 200 },
  );
});

proves('G6', 'an ending that is missing, doubled or too early is found', () => {
  fc.assert(
    fc.property(histories, pick, fc.constantFrom('missing', 'doubled', 'early'), (entries, which, how) => {
      const ends = entries.filter(({ type, call }) => {
        const below = entries.some(
          (other) => other.type === 'call.intent' && lineageOf(other).parent === call && other.call !== call,
        );
        return type === 'call.ending' && (how === 'doubled' || below);
      });
      const chosen = ends[which % ends.length] as Entry | undefined;
      fc.pre(chosen !== undefined);
      const without = entries.filter((entry) => entry !== chosen);
      const begun = without.findIndex(({ type, call }) => type === 'call.intent' && call === chosen?.call);
      // What stays open is missed at the next start.
      const { epoch } = entries.at(-1) as Entry;
      const started = { type: 'log.recovered', epoch: epoch + 1, ts: '2027-01-01T00:00:00.000Z', seq: entries.length };
      const next = { ...started, type: 'call.intent', call: 'next', events: [], seq: entries.length + 1 };
      const told = {
        missing: [...without, started, next] as unknown as Entry[],
        doubled: [...entries, chosen as Entry],
        early: [...without.slice(0, begun + 1), chosen as Entry, ...without.slice(begun + 1)],
      }[how as 'missing'];
      const findings = chainFindings(told);
      if (how === 'missing') expect(findings.map(({ call }) => call)).toContain(chosen?.call);
      else expect(findings).not.toEqual([]);
    }),
    { numRuns: 300 },
  );
});
