import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../../adapters/crypto/node-crypto.ts';
import { CrossLinks, type LinkReport } from '../../../../control-plane/lineage/cross-links.ts';
import type { Digest } from '../../../../domain/digest.ts';
import type { Entry } from '../../../../domain/entry.ts';
import type { JsonObject } from '../../../../domain/json.ts';
import { proves } from '../../../guarantees.ts';
import { History, type Told } from '../../../support/history.ts';

const ONE = 'portcullis.test/one';
const TWO = 'portcullis.test/two';
const LESS = [{ server: 'fs', actions: ['read'] }];
const leafOf = ({ log, seq }: Pick<Entry, 'log' | 'seq'>): Digest => `sha256:${log} ${seq}`;
const positionOf = (log: string, seq: number): JsonObject => ({ log, seq, leaf: leafOf({ log, seq }) });

function reportOf(...histories: readonly History[]): LinkReport {
  const links = new CrossLinks(sha256);
  for (const { entries } of histories) for (const entry of entries) links.note(entry);
  for (const { log, entries } of histories) {
    const wanted = links.wanted(log);
    for (const entry of entries) if (wanted.has(entry.seq)) links.look(entry, leafOf(entry));
  }
  return links.report();
}

/** A call at one gate, one under it at another, and what the first says of that. */
function linked(more: { above?: Told; below?: Told; lies?: JsonObject; entry?: JsonObject; joined?: JsonObject } = {}) {
  const one = new History(ONE).entry('log.genesis').intent('parent', { agent: 'planner', ...more.above });
  const two = new History(TWO, one).entry('log.genesis').intent('child', {
    parent: 'parent',
    issuer: 'urn:one',
    agent: 'worker',
    ...more.below,
    lies: { entry: more.entry ?? positionOf(ONE, 1), ...more.lies },
  });
  one.entry('peer.joined', { peer: 'two', node: 'parent', child: 'child', entry: positionOf(TWO, 1), ...more.joined });
  return [one, two] as const;
}

const FORGED: readonly (readonly [string, Parameters<typeof linked>[0], readonly string[]])[] = [
  ['lies where there is nothing', { entry: positionOf(ONE, 9) }, [`entry 9 of ${ONE} is not there`]],
  ['is another one', { entry: { ...positionOf(ONE, 1), leaf: 'sha256:else' } }, [`entry 1 of ${ONE} is another one`]],
  ['is no intent', { entry: positionOf(ONE, 0) }, [`entry 0 of ${ONE} is not the intent of parent`]],
  ['is of another root', { lies: { root: 'other' } }, ['its root other is not that of parent']],
  ['lies deeper', { lies: { depth: 3 } }, ['its depth 3 is not one below that of parent']],
  ['has other agents', { lies: { agents: ['somebody'] } }, ['the agents above it are not those of parent']],
  [
    'goes on from another link',
    { lies: { above: 'sha256:else' } },
    ['its hash chain does not go on from that of parent'],
  ],
  [
    'has a scope that the other is free of',
    { above: { narrowed: LESS } },
    ['it is free of a scope of parent: [{"actions":["read"],"server":"fs"}]'],
  ],
  [
    'is told of as another one',
    { joined: { entry: { ...positionOf(TWO, 1), leaf: 'sha256:else' } } },
    [`entry 1 of ${TWO} is another one`],
  ],
  ['is told of as another call', { joined: { child: 'other' } }, [`entry 1 of ${TWO} is not the intent of other`]],
  [
    'is told of as under another call',
    { joined: { node: 'other' } },
    [`entry 1 of ${TWO} does not say that it is under other`],
  ],
];

describe('between two ledgers, an entry that', () => {
  for (const [what, more, details] of FORGED)
    proves('G11', `${what} is found out`, () => {
      expect(reportOf(...linked(more)).findings.map(({ detail }) => detail)).toEqual(details);
    });
});

describe('links between ledgers', () => {
  it('hold in whatever order the ledgers are read', () => {
    const [one, two] = linked({ above: { scopes: [LESS], narrowed: [] }, below: { scopes: [LESS, []] } });
    for (const report of [reportOf(one, two), reportOf(two, one)])
      expect(report).toEqual({ checked: 2, bothWays: 1, elsewhere: 0, findings: [] });
  });

  it('into a ledger that is not here are counted and not judged', () => {
    const [one, two] = linked();
    expect(reportOf(one)).toEqual({ checked: 0, bothWays: 0, elsewhere: 1, findings: [] });
    expect(reportOf(two)).toEqual({ checked: 0, bothWays: 0, elsewhere: 1, findings: [] });
  });

  it('of a call that the other ledger does not tell of go one way', () => {
    const [one, two] = linked();
    one.entries.pop();
    expect(reportOf(one, two)).toEqual({ checked: 1, bothWays: 0, elsewhere: 0, findings: [] });
  });

  it('are not told again by what is asked within a call', () => {
    const [one, two] = linked();
    two.intent('question', { relation: { kind: 'within', call: 'child' }, lies: { entry: positionOf(ONE, 1) } });
    expect(reportOf(one, two)).toEqual({ checked: 2, bothWays: 1, elsewhere: 0, findings: [] });
  });

  it('are told of each round of a call', () => {
    const [one, two] = linked();
    two.ending('child', 'incomplete').intent('round', {
      relation: { kind: 'continues', call: 'child' },
      agent: 'worker',
      lies: { entry: positionOf(ONE, 0) },
    });
    expect(reportOf(one, two).findings).toMatchObject([{ call: 'round' }]);
  });

  it('are deeper where the process works on more of its own', () => {
    const [one, two] = linked({ lies: { joined: ['x'], depth: 4 } });
    expect(reportOf(one, two).findings).toEqual([]);
  });
});
