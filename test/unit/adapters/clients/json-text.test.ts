import { describe, expect, it } from 'vitest';
import { editText, parseText } from '../../../../adapters/clients/edit-text.ts';

const refused = [
  ['empty text', 'json', ' \n', 1, 1, /empty/],
  ['half-written text', 'jsonc', '{\n  "a": {\n', 3, 1, /brace/],
  ['a comment where the client takes none', 'json', '{\n  // c\n  "a": 1\n}', 2, 3, /comment/],
  ['a key given twice', 'jsonc', '{ "a": 1,\n  "a": 2 }', 2, 3, /"a" is given twice/],
  ['a key given twice below', 'jsonc', '{ "s": { "x": 1,\r\n"x": 2 } }', 2, 1, /twice/],
  ['text after the end', 'json', '{}\n{}', 2, 1, /end of file/],
  ['text that is nested without end', 'json', '['.repeat(5_000), 1, 101, /deeper/],
] as const;

describe('a JSON text', () => {
  it.each(refused)('is refused as %s, with line and column', (_, format, text, line, column, reason) => {
    const read = parseText(format, text);
    expect(read).toEqual({ ok: false, problem: { line, column, reason: expect.stringMatching(reason) } });
    expect(editText(format, text, [{ path: ['b'], value: 1 }])).toEqual(read);
  });

  it.each([
    ['a value between odd spaces', '{"a" :  1 ,"b":2}', ['a'], 'x', '{"a" :  "x" ,"b":2}'],
    ['a byte order mark and CRLF', '\uFEFF{\r\n\t"a": 1\r\n}', ['b'], 2, '\uFEFF{\r\n\t"a": 1,\r\n\t"b": 2\r\n}'],
    ['a comment behind the last member', '{\n  "a": 1 // one\n}', ['b'], 2, '{\n  "a": 1, // one\n  "b": 2\n}'],
    ['a trailing comma', '{\n  "a": 1, // one\n}\n', ['b'], 2, '{\n  "a": 1, // one\n  "b": 2,\n}\n'],
    ['a map that is empty', '{\n  "e": {}\n}', ['e', 'N'], 'v', '{\n  "e": {\n    "N": "v"\n  }\n}'],
    ['a map with only a comment', '{"e": { // c\n}}', ['e', 'N'], 1, '{"e": { // c\n  "N": 1\n}}'],
    ['maps that are missing', '{\n  "a": 1\n}', ['p', 'q'], 1, '{\n  "a": 1,\n  "p": {\n    "q": 1\n  }\n}'],
    ['the last of several members', '{\n  "a": 1, // one\n  "b": 2\n}', ['b'], undefined, '{\n  "a": 1 // one\n}'],
    ['a member in the middle', '{ "a": 1, "b": 2, "c": 3 }', ['b'], undefined, '{ "a": 1, "c": 3 }'],
    ['the only member', '{ "a": 1 }', ['a'], undefined, '{ }'],
    ['an empty list', '{ "l": [ ] }', ['l'], ['x'], '{ "l": ["x"] }'],
    [
      'the front of a list',
      '{"l": [ "-y", /* p */ "p" ]}',
      ['l'],
      ['w', '-y', 'p'],
      '{"l": [ "w", "-y", /* p */ "p" ]}',
    ],
    [
      'the front of a shrinking list',
      '{"l": [ "w", "-y", /* p */ "p" ]}',
      ['l'],
      ['-y', 'p'],
      '{"l": [ "-y", /* p */ "p" ]}',
    ],
    ['a list over lines', '{\n "l": [\n  "p" // p\n ]\n}', ['l'], ['w', 'p'], '{\n "l": [\n  "w",\n  "p" // p\n ]\n}'],
    ['a name that objects have', '{"a":1}', ['__proto__'], 1, '{"a":1, "__proto__": 1}'],
  ])('is changed only at %s', (_, text, path, value, expected) => {
    expect(editText('jsonc', text, [{ path, value }])).toEqual({ ok: true, text: expected });
  });

  it('is refused when an edit leads through a value that is no map', () => {
    expect(editText('json', '{"a": 1}', [{ path: ['a', 'b'], value: 1 }]).ok).toBe(false);
  });
});
