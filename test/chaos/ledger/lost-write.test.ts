// A disk that says it has written a batch and has not: where the bytes should be there is a hole, and nobody was told.

import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../adapters/storage/memory-store.ts';
import { emptyHead } from '../../../ledger/head.ts';
import { proves } from '../../guarantees.ts';
import { ORIGIN, testKey } from '../../support/ledger.ts';
import { auditFiles, linesOf, openMemoryLedger, sampleLedger, spliced, tampered } from '../../support/memory-ledger.ts';

const key = testKey();

/** Each batch of the sample, with zeros in its place, and nothing in the place of the last one. */
async function losses() {
  const sample = await sampleLedger(key);
  const commits = linesOf(sample.files).filter(({ commit }) => commit);
  return {
    ...sample,
    each: commits.map(({ path, offset, bytes }, at) => {
      const before = commits[at - 1];
      const start = before?.path === path ? before.offset + before.bytes.length + 1 : 0;
      const end = offset + bytes.length + 1;
      const isLast = at === commits.length - 1;
      const hole = new Uint8Array(isLast ? 0 : end - start);
      return { at, isLast, files: tampered(sample.files, path, (whole) => spliced(whole, start, end, hole)) };
    }),
  };
}

describe('a write that was acknowledged and lost', () => {
  proves(
    'G7',
    'in the middle of the ledger is found by an audit, and by the next opening if it is later than the head',
    async () => {
      const { each } = await losses();
      expect(each.length).toBeGreaterThan(8);
      for (const { at, isLast, files } of each) {
        if (isLast) continue;
        expect((await auditFiles(files, key)).findings, `batch ${at}`).not.toEqual([]);
        await expect(
          openMemoryLedger(new MemoryStore(undefined, files), key, emptyHead(ORIGIN)),
          `batch ${at}`,
        ).rejects.toThrow();
      }
    },
  );

  it('at the end of the ledger leaves a shorter one, which only the record of its head can refuse', async () => {
    const { each, head } = await losses();
    const last = each.find(({ isLast }) => isLast)?.files ?? new Map();
    expect((await auditFiles(last, key)).findings).toEqual([]);
    await expect(openMemoryLedger(new MemoryStore(undefined, last), key, head)).rejects.toThrow(
      'does not hold the head',
    );
  });
});
