import { describe, expect, it } from 'vitest';
import { lineageTrees, treeWith } from '../../../cli/lineage-tree.ts';
import type { Entry } from '../../../domain/entry.ts';
import type { JsonObject } from '../../../domain/json.ts';

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
