import { describe, expect, it } from 'vitest';
import { Governance, GUARDS, type Guard } from '../../../proxy/governance.ts';
import { proves } from '../../guarantees.ts';

const BOOT = '01KAJ0000000000000000B0001';

describe('governance', () => {
  proves('G4', 'is shut until everything it needs has opened it, in any order', () => {
    const needed: Guard[] = ['ledger', 'revocations', 'policy', 'engine', 'servers'];
    for (const last of needed) {
      const governance = new Governance(BOOT, needed);
      for (const guard of needed) {
        if (guard === last) continue;
        governance.open(guard);
        expect(governance.snapshot()).toMatchObject({ code: 'GOV_NOT_READY' });
      }
      governance.open(last);
      expect(governance.snapshot()).toEqual({ state: 'normal', epoch: 1, revocation: 0, boot: BOOT });
    }
  });

  it.each(GUARDS)('%s shuts it alone, and whoever shut it opens it', (guard) => {
    const governance = new Governance(BOOT, []);
    governance.shut(guard, 'GOV_HALTED', 'a reason');
    expect(governance.snapshot()).toEqual({ code: 'GOV_HALTED', detail: 'a reason' });
    for (const other of GUARDS) if (other !== guard) governance.open(other);
    expect(governance.reason).toEqual({ guard, code: 'GOV_HALTED', detail: 'a reason' });
    governance.open(guard);
    expect(governance.reason).toBeUndefined();
  });

  proves('G4', 'what it says to the checks of a permit agrees with whether it is shut', () => {
    const ready = { ready: true, halted: false, ledgerWritable: true, policy: 'installed' };
    expect(new Governance(BOOT, []).live()).toMatchObject(ready);
    const shut: readonly (readonly [Guard, Parameters<Governance['shut']>[1], object])[] = [
      ['operator', 'GOV_HALTED', { halted: true }],
      ['ledger', 'GOV_LEDGER_UNWRITABLE', { ledgerWritable: false }],
      ['ledger', 'GOV_NOT_READY', { ledgerWritable: false }],
      ['revocations', 'GOV_NOT_READY', { revocationsFresh: false }],
      ['revocations', 'GOV_REVOCATION_STALE', { revocationsFresh: false }],
      ['engine', 'POLICY_ENGINE_FAULT', { ready: false }],
      ['servers', 'SERVER_UNAVAILABLE', { ready: false }],
      ['policy', 'GOV_NOT_READY', { ready: false, policy: 'invalid' }],
      ['policy', 'GOV_POLICY_MISSING', { policy: 'missing' }],
      ['policy', 'GOV_POLICY_INVALID', { policy: 'invalid' }],
    ];
    for (const [guard, code, expected] of shut) {
      const governance = new Governance(BOOT, []);
      governance.shut(guard, code, '');
      expect(governance.live()).toEqual({ ...new Governance(BOOT, []).live(), ...expected });
    }
  });

  it('tells the reason of the first guard in order, and the next when that one opens', () => {
    const governance = new Governance(BOOT, []);
    for (const guard of GUARDS.toReversed()) governance.shut(guard, 'GOV_HALTED', guard);
    for (const guard of GUARDS) {
      expect(governance.reason?.guard).toBe(guard);
      governance.open(guard);
    }
  });

  it('counts generations upwards and never revocations back', () => {
    const governance = new Governance(BOOT, []);
    governance.advanceEpoch();
    governance.noteRevocation(5);
    governance.noteRevocation(3);
    expect(governance.snapshot()).toMatchObject({ epoch: 2, revocation: 5 });
    expect(governance.live()).toMatchObject({ epoch: 2, revocation: 5 });
  });

  it('tells its listeners of every change, in the tick in which it happens', () => {
    const governance = new Governance(BOOT, []);
    const told: (string | undefined)[] = [];
    governance.onChange((shut) => told.push(shut?.detail));
    governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', 'first');
    governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', 'second');
    governance.open('ledger');
    governance.open('ledger');
    expect(told).toEqual(['first', 'second', undefined]);
  });
});
