// Calls of a server that takes only so many at once, through the real gate: who waits, for how long, and what becomes of it.

import { describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../../../control-plane/authorization.ts';
import { CALLS_WAITING_PER_SERVER_MAX } from '../../../proxy/limits.ts';
import type { RunningCall } from '../../../proxy/running-call.ts';
import { proves } from '../../guarantees.ts';
import { LIMITS, PRINCIPAL, resultOf, settled, World } from '../../support/gate-world.ts';
import { NO_QUESTIONS, QUIET } from '../../support/hooks.ts';

/** A world whose server answers nobody until told, with one call of it running. */
async function busy(concurrency = 1): Promise<World> {
  const world = await World.open({ concurrency });
  world.server.respond = () => undefined;
  for (let n = 0; n < concurrency; n++) world.start(world.capture({ path: `/w/first-${n}` }));
  await settled();
  expect(world.server.heard).toHaveLength(concurrency);
  return world;
}

const answer = (world: World, index: number): void => world.server.heard[index]?.answer(resultOf('done'));

describe('a call that waits for its turn', () => {
  proves('G4', 'is denied when it is cancelled, is recorded, and is never executed', async () => {
    const world = await busy();
    const captured = world.capture({ path: '/w/waits' });
    const waiting = world.start(captured);
    await settled();
    waiting.stop({ type: 'call.cancelled', by: 'client' });
    expect(await waiting.end).toMatchObject({ kind: 'denied', code: 'CANCELLED', executed: 'no', recorded: true });
    answer(world, 0);
    await settled();
    expect(world.server.heard).toHaveLength(1);
    expect(world.entriesOf(captured.call, true)).toMatchObject([{ type: 'call.denial', code: 'CANCELLED' }]);
    expect(world.verdictOf(captured.call)).toMatchObject({ verdict: 'match' });
    expect(world.defects).toEqual([]);
  });

  it('gives up its turn when it is cancelled, not when that is on the record: nothing is decided for it any more', async () => {
    const world = await busy();
    const asked: unknown[] = [];
    const { decide } = world.authority;
    world.authority.decide = (request) => {
      asked.push(request.call);
      return decide(request);
    };
    const waiting = world.start(world.capture());
    const next = world.capture();
    world.start(next);
    await settled();
    waiting.stop({ type: 'call.cancelled', by: 'client' });
    answer(world, 0);
    await settled();
    expect(asked).toEqual([next.call]);
  });

  proves('G4', 'is denied at its deadline, and never executed', async () => {
    const world = await busy();
    world.clock.advance(LIMITS.timeoutMs - 1);
    const captured = world.capture({ path: '/w/waits' });
    const waiting = world.start(captured);
    await settled();
    // The first call's deadline cancels it. Its tool says nothing to that, so it still has the call.
    world.clock.advance(1);
    await settled();
    world.clock.advance(LIMITS.timeoutMs - 1);
    expect(await waiting.end).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'no', recorded: true });
    world.server.heard[0]?.answer({ kind: 'lost', detail: 'silent' });
    await settled();
    expect(world.server.heard).toHaveLength(1);
    expect(world.entriesOf(captured.call, true)).toMatchObject([{ type: 'call.denial' }]);
    expect(await runAfter(world)).toMatchObject({ kind: 'result' });
  });

  proves('G6', 'is denied and recorded with all others when everything is stopped', async () => {
    const world = await busy();
    const waiting = Array.from({ length: 5 }, () => world.start(world.capture()));
    await settled();
    await world.enforcement.stopAll({ type: 'call.cancelled', by: 'shutdown' });
    const ends = await Promise.all(waiting.map(({ end }) => end));
    expect(ends).toEqual(
      waiting.map(() => expect.objectContaining({ code: 'CANCELLED', executed: 'no', recorded: true })),
    );
    expect(world.server.heard).toHaveLength(1);
  });

  proves('G4', 'is judged by the world as it is when its turn comes', async () => {
    const world = await busy();
    const calls = [world.start(world.capture()), world.start(world.capture())];
    await settled();
    let asked = 0;
    world.authority.decide = async () => {
      asked += 1;
      return { decision: 'deny', code: 'POLICY_FORBID', by: ['r2'] };
    };
    expect(asked).toBe(0);
    answer(world, 0);
    for (const { end } of calls) expect(await end).toMatchObject({ code: 'POLICY_FORBID', executed: 'no' });
    world.governance.shut('halt', 'GOV_HALTED', 'test');
    expect(await world.run()).toMatchObject({ code: 'GOV_HALTED' });
  });

  proves('G1', 'longer than a permit lives gets a permit of its own time, and is executed', async () => {
    const world = await World.open({ concurrency: 1 });
    world.server.respond = () => undefined;
    const long = { timeoutMs: 100_000, outputBytes: LIMITS.outputBytes };
    const started = (path: string): RunningCall =>
      world.enforcement.start(world.capture({ path }), { limits: long, hooks: QUIET, ...NO_QUESTIONS }, world);
    world.authority.decide = async (request) => world.allow(request);
    started('/w/1');
    await settled();
    const waiting = started('/w/2');
    await settled();
    // Within the time of the first call, whose permit grants ten seconds; the second waits on while the cancelled one stays silent.
    world.clock.advance(60_000);
    await settled();
    world.server.heard[0]?.answer({ kind: 'lost', detail: 'silent' });
    await settled();
    answer(world, 1);
    expect(await waiting.end).toMatchObject({ kind: 'result' });
    expect(world.defects).toEqual([]);
  });
});

describe('a turn', () => {
  it('lasts until the tool has answered or was given up, also when the client was denied before', async () => {
    const world = await World.open({ concurrency: 1 });
    world.server.respond = () => undefined;
    const first = world.start(world.capture());
    await settled();
    const second = world.start(world.capture());
    first.stop({ type: 'call.cancelled', by: 'client' });
    expect(await first.end).toMatchObject({ code: 'CANCELLED', executed: 'perhaps' });
    await settled();
    expect(world.server.heard).toHaveLength(1);
    world.server.heard[0]?.answer({ kind: 'lost', detail: 'silent' });
    await settled();
    expect(world.server.heard).toHaveLength(2);
    answer(world, 1);
    expect(await second.end).toMatchObject({ kind: 'result' });
  });

  const ENDS_EARLY: readonly (readonly [string, (world: World) => object])[] = [
    [
      'is denied',
      ({ authority }) =>
        Object.assign(authority, { decide: async () => ({ decision: 'deny', code: 'POLICY_FORBID', by: [] }) }),
    ],
    [
      'is decided by nobody',
      ({ authority }) => Object.assign(authority, { decide: () => Promise.reject(new Error('gone')) }),
    ],
    [
      'has a permit that is none',
      (world) =>
        Object.assign(world.authority, {
          decide: async (request: AuthorizationRequest) => ({ ...world.allow(request), permit: 'a.b.c' }),
        }),
    ],
    [
      'finds the server gone at the door',
      (world) =>
        Object.assign(world.authority, {
          decide: async (request: AuthorizationRequest) => {
            world.serverIsThere = false;
            return world.allow(request);
          },
        }),
    ],
  ];
  it.each(ENDS_EARLY)('of a call that %s ends with it', async (_, spoil) => {
    const world = await World.open({ concurrency: 1, defectShuts: 'halt' });
    const { decide } = world.authority;
    spoil(world);
    expect(await world.run()).toMatchObject({ kind: 'denied', executed: 'no' });
    world.authority.decide = decide;
    world.serverIsThere = true;
    world.governance.open('halt');
    expect(await world.run()).toMatchObject({ kind: 'result' });
  });
});

describe('more calls than a server takes', () => {
  it('are with it by so many at a time, and all end well', async () => {
    const world = await World.open({ concurrency: 3 });
    let most = 0;
    let inside = 0;
    world.server.respond = () => undefined;
    world.server.onDispatch = () => {
      inside += 1;
      most = Math.max(most, inside);
    };
    const calls = Array.from({ length: 9 }, () => world.start(world.capture()));
    for (let index = 0; index < 9; index++) {
      await settled();
      inside -= 1;
      answer(world, index);
    }
    const ends = await Promise.all(calls.map(({ end }) => end));
    expect(ends.map(({ kind }) => kind)).toEqual(calls.map(() => 'result'));
    expect(most).toBe(3);
  });

  it('are refused, on the record, when too many wait already', async () => {
    const world = await busy();
    const waiting = Array.from({ length: CALLS_WAITING_PER_SERVER_MAX }, () => world.start(world.capture()));
    await settled();
    expect(await world.run()).toMatchObject({ code: 'OVERLOADED', executed: 'no', recorded: true });
    await world.enforcement.stopAll({ type: 'call.cancelled', by: 'shutdown' });
    await Promise.all(waiting.map(({ end }) => end));
  });

  proves(
    'G9',
    'whoever may not call the tool is told so at once, as if the tool were not there, and holds up nobody',
    async () => {
      const world = await busy();
      expect(await world.run({}, 'secret')).toMatchObject({ code: 'TOOL_UNKNOWN' });
      expect(await world.run({}, 'no_such_tool')).toMatchObject({ code: 'TOOL_UNKNOWN' });
      const child = { ...world.capture(), principal: { ...PRINCIPAL, root: false } };
      expect(await world.start(child).end).toMatchObject({ code: 'LINEAGE_NOT_ROOT' });
    },
  );
});

/** One more call, answered at once. */
async function runAfter(world: World): Promise<unknown> {
  world.server.respond = () => resultOf('done');
  return world.run();
}
