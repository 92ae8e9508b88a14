import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../../adapters/crypto/node-crypto.ts';
import { LineageAudit } from '../../../../control-plane/lineage/audit.ts';
import type { ChainRule } from '../../../../control-plane/lineage/place-problems.ts';
import type { JsonObject } from '../../../../domain/json.ts';
import { proves } from '../../../guarantees.ts';
import { History } from '../../../support/history.ts';
import { digestOf, goodPermit, key as permitKey } from '../../../support/permits.ts';

const auditOf = ({ entries }: History): LineageAudit => {
  const audit = new LineageAudit(sha256);
  for (const entry of entries) audit.entry(entry);
  return audit;
};
const found = (history: History) => auditOf(history).findings.map(({ rule, seq, call }) => [rule, seq, call]);
const root = () => new History().intent('root');
const READ = [{ server: 'fs', actions: ['read'] }];
const LESS = [{ server: 'fs', actions: ['read'], under: { '/path': ['/srv/ws'] } }];
const HERE = 'sha256:hFfSLKTZ6nKpoydDNbXE6aFpwNR2V4eF2fwx47tbvF0';
const fan = (children: number): History => {
  const history = root();
  for (let nth = 0; nth < children; nth++) history.intent(`child-${nth}`, { parent: 'root' });
  return history;
};
const chain = (length: number): History => {
  const history = root();
  for (let nth = 1; nth <= length; nth++) history.intent(`at-${nth}`, { parent: nth === 1 ? 'root' : `at-${nth - 1}` });
  return history;
};
const waiting = (told: Parameters<History['intent']>[1] = {}) =>
  new History().intent('first', { server: 'fs', ...told }).ending('first', 'incomplete');
const ROUND = { kind: 'continues', call: 'first' } as const;

/** Histories that no gate writes: what is found, where, and of which call. */
const FORGED: readonly (readonly [string, () => History, readonly (readonly [ChainRule, number, string])[]])[] = [
  ['begins while it is open', () => root().intent('root'), [['once', 1, 'root']]],
  ['begins after it ended', () => root().ending('root').intent('root'), [['once', 2, 'root']]],
  ['ends without having begun', () => new History().ending('root'), [['ending', 0, 'root']]],
  ['ends twice', () => root().ending('root').ending('root'), [['ending', 2, 'root']]],
  [
    'ends twice in a tree that goes on',
    () => root().intent('c', { parent: 'root' }).ending('c').ending('c'),
    [['ending', 3, 'c']],
  ],
  ['is denied after it began', () => root().denial('root'), [['ending', 1, 'root']]],
  ['is denied after it ended', () => root().ending('root').denial('root'), [['ending', 2, 'root']]],
  ['says that it is another', () => new History().intent('root', { lies: { node: 'other' } }), [['place', 0, 'root']]],
  [
    'has another root without a parent',
    () => new History().intent('c', { lies: { root: 'other' } }),
    [['place', 0, 'c']],
  ],
  ['has no root at all', () => new History().intent('c', { lies: { root: 1 } }), [['place', 0, 'c']]],
  ['has a parent that is no call', () => new History().intent('c', { lies: { parent: 1 } }), [['place', 0, 'c']]],
  [
    'has a place that cannot be read',
    () => new History().intent('c', { lies: { agents: 'planner' } }),
    [['place', 0, 'c']],
  ],
  [
    'has no parent and something above it',
    () => new History().intent('c', { lies: { depth: 1 } }),
    [['place', 0, 'c']],
  ],
  [
    'has agents above it and no parent',
    () => new History().intent('c', { lies: { agents: ['a'] } }),
    [['place', 0, 'c']],
  ],
  ['has a link and no parent', () => new History().intent('c', { lies: { above: HERE } }), [['place', 0, 'c']]],
  [
    'is joined to others and has no parent',
    () => new History().intent('c', { lies: { joined: ['x'] } }),
    [['place', 0, 'c']],
  ],
  [
    'has a parent that never began',
    () => new History().intent('c', { lies: { parent: 'p', depth: 1 } }),
    [['parent', 0, 'c']],
  ],
  ['is its own parent', () => new History().intent('c', { lies: { parent: 'c', depth: 1 } }), [['parent', 0, 'c']]],
  [
    'is under what comes only later',
    () => new History().intent('c', { lies: { parent: 'later' } }).intent('later'),
    [['parent', 0, 'c']],
  ],
  [
    'is under what has ended',
    () => root().intent('b', { parent: 'root' }).ending('b').intent('c', { parent: 'b' }),
    [['parent', 3, 'c']],
  ],
  ['is under a tree that is over', () => root().ending('root').intent('c', { parent: 'root' }), [['parent', 2, 'c']]],
  [
    'is under what ran before a crash',
    () => root().restart().intent('c', { parent: 'root' }),
    [
      ['recovery', 2, 'root'],
      ['parent', 2, 'c'],
    ],
  ],
  [
    'is joined to what has ended',
    () =>
      root()
        .intent('b', { parent: 'root' })
        .ending('b')
        .intent('c', { parent: 'root', joined: ['b'] }),
    [['parent', 3, 'c']],
  ],
  [
    'has another root than its parent',
    () => root().intent('c', { parent: 'root', lies: { root: 'other' } }),
    [['continuity', 1, 'c']],
  ],
  [
    'is not one below its parent',
    () => root().intent('c', { parent: 'root', lies: { depth: 2 } }),
    [['continuity', 1, 'c']],
  ],
  [
    'leaves out an agent above it',
    () => root().intent('c', { parent: 'root', lies: { agents: [] } }),
    [['continuity', 1, 'c']],
  ],
  [
    'names another agent above it',
    () => root().intent('c', { parent: 'root', lies: { agents: ['b'] } }),
    [['continuity', 1, 'c']],
  ],
  [
    'goes on from another link',
    () => root().intent('c', { parent: 'root', lies: { above: HERE } }),
    [['continuity', 1, 'c']],
  ],
  [
    'is joined to a call under another root',
    () =>
      root()
        .intent('else')
        .intent('c', { parent: 'root', joined: ['else'] }),
    [['continuity', 2, 'c']],
  ],
  [
    'is free of a scope of its parent',
    () => new History().intent('root', { scopes: [READ] }).intent('c', { parent: 'root' }),
    [['scopes', 1, 'c']],
  ],
  [
    'has a wider scope than its parent',
    () => new History().intent('root', { scopes: [LESS] }).intent('c', { parent: 'root', scopes: [READ] }),
    [['scopes', 1, 'c']],
  ],
  [
    'is free of what its parent handed on',
    () => new History().intent('root', { narrowed: LESS }).intent('c', { parent: 'root' }),
    [['scopes', 1, 'c']],
  ],
  [
    'is free of a scope of one it is joined to',
    () =>
      root()
        .intent('b', { parent: 'root', narrowed: LESS })
        .intent('c', { parent: 'root', joined: ['b'] }),
    [['scopes', 2, 'c']],
  ],
  ['lies too deep', () => chain(9), [['limits', 9, 'at-9']]],
  ['is one too many under one', () => fan(65), [['limits', 65, 'child-64']]],
  [
    'comes to a server too often',
    () =>
      root()
        .intent('1', { parent: 'root', server: 's' })
        .intent('2', { parent: '1', server: 's' })
        .intent('3', { parent: '2', server: 's' })
        .intent('4', { parent: '3', server: 's' }),
    [['limits', 4, '4']],
  ],
  [
    'goes on for what does not wait',
    () =>
      root()
        .ending('root')
        .intent('r', { relation: { kind: 'continues', call: 'root' } }),
    [['round', 2, 'r']],
  ],
  [
    'goes on with a task',
    () =>
      new History()
        .intent('first')
        .entry('call.ending', {
          call: 'first',
          outcome: { status: 'incomplete', dispatched: true },
          events: [{ type: 'tool.answered', incomplete: 'task' }],
        })
        .intent('r', { relation: ROUND }),
    [['round', 2, 'r']],
  ],
  [
    'goes on with what was withheld',
    () =>
      new History()
        .intent('first')
        .entry('call.ending', {
          call: 'first',
          outcome: { status: 'withheld', dispatched: true },
          events: [{ type: 'tool.answered', incomplete: 'input_required' }],
        })
        .intent('r', { relation: ROUND }),
    [['round', 2, 'r']],
  ],
  [
    'is left open by a start, of whose tree a part had ended',
    () => root().intent('c', { parent: 'root' }).ending('c').restart().intent('new'),
    [['recovery', 4, 'root']],
  ],
  [
    'goes on twice',
    () =>
      waiting()
        .intent('r', { server: 'fs', relation: ROUND })
        .ending('r')
        .intent('s', { server: 'fs', relation: ROUND }),
    [['round', 4, 's']],
  ],
  [
    'goes on for another agent',
    () => waiting().intent('r', { server: 'fs', agent: 'b', relation: ROUND }),
    [['round', 2, 'r']],
  ],
  ['goes on with another server', () => waiting().intent('r', { server: 'db', relation: ROUND }), [['round', 2, 'r']]],
  [
    'goes on under another root',
    () => waiting().intent('r', { server: 'fs', relation: ROUND, lies: { root: 'other' } }),
    [['round', 2, 'r']],
  ],
  [
    'goes on under a root of its own and a parent of nobody',
    () => waiting().intent('r', { server: 'fs', relation: ROUND, lies: { root: 'r', parent: 'nobody' } }),
    [
      ['round', 2, 'r'],
      ['parent', 2, 'r'],
    ],
  ],
  [
    'goes on by itself with what was under another',
    () =>
      root()
        .intent('first', { parent: 'root', server: 'fs' })
        .ending('first', 'incomplete')
        .intent('r', {
          server: 'fs',
          relation: ROUND,
          lies: { root: 'r', parent: null, depth: 0, agents: [], above: undefined } as unknown as JsonObject,
        }),
    [['round', 3, 'r']],
  ],
  [
    'goes on free of a scope',
    () => waiting({ scopes: [READ] }).intent('r', { server: 'fs', relation: ROUND, lies: { scopes: [] } }),
    [['round', 2, 'r']],
  ],
  [
    'goes on and hands on more',
    () => waiting({ narrowed: LESS }).intent('r', { server: 'fs', relation: ROUND, narrowed: READ }),
    [['round', 2, 'r']],
  ],
  [
    'goes on with what was revoked meanwhile',
    () => waiting().revoked('node', 'first').intent('r', { server: 'fs', relation: ROUND }).ending('r'),
    [['revoked', 3, 'r']],
  ],
  [
    'goes on with what went on with what was revoked',
    () =>
      waiting()
        .intent('r', { server: 'fs', relation: ROUND })
        .ending('r', 'incomplete')
        .revoked('node', 'first')
        .intent('s', { server: 'fs', relation: { kind: 'continues', call: 'r' } })
        .ending('s'),
    [['revoked', 5, 's']],
  ],
  [
    'asks from elsewhere',
    () => root().intent('q', { relation: { kind: 'within', call: 'root' }, lies: { root: 'other' } }),
    [['continuity', 1, 'q']],
  ],
  [
    'is denied in a place that cannot be read',
    () => new History().denial('c', { lies: { root: 7 } }),
    [['place', 0, 'c']],
  ],
  [
    'is denied as under another root',
    () => root().denial('c', { parent: 'root', lies: { root: 'other' } }),
    [['continuity', 1, 'c']],
  ],
  [
    'is denied free of a scope',
    () => new History().intent('root', { scopes: [READ] }).denial('c', { parent: 'root' }),
    [['scopes', 1, 'c']],
  ],
  [
    'is denied as a question from elsewhere',
    () => root().denial('q', { relation: { kind: 'within', call: 'root' }, lies: { root: 'other' } }),
    [['continuity', 1, 'q']],
  ],
  [
    'runs after a peer stopped its chain',
    () =>
      root()
        .entry('peer.stopped', { peer: 'p', issuer: 'urn:p', kind: 'root', id: 'root' })
        .intent('c', { parent: 'root' })
        .ending('c')
        .ending('root'),
    [['revoked', 2, 'c']],
  ],
  [
    'ends before what is under it',
    () => root().intent('c', { parent: 'root' }).ending('root'),
    [['open_below', 2, 'root']],
  ],
  [
    'ends before what it is joined to',
    () =>
      root()
        .intent('b', { parent: 'root' })
        .intent('c', { parent: 'root', joined: ['b'] })
        .ending('b'),
    [['open_below', 3, 'b']],
  ],
  ['is left open by a start', () => root().restart().intent('new'), [['recovery', 2, 'root']]],
  ['ends by itself after the gate went down', () => root().restart().ending('root'), [['recovery', 2, 'root']]],
  ['is recovered though the gate never went down', () => root().recovered('root'), [['recovery', 1, 'root']]],
  [
    'is under something else of a peer than its sibling',
    () =>
      root()
        .ending('root')
        .intent('c', { parent: 'root', issuer: 'p' })
        .intent('d', { parent: 'root', issuer: 'p', lies: { agents: ['b'] } }),
    [['continuity', 3, 'd']],
  ],
  ...Object.entries({
    root: { root: 'other' },
    link: { above: HERE },
    depth: { depth: 2 },
  }).map(([what, lies]): (typeof FORGED)[number] => [
    `says another ${what} of a peer's than its sibling`,
    () =>
      root()
        .ending('root')
        .intent('c', { parent: 'root', issuer: 'p' })
        .intent('d', { parent: 'root', issuer: 'p', lies }),
    [['continuity', 3, 'd']],
  ]),
  ...Object.entries({ 'no agents': { agents: [] }, 'no link': { above: undefined } as unknown as JsonObject }).map(
    ([what, lies]): (typeof FORGED)[number] => [
      `has ${what} above it at a peer`,
      () => root().ending('root').intent('c', { parent: 'root', issuer: 'p', lies }),
      [['place', 2, 'c']],
    ],
  ),
  [
    'lies too deep under a peer',
    () =>
      root()
        .ending('root')
        .intent('c', { parent: 'root', issuer: 'p', lies: { depth: 9 } }),
    [['limits', 2, 'c']],
  ],
  [
    'is below nothing of a peer',
    () =>
      root()
        .ending('root')
        .intent('c', { parent: 'root', issuer: 'p', lies: { depth: 0 } }),
    [['place', 2, 'c']],
  ],
  ...[
    'root:root',
    'node:c',
    'node:root',
    'agent:a',
    'server:server-of-c',
    'server:server-of-root',
    'tool:server-of-c/t',
    'tool:server-of-root/t',
    'policy:sha256:policy',
    'jti:jti-c',
  ].map((text): (typeof FORGED)[number] => {
    const [kind = '', ...id] = text.split(':');
    return [
      `runs after its ${kind} ${id.join(':')} was revoked`,
      () => root().revoked(kind, id.join(':')).intent('c', { parent: 'root' }).ending('c').ending('root'),
      [['revoked', 2, 'c']],
    ];
  }),
  ...(['key', 'approval'] as const).map((kind): (typeof FORGED)[number] => [
    `runs after its ${kind} was revoked`,
    () =>
      new History()
        .revoked(kind, kind === 'key' ? permitKey.kid : digestOf('approval'))
        .intent('c', { permit: goodPermit() })
        .ending('c'),
    [['revoked', 1, 'c']],
  ]),
  [
    'runs while the gate is halted',
    () => new History().entry('gate.halted').intent('root').ending('root'),
    [['revoked', 1, 'root']],
  ],
  [
    'runs while it is halted since an earlier start',
    () => new History().entry('gate.halted').restart().intent('root').ending('root'),
    [['revoked', 2, 'root']],
  ],
  [
    'runs while a guard shuts the gate',
    () => new History().entry('gate.shut', { guard: 'engine' }).intent('root').ending('root'),
    [['revoked', 1, 'root']],
  ],
  [
    'runs while one of two guards shuts the gate',
    () =>
      new History()
        .entry('gate.shut', { guard: 'engine' })
        .entry('gate.shut', { guard: 'stall' })
        .entry('gate.opened', { guard: 'engine' })
        .intent('root')
        .ending('root'),
    [['revoked', 3, 'root']],
  ],
];

/** And histories that it may write. */
const TRUE: readonly (readonly [string, () => History])[] = [
  ['nothing', () => new History()],
  [
    'a chain that ends from below',
    () =>
      chain(8)
        .ending('at-8')
        .ending('at-7')
        .ending('at-6')
        .ending('at-5')
        .ending('at-4')
        .ending('at-3')
        .ending('at-2')
        .ending('at-1')
        .ending('root'),
  ],
  ['as many under one as may be', () => fan(64)],
  ['what was denied before it began', () => new History().denial('x').denial('x')],
  [
    'what was denied under a peer, of whose calls one has the id of one here',
    () => root().denial('c', { parent: 'root', issuer: 'p', lies: { root: 'other' } }),
  ],
  ['what was denied because it was too deep', () => chain(8).denial('at-9', { parent: 'at-8' })],
  ['what was denied when its parent was over', () => root().ending('root').denial('c', { parent: 'root' })],
  [
    'what was denied in a joined place',
    () =>
      root()
        .intent('b', { parent: 'root' })
        .denial('c', { parent: 'root', joined: ['b'] }),
  ],
  ['a question that was denied', () => chain(1).denial('q', { relation: { kind: 'within', call: 'at-1' } })],
  [
    'scopes that only grow',
    () =>
      new History()
        .intent('root', { scopes: [READ], narrowed: LESS })
        .intent('c', { parent: 'root', scopes: [READ, LESS] }),
  ],
  [
    'a call under several of one tree',
    () =>
      root()
        .intent('b', { parent: 'root' })
        .intent('c', { parent: 'root', joined: ['b'] })
        .ending('c')
        .ending('b')
        .ending('root'),
  ],
  [
    'a crash, and what was open ended from above',
    () => chain(2).restart('root', 'at-1', 'at-2').intent('new').ending('new'),
  ],
  ['a crash in the recovery from one', () => chain(1).restart('root').restart('at-1').intent('new')],
  [
    'rounds under one root',
    () => waiting({ narrowed: READ }).intent('r', { server: 'fs', relation: ROUND, narrowed: LESS }).ending('r'),
  ],
  [
    'rounds from before they shared a root',
    () =>
      waiting()
        .intent('r', { server: 'fs', relation: ROUND, lies: { root: 'r' } })
        .ending('r'),
  ],
  [
    'rounds under a parent',
    () =>
      root()
        .intent('first', { parent: 'root', server: 'fs' })
        .ending('first', 'incomplete')
        .intent('r', { server: 'fs', relation: ROUND })
        .ending('r')
        .ending('root'),
  ],
  [
    'what asks for a task, whenever it does',
    () =>
      new History()
        .intent('first')
        .ending('first')
        .intent('t', { relation: ROUND, lies: { root: 't' }, method: 'tasks/get' })
        .ending('t'),
  ],
  [
    'a question that stands where it is asked',
    () =>
      chain(1)
        .intent('q', { relation: { kind: 'within', call: 'at-1' } })
        .ending('q'),
  ],
  [
    'a question from before questions had places',
    () =>
      root()
        .intent('q', { relation: { kind: 'within', call: 'root' }, lies: { root: 'q' } })
        .ending('q'),
  ],
  [
    'what was revoked between its intent and the door',
    () => root().revoked('agent', 'a').intent('c', { parent: 'root' }).ending('c', 'aborted', false),
  ],
  ['what was revoked just before a crash', () => new History().revoked('agent', 'a').intent('c').restart('c')],
  [
    'what another key and another approval are revoked for',
    () =>
      new History()
        .revoked('key', 'other')
        .revoked('approval', digestOf('other'))
        .intent('c', { permit: goodPermit() })
        .ending('c'),
  ],
  [
    'what a revocation does not mean',
    () => new History().revoked('agent', 'b').revoked('tool', 's/t2').intent('c', { server: 's' }).ending('c'),
  ],
  [
    'what runs after the gate was resumed',
    () => new History().entry('gate.halted').entry('gate.resumed').intent('root').ending('root'),
  ],
  [
    'what runs after every guard opened',
    () =>
      new History()
        .entry('gate.shut', { guard: 'engine' })
        .entry('gate.shut', { guard: 'engine' })
        .entry('gate.opened', { guard: 'engine' })
        .intent('root')
        .ending('root'),
  ],
  [
    'what was on its way when a guard shut the gate, and did not go',
    () => new History().entry('gate.shut', { guard: 'engine' }).intent('root').ending('root', 'aborted', false),
  ],
  [
    'what another start does, whose guards are open',
    () => new History().entry('gate.shut', { guard: 'operator' }).restart().intent('root').ending('root'),
  ],
  [
    'calls under a peer',
    () =>
      root()
        .ending('root')
        .intent('c', { parent: 'root', issuer: 'p' })
        .intent('d', { parent: 'root', issuer: 'p' })
        .ending('c')
        .ending('d'),
  ],
];

describe('a history in which a call', () => {
  for (const [what, history, findings] of FORGED)
    proves('G11', `${what} is found out`, () => expect(found(history())).toEqual(findings));
});

describe('nothing is found in', () => {
  it.each(TRUE)('%s', (_, history) => expect(auditOf(history()).findings).toEqual([]));

  it('a ledger from before chains', () => {
    const history = new History()
      .entry('log.genesis')
      .entry('call.intent', { call: 'x', tool: { server: 'files' } })
      .entry('call.ending', { call: 'x', outcome: 'completed' })
      .entry('call.intent', { call: 'y', events: [{ type: 'call.requested', args: null }] })
      .entry('call.ending', { call: 'y', events: 'none' })
      .entry('call.intent', {})
      .entry('call.ending', {});
    expect(auditOf(history).findings).toEqual([]);
    expect(auditOf(history).calls).toBe(2);
  });
});

describe('the audit', () => {
  it('keeps nothing of trees that are over', () => {
    const history = new History().intent('p').ending('p');
    history.intent('q', { parent: 'p', issuer: 'peer' }).ending('q');
    for (let nth = 0; nth < 500; nth++)
      history
        .intent(`r${nth}`)
        .intent(`c${nth}`, { parent: `r${nth}` })
        .ending(`c${nth}`)
        .ending(`r${nth}`);
    const audit = auditOf(history);
    expect([audit.calls, audit.kept, audit.findings]).toEqual([1_002, 0, []]);
  });

  it('finds a tree that is too large, once for each that is too many', () => {
    const history = root();
    for (let nth = 0; nth < 16; nth++) {
      history.intent(`b${nth}`, { parent: 'root' });
      for (let leaf = 0; leaf < 62; leaf++) history.intent(`b${nth}-${leaf}`, { parent: `b${nth}` });
    }
    const { findings } = auditOf(history);
    expect(new Set(findings.map(({ rule }) => rule))).toEqual(new Set(['limits']));
    expect(findings).toHaveLength(1 + 16 * 63 - 1_000);
  });

  it('forgets what waits when nobody can come back for it, and says so of who does', () => {
    const history = waiting();
    history.now += 2 * 60 * 60_000;
    expect(found(history.intent('r', { server: 'fs', relation: ROUND }))).toEqual([['round', 2, 'r']]);
  });

  it('gives up after a thousand findings', () => {
    const history = new History();
    for (let nth = 0; nth < 1_500; nth++) history.ending(`e${nth}`);
    const audit = auditOf(history.intent('late'));
    expect([audit.findings.length, audit.calls]).toEqual([1_000, 0]);
  });

  it('gives up where more is open than any gate has', () => {
    const audit = new LineageAudit(sha256, undefined, 100);
    const history = new History();
    for (let nth = 0; nth < 200; nth++) history.intent(`c${nth}`);
    for (const entry of history.entries) audit.entry(entry);
    expect(audit.findings).toEqual([
      { rule: 'limits', seq: 100, call: 'c100', detail: 'more than 100 calls are open' },
    ]);
    expect(audit.calls).toBe(101);
  });
});
