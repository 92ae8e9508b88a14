import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { Catalogue } from '../../../proxy/catalogue.ts';
import { LIST_FRESH_MS, LIST_WAIT_MS } from '../../../proxy/limits.ts';
import { Offers } from '../../../proxy/offers.ts';
import { type Customer, ServerPool } from '../../../proxy/server-pool.ts';
import { definitionOf, describe as described, ScriptedServer, settled } from '../../support/gate-world.ts';
import { ManualClock } from '../../support/ledger.ts';

function world() {
  const clock = new ManualClock();
  const server = new ScriptedServer('fs', []);
  server.description = { ...described('fs', []), capabilities: { prompts: {}, resources: {} } };
  const reads: string[] = [];
  let items: readonly JsonObject[] = [{ name: 'a' }];
  server.list = async (kind) => {
    reads.push(kind);
    return items;
  };
  const catalogue = new Catalogue(sha256);
  catalogue.pin('fs', { ...definitionOf(described('fs', [])), prompts: [{ name: 'approved' }] });
  const pool = new ServerPool({ shared: (name) => (name === 'fs' ? server : undefined) });
  const offers = new Offers(clock, pool, catalogue);
  const offer = (...names: string[]): void => {
    items = names.map((name) => ({ name }));
  };
  return { clock, server, offers, reads, offer };
}

const ANYONE: Customer = { conversation: undefined, agent: 'coder', era: 'legacy' };

/** Whether something settles without the clock. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  let is = false;
  void promise.then(() => {
    is = true;
  });
  await settled();
  return is;
}

describe('a list of a server', () => {
  it('is empty where there is no such server, it is down, or it has no such list', async () => {
    const { server, offers, reads } = world();
    expect(await offers.of('other', 'resources', ANYONE)).toEqual([]);
    server.description = described('fs', []);
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([]);
    server.description = undefined;
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([]);
    expect(reads).toEqual([]);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
  ] as const)('whose reading %s is the last one known', async (_, fails) => {
    const { clock, server, offers } = world();
    const usual = server.list;
    server.list = fails;
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([]);
    server.list = usual;
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([{ name: 'a' }]);
    server.list = fails;
    clock.advance(LIST_FRESH_MS + 1);
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([{ name: 'a' }]);
  });

  it('that is slow delays the first who wait, for a bounded time, and then nobody until it is there', async () => {
    const { clock, server, offers } = world();
    let read: (items: readonly JsonObject[]) => void = () => {};
    let reads = 0;
    server.list = () => {
      reads += 1;
      return new Promise((resolve) => {
        read = resolve;
      });
    };
    const first = offers.of('fs', 'resources', ANYONE);
    expect(await settles(first)).toBe(false);
    clock.advance(LIST_WAIT_MS);
    expect(await first).toEqual([]);
    expect(await settles(offers.of('fs', 'resources', ANYONE))).toBe(true);
    expect(reads).toBe(1);
    read([{ name: 'late' }]);
    await settled();
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([{ name: 'late' }]);
  });

  it('is read once for all who ask at once, kept for a moment, and read anew when the server says that it changed', async () => {
    const { clock, offers, reads, offer } = world();
    await Promise.all([1, 2, 3].map(() => offers.of('fs', 'resources', ANYONE)));
    expect(reads).toEqual(['resources']);
    offer('b');
    clock.advance(LIST_FRESH_MS);
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([{ name: 'a' }]);
    offers.changed('fs', 'prompts');
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([{ name: 'a' }]);
    offers.changed('fs', 'resources');
    expect(await offers.of('fs', 'resources', ANYONE)).toEqual([{ name: 'b' }]);
    clock.advance(LIST_FRESH_MS + 1);
    await offers.of('fs', 'resources', ANYONE);
    expect(reads).toHaveLength(3);
  });

  it('of prompts is what was approved, whatever the server lists and whether it is there or not', async () => {
    const { server, offers, reads, offer } = world();
    offer('b');
    expect(await offers.of('fs', 'prompts', ANYONE)).toEqual([{ name: 'approved' }]);
    expect(await offers.of('fs', 'resourceTemplates', ANYONE)).toEqual([]);
    server.description = undefined;
    expect(await offers.of('fs', 'prompts', ANYONE)).toEqual([{ name: 'approved' }]);
    expect(await offers.of('other', 'prompts', ANYONE)).toEqual([]);
    expect(reads).toEqual([]);
  });
});
