import { describe, expect, it } from 'vitest';
import type { EntryBody } from '../../../domain/entry.ts';
import { BreakerLog } from '../../../proxy/breaker-log.ts';
import { Governance, type Guard } from '../../../proxy/governance.ts';
import type { Receipt } from '../../../proxy/ports.ts';
import { proves } from '../../guarantees.ts';
import { settled } from '../../support/gate-world.ts';

function logged(closed: readonly Guard[] = []) {
  const governance = new Governance('01KAJ0000000000000000B0001', closed);
  const entries: EntryBody[] = [];
  // Whoever is told first may bring an intent at once.
  governance.onChange((shut) => {
    if (shut?.detail === 'with an intent') entries.push({ type: 'call.intent' });
  });
  const failures: string[] = [];
  let now = 1_000;
  let broken = false;
  const recorder = {
    append: async (body: EntryBody): Promise<Receipt> => {
      if (broken) throw new Error('no');
      entries.push(body);
      return { seq: entries.length, ts: '', leafHash: 'sha256:' };
    },
  };
  const log = new BreakerLog({
    governance,
    recorder,
    clock: { now: () => now },
    onUnrecorded: (detail) => {
      failures.push(detail);
      governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', detail);
    },
  });
  return {
    governance,
    log,
    failures,
    later: (ms: number) => (now += ms),
    breaks: (is: boolean) => (broken = is),
    said: () =>
      entries.map(({ type, guard, code }) => [type, guard, code].filter((part) => part !== undefined).join(' ')),
    entries,
  };
}

describe('what shut the gate is in the ledger', () => {
  proves('G4', 'each change of each guard, in order', async () => {
    const gate = logged();
    gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    gate.governance.shut('servers', 'SERVER_UNAVAILABLE', 'fs: x'.padEnd(5_000, 'x'));
    gate.governance.open('engine');
    gate.governance.shut('operator', 'GOV_HALTED', 'a defect');
    expect(gate.said()).toEqual([
      'gate.shut engine POLICY_ENGINE_FAULT',
      'gate.shut servers SERVER_UNAVAILABLE',
      'gate.opened engine',
      'gate.shut operator GOV_HALTED',
    ]);
    expect(gate.entries.every((entry) => JSON.stringify(entry).length < 500)).toBe(true);
  });

  it('a halt of its operator is recorded by whoever orders it, and not twice', () => {
    const gate = logged();
    gate.governance.shut('halt', 'GOV_HALTED', 'lunch');
    gate.governance.open('halt');
    expect(gate.said()).toEqual([]);
  });

  proves(
    'G4',
    'what happened while the ledger was gone is recorded when it is back, and so is what still holds',
    () => {
      const gate = logged();
      gate.governance.shut('policy', 'GOV_POLICY_INVALID', 'wrong');
      gate.governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', 'disk full');
      gate.later(5_000);
      gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
      gate.governance.open('engine');
      expect(gate.said()).toEqual(['gate.shut policy GOV_POLICY_INVALID']);
      gate.governance.open('ledger');
      expect(gate.said().slice(1)).toEqual([
        'gate.shut ledger GOV_LEDGER_UNWRITABLE',
        'gate.shut engine POLICY_ENGINE_FAULT',
        'gate.opened engine',
        'gate.opened ledger',
        'gate.shut policy GOV_POLICY_INVALID',
      ]);
      expect(gate.entries.map(({ at }) => at)).toEqual([1_000, 1_000, 6_000, 6_000, 6_000, 6_000]);
    },
  );

  it('what it cannot record shuts the gate, and is recorded later', async () => {
    const gate = logged();
    gate.breaks(true);
    gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    await settled();
    expect(gate.failures).toHaveLength(1);
    expect(gate.governance.isShutBy('ledger')).toBe(true);
    gate.breaks(false);
    gate.governance.open('ledger');
    expect(new Set(gate.said())).toEqual(
      new Set(['gate.shut ledger GOV_LEDGER_UNWRITABLE', 'gate.shut engine POLICY_ENGINE_FAULT', 'gate.opened ledger']),
    );
  });

  proves('G4', 'what was on its way when the ledger failed is recorded in the order in which it happened', async () => {
    const gate = logged();
    gate.breaks(true);
    gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    gate.governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', 'disk full');
    // Waits already when the ledger says of the one before that it did not take it.
    gate.governance.open('engine');
    await settled();
    gate.breaks(false);
    gate.governance.open('ledger');
    expect(gate.said()).toEqual([
      'gate.shut engine POLICY_ENGINE_FAULT',
      'gate.shut ledger GOV_LEDGER_UNWRITABLE',
      'gate.opened engine',
      'gate.opened ledger',
    ]);
  });

  proves(
    'G4',
    'what is recorded last of a guard is how it stands, however late the ledger said no to less',
    async () => {
      const gate = logged();
      gate.breaks(true);
      gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
      gate.breaks(false);
      gate.governance.open('engine');
      await settled();
      expect(gate.said()).toEqual(['gate.opened engine']);
      gate.governance.open('ledger');
      expect(gate.said().filter((said) => said.includes('engine'))).toEqual([
        'gate.opened engine',
        'gate.shut engine POLICY_ENGINE_FAULT',
        'gate.opened engine',
      ]);
    },
  );

  proves('G4', 'it is there before anybody who is told of it can bring an intent', () => {
    const gate = logged();
    gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'with an intent');
    expect(gate.said()).toEqual(['gate.shut engine POLICY_ENGINE_FAULT', 'call.intent']);
  });

  it('a ledger that failed already is not said to have failed once more for what was on its way', async () => {
    const gate = logged();
    gate.breaks(true);
    gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    gate.governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', 'disk full');
    await settled();
    expect(gate.failures).toEqual([]);
  });

  it('what cannot be recorded any more when the gate ends shuts nothing', async () => {
    const gate = logged();
    gate.breaks(true);
    gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    gate.log.close();
    await settled();
    expect(gate.failures).toEqual([]);
  });

  it('a halt is not recorded by this either when the ledger is back, nor is what has not said its first word', () => {
    const gate = logged(['ledger', 'engine']);
    gate.governance.shut('halt', 'GOV_HALTED', 'lunch');
    gate.governance.open('ledger');
    expect(gate.said()).toEqual([]);
  });

  it('a start that goes well leaves nothing, one that does not says why', () => {
    const gate = logged(['ledger', 'policy']);
    gate.governance.shut('policy', 'GOV_POLICY_MISSING', 'none');
    expect(gate.said()).toEqual([]);
    gate.governance.open('ledger');
    expect(gate.said()).toEqual(['gate.shut policy GOV_POLICY_MISSING']);
  });

  it('a ledger that never comes back is waited for with a bound', () => {
    const gate = logged();
    gate.governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', 'gone');
    for (let times = 0; times < 500; times++) {
      gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
      gate.governance.open('engine');
    }
    gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone at last');
    gate.governance.open('ledger');
    expect(gate.entries.length).toBeLessThan(100);
    expect(gate.said()).toContain('gate.shut engine POLICY_ENGINE_FAULT');
    expect(gate.said()).toContain('gate.opened ledger');
  });

  it('that parts of it go when it ends is no news', () => {
    const gate = logged();
    gate.log.close();
    gate.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'ended');
    expect(gate.said()).toEqual([]);
  });

  it('says since when each guard stands as it does', () => {
    const gate = logged(['engine']);
    gate.later(50);
    gate.governance.open('engine');
    gate.later(50);
    gate.governance.shut('stall', 'GOV_STALLED', '2 s');
    gate.later(50);
    gate.governance.shut('stall', 'GOV_STALLED', '3 s');
    const of = (guard: Guard) => gate.log.standings().find((one) => one.guard === guard);
    expect(of('engine')).toEqual({ guard: 'engine', state: 'open', since: 1_050 });
    gate.governance.shut('policy', 'GOV_POLICY_MISSING', 'none');
    gate.later(50);
    gate.governance.shut('policy', 'GOV_POLICY_INVALID', 'wrong');
    expect(of('policy')).toMatchObject({ state: 'held', since: 1_200 });
    expect(of('stall')).toEqual({
      guard: 'stall',
      state: 'failed',
      since: 1_100,
      reason: { code: 'GOV_STALLED', detail: '3 s' },
    });
  });
});
