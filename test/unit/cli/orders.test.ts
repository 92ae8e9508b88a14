import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gateFolder } from '../../../cli/home.ts';
import { operatorsOf } from '../../../cli/operators.ts';
import { giveOrder, type OrderTaker, orderTaker, standingOrders } from '../../../cli/orders.ts';
import type { Order } from '../../../cli/standing-orders.ts';
import { proves } from '../../guarantees.ts';

const SECRET = new Uint8Array(32).fill(7);
const ME: Order = { what: 'revoke', kind: 'agent', id: 'me' };
const HALT: Order = { what: 'halt', reason: 'a look' };
const RESUME: Order = { what: 'resume' };

let root: string;
let open: OrderTaker[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'portcullis-'));
});
afterEach(async () => {
  for (const taker of open) taker.close();
  open = [];
  await rm(root, { recursive: true, force: true });
});

const home = () => ({ config: root, state: root });
const give = (order: Order, gate?: string) => giveOrder(home(), SECRET, order, gate === undefined ? {} : { gate });

/** One run of a gate as far as orders are concerned. */
async function run(name = 'g', failing: (what: string) => boolean = () => false) {
  const done: string[] = [];
  const unknown: unknown[] = [];
  const does = async (what: string) => {
    if (failing(what)) throw new Error(`cannot ${what}`);
    done.push(what);
    return 1;
  };
  const folder = join(root, 'gates', name);
  await mkdir(folder, { recursive: true });
  const taker = await orderTaker({
    home: home(),
    folder: { name, folder },
    secret: SECRET,
    gate: {
      revoke: async (kind, id) => ({ number: 1, stopped: await does(`revoke ${kind} ${id}`) }),
      haltFor: (reason) => does(`halt ${reason}`),
      resume: async () => void (await does('resume')),
      quarantines: {
        setAside: (kind, id) => does(`set aside ${kind} ${id}`),
        lift: async (kind, id) => void (await does(`lift ${kind} ${id}`)),
      },
      settle: async (call, as) => void (await does(`settle ${call} ${as}`)),
    },
    onUnknown: (error) => unknown.push(error),
  });
  open.push(taker);
  return { ...taker, done, unknown };
}

describe('what was ordered of an installation', () => {
  for (const [what, spoil] of [
    ['cut', (text: string) => text.slice(0, -10)],
    ['altered', (text: string) => text.replace('"me"', '"no"')],
    ['of another kind', (text: string) => text.replace('"orders"', '"halt"')],
  ] as const) {
    proves('G4', `and is ${what} is taken by no gate, and none goes on with what it has`, async () => {
      await give(ME);
      const file = join(root, 'orders.json');
      await writeFile(file, spoil(await readFile(file, 'utf8')));
      const gate = await run();
      await expect(gate.take()).rejects.toThrow('orders.json');
      expect(gate.unknown).toHaveLength(1);
      expect(gate.done).toEqual([]);
      await expect(give(HALT)).rejects.toThrow('orders.json');
    });
  }

  proves('G4', 'and is gone, or older than a gate knows, is noticed', async () => {
    await give(ME);
    const file = join(root, 'orders.json');
    const old = await readFile(file);
    await give(HALT);
    const gate = await run();
    await gate.take();
    await writeFile(file, old);
    await expect((await run()).take()).rejects.toThrow('older');
    await rm(file);
    await expect((await run()).take()).rejects.toThrow('gone');
    expect(gate.done).toEqual(['halt a look', 'revoke agent me']);
  });

  proves('G12', 'is taken by a gate that starts later, also by one that never ran', async () => {
    expect(await give(ME)).toBe(1);
    expect(await give({ ...ME, id: 'you' })).toBe(2);
    for (const name of ['g', 'g.2', 'other']) {
      const gate = await run(name);
      expect(await gate.take()).toEqual({ order: 2, stopped: 2 });
      expect(gate.done).toEqual(['revoke agent me', 'revoke agent you']);
    }
  });

  proves('G12', 'is seen by a gate that runs and was not told', async () => {
    const gate = await run();
    await gate.take();
    await give(ME);
    await expect.poll(() => gate.done, { timeout: 10_000 }).toEqual(['revoke agent me']);
    // Whoever ordered it asks a moment later what it did.
    expect(await gate.take()).toEqual({ order: 1, stopped: 1 });
  });

  it('for gates of one name is for those beside it too, and for no other', async () => {
    await give(ME, 'g');
    await give({ ...ME, id: 'you' }, 'g.2');
    const did: Record<string, string[]> = {};
    for (const name of ['g', 'g.2', 'gg', 'other']) {
      const gate = await run(name);
      await gate.take();
      did[name] = gate.done;
    }
    expect(did).toEqual({ g: ['revoke agent me'], 'g.2': ['revoke agent me', 'revoke agent you'], gg: [], other: [] });
  });

  it('is taken once, also by later runs', async () => {
    await give(ME);
    const gate = await run();
    await Promise.all([gate.take(), gate.take()]);
    const later = await run();
    expect(await later.take()).toEqual({ order: 1, stopped: 0 });
    expect([gate.done, later.done]).toEqual([['revoke agent me'], []]);
  });

  it('counts in the end: halts come first, and lifting them last', async () => {
    for (const order of [HALT, RESUME, ME, HALT, RESUME]) await give(order);
    const lifted = await run();
    await lifted.take();
    expect(lifted.done).toEqual(['revoke agent me', 'resume']);
    await give({ ...ME, id: 'you' });
    await give(HALT);
    const halted = await run('new');
    await halted.take();
    expect(halted.done).toEqual(['halt a look', 'revoke agent me', 'revoke agent you']);
  });

  it('keeps apart the halts of gates of different names', async () => {
    await give(HALT);
    await give(RESUME, 'g');
    await give({ what: 'halt', reason: 'one' }, 'h');
    const did: Record<string, string[]> = {};
    for (const name of ['g', 'h', 'i']) {
      const gate = await run(name);
      await gate.take();
      did[name] = gate.done;
    }
    expect(did).toEqual({ g: ['resume'], h: ['halt one'], i: ['halt a look'] });
  });

  proves('G12', 'and could not be done is tried again, and lifts nothing before', async () => {
    let broken = true;
    await give(ME);
    await give(RESUME);
    const gate = await run('g', (what) => broken && what.startsWith('revoke'));
    await expect(gate.take()).rejects.toThrow('cannot revoke');
    expect(gate.done).toEqual([]);
    expect(gate.unknown).toEqual([]);
    broken = false;
    await gate.take();
    expect(gate.done).toEqual(['revoke agent me', 'resume']);
  });

  it('of who is set aside says the last for each, and lifting it everywhere lifts it at each gate', async () => {
    const aside = { what: 'set-aside', kind: 'agent', id: 'me', reason: 'too much' } as const;
    const lift = { what: 'lift', kind: 'agent', id: 'me' } as const;
    await give(aside, 'g');
    await give(lift, 'h');
    await give({ ...aside, kind: 'server' }, 'g');
    await give(ME);
    const before = await run();
    await before.take();
    expect(before.done).toEqual(['set aside agent me', 'set aside server me', 'revoke agent me']);
    await give(lift);
    await give(aside, 'h');
    const after = await run('g.2');
    await after.take();
    expect(after.done).toEqual(['set aside server me', 'revoke agent me', 'lift agent me']);
    const other = await run('h');
    await other.take();
    expect(other.done).toEqual(['revoke agent me', 'lift agent me', 'set aside agent me']);
  });

  describe('when an operator lifts a quarantine over HTTP', () => {
    const aside = { what: 'set-aside', kind: 'server', id: 'shop', reason: 'too much' } as const;
    const [SET, LIFTED] = ['set aside server shop', 'lift server shop'];
    /** As POST /operator/orders has it. */
    const lift = async (more: object = {}) => {
      await mkdir(join(root, 'gates', 'g'), { recursive: true });
      await writeFile(gateFolder(home(), 'g').heads, '');
      const operators = operatorsOf(
        { operators: { ann: { apiKey: 'sha256:x' } } } as never,
        home(),
        SECRET,
        {} as never,
      );
      return operators?.order({ order: 'lift', kind: 'server', id: 'shop', ...more }, 'ann');
    };

    it.each([
      ['whose kind cannot be set aside', { kind: 'call' }],
      ['of nobody', { id: '' }],
      ['with a member that is not known', { number: 1 }],
      ['of a gate that there is not', { gate: 'h' }],
    ])('refuses one %s, and nothing is lifted', async (_, more) => {
      await give(aside, 'g');
      expect(await lift(more)).toHaveProperty('problem');
      const gate = await run();
      await gate.take();
      expect(gate.done).toEqual([SET]);
    });

    proves(
      'G4',
      'what was set aside again afterwards stays so: for a gate that runs, that starts again, and that is new',
      async () => {
        const gate = await run();
        await give(aside, 'g');
        await gate.take();
        expect(await lift()).toMatchObject({ done: true, answer: { order: 2 } });
        await gate.take();
        expect(gate.done).toEqual([SET, LIFTED]);
        await give(aside, 'g');
        await gate.take();
        expect(gate.done).toEqual([SET, LIFTED, SET]);
        const again = await run();
        await again.take();
        expect(again.done).toEqual([]);
        const beside = await run('g.2');
        await beside.take();
        expect(beside.done.at(-1)).toBe(SET);
        expect(await standingOrders(home(), SECRET)).toMatchObject([
          { number: 2, what: 'lift', by: 'ann' },
          { number: 3, what: 'set-aside', gate: 'g' },
        ]);
      },
    );

    proves('G4', 'an old lift that is put back in the place of what came after it lifts nothing', async () => {
      const file = join(root, 'orders.json');
      const gate = await run();
      await give(aside);
      await lift();
      const old = await readFile(file);
      await gate.take();
      await give(aside);
      await gate.take();
      await writeFile(file, old);
      for (const one of [gate, await run()]) {
        await expect(one.take()).rejects.toThrow('older');
        expect(one.unknown.length).toBeGreaterThan(0);
      }
      expect(gate.done).toEqual([LIFTED, SET]);
    });

    proves(
      'G4',
      'one that was taken and could not be noted is not taken again after what was set aside since',
      async () => {
        let broken = true;
        await give(aside);
        await lift();
        await give(ME);
        const gate = await run('g', (what) => broken && what.startsWith('revoke'));
        await expect(gate.take()).rejects.toThrow('cannot revoke');
        expect(gate.done).toEqual([LIFTED]);
        await give(aside);
        broken = false;
        await gate.take();
        expect(gate.done).toEqual([LIFTED, 'revoke agent me', SET]);
      },
    );

    it('at one gate, it stays set aside at the others', async () => {
      await give(aside);
      await lift({ gate: 'g' });
      const [one, other] = [await run('g'), await run('h')];
      await Promise.all([one.take(), other.take()]);
      expect([one.done, other.done]).toEqual([[SET, LIFTED], [SET]]);
    });
  });

  it('by many at once is all there', async () => {
    const numbers = await Promise.all(Array.from({ length: 8 }, (_, n) => give({ ...ME, id: `${n}` })));
    expect(numbers.sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const gate = await run();
    await gate.take();
    expect(gate.done).toHaveLength(8);
  });
});
