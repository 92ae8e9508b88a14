import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { zipOf } from '../../../packaging/zip.ts';
import { unzipped } from '../../support/unzipped.ts';

const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('an archive', () => {
  mkdirSync(join(folder, 'inner'));
  const files = { 'a.txt': 'a'.repeat(10_000), empty: '', 'inner/schön ✓.txt': 'text', 'inner/left out.map': '{}' };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);

  it('holds what it was told to, byte for byte, in one order', () => {
    const { 'inner/left out.map': _, ...wanted } = files;
    const archive = zipOf(folder, (path) => !path.endsWith('.map'));
    const found = [...unzipped(archive)].map(([name, content]) => [name, content.toString('utf8')]);
    expect(found).toEqual(Object.entries(wanted));
    expect(archive.length).toBeLessThan(1_000);
  });

  it('is the same whenever it is made', () => {
    expect(zipOf(folder).equals(zipOf(folder))).toBe(true);
  });

  it('is not believed when a byte of it was changed', () => {
    const archive = zipOf(folder);
    const broken = Buffer.from(archive);
    broken[60] = (broken[60] ?? 0) ^ 1;
    expect(() => unzipped(broken)).toThrow();
  });
});
