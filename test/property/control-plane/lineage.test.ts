// Random histories of joining, starting, ending, revoking and waiting, in any order, on the registry and on a model that walks everything.

import fc from 'fast-check';
import { expect } from 'vitest';
import type { EarlierRound } from '../../../control-plane/lineage/place.ts';
import { LineageRegistry } from '../../../control-plane/lineage/registry.ts';
import type { Digest } from '../../../domain/digest.ts';
import type { CallId } from '../../../domain/ids.ts';
import type { Scope } from '../../../domain/scope.ts';
import { proves } from '../../guarantees.ts';
import { LineageModel, type Past } from '../../support/lineage-model.ts';

const BOUNDS = { depthMax: 4, childrenMax: 6, treeMax: 25, visitsMax: 3, scopesMax: 4, marginMs: 5 };
const AGENTS = ['planner', 'reviewer', 'worker'];
const SERVERS = ['fs', 'db', 'web'];
const TOOLS = ['read', 'write'];
const PATHS = ['/w', '/w/a', '/w/a/b', '/x'];

const grant = fc.record(
  {
    server: fc.constantFrom(...SERVERS),
    actions: fc.constantFrom(['*'], ['read'], ['read', 'write']),
    under: fc.record({ '/path': fc.subarray(PATHS, { minLength: 1 }) }),
  },
  { requiredKeys: ['server', 'actions'] },
);
const scope = fc.array(grant, { minLength: 1, maxLength: 4 });
const pick = fc.nat({ max: 10_000 });

const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('join' as const),
      under: fc.option(pick, { freq: 12 }),
      agent: fc.constantFrom(...AGENTS),
      server: fc.constantFrom(...SERVERS),
      tool: fc.constantFrom(...TOOLS),
      path: fc.constantFrom(...PATHS),
      process: fc.option(fc.constantFrom('p', 'q'), { freq: 3 }),
      timeoutMs: fc.integer({ min: 10, max: 2_000 }),
      goesOn: fc.option(pick, { freq: 3 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('start' as const),
      which: pick,
      process: fc.option(fc.constantFrom('p', 'q'), { freq: 3 }),
      narrowing: fc.option(scope, { freq: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), which: pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('revoke' as const),
      what: fc.constantFrom('root', 'node', 'agent', 'server', 'tool'),
      which: pick,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 300 }) }) },
);

type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

class History {
  readonly model = new LineageModel(BOUNDS);
  readonly #revoked = new Set<string>();
  readonly #registry = new LineageRegistry({
    revocations: { has: (kind, id) => this.#revoked.has(`${kind} ${id}`) },
    peers: { state: () => 'unknown' },
    limits: BOUNDS,
  });
  #now = 0;
  #joins = 0;

  take(event: Event): void {
    switch (event.kind) {
      case 'join':
        return this.#join(event);
      case 'start':
        return this.#start(event);
      case 'end':
        return this.#end(event);
      case 'revoke':
        return this.#revoke(event);
      case 'wait':
        this.#now += event.ms;
    }
  }

  /** What must hold after every event. */
  check(): void {
    const open = this.model.past.filter(({ ended }) => !ended);
    expect([...this.#registry.open()].sort()).toEqual(open.map(({ call }) => call).sort());
    for (const one of open) {
      const fine = [...this.model.ancestors(one)].every((other) => this.model.alive(other, this.#now));
      const own = !one.revoked && one.deadline > this.#now;
      expect(this.#registry.problem(one.call as CallId, this.#now) === undefined).toBe(fine && own);
      for (const parent of this.model.ancestors(one)) expect(one.deadline).toBeLessThan(parent.deadline);
    }
    const known = this.model.past.filter(({ tree }) => !this.model.isOver(tree));
    expect(this.#registry.size).toBe(known.length);
  }

  #join({ under, agent, server, tool, path, process, timeoutMs, goesOn }: Extract<Event, { kind: 'join' }>): void {
    const call = `call-${this.#joins++}`;
    const { past } = this.model;
    const parent = under === null || past.length === 0 ? undefined : past[under % past.length]?.call;
    const target = { server, method: 'tools/call', tool, args: { path } };
    const step = `${agent} ${server} ${tool} ${path}`;
    const ended = past.filter((one) => one.ended && one.agent === agent);
    const before = goesOn === null ? undefined : ended[goesOn % ended.length];
    const named = process === null || parent === undefined ? {} : { process };
    const wish = {
      call,
      agent,
      target,
      step,
      parent,
      process: named.process,
      now: this.#now,
      timeoutMs,
      continues: before?.call,
    };
    const allowed =
      this.model.mayJoin(wish) &&
      !this.#revoked.has(`agent ${agent}`) &&
      !this.#revoked.has(`server ${server}`) &&
      !this.#revoked.has(`root ${before?.root}`) &&
      !this.model.roundsOf(wish).some((round) => this.#revoked.has(`node ${round}`));
    const result = this.#registry.join({
      call: call as CallId,
      agent,
      terms: { root: true, unsaid: 'root' },
      target,
      step: () => step as Digest,
      link: () => 'sha256:',
      now: this.#now,
      timeoutMs,
      ...named,
      ...(before === undefined ? {} : { continues: roundOf(before) }),
      ...(parent === undefined
        ? {}
        : { presented: { from: 'self', root: parent as CallId, node: parent as CallId, digest: `sha256:${parent}` } }),
    });
    expect(!('code' in result), JSON.stringify(result)).toBe(allowed);
    if ('code' in result) return;
    this.model.join(wish);
    const joined = this.model.find(call);
    expect(result).toMatchObject({
      root: joined?.root,
      parent: parent ?? null,
      depth: this.model.depth(joined as NonNullable<typeof joined>),
      deadline: joined?.deadline,
    });
    // In whatever order the process took them on.
    expect([...result.joined].sort()).toEqual(joined?.parents.slice(1).sort());
    expect(new Set(result.scopes)).toEqual(new Set(joined?.scopes));
  }

  #start({ which, process, narrowing }: Extract<Event, { kind: 'start' }>): void {
    const waiting = this.model.past.filter(({ started, ended }) => !started && !ended);
    const one = waiting[which % waiting.length];
    if (one === undefined) return;
    const wanted: Scope | undefined = narrowing ?? undefined;
    const refused = this.#registry.start(one.call as CallId, {
      now: this.#now,
      token: `sha256:${one.call}`,
      ...(process === null ? {} : { process }),
      ...(wanted === undefined ? {} : { narrowing: wanted }),
    });
    expect(refused === undefined, JSON.stringify(refused)).toBe(this.model.mayStart(one, this.#now, wanted));
    if (refused !== undefined) return;
    one.started = true;
    one.deadline = Math.min(one.deadline, this.#now + one.timeoutMs);
    if (process !== null) one.process = process;
    if (wanted !== undefined) one.scopes = [...one.scopes, wanted];
  }

  #end({ which }: Extract<Event, { kind: 'end' }>): void {
    const open = this.model.past.filter(({ ended }) => !ended);
    const one = open[which % open.length];
    if (one === undefined) return;
    const below = this.model.openBelow([one.call]);
    expect([...this.#registry.end(one.call as CallId)].sort()).toEqual(below.sort());
    one.ended = true;
  }

  #revoke({ what, which }: Extract<Event, { kind: 'revoke' }>): void {
    const { past } = this.model;
    const one = past[which % past.length];
    if (one === undefined || (what !== 'root' && what !== 'node' && which % 4 !== 0)) return;
    const ids = { root: one.root, node: one.call, agent: one.agent, server: one.target.server, tool: '' };
    const id = what === 'tool' ? `${one.target.server}/${one.target.tool}` : ids[what as keyof typeof ids];
    if (what !== 'tool') this.#revoked.add(`${what} ${id}`);
    const stopped = this.#registry.revoke(what as 'root', id);
    // Of a tree that is over nothing is known any more.
    const hit = past.filter((other) => {
      if (this.model.isOver(other.tree)) return false;
      if (what === 'tool') return `${other.target.server}/${other.target.tool}` === id;
      if (what === 'node' && other.rounds.includes(id)) return true;
      return (
        { root: other.root, node: other.call, agent: other.agent, server: other.target.server }[what as 'root'] === id
      );
    });
    const calls = hit.map(({ call }) => call);
    const open = past.filter(({ call, ended }) => !ended && calls.includes(call)).map(({ call }) => call);
    const all = new Set([...open, ...this.model.openBelow(calls)]);
    expect([...stopped].sort()).toEqual([...all].sort());
    for (const other of past) if (all.has(other.call) || calls.includes(other.call)) other.revoked = true;
  }
}

function roundOf({ call, root, parents, rounds }: Past): EarlierRound {
  return { call, root, parent: parents[0] ?? null, before: rounds } as EarlierRound;
}

proves(
  'G11',
  'in any history a call joins, starts and lives only inside what everything above it may do, as long as that runs',
  () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 30, maxLength: 120 }), (events) => {
        const history = new History();
        for (const event of events) {
          history.take(event);
          history.check();
        }
      }),
      { numRuns: 250 },
    );
  },
);

proves('G11', 'in a tree of a thousand calls as well', () => {
  const bounds = { ...BOUNDS, depthMax: 12, childrenMax: 40, treeMax: 1_000, visitsMax: 12 };
  fc.assert(
    fc.property(fc.array(pick, { minLength: 1_000, maxLength: 1_000 }), pick, (choices, which) => {
      const registry = new LineageRegistry({
        revocations: { has: () => false },
        peers: { state: () => 'unknown' },
        limits: bounds,
      });
      const parents = new Map<CallId, CallId | undefined>();
      for (const [at, choice] of choices.entries()) {
        const call: CallId = `call-${at}`;
        const all = [...parents.keys()];
        const parent = all[choice % all.length];
        const place = registry.join({
          call,
          agent: 'a',
          terms: { root: true, unsaid: 'root' },
          target: { server: 's', method: 'tools/call', tool: 't', args: {} },
          step: () => `sha256:${at}`,
          link: () => 'sha256:',
          now: 0,
          timeoutMs: 60_000,
          ...(parent === undefined
            ? {}
            : { presented: { from: 'self', root: parent, node: parent, digest: `sha256:${parent}` } }),
        });
        if ('code' in place) continue;
        expect(registry.start(call, { now: 0, token: `sha256:${call}` })).toBeUndefined();
        parents.set(call, parent);
      }
      const all = [...parents.keys()];
      const chosen = all[which % all.length] ?? all[0];
      const isBelow = (call: CallId | undefined): boolean =>
        call !== undefined && (call === chosen || isBelow(parents.get(call)));
      expect(new Set(registry.revoke('node', chosen as CallId))).toEqual(new Set(all.filter(isBelow)));
      for (const call of all) expect(registry.problem(call, 0) === undefined).toBe(!isBelow(call));
    }),
    { numRuns: 5 },
  );
});
