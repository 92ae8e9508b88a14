import { describe, expect, it } from 'vitest';
import { ARRIVES_WITHIN_MS, Arrivals } from '../../../cli/arrivals.ts';
import { ManualClock } from '../../support/ledger.ts';

/** Whether it has settled by now. */
async function isOver(wait: Promise<void>): Promise<boolean> {
  return Promise.race([wait.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))]);
}

describe('what a program waits for', () => {
  it('is every server, until it is known what the rules make of it', async () => {
    const arrivals = new Arrivals(['fs', 'notes'], new ManualClock(), () => undefined);
    const wait = arrivals.all();
    arrivals.judged(['notes']);
    expect(await isOver(wait)).toBe(false);
    arrivals.judged(['fs', 'notes']);
    expect(await isOver(wait)).toBe(true);
    expect(await isOver(arrivals.all())).toBe(true);
  });

  it('is no server that takes too long, and no more than 15 seconds of any', async () => {
    const clock = new ManualClock();
    const arrivals = new Arrivals(['fs'], clock, () => undefined);
    const wait = arrivals.all();
    clock.advance(ARRIVES_WITHIN_MS - 1);
    expect(await isOver(wait)).toBe(false);
    clock.advance(1);
    expect(await isOver(wait)).toBe(true);
  });

  it('is, from then on, a server that comes late by itself', async () => {
    const clock = new ManualClock();
    let since: number | undefined;
    const arrivals = new Arrivals(['notes'], clock, () => since);
    clock.advance(60_000);
    expect(await isOver(arrivals.all())).toBe(true);
    since = clock.monotonic();
    const wait = arrivals.all();
    expect(await isOver(wait)).toBe(false);
    arrivals.judged(['notes']);
    expect(await isOver(wait)).toBe(true);
  });

  it('is nothing once the gate is closed', async () => {
    const arrivals = new Arrivals(['fs'], new ManualClock(), () => undefined);
    const wait = arrivals.all();
    arrivals.close();
    expect(await isOver(wait)).toBe(true);
  });
});
