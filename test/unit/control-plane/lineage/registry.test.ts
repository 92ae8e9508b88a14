import { beforeEach, describe, expect, it } from 'vitest';
import { LINEAGE_LIMITS } from '../../../../control-plane/lineage/limits.ts';
import type { EarlierRound, Joining, Place, RemoteParent } from '../../../../control-plane/lineage/place.ts';
import { LineageRegistry } from '../../../../control-plane/lineage/registry.ts';
import type { Denial } from '../../../../domain/denial.ts';
import type { Digest } from '../../../../domain/digest.ts';
import { type CallId, ulid } from '../../../../domain/ids.ts';
import type { Scope } from '../../../../domain/scope.ts';

const ROOT = { root: true, unsaid: 'root' } as const;
const CHILD = { root: false, unsaid: 'deny' } as const;

let count = 0;
const id = (): CallId =>
  ulid(
    1_000,
    Uint8Array.from({ length: 10 }, (_, at) => (at === 9 ? count++ % 256 : Math.floor(count / 256) % 256)),
  );
const digest = (text: string): Digest => `sha256:${text.padEnd(43, '0')}`;

let revoked: Set<string>;
let peers: Record<string, 'running' | 'ended' | 'revoked' | 'stale'>;
let registry: LineageRegistry;

beforeEach(() => {
  revoked = new Set();
  peers = {};
  registry = open();
});

function open(limits = LINEAGE_LIMITS): LineageRegistry {
  return new LineageRegistry({
    revocations: { has: (kind, name) => revoked.has(`${kind} ${name}`) },
    peers: { state: (issuer, node) => peers[`${issuer} ${node}`] ?? 'unknown' },
    limits,
  });
}

function joining(more: Partial<Joining> = {}): Joining {
  const call = more.call ?? id();
  return {
    call,
    agent: 'planner',
    terms: ROOT,
    target: { server: 'fs', method: 'tools/call', tool: 'read', args: {} },
    step: () => digest(call),
    link: (above) => digest(`${above?.slice(7, 20) ?? ''}.${call.slice(-5)}`),
    now: 0,
    timeoutMs: 10_000,
    ...more,
  };
}

function joined(more: Partial<Joining> = {}): Place {
  const place = registry.join(joining(more));
  if ('code' in place) throw new Error(place.code);
  return place;
}

/** A call that runs, and what a callee presents that belongs to it. */
function running(more: Partial<Joining> = {}, start: { process?: string; narrowing?: Scope } = {}) {
  const { node: call } = joined(more);
  const token = digest(`token${call}`);
  expect(registry.start(call, { now: 0, token, ...start })).toBeUndefined();
  return { call, presented: { from: 'self', root: call, node: call, digest: token } as const };
}

const under = (presented: Joining['presented'], more: Partial<Joining> = {}): Partial<Joining> => ({
  agent: 'reviewer',
  terms: CHILD,
  ...(presented === undefined ? {} : { presented }),
  ...more,
});

const codeOf = (result: Place | Denial | undefined): string | undefined =>
  result !== undefined && 'code' in result ? result.code : undefined;
const refusal = (more: Partial<Joining>): string | undefined => codeOf(registry.join(joining(more)));

describe('a call that says nothing of its place', () => {
  it('is denied where it must say it', () => {
    expect(refusal({ terms: CHILD })).toBe('LINEAGE_MISSING');
    expect(refusal({ terms: { root: true, unsaid: 'deny' } })).toBe('LINEAGE_MISSING');
  });

  it('starts no chain for an agent that may not', () => {
    expect(refusal({ terms: { root: false, unsaid: 'root' } })).toBe('LINEAGE_NOT_ROOT');
  });

  it('is put under the one call that its process works on, and under no other', () => {
    const infer = { root: false, unsaid: 'infer' } as const;
    expect(refusal({ terms: infer })).toBe('LINEAGE_MISSING');
    expect(refusal({ terms: infer, process: 'p' })).toBe('LINEAGE_MISSING');
    const { call } = running({}, { process: 'p' });
    expect(joined({ terms: infer, process: 'p' })).toMatchObject({ parent: call, origin: 'inferred', depth: 1 });
    running({}, { process: 'p' });
    expect(refusal({ terms: infer, process: 'p' })).toBe('LINEAGE_AMBIGUOUS');
    expect(refusal({ terms: infer, process: 'q' })).toBe('LINEAGE_MISSING');
  });

  it('is a root otherwise', () => {
    const place = joined();
    expect(place).toMatchObject({ root: place.node, parent: null, depth: 0, origin: 'root', scopes: [], joined: [] });
  });
});

describe('a token', () => {
  it('of a call that is not known, or another one of a call that is, points at nothing', () => {
    const { call } = running();
    expect(refusal(under({ from: 'self', root: id(), node: id(), digest: digest('x') }))).toBe(
      'LINEAGE_UNKNOWN_PARENT',
    );
    expect(refusal(under({ from: 'self', root: call, node: call, digest: digest('x') }))).toBe(
      'LINEAGE_UNKNOWN_PARENT',
    );
  });

  it('of a call that did not start, or has ended, is worth nothing', () => {
    const root = running();
    const { node } = joined(under(root.presented));
    expect(refusal(under({ from: 'self', root: node, node, digest: digest('x') }))).toBe(
      'LINEAGE_PARENT_NOT_EXECUTING',
    );
    const child = running(under(root.presented));
    registry.end(child.call);
    expect(refusal(under(child.presented))).toBe('LINEAGE_PARENT_NOT_EXECUTING');
    expect(refusal(under(root.presented))).toBeUndefined();
  });

  it('of what was revoked is told from an invented one, also when it is over', () => {
    for (const kind of ['root', 'node']) {
      const { call, presented } = running();
      registry.end(call);
      expect(refusal(under(presented))).toBe('LINEAGE_UNKNOWN_PARENT');
      revoked.add(`${kind} ${call}`);
      expect(refusal(under(presented))).toBe('LINEAGE_REVOKED');
    }
  });

  it('of a chain that is over is unknown, and nothing of it is kept', () => {
    const root = running();
    const child = running(under(root.presented));
    expect(registry.end(root.call)).toEqual([child.call]);
    expect(registry.size).toBe(2);
    registry.end(child.call);
    expect(registry.size).toBe(0);
    expect(refusal(under(child.presented))).toBe('LINEAGE_UNKNOWN_PARENT');
  });

  it('given to a call that makes none, has none', () => {
    const { node } = joined();
    expect(registry.start(node, { now: 0 })).toBeUndefined();
    expect(refusal(under({ from: 'self', root: node, node, digest: digest('') }))).toBe('LINEAGE_UNKNOWN_PARENT');
  });

  it('puts a call under its own', () => {
    const root = running();
    const child = running(under(root.presented));
    expect(
      joined(under(child.presented, { target: { server: 'db', method: 'tools/call', tool: 'q', args: {} } })),
    ).toMatchObject({
      root: root.call,
      parent: child.call,
      depth: 2,
      origin: 'token',
      servers: ['fs', 'fs', 'db'],
    });
  });
});

describe('a process that several calls share', () => {
  it('acts under the limits of all that it works on', () => {
    const narrow: Scope = [{ server: 'fs', actions: ['read'] }];
    const root = running();
    const one = running(under(root.presented), { process: 'p' });
    const two = running(under(root.presented, { timeoutMs: 500 }), { process: 'p', narrowing: narrow });
    const write = { server: 'fs', method: 'tools/call', tool: 'write', args: {} };
    expect(refusal(under(one.presented, { process: 'p', target: write }))).toBe('LINEAGE_SCOPE');
    const place = joined(under(one.presented, { process: 'p' }));
    expect(place).toMatchObject({ parent: one.call, joined: [two.call], scopes: [narrow] });
    expect(place.deadline).toBe(500 - LINEAGE_LIMITS.marginMs);
    expect(registry.end(two.call)).toEqual([place.node]);
  });

  it('works for one chain at a time', () => {
    const one = running({}, { process: 'p' });
    const two = running({}, { process: 'p' });
    expect(refusal(under(one.presented, { process: 'p' }))).toBe('LINEAGE_MIXED_ROOTS');
    registry.end(two.call);
    expect(refusal(under(one.presented, { process: 'p' }))).toBeUndefined();
  });
});

describe('a call', () => {
  it('joins once and starts once', () => {
    const { call } = running();
    expect(() => registry.join(joining({ call }))).toThrow('joins once');
    expect(() => registry.start(call, { now: 0 })).toThrow('starts once');
  });

  it('does not start once it has ended, in a tree that goes on', () => {
    const root = running();
    const { node } = joined(under(root.presented));
    registry.end(node);
    expect(codeOf(registry.start(node, { now: 0 }))).toBe('LINEAGE_PARENT_ENDED');
  });

  it('that nobody knows may not go on, and stands nowhere', () => {
    expect(codeOf(registry.problem(id(), 0))).toBe('LINEAGE_UNKNOWN_PARENT');
    expect(registry.standing(id(), 0)).toBeUndefined();
  });

  it('has under it what joined there, ended or not, from the top', () => {
    expect(registry.under(id())).toEqual([]);
    const root = running();
    expect(registry.under(root.call)).toEqual([]);
    const child = running(under(root.presented));
    const grandchild = running(under(child.presented));
    registry.end(grandchild.call);
    expect(registry.under(root.call)).toEqual([child.call, grandchild.call]);
  });

  it('stands somewhere as long as it is open', () => {
    const root = running();
    const child = joined(under(root.presented));
    expect(registry.standing(child.node, 0)).toMatchObject({ root: root.call, node: child.node, depth: 1 });
    registry.end(child.node);
    expect(registry.standing(child.node, 0)).toBeUndefined();
  });
});

describe('the shape of a tree', () => {
  it('has a greatest depth', () => {
    let { presented } = running();
    for (let depth = 1; depth <= LINEAGE_LIMITS.depthMax; depth += 1) {
      presented = running(
        under(presented, { target: { server: `s${depth}`, method: 'tools/call', tool: 't', args: {} } }),
      ).presented;
    }
    expect(refusal(under(presented))).toBe('LINEAGE_DEPTH');
  });

  it('has no call twice in one chain, nor one server too often', () => {
    const step = () => digest('same');
    const root = running({ step });
    expect(refusal(under(root.presented, { step }))).toBe('LINEAGE_CYCLE');
    const third = running(under(running(under(root.presented)).presented));
    expect(refusal(under(third.presented))).toBe('LINEAGE_CYCLE');
    const db = { server: 'db', method: 'tools/call', tool: 'q', args: {} };
    expect(refusal(under(third.presented, { target: db }))).toBeUndefined();
  });

  it('is compared with whatever is above by what is worked out once', () => {
    const db = { server: 'db', method: 'tools/call', tool: 'q', args: {} };
    const third = running(under(running(under(running().presented)).presented, { target: db }));
    let worked = 0;
    const step = () => {
      worked += 1;
      return digest('mine');
    };
    expect(refusal(under(third.presented, { target: db, step }))).toBeUndefined();
    expect(worked).toBe(1);
  });

  it('has so many calls under one, ended ones included', () => {
    const root = running();
    for (let child = 0; child < LINEAGE_LIMITS.childrenMax; child += 1)
      registry.end(joined(under(root.presented)).node);
    expect(refusal(under(root.presented))).toBe('LINEAGE_FANOUT');
  });

  it('has so many calls in all', () => {
    registry = open({ ...LINEAGE_LIMITS, treeMax: 3 });
    const root = running();
    const child = running(under(root.presented));
    joined(under(child.presented));
    expect(refusal(under(child.presented))).toBe('LINEAGE_TREE');
  });

  it('does not count what was refused', () => {
    const root = running();
    for (let times = 0; times < 100; times += 1) refusal(under(root.presented, { step: () => digest(root.call) }));
    expect(refusal(under(root.presented))).toBeUndefined();
    expect(registry.size).toBe(2);
  });
});

describe('authority', () => {
  const reading: Scope = [{ server: 'fs', actions: ['read'] }];
  const write = { server: 'fs', method: 'tools/call', tool: 'write', args: {} };

  it('of a root is what its agent may at most', () => {
    expect(refusal({ terms: { ...ROOT, scope: reading }, target: write })).toBe('LINEAGE_SCOPE');
    expect(joined({ terms: { ...ROOT, scope: reading } }).scopes).toEqual([reading]);
  });

  it('of a child is in the scope of everything above it', () => {
    const root = running({}, { narrowing: reading });
    const child = running(under(root.presented));
    expect(refusal(under(root.presented, { target: write }))).toBe('LINEAGE_SCOPE');
    expect(refusal(under(child.presented, { target: write }))).toBe('LINEAGE_SCOPE');
  });

  it('is narrowed and never widened', () => {
    const root = running({}, { narrowing: reading });
    const { node } = joined(under(root.presented));
    const start = { now: 0, token: digest('t') };
    expect(codeOf(registry.start(node, { ...start, narrowing: [{ server: 'fs', actions: ['*'] }] }))).toBe(
      'LINEAGE_SCOPE_WIDENING',
    );
    expect(registry.start(node, { ...start, narrowing: [] })).toBeUndefined();
    expect(refusal(under({ from: 'self', root: node, node, digest: digest('t') }))).toBe('LINEAGE_SCOPE');
  });

  it('that is narrowed twice is limited by both', () => {
    const files: Scope = [{ server: 'fs', actions: ['read'], under: { '/path': ['/w'] } }];
    const root = running({}, { narrowing: reading });
    const child = running(under(root.presented), { narrowing: files });
    const read = { server: 'fs', method: 'tools/call', tool: 'read', args: { path: '/w/a' } };
    expect(joined(under(child.presented, { target: read })).scopes).toEqual([reading, files]);
  });

  it('of several calls together is carried in a bounded number of scopes too', () => {
    registry = open({ ...LINEAGE_LIMITS, scopesMax: 2 });
    const root = running({}, { process: 'p' });
    const others = [1, 2, 3].map(() => running(under(root.presented), { process: 'p', narrowing: [...reading] }));
    expect(refusal(under(root.presented, { process: 'p' }))).toBe('LINEAGE_SCOPE');
    registry.end(others[0]?.call as CallId);
    expect(refusal(under(root.presented, { process: 'p' }))).toBeUndefined();
  });

  it('of one call is as much as its agent was given', () => {
    const names = Array.from({ length: 100 }, (_, nth) => `${nth}`.padEnd(100, 'x'));
    const scope: Scope = [{ server: 'fs', actions: ['read', ...names] }];
    const root = running({ terms: { ...ROOT, scope } });
    expect(joined(under(root.presented)).scopes).toEqual([scope]);
  });

  it('of several calls together is no more than an entry holds', () => {
    const root = running({}, { process: 'p' });
    const long = (nth: number): Scope => [
      { server: 'fs', actions: ['read', ...Array.from({ length: 16 }, (_, at) => `${nth} ${at}`.padEnd(250, 'x'))] },
    ];
    running(under(root.presented), { process: 'p', narrowing: long(1) });
    expect(refusal(under(root.presented, { process: 'p' }))).toBeUndefined();
    running(under(root.presented), { process: 'p', narrowing: long(2) });
    expect(refusal(under(root.presented, { process: 'p' }))).toBe('LINEAGE_SCOPE');
  });

  it('is carried along in a bounded number of scopes', () => {
    registry = open({ ...LINEAGE_LIMITS, scopesMax: 1 });
    const root = running({}, { narrowing: reading });
    const { node } = joined(under(root.presented));
    expect(codeOf(registry.start(node, { now: 0, narrowing: reading }))).toBe('LINEAGE_SCOPE_WIDENING');
  });
});

describe('time', () => {
  it('of a child is over before that of everything above it', () => {
    const root = running({ timeoutMs: 1_000 });
    const child = running(under(root.presented));
    expect(joined(under(child.presented)).deadline).toBe(1_000 - 2 * LINEAGE_LIMITS.marginMs);
    const short = running(under(root.presented, { timeoutMs: 200, agent: 'other' }));
    expect(joined(under(short.presented)).deadline).toBe(200 - LINEAGE_LIMITS.marginMs);
  });

  it('of a call that waits for its turn does not pass, except for what is above it', () => {
    const root = joined({ timeoutMs: 1_000 });
    expect(root.deadline).toBe(Number.POSITIVE_INFINITY);
    expect(registry.start(root.node, { now: 5_000, token: digest('t') })).toBeUndefined();
    expect(codeOf(registry.problem(root.node, 6_000))).toBe('LINEAGE_EXPIRED');
    const { node } = joined(
      under({ from: 'self', root: root.node, node: root.node, digest: digest('t') }, { now: 5_000 }),
    );
    expect(codeOf(registry.start(node, { now: 5_950 }))).toBe('LINEAGE_EXPIRED');
  });

  it('that is over admits nothing, and lets nothing start', () => {
    const root = running({ timeoutMs: 1_000 });
    const { node } = joined(under(root.presented));
    expect(refusal(under(root.presented, { now: 950 }))).toBe('LINEAGE_EXPIRED');
    expect(refusal(under(root.presented, { now: 1_000 }))).toBe('LINEAGE_EXPIRED');
    expect(codeOf(registry.start(node, { now: 950 }))).toBe('LINEAGE_EXPIRED');
    expect(codeOf(registry.problem(node, 1_000))).toBe('LINEAGE_EXPIRED');
  });

  it('that is over is said of the call above whose it is', () => {
    const root = running({ timeoutMs: 1_000 });
    const refused = registry.join(joining(under(root.presented, { now: 1_000 })));
    expect(refused).toMatchObject({ code: 'LINEAGE_EXPIRED', detail: root.call });
  });
});

describe('an end', () => {
  it('names everything under it that is open, once and from the top', () => {
    const root = running();
    const child = running(under(root.presented));
    const other = running(under(root.presented));
    const grandchild = running(under(child.presented));
    registry.end(other.call);
    expect(registry.end(root.call)).toEqual([child.call, grandchild.call]);
    expect(registry.end(root.call)).toEqual([]);
    expect(codeOf(registry.problem(grandchild.call, 0))).toBe('LINEAGE_PARENT_NOT_EXECUTING');
    registry.end(grandchild.call);
    registry.end(child.call);
  });

  it('comes before the start of whatever was not started yet', () => {
    const root = running();
    const { node } = joined(under(root.presented));
    registry.end(root.call);
    expect(codeOf(registry.start(node, { now: 0 }))).toBe('LINEAGE_PARENT_NOT_EXECUTING');
    registry.end(node);
    expect(codeOf(registry.start(node, { now: 0 }))).toBe('LINEAGE_PARENT_ENDED');
  });
});

describe('a revocation', () => {
  it('holds for what runs before anything is stopped', () => {
    for (const text of ['root', 'node', 'agent']) {
      const { call } = running({ agent: `agent-${text}` });
      revoked.add(`${text} ${text === 'agent' ? 'agent-agent' : call}`);
      expect(codeOf(registry.problem(call, 0))).toBe('LINEAGE_REVOKED');
    }
  });

  it.each([
    ['root', (root: CallId) => root, ['root', 'child', 'grandchild', 'other']],
    ['node', (_: CallId, child: CallId) => child, ['child', 'grandchild']],
    ['agent', () => 'reviewer', ['child', 'grandchild']],
    ['server', () => 'db', ['grandchild']],
    ['tool', () => 'db/q', ['grandchild']],
  ] as const)('of a %s stops it and everything under it, and nothing else', (kind, which, stopped) => {
    const root = running();
    const child = running(under(root.presented));
    const grandchild = running(
      under(child.presented, { agent: 'worker', target: { server: 'db', method: 'tools/call', tool: 'q', args: {} } }),
    );
    const other = running(under(root.presented, { agent: 'other' }));
    const stranger = running({ agent: 'stranger' });
    const all = { root, child, grandchild, other };
    expect(new Set(registry.revoke(kind, which(root.call, child.call)))).toEqual(
      new Set(stopped.map((name) => all[name].call)),
    );
    for (const name of stopped) {
      expect(codeOf(registry.problem(all[name].call, 0))).toBe('LINEAGE_REVOKED');
      expect(refusal(under(all[name].presented, { agent: 'any' }))).toBe('LINEAGE_REVOKED');
    }
    expect(registry.problem(stranger.call, 0)).toBeUndefined();
  });

  it('that is known holds although nobody walked the tree yet', () => {
    const root = running();
    const child = running(under(root.presented));
    for (const name of [`root ${root.call}`, `node ${root.call}`, 'agent planner']) {
      revoked = new Set([name]);
      expect(refusal(under(child.presented))).toBe('LINEAGE_REVOKED');
      expect(codeOf(registry.problem(child.call, 0))).toBe('LINEAGE_REVOKED');
    }
  });

  it('of its own agent, server or id keeps a root out', () => {
    revoked = new Set(['agent planner']);
    expect(refusal({})).toBe('REVOKED_AGENT');
    revoked = new Set(['server fs']);
    expect(refusal({})).toBe('REVOKED_SERVER');
    const call = id();
    revoked = new Set([`root ${call}`]);
    expect(refusal({ call })).toBe('REVOKED_ROOT');
  });
});

describe('a parent at a peer', () => {
  const remote = (more: Partial<RemoteParent> = {}) =>
    ({
      from: 'peer',
      issuer: 'urn:portcullis:peer',
      root: REMOTE_ROOT,
      node: REMOTE,
      depth: 1,
      chain: digest('c'),
      scopes: [],
      servers: ['a'],
      agents: ['far'],
      deadline: 1_000,
      ...more,
    }) as const;
  const REMOTE = ulid(1, new Uint8Array(10));
  const REMOTE_ROOT = ulid(2, new Uint8Array(10));
  const says = (state: 'running' | 'ended' | 'revoked' | 'stale') => {
    peers[`urn:portcullis:peer ${REMOTE}`] = state;
  };

  it('counts only while the peer is heard and says that it runs', () => {
    expect(refusal(under(remote()))).toBe('LINEAGE_UNKNOWN_PARENT');
    says('stale');
    expect(refusal(under(remote()))).toBe('LINEAGE_PEER_STALE');
    says('ended');
    expect(refusal(under(remote()))).toBe('LINEAGE_PARENT_NOT_EXECUTING');
    says('revoked');
    expect(refusal(under(remote()))).toBe('LINEAGE_REVOKED');
    expect(registry.size).toBe(0);
    says('running');
    const { node } = joined(under(remote()));
    for (const [state, code] of [
      ['stale', 'LINEAGE_PEER_STALE'],
      ['revoked', 'LINEAGE_REVOKED'],
      ['ended', 'LINEAGE_PARENT_NOT_EXECUTING'],
    ] as const) {
      says(state);
      expect(codeOf(registry.problem(node, 0))).toBe(code);
    }
  });

  it('passes on its depth, scopes, servers and time', () => {
    says('running');
    expect(refusal(under(remote({ depth: LINEAGE_LIMITS.depthMax })))).toBe('LINEAGE_DEPTH');
    expect(refusal(under(remote({ servers: ['fs', 'fs', 'fs'] })))).toBe('LINEAGE_CYCLE');
    expect(refusal(under(remote({ scopes: [[]] })))).toBe('LINEAGE_SCOPE');
    expect(refusal(under(remote({ deadline: 0 })))).toBe('LINEAGE_EXPIRED');
    expect(registry.size).toBe(0);
    expect(joined(under(remote()))).toMatchObject({
      root: REMOTE_ROOT,
      parent: REMOTE,
      depth: 2,
      origin: 'peer',
      issuer: 'urn:portcullis:peer',
      deadline: 1_000 - LINEAGE_LIMITS.marginMs,
    });
  });

  it('that ends, or whose peer is believed no more, takes with it what is here', () => {
    says('running');
    const child = running(under(remote()));
    const grandchild = running(under(child.presented));
    expect(registry.peerEnded('urn:portcullis:other')).toEqual([]);
    expect(registry.peerEnded('urn:portcullis:peer', REMOTE)).toEqual([child.call, grandchild.call]);
    registry.end(grandchild.call);
    registry.end(child.call);
    expect(registry.size).toBe(0);
    const again = running(under(remote()));
    expect(registry.peerEnded('urn:portcullis:peer')).toEqual([again.call]);
  });

  it('has a chain that is open here as long as something of it runs here', () => {
    says('running');
    expect([REMOTE_ROOT, id()].map((root) => registry.isOpen(root))).toEqual([false, false]);
    const own = running();
    const child = running(under(remote()));
    expect([own.call, REMOTE_ROOT, child.call].map((root) => registry.isOpen(root))).toEqual([true, true, false]);
    registry.end(own.call);
    registry.end(child.call);
    registry.peerEnded('urn:portcullis:peer', REMOTE);
    expect([own.call, REMOTE_ROOT].map((root) => registry.isOpen(root))).toEqual([false, false]);
  });

  it('is one execution, however many calls are under it', () => {
    registry = open({ ...LINEAGE_LIMITS, childrenMax: 2 });
    says('running');
    const children = [running(under(remote())), running(under(remote()))];
    expect(registry.size).toBe(3);
    expect(refusal(under(remote()))).toBe('LINEAGE_FANOUT');
    for (const { call } of children) registry.end(call);
    registry.peerEnded('urn:portcullis:peer', REMOTE);
    expect(registry.size).toBe(0);
  });

  it('is not shown among what is open here, which is shown by its chain', () => {
    says('running');
    const own = running();
    const child = joined(under(remote()));
    expect([...registry.open(own.call)]).toEqual([own.call]);
    expect([...registry.open()].sort()).toEqual([own.call, child.node].sort());
  });

  it('does not mix with an execution of the same id here', () => {
    says('running');
    const own = running({ call: REMOTE });
    const child = joined(under(remote()));
    expect(registry.end(own.call)).toEqual([]);
    expect(registry.problem(child.node, 0)).toBeUndefined();
  });
});

describe('a round', () => {
  const roundAfter = (call: CallId, more: Partial<EarlierRound> = {}): EarlierRound => ({
    call,
    root: call,
    parent: null,
    before: [],
    ...more,
  });

  it('stands under the root of the first', () => {
    const first = running();
    registry.end(first.call);
    const second = joined({ continues: roundAfter(first.call) });
    expect(second).toMatchObject({ root: first.call, parent: null, depth: 0, origin: 'root' });
    registry.start(second.node, { now: 0, token: digest('second') });
    expect([...registry.open(first.call)]).toEqual([second.node]);
    expect(registry.revoke('root', first.call)).toEqual([second.node]);
  });

  it('goes on with nothing that stood elsewhere', () => {
    const first = running();
    const other = running();
    const child = joined(under(first.presented));
    registry.end(child.node);
    const continues = roundAfter(child.node, { root: first.call, parent: first.call });
    expect(refusal({ continues })).toBe('LINEAGE_ROUND');
    expect(refusal(under(other.presented, { continues }))).toBe('LINEAGE_ROUND');
    expect(refusal(under(first.presented, { continues: { ...continues, issuer: 'peer' } }))).toBe('LINEAGE_ROUND');
    expect(refusal(under(first.presented, { continues: { ...continues, root: other.call } }))).toBe('LINEAGE_ROUND');
    expect(joined(under(first.presented, { continues }))).toMatchObject({ root: first.call, parent: first.call });
  });

  it('goes on under nothing that is over', () => {
    const first = running();
    const child = joined(under(first.presented));
    registry.end(child.node);
    registry.end(first.call);
    const continues = roundAfter(child.node, { root: first.call, parent: first.call });
    expect(refusal(under(first.presented, { continues }))).toBe('LINEAGE_UNKNOWN_PARENT');
  });

  it('goes on with nothing that was revoked, however many rounds ago', () => {
    const first = running();
    registry.end(first.call);
    revoked.add(`root ${first.call}`);
    expect(refusal({ continues: roundAfter(first.call) })).toBe('REVOKED_ROOT');
    revoked = new Set([`node ${first.call}`]);
    expect(refusal({ continues: roundAfter(first.call) })).toBe('LINEAGE_REVOKED');
    expect(refusal({ continues: roundAfter(id(), { root: first.call, before: [first.call] }) })).toBe(
      'LINEAGE_REVOKED',
    );
  });

  it('is stopped with what revokes an earlier one', () => {
    const first = running();
    registry.end(first.call);
    const { node } = joined({ continues: roundAfter(first.call) });
    expect(registry.problem(node, 0)).toBeUndefined();
    expect(registry.revoke('node', first.call)).toEqual([node]);
    expect(codeOf(registry.problem(node, 0))).toBe('LINEAGE_REVOKED');
    const third = joined({ continues: roundAfter(id(), { before: [id()] }) });
    revoked.add(`node ${third.root}`);
    expect(codeOf(registry.problem(third.node, 0))).toBe('LINEAGE_REVOKED');
  });
});
