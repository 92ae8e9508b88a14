import { describe, expect, it } from 'vitest';
import { AgentHistory, type AskedCall, SHAPES_PER_USE_MAX } from '../../../../control-plane/anomaly/agent-history.ts';
import { CHAINS_PER_AGENT_MAX } from '../../../../control-plane/anomaly/chain-uses.ts';
import type { Json, JsonObject } from '../../../../domain/json.ts';
import { type RecordedCallOptions, WrittenLedger } from '../../../support/recorded-calls.ts';

const T = 1_700_000_000_000 - (1_700_000_000_000 % 60_000);
const MINUTE = 60_000;
const USED = new Map([
  ['private', { actions: new Set(['crm/read', 'mail/read']), withinMs: 10 * MINUTE }],
  ['outward', { actions: new Set(['mail/send']), withinMs: MINUTE }],
]);

interface Call extends RecordedCallOptions {
  readonly args?: Json;
}

/** A history that is asked, and the ledger that it hears. */
class Told {
  readonly ledger = new WrittenLedger();
  history = new AgentHistory({ used: USED, digest: (shape) => shape });

  ask(at: number, { args = { path: 'a' }, ...options }: Call = {}, call = this.ledger.nextCall()) {
    const { agent = 'coder', server = 'fs', tool = 'read', method = 'tools/call', root = call, above = [] } = options;
    const asked: AskedCall = { call, at, agent, method, server, tool, root, above, args };
    return this.history.ask(asked);
  }

  /** Asks, and is let through. */
  use(at: number, call: Call = {}) {
    const id = this.ledger.nextCall();
    const facts = this.ask(at, call, id);
    this.history.entry(this.ledger.intent(at, call, id));
    return facts;
  }
}

describe('the first use', () => {
  it('is every one until one was let through', () => {
    const told = new Told();
    const call = told.ledger.nextCall();
    expect(told.ask(T, {}, call)).toMatchObject({ firstUse: true, newShape: true });
    told.history.entry(told.ledger.denial(T, 'POLICY_FORBID'));
    expect(told.ask(T)).toMatchObject({ firstUse: true, newShape: true });
    expect(told.use(T)).toMatchObject({ firstUse: true });
    expect(told.ask(T)).toMatchObject({ firstUse: false, newShape: false });
  });

  it.each([
    ['another agent', { agent: 'other' }],
    ['another tool', { tool: 'write' }],
    ['another server', { server: 'git' }],
    ['a method of that name', { method: 'resources/read', tool: 'resources/read' }],
  ])('is that of %s, whoever did what before', (_, call) => {
    const told = new Told();
    told.use(T);
    expect(told.ask(T, call)).toMatchObject({ firstUse: true, newShape: true, rate: 1 });
  });

  it('is not what a server asks of a client', () => {
    const told = new Told();
    told.history.entry(told.ledger.intent(T, { within: 'another call' }));
    expect(told.ask(T)).toMatchObject({ firstUse: true });
  });
});

describe('the shape of arguments', () => {
  const SHAPES: readonly (readonly [string, JsonObject, boolean])[] = [
    ['other values', { path: 'b', lines: [3] }, false],
    ['more items of the same kind', { path: 'b', lines: [1, 2, 3] }, false],
    ['members in another order', { lines: [1], path: 'a' }, false],
    ['a member more', { path: 'a', lines: [1], force: true }, true],
    ['a member less', { path: 'a' }, true],
    ['another kind of value', { path: 1, lines: [1] }, true],
    ['null in place of a value', { path: null, lines: [1] }, true],
    ['another kind of item', { path: 'a', lines: ['1'] }, true],
    ['no items', { path: 'a', lines: [] }, true],
    ['an object in place of a text', { path: { a: 'b' }, lines: [1] }, true],
  ];
  it.each(SHAPES)('with %s', (_, args, isNew) => {
    const told = new Told();
    told.use(T, { args: { path: 'a', lines: [1] } });
    expect(told.ask(T, { args }).newShape).toBe(isNew);
  });

  it('is not forgotten for newer ones: whoever makes up more hears that they are new', () => {
    const told = new Told();
    told.use(T, { args: { known: 1 } });
    for (let n = 0; n < 2 * SHAPES_PER_USE_MAX; n++) told.use(T, { args: { [`made-up-${n}`]: 1 } });
    expect(told.ask(T, { args: { known: 2 } }).newShape).toBe(false);
    expect(told.ask(T, { args: { [`made-up-${2 * SHAPES_PER_USE_MAX - 1}`]: 1 } }).newShape).toBe(true);
  });
});

describe('how often', () => {
  it('counts what was let through in the last minute, and what is being decided, and this one', () => {
    const told = new Told();
    expect(told.use(T).rate).toBe(1);
    expect(told.use(T + 1).rate).toBe(2);
    expect([told.ask(T + 2).rate, told.ask(T + 2).rate]).toEqual([3, 4]);
    expect(told.ask(T + MINUTE + 1_000).rate).toBe(3);
  });

  it('does not count what was denied', () => {
    const told = new Told();
    const calls = ['x', 'y'];
    for (const call of calls) told.ask(T, {}, call);
    for (const call of calls)
      told.history.entry(told.ledger.write(T, { type: 'call.denial', call, code: 'X', events: [] }));
    expect(told.ask(T).rate).toBe(1);
  });

  it('is compared with the busiest minute before, and with nothing of the last one', () => {
    const told = new Told();
    for (let n = 0; n < 4; n++) told.use(T + n);
    expect(told.use(T + 10).burst).toBe(500);
    const later = T + 5 * MINUTE;
    expect(told.use(later).burst).toBe(20);
    for (let n = 0; n < 6; n++) told.use(later + 1);
    expect(told.use(later + 2)).toMatchObject({ rate: 8, burst: 160 });
    expect(told.use(later + 3 * MINUTE)).toMatchObject({ rate: 1, burst: 12 });
  });
});

describe('what was used lately', () => {
  it.each([
    [10 * MINUTE - 1, ['private']],
    [10 * MINUTE, []],
  ])('counts for as long as the manifest says: after %i ms', (after, groups) => {
    const told = new Told();
    expect(told.use(T, { server: 'crm' }).agentUsed).toEqual([]);
    expect(told.ask(T + after, { server: 'mail', tool: 'send' }).agentUsed).toEqual(groups);
  });

  it('is what the agent did, or one above it, in whatever chain', () => {
    const told = new Told();
    told.use(T, { agent: 'reader', server: 'crm' });
    expect(told.ask(T, { agent: 'sender' })).toMatchObject({ agentUsed: [], chainUsed: [] });
    expect(told.ask(T, { agent: 'sender', above: ['reader'] })).toMatchObject({
      agentUsed: ['private'],
      chainUsed: [],
    });
  });

  it('is what anybody did in the chain, and not in another one', () => {
    const told = new Told();
    told.use(T, { agent: 'reader', server: 'crm', root: 'r', above: ['boss'] });
    expect(told.ask(T, { agent: 'sender', root: 'r', above: ['boss'] })).toMatchObject({
      agentUsed: [],
      chainUsed: ['private'],
    });
    expect(told.ask(T, { agent: 'sender', root: 's', above: ['boss'] }).chainUsed).toEqual([]);
  });

  it('is not got rid of by starting more chains than are remembered; those of others are not disturbed', () => {
    const told = new Told();
    const read = (root: string) => told.use(T, { agent: 'reader', server: 'crm', root, above: ['boss'] });
    read('r');
    for (let n = 0; n < CHAINS_PER_AGENT_MAX; n++) read(`flood-${n}`);
    const asked = (root: string, boss = 'boss', at = T) =>
      told.ask(at, { agent: 'sender', root, above: [boss] }).chainUsed;
    expect(asked('r')).toEqual(['private']);
    expect(asked(`flood-${CHAINS_PER_AGENT_MAX - 1}`)).toContain('private');
    // What is not known may have been.
    expect(asked('new')).toEqual(['outward', 'private']);
    expect(asked('new', 'another')).toEqual([]);
    expect(asked('new', 'boss', T + 10 * MINUTE)).toEqual([]);
  });
});

describe('what is kept', () => {
  it('does not grow old when the clock goes back', () => {
    const told = new Told();
    told.use(T, { server: 'crm' });
    told.use(T - 60 * MINUTE, { server: 'crm' });
    expect(told.ask(T - 60 * MINUTE, { server: 'crm' })).toMatchObject({ rate: 3, agentUsed: ['private'] });
  });

  it('does not come back when the clock does: what is over stays over', () => {
    const told = new Told();
    told.use(T, { server: 'crm' });
    expect(told.ask(T + 11 * MINUTE).agentUsed).toEqual([]);
    expect(told.ask(T + 1).agentUsed).toEqual([]);
  });

  it('is the same after it was written down and read', () => {
    const told = new Told();
    for (let n = 0; n < 5; n++) told.use(T + n * 20_000, { server: 'crm', args: { n } });
    const kept = JSON.parse(JSON.stringify(told.history.toJson())) as JsonObject;
    const later = T + 4 * MINUTE;
    const before = told.ask(later, { server: 'crm', args: { n: 1 } });
    told.history = new AgentHistory({ used: USED, digest: (shape) => shape });
    told.history.restore(kept);
    expect(told.ask(later, { server: 'crm', args: { n: 1 } })).toEqual(before);
    expect(before).toMatchObject({ firstUse: false, newShape: false, agentUsed: ['private'] });
  });

  it('told from entries alone, knows every use and no shape', () => {
    const told = new Told();
    told.use(T, { server: 'crm' });
    told.history = new AgentHistory({ used: USED, digest: (shape) => shape });
    for (const entry of told.ledger.entries) told.history.entry(entry);
    expect(told.ask(T, { server: 'crm' })).toMatchObject({
      firstUse: false,
      newShape: true,
      rate: 2,
      agentUsed: ['private'],
    });
  });
});
