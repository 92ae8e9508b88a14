import { expect, it } from 'vitest';
import { couldMake } from '../../../proxy/uri-template.ts';

it.each([
  ['file:///{path}', 'http://x'],
  ['a', 'b'],
  ['a', 'aa'],
  ['a{x}a', 'a'],
  ['a{x}b{y}c', 'acb'],
  ['x/{a}/y/{b}/y', 'x/1/y'],
  ['{x}.txt', 'a.txt.exe'],
])('%s could not make %s', (template, uri) => {
  expect(couldMake(template, uri)).toBe(false);
});

it.each([
  ['file:///{path}', 'file:///a/b'],
  ['file:///{+path}', 'file:///'],
  ['a', 'a'],
  ['{all}', 'anything at all'],
  ['a{x}b{y}c', 'abc'],
  ['x/{a}/y{?q,r}', 'x/1/y?q=2'],
  ['a{', 'a{'],
])('%s could make %s', (template, uri) => {
  expect(couldMake(template, uri)).toBe(true);
});

it('a hostile template takes no longer than it is long', () => {
  const long = 'a'.repeat(20_000);
  expect(couldMake('{'.repeat(100_000), long)).toBe(false);
  expect(couldMake(`${'{x}a'.repeat(20_000)}b`, long)).toBe(false);
});
