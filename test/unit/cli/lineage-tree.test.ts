import { describe, expect, it } from 'vitest';
import { type CallNode, isBroken, LineageForest, treeWith } from '../../../cli/lineage-tree.ts';
import type { Digest } from '../../../domain/digest.ts';
import type { Entry } from '../../../domain/entry.ts';
import type { JsonObject } from '../../../domain/json.ts';

const lineageTrees = (entries: readonly (readonly [string, Entry, Digest?])[]): readonly CallNode[] => {
  const forest = new LineageForest();
  for (const each of entries) forest.add(...each);
  return forest.trees();
};

let seq = 0;
const entry = (type: string, call: string, more: JsonObject = {}): readonly [string, Entry] => [
  'gate',
  {
    v: 1,
    seq: seq++,
    ts: `2026-01-01T00:00:00.${String(seq).padStart(3, '0')}Z`,
    type,
    call,
    ...more,
  } as unknown as Entry,
];
const intent = (call: string, more: JsonObject = {}) =>
  entry('call.intent', call, {
    events: [
      {
        type: 'call.requested',
        call,
        method: 'tools/call',
        server: 's',
        tool: 't',
        principal: { agent: 'a' },
        lineage: { root: call, node: call, parent: null, depth: 0 },
        ...more,
      },
    ],
  });

describe('trees of calls', () => {
  it('are none where there is nothing, and where entries say nothing', () => {
    expect(lineageTrees([])).toEqual([]);
    expect(lineageTrees([entry('policy.installed', '', {}), entry('call.ending', 'unknown', {})])).toEqual([]);
    expect(treeWith([], 'x')).toBeUndefined();
  });

  it('put a call under what it was made for, is a question of, or goes on with', () => {
    const [tree, ...others] = lineageTrees([
      intent('root'),
      intent('child', { lineage: { root: 'root', node: 'child', parent: 'root', depth: 1, scopes: [[]] } }),
      intent('asked', { relation: { kind: 'within', call: 'child' } }),
      intent('round', { relation: { kind: 'continues', call: 'root' } }),
      entry('call.ending', 'child', { outcome: { status: 'completed' } }),
      entry('call.denial', 'asked', { code: 'POLICY_NO_PERMIT' }),
    ]);
    expect(others).toEqual([]);
    expect(tree).toMatchObject({ call: 'root', link: 'root', outcome: 'running', ms: undefined });
    expect(tree?.children.map(({ call, link }) => [call, link])).toEqual([
      ['child', 'calls'],
      ['round', 'continues'],
    ]);
    expect(tree?.children[0]).toMatchObject({ outcome: 'completed', ms: 3, scopes: [[]] });
    expect(tree?.children[0]?.children).toMatchObject([
      { call: 'asked', link: 'asks', outcome: 'denied POLICY_NO_PERMIT' },
    ]);
    expect(treeWith(tree === undefined ? [] : [tree], 'asked')).toBe(tree);
  });

  it('do not end in a circle that a ledger lies about', () => {
    const trees = lineageTrees([
      intent('one', { lineage: { root: 'one', parent: 'two' } }),
      intent('two', { lineage: { root: 'one', parent: 'one' } }),
      intent('own', { lineage: { root: 'own', parent: 'own' } }),
    ]);
    expect(trees.map(({ call }) => call)).toEqual(['own']);
  });
});

describe('a chain through two gates', () => {
  const leafOf = (name: string): Digest => `sha256:${name}`;
  const at = (log: string, number: number, name: string) => ({ log, seq: number, leaf: leafOf(name) });
  /** An intent in a log, at a position. */
  const lying = (log: string, number: number, call: string, lineage: JsonObject): readonly [string, Entry, Digest] => {
    const requested = {
      type: 'call.requested',
      call,
      method: 'tools/call',
      server: 's',
      tool: 't',
      principal: { agent: 'a' },
    };
    const body = { v: 1, log, seq: number, ts: '2026-01-01T00:00:00.000Z', type: 'call.intent', call };
    return [log, { ...body, events: [{ ...requested, lineage }] } as unknown as Entry, leafOf(call)];
  };
  const above = lying('one', 5, 'parent', { root: 'parent', node: 'parent', parent: null, depth: 0, narrowed: [] });
  const below = (entry: JsonObject | undefined, more: JsonObject = {}) =>
    lying('two', 9, 'child', {
      root: 'parent',
      node: 'child',
      parent: 'parent',
      issuer: 'urn:one',
      ...(entry === undefined ? {} : { entry }),
      ...more,
    });
  const joined = (entry: JsonObject, node = 'parent'): readonly [string, Entry] => [
    'one',
    {
      type: 'peer.joined',
      log: 'one',
      seq: 6,
      ts: '2026-01-01T00:00:00.001Z',
      peer: 'two',
      node,
      child: 'child',
      entry,
    } as unknown as Entry,
  ];
  const fine = at('one', 5, 'parent');

  it.each([
    ['names another entry', [above, below(at('one', 5, 'other'))]],
    ['names another position', [above, below(at('one', 4, 'parent'))]],
    ['names no entry', [above, below(undefined)]],
    ['says another root', [above, below(fine, { root: 'other' })]],
    ['is another one than the gate above was told of', [above, below(fine), joined(at('two', 9, 'other'))]],
    ['is under another call than the gate above was told', [above, below(fine), joined(at('two', 9, 'child'), 'x')]],
  ] as const)('is broken where the call below %s', (_, entries) => {
    const tree = treeWith(lineageTrees(entries), 'child');
    expect(tree?.children[0]?.across).toBe('broken');
    expect(tree !== undefined && isBroken(tree)).toBe(true);
  });

  it('is one tree, told one way or both', () => {
    const [tree] = lineageTrees([above, below(fine)]);
    expect(tree).toMatchObject({
      gate: 'one',
      narrowed: [],
      children: [{ gate: 'two', call: 'child', across: 'one way' }],
    });
    const [again, ...others] = lineageTrees([below(fine), joined(at('two', 9, 'child')), above]);
    expect(others).toEqual([]);
    expect(again).toMatchObject({ call: 'parent', children: [{ call: 'child', across: 'both ways' }] });
  });

  it('is told as far as the ledgers are here', () => {
    expect(lineageTrees([below(fine)])).toMatchObject([{ call: 'child', across: 'unseen' }]);
    expect(lineageTrees([above, joined(at('two', 9, 'child'))])).toMatchObject([
      {
        call: 'parent',
        children: [{ call: 'child', across: 'unseen', outcome: 'in another ledger', target: 'at the peer two' }],
      },
    ]);
  });

  it('keeps calls of the same id apart', () => {
    const same = lying('two', 5, 'parent', { root: 'parent', node: 'parent', parent: null, depth: 0 });
    expect(lineageTrees([above, same])).toHaveLength(2);
  });
});
