import { describe, expect, it } from 'vitest';
import { deny } from '../../../domain/denial.ts';
import { CALLS_IN_FLIGHT_MAX, PRINCIPALS_REMEMBERED_MAX } from '../../../proxy/limits.ts';
import { proves } from '../../guarantees.ts';
import { REQUESTED } from '../../support/execution-events.ts';
import { PRINCIPAL, settled, World } from '../../support/gate-world.ts';

describe('which tools may be known', () => {
  it('is asked once for each principal and generation of rules', async () => {
    const world = await World.open();
    let asked = 0;
    const { visible } = world.authority;
    world.authority.visible = (principal) => {
      asked += 1;
      return visible.call(world.authority, principal);
    };
    for (const _ of [1, 2, 3]) await world.enforcement.visible(PRINCIPAL);
    expect(asked).toBe(1);
    await world.enforcement.visible({ ...PRINCIPAL, roles: ['other'] });
    expect(asked).toBe(2);
    world.governance.advanceEpoch();
    await world.enforcement.visible(PRINCIPAL);
    expect(asked).toBe(3);
  });

  proves('G9', 'an answer about one principal is never given to another', async () => {
    const world = await World.open();
    world.authority.visible = async (principal) => new Set([`${principal.agent} ${principal.roles.join()}`]);
    const people = [
      { ...PRINCIPAL, agent: 'a', roles: ['b', 'c'] },
      { ...PRINCIPAL, agent: 'a', roles: ['b,c'] },
      { ...PRINCIPAL, agent: 'a","b', roles: ['c'] },
    ];
    for (const _ of [1, 2]) {
      for (const person of people) {
        expect([...(await world.enforcement.visible(person))]).toEqual([`${person.agent} ${person.roles.join()}`]);
      }
    }
  });

  it('is forgotten before it grows without bound', async () => {
    const world = await World.open();
    for (let n = 0; n <= PRINCIPALS_REMEMBERED_MAX; n++)
      await world.enforcement.visible({ ...PRINCIPAL, agent: `${n}` });
    expect(await world.enforcement.visible(PRINCIPAL)).toContain('fs/write_file');
  });

  proves('G4', 'nobody can be asked: nothing, for this once, and a call is denied', async () => {
    const world = await World.open();
    const { visible } = world.authority;
    world.authority.visible = () => Promise.reject(new Error('gone'));
    expect(await world.run()).toMatchObject({ kind: 'denied', code: 'TOOL_UNKNOWN' });
    expect(world.defects).toEqual([]);
    world.authority.visible = visible;
    expect(await world.run()).toMatchObject({ kind: 'result' });
  });
});

const DRIFTED = { kind: 'server', id: 'fs', code: 'SERVER_QUARANTINED', reason: 'another', cause: 'drift' } as const;

describe('admission', () => {
  proves('G4', 'an agent that may start no chain of calls is denied', async () => {
    const world = await World.open();
    const captured = { ...world.capture(), principal: { ...PRINCIPAL, root: false } };
    expect(await world.start(captured).end).toMatchObject({ code: 'LINEAGE_NOT_ROOT' });
  });

  proves('G4', 'a server that drifted is denied before anybody is asked', async () => {
    const world = await World.open();
    await world.enforcement.setAside(DRIFTED);
    world.authority.decide = () => Promise.reject(new Error('asked all the same'));
    expect(await world.run()).toMatchObject({ code: 'SERVER_QUARANTINED', executed: 'no' });
    expect(world.defects).toEqual([]);
  });

  proves('G4', 'a server that is not there, or not described, is unavailable', async () => {
    const gone = await World.open();
    gone.serverIsThere = false;
    expect(await gone.run()).toMatchObject({ code: 'SERVER_UNAVAILABLE', executed: 'no' });
    const down = await World.open();
    down.server.description = undefined;
    expect(await down.run()).toMatchObject({ code: 'SERVER_UNAVAILABLE', executed: 'no' });
    expect([...gone.server.heard, ...down.server.heard]).toEqual([]);
  });
});

describe('the gate as a whole', () => {
  it('has room for so many calls and no more', async () => {
    const world = await World.open();
    world.server.respond = () => undefined;
    const running = Array.from({ length: CALLS_IN_FLIGHT_MAX }, () => world.start(world.capture()));
    await settled();
    expect(world.enforcement.hasRoom()).toBe(false);
    await world.enforcement.stopAll({ type: 'call.cancelled', by: 'shutdown' });
    expect(world.enforcement.hasRoom()).toBe(true);
    await Promise.all(running.map(({ end }) => end));
  });

  it('has room for calls while refusals, however many, are being recorded', async () => {
    const world = await World.open();
    const call = world.capture();
    const { at, principal, lineage } = call;
    const requested = { type: 'call.requested', at, call: call.call, method: 'x', server: null, tool: null } as const;
    const refused = Array.from({ length: 2 * CALLS_IN_FLIGHT_MAX }, () =>
      world.enforcement.refuse({
        requested: { ...requested, principal, args: null, lineage },
        denial: deny('METHOD_UNKNOWN', 'x'),
      }),
    );
    expect(world.enforcement.hasRoom()).toBe(true);
    await Promise.all(refused.map(({ end }) => end));
  });

  proves('G6', 'stops everything that runs, and every call has its ending then', async () => {
    const world = await World.open();
    world.server.respond = () => undefined;
    const calls = Array.from({ length: 5 }, () => world.capture());
    for (const call of calls) world.start(call);
    await settled();
    await world.enforcement.stopAll({ type: 'authority.withdrawn', code: 'AUTHORITY_WITHDRAWN' });
    for (const { call } of calls) {
      expect(world.entriesOf(call, true).at(-1)).toMatchObject({ outcome: { status: 'aborted', dispatched: true } });
    }
    expect(world.server.heard.map(({ cancelled }) => cancelled)).toEqual(calls.map(() => 'AUTHORITY_WITHDRAWN'));
  });

  proves('G6', 'a flood of nonsense is recorded to the last message, and the ledger does not fail of it', async () => {
    const world = await World.open();
    const refusals = Array.from({ length: 6_000 }, () => {
      const { call, lineage } = world.capture();
      const requested = { ...REQUESTED, call, lineage, principal: PRINCIPAL };
      return world.enforcement.refuse({ requested, denial: deny('MESSAGE_MALFORMED') }).end;
    });
    const ends = await Promise.all(refusals);
    expect(ends.filter((end) => end.kind === 'denied' && end.recorded)).toHaveLength(6_000);
    expect(world.generations).toBe(1);
    expect(world.governance.reason).toBeUndefined();
  });
});
