import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../adapters/storage/memory-store.ts';
import { Defect } from '../../../domain/defect.ts';
import type { EntryBody } from '../../../domain/entry.ts';
import { openCheckpoint } from '../../../ledger/checkpoint.ts';
import { decodeEntry } from '../../../ledger/entry-line.ts';
import { emptyHead } from '../../../ledger/head.ts';
import { LedgerFailure, type WriterLimits } from '../../../ledger/writer.ts';
import { proves } from '../../guarantees.ts';
import { ManualClock, ORIGIN, payload, testKey } from '../../support/ledger.ts';
import { linesOf, openMemoryLedger } from '../../support/memory-ledger.ts';

const key = testKey();

/** A store whose syncs wait until they are let go. */
class SlowStore extends MemoryStore {
  #waiting: (() => void)[] = [];
  slow = false;

  override async create(path: string) {
    const file = await super.create(path);
    return {
      ...file,
      write: async (bytes: Uint8Array, position: number) => {
        if (this.slow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
        return file.write(bytes, position);
      },
    };
  }

  get writesWaiting(): number {
    return this.#waiting.length;
  }

  letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

async function open(limits: Partial<WriterLimits> = {}, store = new SlowStore()) {
  const clock = new ManualClock();
  const opened = await openMemoryLedger(store, key, emptyHead(ORIGIN), { clock, limits });
  return { clock, store, ...opened };
}

const code = (error: unknown) => (error instanceof LedgerFailure ? error.code : error);
const failure = (promise: Promise<unknown>) => promise.then(() => 'resolved', code);
/** Lets everything run that does not wait for a disk. */
const settle = async () => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
};
const entries = (store: MemoryStore) =>
  linesOf(store.contents()).flatMap((line) => (line.commit ? [] : [decodeEntry(line.bytes)]));

describe('the writer refuses', () => {
  it.each<[string, EntryBody]>([
    ['a header field', { type: 'x', seq: 1 }],
    ['no type', { type: '' }],
    ['a number that is none', { type: 'x', n: Number.NaN }],
    ['half a character', { type: 'x', text: '\ud800' }],
  ])('a body with %s: that is a mistake of ours', async (_, body) => {
    const { writer } = await open();
    expect(() => writer.append([body])).toThrow(Defect);
    expect(() => writer.append([])).toThrow(Defect);
  });

  it('an entry that is larger than entries may be, and goes on', async () => {
    const { writer } = await open();
    expect(await failure(writer.append([{ type: 'x', text: 'a'.repeat(33_000) }]))).toBe('oversized');
    expect(await failure(writer.append([{ type: 'x', text: '\u00e9'.repeat(16_300) }]))).toBe('oversized');
    expect(await failure(writer.append([{ type: 'x', text: 'a'.repeat(32_000) }]))).toBe('resolved');
  });

  it('everything once it is closed, after what it had accepted', async () => {
    const { writer } = await open();
    const accepted = writer.append([{ type: 'x' }]);
    const closing = writer.close();
    expect(await failure(writer.append([{ type: 'y' }]))).toBe('closed');
    await closing;
    expect((await accepted)[0]?.seq).toBe(1);
  });

  it('more than may wait, and takes new work again when the disk has caught up', async () => {
    const { writer, store } = await open({ queueEntries: 3 });
    store.slow = true;
    const inFlight = writer.append([{ type: 'in flight' }]);
    await settle();
    const waiting = [1, 2, 3].map((n) => writer.append([{ type: 'waiting', n }]));
    expect(await failure(writer.append([{ type: 'one too many' }]))).toBe('overloaded');
    store.slow = false;
    store.letGo();
    expect((await Promise.all([inFlight, ...waiting])).map(([receipt]) => receipt?.seq)).toEqual([1, 2, 3, 4]);
    expect(await failure(writer.append([{ type: 'again' }]))).toBe('resolved');
    expect(entries(store).map((entry) => entry?.type)).not.toContain('one too many');
  });

  it('to keep anybody waiting longer than the deadline, and writes nothing of theirs', async () => {
    const { writer, store, clock } = await open({ deadlineMs: 2_000, stallMs: 10_000 });
    store.slow = true;
    const inFlight = writer.append([{ type: 'in flight' }]);
    await settle();
    const late = failure(writer.append([{ type: 'late' }]));
    clock.advance(1_999);
    clock.advance(1);
    expect(await late).toBe('overloaded');
    store.slow = false;
    store.letGo();
    await inFlight;
    expect(await failure(writer.append([{ type: 'next' }]))).toBe('resolved');
    expect(entries(store).map((entry) => entry?.type)).toEqual(['log.genesis', 'in flight', 'next']);
  });
});

describe('the writer never refuses', () => {
  proves('G6', 'the denial of what never began, for want of time: a flood of them must not shut the gate', async () => {
    const { writer, store, clock } = await open({ deadlineMs: 2_000, stallMs: 10_000 });
    store.slow = true;
    const inFlight = writer.append([{ type: 'in flight' }]);
    await settle();
    const denial = writer.append([{ type: 'call.denial', call: 'never begun' }]);
    const late = failure(writer.append([{ type: 'late' }]));
    clock.advance(5_000);
    expect(await late).toBe('overloaded');
    store.slow = false;
    store.letGo();
    await inFlight;
    expect((await denial)[0]?.seq).toBe(2);
  });

  proves('G6', 'the ending of what began durably, for want of room or of time', async () => {
    const { writer, store, clock } = await open({ queueEntries: 1, deadlineMs: 2_000 });
    await writer.append([{ type: 'call.intent', call: 'begun' }]);
    store.slow = true;
    const inFlight = writer.append([{ type: 'in flight' }]);
    await settle();
    const waiting = failure(writer.append([{ type: 'call.intent', call: 'waiting' }]));
    const ending = writer.append([{ type: 'call.ending', call: 'begun' }]);
    // An ending of nothing is an entry like any other.
    expect(await failure(writer.append([{ type: 'call.ending', call: 'never begun' }]))).toBe('overloaded');
    clock.advance(5_000);
    expect(await waiting).toBe('overloaded');
    store.slow = false;
    store.letGo();
    await inFlight;
    expect((await ending)[0]?.seq).toBe(3);
    expect(writer.head()?.open).toEqual([]);
  });
});

describe('the writer dies', () => {
  proves(
    'G6',
    'when a batch does not become durable in time: it is rejected, and stays so when the disk answers after all',
    async () => {
      const { writer, store, clock } = await open({ stallMs: 10_000 });
      const told: unknown[] = [];
      writer.onFailure((error) => told.push(error.code));
      store.slow = true;
      const inFlight = failure(writer.append([{ type: 'in flight' }]));
      await settle();
      const waiting = failure(writer.append([{ type: 'waiting' }]));
      clock.stall(10_000);
      expect(told).toEqual(['unwritable']);
      store.letGo();
      expect(await inFlight).toBe('unwritable');
      expect(await waiting).toBe('unwritable');
      await writer.close();
      expect(await failure(writer.append([{ type: 'later' }]))).toBe('unwritable');
      expect(writer.size).toBe(1);
      expect(told).toHaveLength(1);
    },
  );

  it.each<[string, (store: MemoryStore) => void | Promise<void>]>([
    [
      'its lock is lost',
      (store) => {
        store.owned = false;
      },
    ],
    [
      'somebody else has written',
      async (store) => {
        await (await store.open('seg/000000000000.jsonl')).write(
          Buffer.from('foreign'),
          store.bytes('seg/000000000000.jsonl')?.length ?? 0,
        );
      },
    ],
  ])('when %s', async (_, happen) => {
    const { writer, store } = await open();
    let told: LedgerFailure | undefined;
    writer.onFailure((error) => {
      told = error;
    });
    await happen(store);
    const before = store.contents().get('seg/000000000000.jsonl')?.length;
    expect(await failure(writer.append([{ type: 'x' }]))).toBe('unwritable');
    expect(told?.code).toBe('unwritable');
    expect(store.contents().get('seg/000000000000.jsonl')?.length).toBe(before);
  });

  it('when the key cannot sign', async () => {
    const store = new MemoryStore();
    let broken = false;
    const signer = {
      ...key.signer,
      sign: (message: Uint8Array) => {
        if (broken) throw new Error('no key');
        return key.signer.sign(message);
      },
    };
    const { writer } = await openMemoryLedger(store, { ...key, signer });
    broken = true;
    const before = store.contents();
    expect(await failure(writer.append([{ type: 'x' }]))).toBe('unwritable');
    expect(store.contents()).toEqual(before);
  });
});

describe('the writer', () => {
  it('makes all who wait durable with one write and one sync', async () => {
    const operations: string[] = [];
    const store = new MemoryStore(({ operation }) => {
      operations.push(operation);
      return 'succeeds';
    });
    const { writer } = await openMemoryLedger(store, key);
    operations.length = 0;
    const receipts = await Promise.all(Array.from({ length: 100 }, (_, n) => writer.append([{ type: 'x', n }])));
    expect(operations).toEqual(['write', 'sync']);
    expect(receipts.map(([receipt]) => receipt?.seq)).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
    expect(openCheckpoint(writer.note, ORIGIN, key.verifier)?.size).toBe(101);
  });

  proves('G1', 'acknowledges nothing before the entry, its payload and a signed head over it are synced', async () => {
    const { writer, store } = await open();
    store.slow = true;
    let acknowledged = false;
    const secret = payload('secret');
    void writer.append([{ type: 'x', args: secret.commitment }], [secret]).then(() => {
      acknowledged = true;
    });
    await settle();
    // One write for the segment, one for the vault, at the same time.
    expect(store.writesWaiting).toBe(2);
    expect(acknowledged).toBe(false);
    store.slow = false;
    store.letGo();
    await settle();
    expect(acknowledged).toBe(true);
    const last = linesOf(store.contents()).at(-1);
    expect({ commit: last?.commit, size: last?.seq }).toEqual({ commit: true, size: 2 });
    expect([...store.contents()].some(([path, bytes]) => path.startsWith('vault/') && bytes.length > 0)).toBe(true);
    expect([...store.contents().values()].some((bytes) => Buffer.from(bytes).includes('secret'))).toBe(false);
  });

  it('keeps the bodies as they were when they were handed over', async () => {
    const { writer, store } = await open();
    const body = { type: 'x', list: ['as it was'] };
    const appended = writer.append([body]);
    body.list[0] = 'changed later';
    await appended;
    expect(entries(store)[1]).toMatchObject({ list: ['as it was'] });
  });

  it('keeps the entries of one caller together and in order', async () => {
    const { writer, store } = await open({ batchEntries: 4 });
    await Promise.all([1, 2, 3, 4].map((n) => writer.append([1, 2, 3].map((part) => ({ type: 'x', n, part })))));
    expect(
      entries(store)
        .slice(1)
        .map((entry) => [entry?.n, entry?.part]),
    ).toEqual([1, 2, 3, 4].flatMap((n) => [1, 2, 3].map((part) => [n, part])));
  });

  it('never lets time go back, and records that the clock jumped', async () => {
    const { writer, store, clock } = await open();
    clock.advance(1_000);
    const [first] = await writer.append([{ type: 'before' }]);
    clock.wall -= 3_600_000;
    const [second] = await writer.append([{ type: 'after' }]);
    expect(second?.ts).toBe(first?.ts);
    clock.advance(500);
    await writer.append([{ type: 'later' }]);
    const types = entries(store).map((entry) => entry?.type);
    expect(types).toEqual(['log.genesis', 'before', 'clock.stepped', 'after', 'later']);
    expect(entries(store)[2]).toMatchObject({ stepMs: -3_600_000 });
  });

  it('says how far it came only while few calls are open', async () => {
    const { writer } = await open();
    for (let n = 0; n < 4; n++)
      await writer.append(Array.from({ length: 300 }, (_, at) => ({ type: 'call.intent', call: `${n}.${at}` })));
    expect(writer.head()).toBeUndefined();
    for (let n = 0; n < 4; n++)
      await writer.append(Array.from({ length: 299 }, (_, at) => ({ type: 'call.ending', call: `${n}.${at}` })));
    expect(writer.head()?.open).toHaveLength(4);
  });
});
