// What is refused before anything is written, and what is kept of a file that is replaced.

import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replaceFile, seeFile, temporaryBeside } from '../../../../adapters/clients/safe-file.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function replace(file: string, text: string | undefined, broken?: string): void {
  const before = seeFile(file);
  replaceFile({
    file,
    before,
    after: text === undefined ? undefined : Buffer.from(text),
    temporary: temporaryBeside(before?.real ?? file, 'test'),
    broken: () => broken,
    keep: () => undefined,
  });
}

describe('refused, with nothing written', () => {
  it.each<[string, (file: string) => void, string]>([
    ['a file that is read-only', (file) => chmodSync(file, 0o444), 'is read-only'],
    ['a file with two names', (file) => linkSync(file, `${file}.2`), 'has 2 names (hard links)'],
  ])('%s', (_what, make, why) => {
    const file = join(folder, 'one.json');
    writeFileSync(file, 'old');
    make(file);
    expect(() => replace(file, 'new')).toThrow(why);
    expect(readFileSync(file, 'utf8')).toBe('old');
  });

  it('what is no file', () => {
    mkdirSync(join(folder, 'one.json'));
    expect(() => seeFile(join(folder, 'one.json'))).toThrow('is not a file');
  });

  it('a link that leads nowhere, and links in a circle', () => {
    symlinkSync(join(folder, 'nowhere'), join(folder, 'one.json'));
    expect(() => seeFile(join(folder, 'one.json'))).toThrow('a link that leads nowhere');
    symlinkSync(join(folder, 'b'), join(folder, 'a'));
    symlinkSync(join(folder, 'a'), join(folder, 'b'));
    expect(() => seeFile(join(folder, 'a'))).toThrow('its links lead in a circle');
  });

  it('bytes that are not a whole file of their kind', () => {
    const file = join(folder, 'one.json');
    writeFileSync(file, 'old');
    expect(() => replace(file, '{', 'it ends too early')).toThrow('it ends too early');
    expect(readFileSync(file, 'utf8')).toBe('old');
  });
});

it('a file is replaced where its links lead, with the mode that it had', () => {
  const real = join(folder, 'dotfiles', 'one.json');
  mkdirSync(join(folder, 'dotfiles'));
  writeFileSync(real, 'old');
  chmodSync(real, 0o644);
  symlinkSync(join('dotfiles', 'one.json'), join(folder, 'one.json'));
  replace(join(folder, 'one.json'), 'new');
  expect(readFileSync(real, 'utf8')).toBe('new');
  expect(lstatSync(join(folder, 'one.json')).isSymbolicLink()).toBe(true);
  expect(statSync(real).mode & 0o777).toBe(0o644);
});

it('a file that was not there is private, and goes again', () => {
  const file = join(folder, 'deeper', 'one.json');
  replace(file, 'new');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  replace(file, undefined);
  expect(seeFile(file)).toBeUndefined();
});
