import { describe, expect, it } from 'vitest';
import { Defect } from '../../../domain/defect.ts';
import { Governance, GUARDS, type Guard } from '../../../proxy/governance.ts';
import { WAYS } from '../../../state-machines/breaker.machine.ts';
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

  it.each(GUARDS)('%s shuts it alone, and whoever shut it opens it, if it can be opened', (guard) => {
    const governance = new Governance(BOOT, []);
    governance.shut(guard, 'GOV_HALTED', 'a reason');
    expect(governance.snapshot()).toEqual({ code: 'GOV_HALTED', detail: 'a reason' });
    for (const other of GUARDS) if (other !== guard) governance.open(other);
    expect(governance.reason).toEqual({ guard, code: 'GOV_HALTED', detail: 'a reason' });
    if (WAYS[guard].includes('broken')) {
      expect(() => governance.open(guard)).toThrow(Defect);
      expect(governance.reason?.guard).toBe(guard);
    } else {
      governance.open(guard);
      expect(governance.reason).toBeUndefined();
    }
  });

  it('says of a policy that is missing or wrong that a person mends it, and of one that is late that it comes', () => {
    const states = (['GOV_POLICY_MISSING', 'GOV_POLICY_INVALID', 'GOV_NOT_READY', 'POLICY_ENGINE_FAULT'] as const).map(
      (code) => {
        const governance = new Governance(BOOT, []);
        governance.shut('policy', code, '');
        return governance.standing('policy').state;
      },
    );
    expect(states).toEqual(['held', 'held', 'failed', 'failed']);
  });

  it('has each change recorded once, before anybody else is told of it', () => {
    const governance = new Governance(BOOT, ['ledger']);
    const happened: string[] = [];
    governance.onRecord((change) => happened.push(`record ${change.change} ${change.guard}`));
    governance.onChange((shut) => happened.push(`tell ${shut?.code}`));
    governance.open('ledger');
    governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    governance.shut('engine', 'POLICY_ENGINE_FAULT', 'still gone');
    governance.open('engine');
    governance.open('engine');
    expect(happened).toEqual([
      'tell undefined',
      'record shut engine',
      'tell POLICY_ENGINE_FAULT',
      'tell POLICY_ENGINE_FAULT',
      'record opened engine',
      'tell undefined',
    ]);
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
      ['stall', 'GOV_STALLED', { stalled: true }],
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
    // Past a guard that never opens nobody gets.
    for (const guard of GUARDS.filter((each) => !WAYS[each].includes('broken'))) {
      const other = new Governance(BOOT, []);
      const behind = GUARDS.slice(GUARDS.indexOf(guard));
      for (const each of behind) other.shut(each, 'GOV_HALTED', each);
      expect(other.reason?.guard).toBe(guard);
      other.open(guard);
      expect(other.reason?.guard).toBe(behind[1]);
    }
    expect(governance.reason?.guard).toBe('operator');
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
