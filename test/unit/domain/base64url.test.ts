import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64url, encodeBase64url } from '../../../domain/base64url.ts';

describe('decodeBase64url', () => {
  it.each([
    ['padding', 'Zg=='],
    ['the characters of standard base64', '+/+/'],
    ['white space', 'Zm 9v'],
    ['a line feed at the end', 'Zm9v\n'],
    ['an impossible length', 'Zm9vA'],
    ['one character', 'A'],
    ['trailing bits of one byte', 'Zh'],
    ['trailing bits of two bytes', 'Zm9'],
    ['a character beyond ASCII', 'Zm9ſ'],
    ['a character whose low byte is a letter', 'Zm9\u0141'],
    ['a NUL', 'Zm9\0'],
    ['a full stop', 'Zm.v'],
  ])('refuses %s', (_, text) => {
    expect(decodeBase64url(text)).toBeUndefined();
  });

  it('reads the vectors of RFC 4648', () => {
    const texts = ['', 'Zg', 'Zm8', 'Zm9v', 'Zm9vYg', 'Zm9vYmE', 'Zm9vYmFy'];
    texts.forEach((text, length) => {
      expect(Buffer.from(decodeBase64url(text) ?? [1]).toString()).toBe('foobar'.slice(0, length));
    });
  });

  it('reads exactly the texts that encodeBase64url writes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AQgwx_-=Z'), maxLength: 9 }), (text) => {
        const bytes = decodeBase64url(text);
        const same = Buffer.from(Buffer.from(text, 'base64url')).toString('base64url') === text;
        expect(bytes !== undefined).toBe(same);
        if (bytes !== undefined) expect(encodeBase64url(bytes)).toBe(text);
      }),
    );
  });
});

describe('encodeBase64url', () => {
  it('writes what Node writes, and reads it back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = encodeBase64url(bytes);
        expect(text).toBe(Buffer.from(bytes).toString('base64url'));
        expect([...(decodeBase64url(text) ?? [])]).toEqual([...bytes]);
      }),
    );
  });
});
