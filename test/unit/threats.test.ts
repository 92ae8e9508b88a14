// docs/threat-model.md answers each row of the public catalogues, once for each id, and names tests that exist.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GUARANTEES, NOT_YET } from '../guarantees.ts';
import { missing, ROOT, readDocument } from '../support/documents.ts';
import { ANSWERS, answerOf, catalogueRows, renderCatalogue, threatRows } from '../support/threats.ts';

const SHARED = join(ROOT, '..', 'shared', 'catalogue', 'threats.csv');
const HERE = existsSync(SHARED) || process.env.CI === 'true';
const threats = threatRows(readDocument('docs/threat-model.md'));

describe('the threat model', () => {
  it('has rows', () => {
    expect(threats.length).toBeGreaterThan(40);
    expect(new Set(threats.map(({ key }) => key)).size).toBe(threats.length);
  });

  it.each(threats)('says of $key what is done, by which promise, and shows it', ({ answer, promises, tests, ids }) => {
    expect(ANSWERS).toContain(answer);
    for (const promise of promises) expect(Object.keys(GUARANTEES)).toContain(promise);
    for (const promise of promises) expect(Object.keys(NOT_YET)).not.toContain(promise);
    const isOut = answer.startsWith('out');
    expect(promises.length > 0).toBe(!isOut);
    expect(tests.length > 0).toBe(!isOut);
    expect(tests.flatMap((test) => missing(test) ?? [])).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('says the same in the table by ids', () => {
    const listed = [...readDocument('docs/threat-catalogue.md').matchAll(/^\| [^|]+ \| ([^|]+) \|/gm)]
      .map(([, id = '']) => id)
      .filter((id) => id !== 'Id');
    expect([...new Set(threats.flatMap(({ ids }) => ids))].sort()).toEqual([...listed].sort());
  });

  it.each([
    [['enforce', 'enforce'], 'enforce'],
    [['enforce', 'partial'], 'partial'],
    [['enforce', 'out'], 'partial'],
    [['out', 'out, later'], 'out'],
    [['record'], 'record'],
  ])('takes %j together as %s', (answers, expected) => {
    const [row] = threats;
    expect(answerOf(answers.map((answer) => ({ ...row, answer }) as (typeof threats)[number]))).toBe(expected);
  });
});

describe.skipIf(!HERE)('the public catalogues (skipped where they are not beside the repository)', () => {
  const catalogue = HERE ? catalogueRows(readFileSync(SHARED, 'utf8')) : [];

  it('are answered row by row: no id is left out, and none is invented', () => {
    expect(catalogue.length).toBeGreaterThan(150);
    const known = catalogue.map(({ id }) => id);
    const answered = new Set(threats.flatMap(({ ids }) => ids));
    expect({
      leftOut: known.filter((id) => !answered.has(id)),
      invented: [...answered].filter((id) => !known.includes(id)),
    }).toEqual({ leftOut: [], invented: [] });
  });

  it('have their table', async () => {
    await expect(renderCatalogue(catalogue, threats)).toMatchFileSnapshot('../../docs/threat-catalogue.md');
  });
});
