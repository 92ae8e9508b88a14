import { describe, expect, it } from 'vitest';
import { Quarantine, type Quarantined } from '../../../proxy/quarantine.ts';
import { proves } from '../../guarantees.ts';
import { PRINCIPAL, settled, World } from '../../support/gate-world.ts';

const SERVER: Quarantined = { kind: 'server', id: 'fs', code: 'SERVER_QUARANTINED', reason: 'its tools changed' };
const AGENT: Quarantined = {
  kind: 'agent',
  id: PRINCIPAL.agent,
  code: 'AGENT_QUARANTINED',
  reason: 'too many denials',
};

describe('what was set aside', () => {
  it('is refused for its reason until it is lifted, and nothing else is', () => {
    const quarantine = new Quarantine();
    quarantine.put(SERVER);
    expect(quarantine.refusal('fs', 'anybody')).toEqual({ code: 'SERVER_QUARANTINED', detail: 'its tools changed' });
    expect(quarantine.refusal('git', 'fs')).toBeUndefined();
    quarantine.lift('agent', 'fs');
    expect(quarantine.refusal('fs', 'anybody')).toBeDefined();
    quarantine.lift('server', 'fs');
    expect(quarantine.refusal('fs', 'anybody')).toBeUndefined();
  });

  it('is said once for each thing: the last reason counts', () => {
    const quarantine = new Quarantine();
    quarantine.put(SERVER);
    quarantine.put({ ...SERVER, reason: 'again' });
    expect(quarantine.all()).toEqual([{ ...SERVER, reason: 'again' }]);
  });

  it.each([SERVER, AGENT])('denies new calls before anybody is asked: $kind', async (quarantined) => {
    const world = await World.open();
    world.authority.decide = () => Promise.reject(new Error('asked all the same'));
    await world.enforcement.setAside(quarantined);
    expect(await world.run()).toMatchObject({ code: quarantined.code, executed: 'no' });
    expect(world.server.heard).toEqual([]);
    expect(world.defects).toEqual([]);
  });

  it('is not told to whom no rule speaks of the server', async () => {
    const world = await World.open();
    world.authority.visible = async () => new Set();
    await world.enforcement.setAside(SERVER);
    expect(await world.run()).toMatchObject({ code: 'TOOL_UNKNOWN' });
  });

  proves('G12', 'what runs with it ends, and its late answer goes nowhere', async () => {
    const world = await World.open();
    world.server.respond = () => undefined;
    const running = world.start(world.capture());
    await settled();
    expect(world.server.heard).toHaveLength(1);
    expect(await world.enforcement.setAside(SERVER)).toBe(1);
    expect(await running.end).toMatchObject({ kind: 'denied', executed: 'perhaps' });
  });

  proves(
    'G12',
    'a permit that was given before is of no use any more, neither to the gate nor at the door',
    async () => {
      const world = await World.open();
      const decided = world.authority.authorize.bind(world.authority);
      world.authority.authorize = async (request) => {
        const decision = await decided(request);
        world.quarantine.put(SERVER);
        return decision;
      };
      expect(await world.run()).toMatchObject({ code: 'SERVER_QUARANTINED', executed: 'no' });
      expect(world.server.heard).toEqual([]);
    },
  );

  it('stays set aside for one cause when another is lifted', () => {
    const quarantine = new Quarantine();
    quarantine.put(SERVER);
    quarantine.put({ ...SERVER, reason: 'it drifted', cause: 'drift' });
    quarantine.lift('server', 'fs');
    expect(quarantine.refusal('fs', 'anybody')?.detail).toBe('it drifted');
    quarantine.lift('server', 'fs', 'drift');
    expect(quarantine.all()).toEqual([]);
  });
});
