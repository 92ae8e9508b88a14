import { describe, expect, it } from 'vitest';
import { SpentPermits } from '../../../proxy/spent-permits.ts';
import { proves } from '../../guarantees.ts';

describe('SpentPermits', () => {
  proves('G3', 'refuses to burn a permit twice', () => {
    const spent = new SpentPermits();
    expect(spent.burn('a', 1_015, 1_000_000)).toBeUndefined();
    expect(spent.burn('a', 1_015, 1_000_000)).toEqual({ code: 'PERMIT_REPLAYED' });
    expect(spent.burn('a', 1_060, 1_000_000)).toEqual({ code: 'PERMIT_REPLAYED' });
  });

  it('refuses to burn what has expired, to the millisecond', () => {
    const spent = new SpentPermits();
    expect(spent.burn('a', 1_015, 1_015_000)).toEqual({ code: 'PERMIT_EXPIRED' });
    expect(spent.burn('a', 1_015, 1_014_999)).toBeUndefined();
  });

  it('refuses a permit without a readable expiry', () => {
    expect(new SpentPermits().burn('a', Number.NaN, 1_000_000)).toBeDefined();
    expect(new SpentPermits().has('a', Number.NaN)).toBe(true);
  });

  proves('G4', 'refuses every further permit when it is full, and gives up none that may still be valid', () => {
    const spent = new SpentPermits(2);
    spent.burn('a', 1_010, 1_000_000);
    spent.burn('b', 1_020, 1_000_000);
    expect(spent.full(1_009_999)).toBe(true);
    expect(spent.burn('c', 1_020, 1_009_999)).toEqual({ code: 'GOV_REPLAY_CACHE' });
    expect(spent.burn('a', 1_010, 1_009_999)).toEqual({ code: 'PERMIT_REPLAYED' });
  });

  it('has room again once one has expired', () => {
    const spent = new SpentPermits(2);
    spent.burn('a', 1_010, 1_000_000);
    spent.burn('b', 1_020, 1_000_000);
    expect(spent.full(1_010_000)).toBe(false);
    expect(spent.burn('c', 1_020, 1_010_000)).toBeUndefined();
    expect(spent.size).toBe(2);
  });

  proves('G3', 'treats as burnt what it has forgotten, so that a clock set back opens nothing', () => {
    const spent = new SpentPermits();
    spent.burn('a', 1_010, 1_000_000);
    spent.burn('b', 1_100, 1_050_000);
    expect(spent.size).toBe(1);
    expect(spent.burn('a', 1_010, 1_001_000)).toEqual({ code: 'PERMIT_REPLAYED' });
    expect(spent.has('never seen', 1_010)).toBe(true);
  });
});
