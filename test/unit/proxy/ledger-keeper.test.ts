import { describe, expect, it } from 'vitest';
import type { EntryBody } from '../../../domain/entry.ts';
import { Governance } from '../../../proxy/governance.ts';
import { type LedgerGeneration, LedgerKeeper } from '../../../proxy/ledger-keeper.ts';
import type { Receipt } from '../../../proxy/ports.ts';
import { proves } from '../../guarantees.ts';
import { settled } from '../../support/gate-world.ts';
import { ManualClock } from '../../support/ledger.ts';

const BODY: EntryBody = { type: 'note' };

class FakeGeneration implements LedgerGeneration {
  readonly epoch: number;
  closed = false;
  fails: (detail: string) => void = () => {};

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  async append(): Promise<Receipt> {
    return { seq: this.epoch, ts: '', leafHash: 'sha256:' };
  }

  onFailure(listener: (detail: string) => void): void {
    this.fails = listener;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

function kept() {
  const governance = new Governance('01KAJ0000000000000000B0001', ['ledger']);
  const clock = new ManualClock();
  const opened: FakeGeneration[] = [];
  const failures: string[] = [];
  let attempts = 0;
  const state = { refuse: false, slow: undefined as Promise<void> | undefined };
  const keeper = new LedgerKeeper({
    governance,
    clock,
    open: async () => {
      attempts += 1;
      await state.slow;
      if (state.refuse) throw new Error('read-only file system');
      const generation = new FakeGeneration(opened.length + 1);
      opened.push(generation);
      return generation;
    },
    onFailure: (detail) => failures.push(detail),
  });
  return { keeper, governance, clock, opened, failures, state, attempts: () => attempts };
}

describe('the keeper of the ledger', () => {
  proves('G6', 'refuses every entry and keeps the gate shut while there is no ledger', async () => {
    const { keeper, governance } = kept();
    await expect(keeper.append(BODY, [])).rejects.toThrow('GOV_LEDGER_UNWRITABLE');
    expect(governance.reason).toMatchObject({ guard: 'ledger' });
    await keeper.start(() => false);
    expect(await keeper.append(BODY, [])).toMatchObject({ seq: 1 });
    expect(governance.reason).toBeUndefined();
  });

  it('a ledger that is not what it was rejects: somebody has to look at it', async () => {
    const { keeper, governance, state, clock, attempts } = kept();
    state.refuse = true;
    await expect(keeper.start((fault) => String(fault).includes('read-only'))).rejects.toThrow('read-only');
    expect(governance.reason).toMatchObject({ guard: 'ledger' });
    clock.advance(60_000);
    await settled();
    expect(attempts()).toBe(1);
  });

  proves('G6', 'any other failure of the first opening leaves the gate shut until an opening works', async () => {
    const { keeper, governance, state, clock } = kept();
    state.refuse = true;
    await keeper.start(() => false);
    expect(governance.reason?.detail).toContain('read-only');
    await expect(keeper.append(BODY, [])).rejects.toThrow('GOV_LEDGER_UNWRITABLE');
    state.refuse = false;
    clock.advance(500);
    await settled();
    expect(governance.reason).toBeUndefined();
  });

  proves(
    'G6',
    'a failure shuts the gate in its own tick, and nothing is appended to the failed generation again',
    async () => {
      const { keeper, governance, opened, failures } = kept();
      await keeper.start(() => false);
      opened[0]?.fails('no space left');
      expect(governance.reason).toEqual({ guard: 'ledger', code: 'GOV_LEDGER_UNWRITABLE', detail: 'no space left' });
      expect(failures).toEqual(['no space left']);
      await expect(keeper.append(BODY, [])).rejects.toThrow('GOV_LEDGER_UNWRITABLE');
      await settled();
      expect(opened[0]?.closed).toBe(true);
    },
  );

  proves(
    'G6',
    'opens the ledger anew until it can be written, less and less often, and opens the gate then',
    async () => {
      const { keeper, governance, opened, clock, state, attempts } = kept();
      await keeper.start(() => false);
      state.refuse = true;
      opened[0]?.fails('EIO');
      for (const wait of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
        const before = attempts();
        clock.advance(wait - 1);
        await settled();
        expect(attempts()).toBe(before);
        clock.advance(1);
        await settled();
        expect(attempts()).toBe(before + 1);
        expect(governance.reason?.detail).toContain('read-only');
      }
      state.refuse = false;
      clock.advance(10_000);
      await settled();
      expect(governance.reason).toBeUndefined();
      expect(await keeper.append(BODY, [])).toMatchObject({ seq: 2 });
    },
  );

  it('fails a generation once, whoever reports it and how often', async () => {
    const { keeper, opened, failures, clock } = kept();
    await keeper.start(() => false);
    keeper.fail('found wanting');
    keeper.fail('found wanting again');
    opened[0]?.fails('and this one says so itself');
    expect(failures).toEqual(['found wanting']);
    clock.advance(500);
    await settled();
    // What the old one reports late does not concern the new one.
    opened[0]?.fails('late');
    expect(await keeper.append(BODY, [])).toMatchObject({ seq: 2 });
    expect(opened).toHaveLength(2);
  });

  it('two generations are two recorders, and none is a third', async () => {
    const { keeper, clock } = kept();
    const none = keeper.recorder();
    await keeper.start(() => false);
    const first = keeper.recorder();
    keeper.fail('a test');
    expect(keeper.recorder()).toBe(none);
    clock.advance(500);
    await settled();
    expect(keeper.recorder()).not.toBe(first);
    expect(keeper.recorder()).not.toBe(none);
  });

  it('once closed it opens nothing, and closes what was being opened', async () => {
    const { keeper, opened, clock, state, governance } = kept();
    await keeper.start(() => false);
    let go: () => void = () => {};
    state.slow = new Promise((resolve) => {
      go = resolve;
    });
    keeper.fail('a test');
    clock.advance(500);
    await settled();
    await keeper.close();
    go();
    await settled();
    expect(opened[1]?.closed).toBe(true);
    expect(governance.reason).toMatchObject({ guard: 'ledger' });
    await expect(keeper.append(BODY, [])).rejects.toThrow();
    clock.advance(60_000);
    await settled();
    expect(opened).toHaveLength(2);
  });
});
