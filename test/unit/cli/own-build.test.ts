// A gate that outlives an update of its program notices.

import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { sameFile } from '../../../cli/own-build.ts';

const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each<[string, (file: string) => void]>([
  ['is gone', (file) => rmSync(file)],
  [
    'was replaced by one of the same text',
    (file) => {
      writeFileSync(`${file}.new`, 'gate');
      renameSync(`${file}.new`, file);
    },
  ],
  [
    'was written again',
    (file) => {
      writeFileSync(file, 'gate');
      utimesSync(file, 1, 1);
    },
  ],
])('a file that %s is another one', (_what, change) => {
  const file = join(folder, 'gate.js');
  writeFileSync(file, 'gate');
  const isSame = sameFile(file);
  expect(isSame()).toBe(true);
  change(file);
  expect(isSame()).toBe(false);
});

it('a file that was not there is none that could be the same', () => {
  expect(sameFile(join(folder, 'nothing'))()).toBe(false);
});

it('our own is the same as long as nobody updates us', () => {
  expect(sameFile()()).toBe(true);
});
