import { describe, expect, it } from 'vitest';
import { parseStrictJson, type StrictJsonReason } from '../../../domain/strict-json.ts';
import { DEFAULT_JSON_LIMITS } from '../../../proxy/limits.ts';

const LIMITS = { bytesMax: 4096, depthMax: 4, nodesMax: 20 };

function parse(input: string | Uint8Array, limits = DEFAULT_JSON_LIMITS) {
  return parseStrictJson(typeof input === 'string' ? Buffer.from(input) : input, limits);
}

describe('strict JSON refuses', () => {
  const manyNames = Array.from({ length: 40 }, (_, index) => `"k${index}":0`).join(',');
  const refused: [StrictJsonReason, string, string | Uint8Array, number?][] = [
    ['too_large', 'one byte more than the limit', `"${'x'.repeat(4095)}"`, 4096],
    ['too_deep', 'one level more than the limit', '[[{"a":[[1]]}]]', 8],
    ['too_deep', 'a bomb that never closes', '['.repeat(4000), 4],
    ['too_deep', 'objects as well as arrays', '{"a":{"a":{"a":{"a":{}}}}}', 20],
    ['too_many_nodes', 'one value more than the limit', `[${Array(20).fill('0').join(',')}]`, 39],
    ['too_many_nodes', 'many containers', `[${Array(20).fill('{}').join(',')}]`],
    ['too_many_nodes', 'many words', `[${Array(20).fill('true').join(',')}]`],
    ['too_many_nodes', 'many members', `{${Array.from({ length: 20 }, (_, index) => `"${index}":""`).join(',')}}`],

    ['utf8', 'a stray continuation byte', Buffer.from([0x22, 0x61, 0x80, 0x22]), 2],
    ['utf8', 'an overlong slash', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 1],
    ['utf8', 'an overlong quote', Buffer.from([0x22, 0xe0, 0x80, 0xa2, 0x22])],
    ['utf8', 'a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['utf8', 'beyond the last code point', Buffer.from([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22])],
    ['utf8', 'a sequence cut off at the end', Buffer.from([0x22, 0x61, 0xc3])],
    ['utf8', 'UTF-16', Buffer.from([0xff, 0xfe, 0x31, 0x00]), 0],

    ['syntax', 'nothing', ''],
    ['syntax', 'a byte order mark', '\ufeff{}'],
    ['syntax', 'two values', '{} {}', 3],
    ['syntax', 'a value and a newline-separated other', '1\n2'],
    ['syntax', 'a trailing comma', '[1,]'],
    ['syntax', 'a comment', '[1/* */]'],
    ['syntax', 'single quotes', "{'a':1}"],
    ['syntax', 'a bare name', '{a:1}'],
    ['syntax', 'a string that does not end', '{"a":"b'],
    ['syntax', 'a string that ends in a backslash', '"\\'],
    ['syntax', 'a string that ends in an escaped quote', '"abc\\"'],
    ['syntax', 'a control character in a string', '"a\nb"'],
    ['syntax', 'an unknown escape', '"\\x41"'],
    ['syntax', 'an unknown escape in a name', '{"\\x41":1}'],
    ['syntax', 'a leading zero', '01'],
    ['syntax', 'a leading plus', '+1'],
    ['syntax', 'a bare point', '.5'],
    ['syntax', 'a point without digits', '1.'],
    ['syntax', 'two signs', '--1'],
    ['syntax', 'hexadecimal', '0x10'],
    ['syntax', 'not-a-number', '[NaN]'],
    ['syntax', 'infinity', '[Infinity]'],
    ['syntax', 'the wrong closing bracket', '{"a":[1}]'],
    ['syntax', 'a closing bracket too many', '[]]'],
    ['syntax', 'a closing bracket too few', '[[]'],
    ['syntax', 'a word in capitals', 'True'],
    ['syntax', 'a word cut short', '[tru]'],
    ['syntax', 'a no-break space', '[\u00a01]'],
    ['syntax', 'a NUL after the value', '{}\u0000'],

    ['duplicate_key', 'the same name twice', '{"a":1,"a":1}', 7],
    ['duplicate_key', 'the same name once escaped', '{"a":1,"\\u0061":2}', 7],
    ['duplicate_key', 'an escaped solidus', '{"a/b":1,"a\\/b":2}'],
    ['duplicate_key', 'a name outside the BMP, written and escaped', '{"\u{1f600}":1,"\\ud83d\\ude00":2}'],
    ['duplicate_key', 'the empty name twice', '{"":1,"":2}'],
    ['duplicate_key', 'a name before and after a nested object', '{"a":{"b":1},"b":2,"a":3}'],
    ['duplicate_key', 'a name before and after an array', '{"a":[{"a":1}],"a":3}'],
    ['duplicate_key', 'in an object in an array', '[{"a":1},{"a":1,"a":1}]'],
    ['duplicate_key', 'the first of many names again', `{${manyNames},"k0":1}`],
    ['duplicate_key', 'the last of many names again', `{${manyNames},"k39":1}`],
    ['duplicate_key', 'among many names after a nested object with many', `{${manyNames},"n":{${manyNames}},"k20":1}`],
    ['duplicate_key', 'with white space between', '{ "a" : 1 ,\n\t"a" : 1 }'],

    ['forbidden_key', '__proto__', '{"__proto__":{}}', 1],
    ['forbidden_key', 'constructor', '{"a":[{"constructor":1}]}', 7],
    ['forbidden_key', 'prototype', '{"a":{"prototype":null}}'],
    ['forbidden_key', '__proto__ in escapes', '{"\\u005f_proto_\\u005F":{}}'],
    ['forbidden_key', 'constructor in escapes', '{"constructo\\u0072":{}}'],

    ['lone_surrogate', 'a high one', '"\\ud800"', 0],
    ['lone_surrogate', 'a low one', '["a","\\uDFFF"]', 5],
    ['lone_surrogate', 'two high ones', '"\\ud83d\\ud83d"'],
    ['lone_surrogate', 'the wrong order', '"\\ude00\\ud83d"'],
    ['lone_surrogate', 'in a name', '{"a\\udc00":1}'],
    ['lone_surrogate', 'an escaped one after a character outside the BMP', '"\u{1f600}\\ude00"'],
    ['lone_surrogate', 'behind an escaped backslash', '"\\\\\\ud800"'],

    ['number', 'an integer that is not safe', '9007199254740992', 0],
    ['number', 'a negative integer that is not safe', '[-9007199254740992]', 1],
    ['number', 'a long integer', '{"id":123456789012345678901234567890}'],
    ['number', 'a power that is not finite', '1e400'],
    ['number', 'a negative power that is not finite', '-1E+309'],
    ['number', 'a long integer that is not finite', '9'.repeat(400)],
    ['number', 'underflow to zero', '1e-400'],
    ['number', 'underflow of a long fraction', `0.${'0'.repeat(400)}1`],
    ['number', 'eighteen significant digits', '0.123456789012345678'],
    ['number', 'eighteen significant digits in a power', '1.23456789012345678e10'],
    ['number', 'an unsafe integer that is written with a fraction', '9007199254740993.0'],
    ['number', 'an unsafe integer that is written as a power', '9007199254740993e0'],
    ['number', 'an unsafe integer that is written as a fraction and a power', '-0.9007199254740993E+16'],
    ['number', 'an unsafe integer with seventeen digits and a power', '{"a":12345678901234567e1}'],
  ];
  it.each(refused)('%s: %s', (reason, _name, input, offset) => {
    const small = reason === 'too_large' || reason === 'too_deep' || reason === 'too_many_nodes';
    const result = parse(input, small ? LIMITS : DEFAULT_JSON_LIMITS);
    expect(result).toMatchObject({ ok: false, reason });
    if (offset !== undefined) expect(result).toMatchObject({ offset });
  });

  it('counts offsets in bytes of the input', () => {
    expect(parse('["žluť",1e400]')).toEqual({ ok: false, reason: 'number', offset: 10 });
  });

  it('a bomb of brackets as large as a message may be, without recursing', () => {
    const limits = { ...DEFAULT_JSON_LIMITS, depthMax: 5_000_000, nodesMax: 5_000_000 };
    expect(parse('['.repeat(4_000_000), limits)).toMatchObject({ ok: false, reason: 'syntax' });
  });
});

describe('strict JSON accepts', () => {
  const accepted: [string, string][] = [
    ['exactly the depth', '[[[[1]]]]'],
    ['exactly the nodes', `[${Array(19).fill('0').join(',')}]`],
    ['exactly the bytes', `"${'x'.repeat(4094)}"`],
    ['the same name in different objects', '{"a":{"a":1},"b":[{"a":1},{"a":2}]}'],
    ['the same text as name and value', '{"a":"a","b":["a","b"]}'],
    ['names that differ only in case or form', '{"a":1,"A":2,"\u00e9":3,"e\u0301":4}'],
    ['names that only resemble forbidden ones', '{"proto":1,"__proto":2,"Constructor":3}'],
    ['forbidden names as values', '["__proto__","constructor","prototype"]'],
    ['names of the object prototype', '{"toString":1,"hasOwnProperty":2}'],
    ['an escaped pair', '"\\ud83d\\ude00"'],
    ['an escaped backslash before the letter u', '"\\\\ud800"'],
    ['the largest safe integers', '[9007199254740991,-9007199254740991]'],
    ['minus zero', '-0'],
    ['seventeen significant digits', '[0.10000000000000001,123456789.12345678,1.7976931348623157e308]'],
    ['the smallest double', '5e-324'],
    ['zero written at length', '[0.0,0e10,-0.000000000000000000000000,0E-999]'],
    ['a large power', '1e22'],
    ['white space', ' \t\r\n{ "a" :\n[ ] } '],
    ['brackets, commas and colons in strings', '{"a]}":"[{,:","b\\"c":"\\\\"}'],
    ['a long string with escapes far in', `"${'x'.repeat(100)}\\"${'y'.repeat(100)}\\\\"`],
  ];
  it.each(accepted)('%s', (_name, text) => {
    expect(parse(text, { ...LIMITS })).toEqual({ ok: true, value: JSON.parse(text) });
  });
});

// An engine that misreads these is in use: Node 24.21.
describe('names that an engine may misread', () => {
  const odd: [string, readonly string[]][] = [
    ['{"":false,"\\\\":1,"a":2}', ['', '\\', 'a']],
    ['{"":[],"\\"":"","é":[]}', ['', '"', 'é']],
  ];
  it.each(odd)('are read as they are written, or refused: %s', (text, names) => {
    for (let turn = 0; turn < 200; turn += 1) {
      const parsed = parse(text);
      if (parsed.ok) expect(Object.keys(parsed.value as object)).toEqual(names);
      else expect(parsed.reason).toBe('syntax');
    }
  });
});
