import { describe, expect, it } from 'vitest';
import { RELIST_EVERY_MS, RELIST_LOOK_MS, Relisting } from '../../../cli/relisting.ts';
import { proves } from '../../guarantees.ts';

/** Servers that are asked again, on a clock that goes only when the test says so. */
function world(...servers: { freshForMs?: number | undefined; asked: number; relist(): Promise<void> }[]) {
  let nowMs = 0;
  let look: (() => void) | undefined;
  const relisting = new Relisting(() => servers, {
    nowMs: () => nowMs,
    every: (_ms, then) => {
      look = then;
      return () => {
        look = undefined;
      };
    },
  });
  const pass = async (ms: number): Promise<void> => {
    for (const end = nowMs + ms; nowMs < end; ) {
      nowMs += RELIST_LOOK_MS;
      look?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { relisting, pass };
}

function server(freshForMs?: number, relist = async (): Promise<void> => {}) {
  const made = {
    freshForMs,
    asked: 0,
    relist: () => {
      made.asked += 1;
      return relist();
    },
  };
  return made;
}

describe('a server that runs and says nothing', () => {
  proves('G12', 'is asked again what it is every five minutes, and not before', async () => {
    const silent = server();
    const { pass, relisting } = world(silent);
    await pass(RELIST_EVERY_MS);
    expect(silent.asked).toBe(0);
    await pass(RELIST_LOOK_MS);
    expect(silent.asked).toBe(1);
    await pass(RELIST_EVERY_MS);
    expect(silent.asked).toBe(2);
    relisting.close();
    await pass(3 * RELIST_EVERY_MS);
    expect(silent.asked).toBe(2);
  });

  it('is asked when what it listed holds no longer by its own word; a longer word is not believed, and no word has it asked all the time', async () => {
    const [short, long, hasty] = [server(60_000), server(100 * RELIST_EVERY_MS), server(1)];
    const { pass } = world(short, long, hasty);
    await pass(RELIST_LOOK_MS + RELIST_EVERY_MS);
    expect([short.asked, long.asked]).toEqual([5, 1]);
    expect(hasty.asked).toBeLessThanOrEqual(RELIST_EVERY_MS / RELIST_LOOK_MS);
  });

  it('is not asked twice at once, and one that fails is asked again', async () => {
    let end = (): void => {};
    const slow = server(undefined, () => new Promise<void>((resolve) => (end = resolve)));
    const failing = server(undefined, () => Promise.reject(new Error('no')));
    const { pass } = world(slow, failing);
    await pass(3 * RELIST_EVERY_MS + RELIST_LOOK_MS);
    expect([slow.asked, failing.asked]).toEqual([1, 3]);
    end();
    await pass(RELIST_EVERY_MS + RELIST_LOOK_MS);
    expect([slow.asked, failing.asked]).toEqual([2, 4]);
  });
});
