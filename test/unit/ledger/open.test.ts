import { describe, expect, it } from 'vitest';
import { MemoryStore, seededRandom } from '../../../adapters/storage/memory-store.ts';
import { decodeEntry } from '../../../ledger/entry-line.ts';
import { emptyHead, type Head } from '../../../ledger/head.ts';
import { LedgerRefused } from '../../../ledger/open.ts';
import { planRecovery } from '../../../ledger/recovery.ts';
import { proves } from '../../guarantees.ts';
import { ORIGIN, testKey } from '../../support/ledger.ts';
import { auditFiles, linesOf, openMemoryLedger, sampleLedger, tampered } from '../../support/memory-ledger.ts';

const key = testKey();

const reopen = (files: ReadonlyMap<string, Uint8Array>, head?: Head) =>
  openMemoryLedger(new MemoryStore(undefined, files), key, head);

describe('opening refuses', () => {
  proves('G7', 'a ledger that is shorter than its last head, or has another entry there', async () => {
    const early = await sampleLedger(key);
    const store = new MemoryStore(undefined, early.files);
    const { writer } = await openMemoryLedger(store, key, early.head);
    await writer.append([{ type: 'later' }]);
    await writer.close();
    const late = writer.head(true) as Head;
    await expect(reopen(early.files, late)).rejects.toThrow('rolled back');
    const fork = new MemoryStore(undefined, early.files);
    const other = (await openMemoryLedger(fork, key, early.head)).writer;
    await other.append([{ type: 'longer' }, { type: 'than' }, { type: 'before' }]);
    await other.close();
    await expect(reopen(fork.contents(), late)).rejects.toThrow('rolled back');
    await expect(reopen(new Map(), late)).rejects.toThrow('rolled back');
    await expect(reopen(store.contents(), late)).resolves.toBeDefined();
  });

  it('a ledger without any record of its head', async () => {
    const { files } = await sampleLedger(key);
    const store = new MemoryStore(undefined, files);
    const { openLedger } = await import('../../../ledger/open.ts');
    const { sealer, sha256, systemClock } = await import('../../support/ledger.ts');
    const options = { origin: ORIGIN, store, sha256, ...key, sealer, clock: systemClock, head: undefined };
    await expect(openLedger(options)).rejects.toThrow(LedgerRefused);
  });

  it('a head that contradicts itself, or is of another log', async () => {
    const { files, head } = await sampleLedger(key);
    await expect(reopen(files, { ...head, size: head.size - 1 })).rejects.toThrow('contradicts');
    await expect(reopen(files, { ...head, peaks: [...head.peaks].reverse() })).rejects.toThrow('contradicts');
    await expect(reopen(files, { ...head, origin: 'another' })).rejects.toThrow('another log');
  });

  it('files that are no segments', async () => {
    const { files, head } = await sampleLedger(key);
    await expect(reopen(new Map(files).set('seg/notes.txt', new Uint8Array(1)), head)).rejects.toThrow('no segment');
    await expect(reopen(new Map(files).set('seg/000000000099.jsonl', new Uint8Array(0)), head)).rejects.toThrow(
      'does not begin',
    );
  });

  it('an open entry that was changed', async () => {
    const store = new MemoryStore();
    const { writer } = await openMemoryLedger(store, key);
    await writer.append([{ type: 'call.intent', call: 'open', note: 'a' }]);
    await writer.append([{ type: 'x' }]);
    await writer.close();
    const files = tampered(store.contents(), 'seg/000000000000.jsonl', (bytes) => {
      bytes.set(Buffer.from('"b"'), Buffer.from(bytes).indexOf('"a"'));
      return bytes;
    });
    await expect(reopen(files, writer.head(true))).rejects.toThrow('open entry');
  });

  proves('G7', 'a flipped bit, except in a last batch that nothing else remembers', async () => {
    const { files } = await sampleLedger(key);
    const random = seededRandom(11);
    const last = [...files.keys()].sort().at(-1) as string;
    for (const [path, content] of files) {
      if (!path.startsWith('seg/')) continue;
      for (let at = Math.floor(random() * 20); at < content.length; at += 1 + Math.floor(random() * 40)) {
        const bit = 1 << Math.floor(random() * 8);
        const flipped = tampered(files, path, (bytes) => {
          bytes[at] = (bytes[at] as number) ^ bit;
          return bytes;
        });
        const outcome = await reopen(flipped).then(
          ({ discardedBytes }) => discardedBytes,
          (error) => error,
        );
        // Its final line feed or bracket gone, the last batch is what a kill leaves; only a head or a witness knows better.
        const torn = path === last && typeof outcome === 'number' && outcome > 0;
        expect({ path, at, bit, ok: torn || outcome instanceof LedgerRefused }).toEqual({ path, at, bit, ok: true });
      }
    }
  });
});

describe('opening', () => {
  it('hands over the calls that have an intent and no ending, from before and after the head', async () => {
    const store = new MemoryStore();
    const { writer } = await openMemoryLedger(store, key);
    await writer.append([
      { type: 'call.intent', call: 'old' },
      { type: 'call.intent', call: 'done' },
    ]);
    const head = writer.head() as Head;
    await writer.append([
      { type: 'call.ending', call: 'done' },
      { type: 'call.intent', call: 'new' },
    ]);
    for (const known of [head, emptyHead(ORIGIN)]) {
      const { open, epoch } = await reopen(store.contents(), known);
      expect(open.map((each) => each.key)).toEqual(['old', 'new']);
      expect(open[0]?.entry).toMatchObject({ type: 'call.intent', seq: 1 });
      expect(epoch).toBe(2);
    }
  });

  it('writes a new generation and says what it found', async () => {
    const { files, head } = await sampleLedger(key);
    const cut = tampered(
      files,
      [...files.keys()].sort().at(-1) as string,
      (bytes) => new Uint8Array(Buffer.concat([bytes, Buffer.from('{"torn')])),
    );
    for (const [content, known, expected] of [
      [files, head, { after: 'close', discarded: null }],
      [files, emptyHead(ORIGIN), { after: 'crash', discarded: null }],
      [cut, head, { after: 'crash', discarded: { bytes: 6 } }],
    ] as const) {
      const store = new MemoryStore(undefined, content);
      await openMemoryLedger(store, key, known);
      const recovered = linesOf(store.contents())
        .filter((line) => !line.commit)
        .at(-1);
      expect(decodeEntry(recovered?.bytes ?? new Uint8Array(0))).toMatchObject({
        type: 'log.recovered',
        epoch: 2,
        ...expected,
      });
      expect((await auditFiles(store.contents(), key, { deep: true })).ok).toBe(true);
    }
  });

  it('puts a torn tail aside and keeps it', async () => {
    const { files, head } = await sampleLedger(key);
    const path = [...files.keys()].sort().at(-1) as string;
    const store = new MemoryStore(
      undefined,
      tampered(files, path, (bytes) => new Uint8Array(Buffer.concat([bytes, Buffer.from('{"torn')]))),
    );
    await openMemoryLedger(store, key, head);
    const [kept] = [...store.contents()].filter(([each]) => each.startsWith('quarantine/'));
    expect(Buffer.from(kept?.[1] ?? []).toString()).toBe('{"torn');
  });
});

describe('the plan of a recovery', () => {
  const quiet = {
    findings: [],
    tail: { bytes: 0, commits: 0, holes: false },
    tailInLastSegment: true,
    closedHere: false,
  };
  const finding = { kind: 'changed', segment: 's', line: 1, offset: 0, detail: 'd' } as const;

  it.each([
    ['a ledger that was closed', { ...quiet, closedHere: true }, 'keep'],
    ['a writer that was killed between batches', quiet, 'rehome'],
    ['lines without a commit line', { ...quiet, tail: { bytes: 9, commits: 0, holes: false } }, 'rehome'],
    [
      'a batch with lost sectors',
      { ...quiet, findings: [finding], tail: { bytes: 9, commits: 1, holes: true } },
      'rehome',
    ],
    [
      'a whole batch that is wrong',
      { ...quiet, findings: [finding], tail: { bytes: 9, commits: 1, holes: false } },
      'refuse',
    ],
    [
      'several batches that are wrong',
      { ...quiet, findings: [finding], tail: { bytes: 9, commits: 2, holes: true } },
      'refuse',
    ],
    [
      'a tail in the middle of the log',
      { ...quiet, tail: { bytes: 9, commits: 0, holes: false }, tailInLastSegment: false },
      'refuse',
    ],
    ['a finding without a tail', { ...quiet, findings: [finding] }, 'refuse'],
  ])('after %s', (_, found, action) => {
    expect(planRecovery(found).action).toBe(action);
  });
});
