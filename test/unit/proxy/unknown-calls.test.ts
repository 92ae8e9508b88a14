import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../domain/json.ts';
import { mayHaveRun, type Outcome } from '../../../domain/outcome.ts';
import { UNKNOWN_CALLS_PER_AGENT_MAX } from '../../../proxy/limits.ts';
import type { ToolAnswer } from '../../../proxy/tool-server.ts';
import { sameCall, saysRepeatable, type UnknownCall, UnknownCalls } from '../../../proxy/unknown-calls.ts';
import { proves } from '../../guarantees.ts';
import { LIMITS, resultOf, settled, World } from '../../support/gate-world.ts';

interface Told {
  readonly mayRepeat?: (server: string, tool: string) => boolean;
  readonly keep?: (calls: readonly UnknownCall[]) => Promise<void>;
  readonly beside?: () => Promise<readonly UnknownCall[]>;
  readonly settledBeside?: readonly string[];
}

function memory({ mayRepeat = () => false, keep, beside = async () => [], settledBeside = [] }: Told = {}) {
  const kept: (readonly UnknownCall[])[] = [];
  const calls = new UnknownCalls({
    digest: (text) => `keyed ${text}`,
    keep: async (all) => {
      await keep?.(all);
      kept.push(all);
    },
    beside,
    isSettled: (call) => settledBeside.includes(call),
    mayRepeat,
  });
  return { calls, kept };
}

/** A world in which the tool does what a test says, and what it is asked a second time. */
async function worldOf(told: Told = {}) {
  const { calls, kept } = memory(told);
  const world = await World.open({ retries: calls });
  const lose = (answer: ToolAnswer | undefined = { kind: 'lost', detail: 'gone' }) => {
    world.server.respond = () => answer;
  };
  const heal = () => {
    world.server.respond = () => resultOf('done');
  };
  return { world, calls, kept, lose, heal };
}

const RETRY = { kind: 'denied', code: 'RETRY_OF_UNKNOWN', executed: 'no' };

describe('a call that may have run', () => {
  proves('G3', 'is not made again, and its tool does not hear of it', async () => {
    const { world, lose, heal, calls } = await worldOf();
    lose();
    expect(await world.run({ a: 1 })).toMatchObject({ kind: 'denied', code: 'TOOL_LOST', executed: 'perhaps' });
    heal();
    const heard = world.server.heard.length;
    expect(await world.run({ a: 1 })).toMatchObject(RETRY);
    expect(world.server.heard.length).toBe(heard);
    const [first] = calls.all();
    const denial = world.entries().findLast(({ type }) => type === 'call.denial');
    expect(JSON.stringify(denial)).toContain(`${first?.call} ended with TOOL_LOST`);
  });

  const OTHERS: readonly (readonly [string, (world: World) => Promise<unknown>])[] = [
    ['with other arguments', (world) => world.run({ a: 2 })],
    ['of another tool', (world) => world.run({ a: 1 }, 'read_file')],
  ];
  it.each(OTHERS)('does not hold up one %s', async (_, other) => {
    const { world, lose, heal } = await worldOf();
    lose();
    await world.run({ a: 1 });
    heal();
    expect(await other(world)).toMatchObject({ kind: 'result' });
  });

  it('is another one for another agent', () => {
    const call = { agent: 'a', server: 'fs', tool: 't', argumentsJson: '{}' };
    const texts = [
      call,
      { ...call, agent: 'b' },
      { ...call, server: 'gs' },
      { ...call, tool: 'u' },
      { ...call, argumentsJson: '[]' },
      { ...call, agent: 'a"fs', server: '' },
    ].map(sameCall);
    expect(new Set(texts).size).toBe(texts.length);
  });

  proves('G3', 'of which the time was over is not made again', async () => {
    const { world, lose, heal } = await worldOf();
    world.server.respond = () => undefined;
    const running = world.run({ a: 1 });
    await settled();
    world.clock.advance(LIMITS.timeoutMs);
    expect(await running).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    heal();
    expect(await world.run({ a: 1 })).toMatchObject(RETRY);
    void lose;
  });

  proves('G3', 'whose gate cannot remember it ends unrecorded and shuts the gate, which recovers it', async () => {
    const { world, lose } = await worldOf({ keep: () => Promise.reject(new Error('no space')) });
    lose();
    expect(await world.run({ a: 1 })).toMatchObject({ kind: 'denied', recorded: false });
    expect(world.governance.isShutBy('ledger')).toBe(true);
  });

  it('is kept before its ending is in the ledger', async () => {
    let endings = -1;
    const told: Told = {
      keep: async () => {
        endings = world.entries(true).filter(({ type }) => type === 'call.ending').length;
      },
    };
    const { world, lose } = await worldOf(told);
    lose();
    await world.run();
    expect(endings).toBe(0);
  });

  it('can be made again when its definition or its operator says so', async () => {
    const { world, lose, heal, kept } = await worldOf({ mayRepeat: (_, tool) => tool === 'read_file' });
    lose();
    await world.run({ a: 1 }, 'read_file');
    heal();
    expect(await world.run({ a: 1 }, 'read_file')).toMatchObject({ kind: 'result' });
    expect(kept).toEqual([]);
  });

  proves('G3', 'can be made again once a person has looked, and not before that is kept', async () => {
    const { world, calls, lose, heal } = await worldOf();
    lose();
    await world.run({ a: 1 });
    heal();
    const [waiting] = calls.all();
    expect(await calls.settle('another')).toBeUndefined();
    expect(await world.run({ a: 1 })).toMatchObject(RETRY);
    expect(await calls.settle(waiting?.call ?? '')).toMatchObject({ tool: 'write_file' });
    expect(await world.run({ a: 1 })).toMatchObject({ kind: 'result' });
  });
});

describe('gates beside', () => {
  const same = `keyed ${sameCall({ agent: 'coder', server: 'fs', tool: 'write_file', argumentsJson: '{"a":1}' })}`;
  const THERE: UnknownCall = {
    call: 'there',
    at: 1,
    agent: 'coder',
    server: 'fs',
    tool: 'write_file',
    code: 'TOOL_LOST',
    same,
  };

  proves('G3', 'know of calls that this one denies too', async () => {
    const { world } = await worldOf({ beside: async () => [THERE] });
    expect(await world.run({ a: 1 })).toMatchObject(RETRY);
    expect(await world.run({ a: 2 })).toMatchObject({ kind: 'result' });
  });

  it('are not asked any more about one that a person has looked at', async () => {
    const { world } = await worldOf({ beside: async () => [THERE], settledBeside: ['there'] });
    expect(await world.run({ a: 1 })).toMatchObject({ kind: 'result' });
  });

  proves('G4', 'that cannot be read deny whatever cannot be repeated', async () => {
    const { world } = await worldOf({
      beside: () => Promise.reject(new Error('altered')),
      mayRepeat: (_, tool) => tool === 'read_file',
    });
    expect(await world.run({ a: 1 })).toMatchObject(RETRY);
    expect(await world.run({ a: 1 }, 'read_file')).toMatchObject({ kind: 'result' });
  });
});

describe('what is kept', () => {
  const told = (n: number, agent = 'coder') => ({
    call: `${agent}-${n}`,
    at: n,
    agent,
    server: 'fs',
    tool: 'write_file',
    argumentsJson: `{"n":${n}}`,
    code: 'CRASH_INDETERMINATE',
  });

  proves('G4', 'has a bound, beyond which an agent does nothing that cannot be repeated', async () => {
    const { world, calls } = await worldOf();
    const many = Array.from({ length: UNKNOWN_CALLS_PER_AGENT_MAX + 10 }, (_, n) => told(n));
    await calls.note([...many, told(1, 'other')]);
    expect(calls.all().filter(({ agent }) => agent === 'coder')).toHaveLength(UNKNOWN_CALLS_PER_AGENT_MAX);
    expect(calls.all()).toContainEqual(expect.objectContaining({ agent: 'other' }));
    expect(await world.run({ anything: 'else' })).toMatchObject(RETRY);
    await calls.settle('coder-0');
    expect(await world.run({ anything: 'else' })).toMatchObject({ kind: 'result' });
  });

  it('is written once for all that come while one write is on its way', async () => {
    const { calls, kept } = memory({ keep: () => settled() });
    await Promise.all(Array.from({ length: 50 }, (_, n) => calls.note([told(n)])));
    expect(kept.length).toBeLessThan(4);
    expect(kept.at(-1)).toHaveLength(50);
  });

  it('holds no arguments', async () => {
    const calls = new UnknownCalls({
      digest: () => 'digest',
      keep: async () => {},
      beside: async () => [],
      isSettled: () => false,
      mayRepeat: () => false,
    });
    await calls.note([{ ...told(1), argumentsJson: '{"password":"x"}' }]);
    expect(JSON.stringify(calls.all())).not.toContain('password');
  });

  it('forgets calls of tools of which it turns out that they may be repeated', async () => {
    const { calls, kept } = memory({ mayRepeat: (_, tool) => tool === 'read_file' });
    await calls.note([told(1), { ...told(2), tool: 'read_file' }]);
    await calls.forgetRepeatable('other');
    expect(kept).toHaveLength(1);
    await calls.forgetRepeatable('fs');
    expect(kept.at(-1)?.map(({ tool }) => tool)).toEqual(['write_file']);
  });
});

const CANCELLED = { type: 'call.cancelled', by: 'client' };
const RECORDED = { type: 'intent.recorded' };
const ENDINGS: readonly (readonly [boolean, Outcome, JsonObject])[] = [
  [true, { status: 'unknown', dispatched: true, code: 'TOOL_LOST' }, RECORDED],
  [true, { status: 'unknown', dispatched: true, code: 'CRASH_INDETERMINATE' }, RECORDED],
  [true, { status: 'timed_out', dispatched: true, code: 'DEADLINE_EXCEEDED' }, RECORDED],
  [true, { status: 'aborted', dispatched: true, code: 'GOV_HALTED' }, RECORDED],
  [true, { status: 'aborted', dispatched: true, code: 'CANCELLED' }, { ...CANCELLED, by: 'disconnect' }],
  [false, { status: 'aborted', dispatched: true, code: 'CANCELLED' }, CANCELLED],
  [false, { status: 'aborted', dispatched: false, code: 'GOV_HALTED' }, RECORDED],
  [false, { status: 'withheld', dispatched: true, code: 'OUTPUT_INVALID' } as Outcome, RECORDED],
  [false, { status: 'completed', dispatched: true }, RECORDED],
  [false, { status: 'errored', dispatched: true }, RECORDED],
  [false, { status: 'incomplete', dispatched: true }, RECORDED],
];
it.each(ENDINGS)('that it may have run is %s of %j', (may, outcome, event) => {
  expect(mayHaveRun(outcome, [event])).toBe(may);
});

it.each([
  [true, { annotations: { readOnlyHint: true } }],
  [true, { annotations: { idempotentHint: true } }],
  [false, { annotations: { idempotentHint: 'true' } }],
  [false, { annotations: { readOnlyHint: false, destructiveHint: false } }],
  [false, { annotations: [true] }],
  [false, { annotations: null }],
  [false, { readOnlyHint: true }],
  [false, undefined],
])('that it may be repeated is %s of %j', (may, definition) => {
  expect(saysRepeatable(definition)).toBe(may);
});
