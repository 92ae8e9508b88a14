import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { Defect } from '../../../domain/defect.ts';
import type { Json } from '../../../domain/json.ts';
import { parseStrictJson } from '../../../domain/strict-json.ts';
import { vectors } from '../../support/vectors.ts';

const LIMITS = { bytesMax: 1 << 20, depthMax: 64, nodesMax: 100_000 };
const documents = vectors('jcs/cyberphone');
const numbers = vectors('jcs/es6-numbers/static-u64.json');
const absent = ' (shared vectors are not here)';

describe('canonical JSON refuses', () => {
  const holed: unknown[] = [1];
  holed[2] = 3;
  let deep: Json = 1;
  for (let level = 0; level < 257; level++) deep = [deep];
  const refused: [string, unknown][] = [
    ['undefined', undefined],
    ['a member that is undefined', { a: undefined }],
    ['a function', () => 1],
    ['a function named toJSON', { toJSON: () => 'something else' }],
    ['a symbol', Symbol('a')],
    ['a bigint', 1n],
    ['not-a-number', [Number.NaN]],
    ['infinity', { a: Number.POSITIVE_INFINITY }],
    ['a hole in an array', holed],
    ['a lone high surrogate', 'a\ud800'],
    ['a lone low surrogate in a long string', `${'x'.repeat(1000)}\udc00`],
    ['a lone surrogate in a name', { 'a\udfff': 1 }],
    ['surrogates in the wrong order', '\udc00\ud800'],
    ['a date', new Date(0)],
    ['a map', new Map([['a', 1]])],
    ['bytes', new Uint8Array(2)],
    ['an instance of a class', new (class A {})()],
    ['257 levels', deep],
    // The first member cannot be brought into order as an object; what follows must be checked all the same.
    ['undefined behind names that look like indexes', { a: { '10': 1, '9': 2 }, b: undefined }],
    ['a lone surrogate behind names that look like indexes', [{ '10': 1, '9': 2 }, '\ud800']],
  ];
  it.each(refused)('%s', (_name, value) => {
    expect(() => canonicalJson(value as Json)).toThrow(Defect);
  });
});

describe('canonical JSON writes', () => {
  const written: [string, Json, string][] = [
    ['members by UTF-16 code units, not by code points', { '\ufb33': 1, '\u{1f600}': 2 }, '{"\u{1f600}":2,"\ufb33":1}'],
    ['names that look like indexes as names', { '10': 1, '9': 2, '1': 3 }, '{"1":3,"10":1,"9":2}'],
    [
      'names before indexes where they sort so',
      { '5': 1, '-': 2, a: [{ b: 1, a: 2 }] },
      '{"-":2,"5":1,"a":[{"a":2,"b":1}]}',
    ],
    ['the empty name first', { a: 1, '': 2 }, '{"":2,"a":1}'],
    ['minus zero as zero', [-0, 0], '[0,0]'],
    ['numbers as ECMAScript does', [1e21, 1e-7, 4.5, 1 / 3, 5e-324], '[1e+21,1e-7,4.5,0.3333333333333333,5e-324]'],
    [
      'only the escapes that must be',
      '\u0000\b\t\n\f\r"\\/\u007f\u2028é',
      '"\\u0000\\b\\t\\n\\f\\r\\"\\\\/\u007f\u2028é"',
    ],
    ['empty containers', { b: [], a: {} }, '{"a":{},"b":[]}'],
    ['an object without prototype', Object.assign(Object.create(null), { b: 1, a: 2 }) as Json, '{"a":2,"b":1}'],
    [
      'an own member named __proto__',
      JSON.parse('{"b":1,"__proto__":{"d":1,"c":2}}'),
      '{"__proto__":{"c":2,"d":1},"b":1}',
    ],
    ['scalars', [null, true, false, ''], '[null,true,false,""]'],
  ];
  it.each(written)('%s', (_name, value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it('256 levels', () => {
    let deep: Json = 1;
    for (let level = 0; level < 256; level++) deep = [deep];
    expect(canonicalJson(deep)).toBe(`${'['.repeat(256)}1${']'.repeat(256)}`);
  });

  it('without changing what it was given', () => {
    const value = { b: { d: 1, c: 2 }, a: [{ f: 1, e: 2 }] };
    const before = JSON.stringify(value);
    canonicalJson(value);
    expect(JSON.stringify(value)).toBe(before);
  });
});

describe('public vectors of RFC 8785', () => {
  const names = documents === undefined ? ['documents'] : readdirSync(`${documents}/input`);
  it.skipIf(documents === undefined).each(names)(`reproduces %s byte for byte${documents ? '' : absent}`, (name) => {
    const parsed = parseStrictJson(readFileSync(`${documents}/input/${name}`), LIMITS);
    if (!parsed.ok) throw new Error(parsed.reason);
    expect(Buffer.from(canonicalJson(parsed.value))).toEqual(readFileSync(`${documents}/output/${name}`));
    const hex = readFileSync(`${documents}/outhex/${name.replace('.json', '.txt')}`, 'utf8').replace(/\s/g, '');
    expect(Buffer.from(canonicalJson(parsed.value)).toString('hex')).toBe(hex);
  });

  it.skipIf(numbers === undefined)(`writes a hundred thousand numbers as published${numbers ? '' : absent}`, () => {
    const published = JSON.parse(readFileSync(numbers!, 'utf8')) as {
      sha256_of_first_lines: Record<string, string>;
      static_u64_hex: string[];
    };
    const hash = createHash('sha256');
    let line = 0;
    for (const bits of numberBits(published.static_u64_hex)) {
      const buffer = Buffer.alloc(8);
      buffer.writeBigUInt64BE(bits);
      hash.update(`${bits.toString(16)},${canonicalJson(buffer.readDoubleBE())}\n`);
      line++;
      const expected = published.sha256_of_first_lines[`${line}`];
      if (expected !== undefined) expect(hash.copy().digest('hex'), `${line} lines`).toBe(expected);
      if (line === 100_000) break;
    }
    expect(line).toBe(100_000);
  });
});

/** The sequence that the vectors describe: fixed values, then 2,000 neighbours, then doubles out of chained SHA-256 blocks. */
function* numberBits(fixed: string[]): Generator<bigint> {
  for (const hex of fixed) yield BigInt(`0x${hex}`);
  for (let index = 0n; index < 2000n; index++) yield 0x0010000000000000n + index;
  let block: Buffer = Buffer.alloc(32);
  for (;;) {
    block = createHash('sha256').update(block).digest();
    for (let offset = 0; offset < 32; offset += 8) {
      const value = block.readDoubleLE(offset);
      if (value !== 0 && Number.isFinite(value)) yield block.readBigUInt64LE(offset);
    }
  }
}
