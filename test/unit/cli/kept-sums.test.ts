// A sum over a ledger, written down and taken up again: whatever became of the document, it is the sum of the ledger.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSum } from '../../../cli/kept-sums.ts';
import type { Entry } from '../../../domain/entry.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import { proves } from '../../guarantees.ts';
import { fileLedgerOptions, openFileLedger, temporaryFolder, testKey } from '../../support/ledger.ts';

const SECRET = new Uint8Array(32).fill(7);

let root: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  root = temporaryFolder();
});
afterEach(() => root.remove());

/** The numbers of all entries of a test, and how many of them were read since it was taken up. */
class Numbers {
  readonly numbers: number[];
  read = 0;

  constructor(kept: JsonObject | undefined) {
    this.numbers = [...((kept?.numbers ?? []) as readonly number[])];
  }

  entry({ type, number }: Entry): void {
    this.read += 1;
    if (type === 'test') this.numbers.push(number as number);
  }

  toJson(): JsonObject {
    return { numbers: [...this.numbers] as readonly Json[] };
  }
}

/** One run: opens the ledger of this folder, takes the sum up, and writes numbers. */
async function run(name: string, numbers: readonly number[], unheard: readonly number[] = []) {
  const folder = join(root.path, name);
  mkdirSync(folder, { recursive: true });
  const notes: string[] = [];
  const gate = { name: 'gate', folder, ledger: join(folder, 'ledger') };
  const kept = await openSum(
    { folder: gate, secret: SECRET, note: (text) => notes.push(text) },
    { name: 'numbers', make: (from) => new Numbers(from) },
  );
  const { ledger } = await openFileLedger(fileLedgerOptions(folder, key, { limits: { segmentEntries: 3 } }));
  await kept.catchUp();
  const { read, numbers: before } = kept.sum;
  const found = [...before];
  for (const number of [...numbers, ...unheard]) {
    const body = { type: 'test', number };
    const [receipt] = await ledger.append([body]);
    if (receipt === undefined) throw new Error('no receipt');
    if (!unheard.includes(number)) kept.recorded(body, receipt);
  }
  await ledger.close();
  await kept.keep();
  return { found, read, after: [...kept.sum.numbers], notes, file: join(folder, 'numbers.json') };
}
const key = testKey();

describe('what is summed up over a ledger', () => {
  it('is taken up where it was written down, and only what came after is read', async () => {
    expect(await run('a', [1, 2, 3, 4, 5])).toMatchObject({ found: [], after: [1, 2, 3, 4, 5] });
    expect(await run('a', [6])).toMatchObject({ found: [1, 2, 3, 4, 5], read: 1, notes: [] });
    expect(await run('a', [])).toMatchObject({ found: [1, 2, 3, 4, 5, 6], read: 1 });
  });

  it('has what was written and never told', async () => {
    await run('a', [1, 2], [3, 4]);
    expect((await run('a', [5])).found).toEqual([1, 2, 3, 4]);
  });

  const spoils: readonly (readonly [string, (file: string) => void])[] = [
    ['gone', (file) => rmSync(file)],
    ['cut', (file) => writeFileSync(file, readFileSync(file).subarray(0, 40))],
    ['altered', (file) => writeFileSync(file, readFileSync(file, 'utf8').replace('[1,2]', '[]'))],
    ['empty', (file) => writeFileSync(file, '')],
  ];
  for (const [what, spoil] of spoils) {
    proves('G4', `is the same where the document is ${what}: the ledger says it`, async () => {
      const { file } = await run('a', [1, 2]);
      spoil(file);
      const { found, notes } = await run('a', [3]);
      expect(found).toEqual([1, 2]);
      expect(existsSync(`${file}.refused`)).toBe(what !== 'gone');
      expect(notes).toHaveLength(what === 'gone' ? 0 : 1);
      expect((await run('a', [])).found).toEqual([1, 2, 3]);
    });
  }

  proves('G4', 'is the same where an older document was put in its place', async () => {
    const { file } = await run('a', [1, 2]);
    const old = readFileSync(file);
    await run('a', [3, 4, 5, 6]);
    writeFileSync(file, old);
    expect((await run('a', [])).found).toEqual([1, 2, 3, 4, 5, 6]);
  });

  proves('G4', 'is not that of another ledger', async () => {
    const { file } = await run('a', [1, 2, 3]);
    const other = await run('b', [7, 8, 9]);
    cpSync(file, other.file);
    expect((await run('b', [])).found).toEqual([7, 8, 9]);
    // Nor of one that is shorter.
    await run('c', []);
    cpSync(file, join(root.path, 'c', 'numbers.json'));
    expect((await run('c', [])).found).toEqual([]);
  });
});
