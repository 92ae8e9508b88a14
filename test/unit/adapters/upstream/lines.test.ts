// Lines out of bytes: the same lines however the bytes were cut, and nothing kept of a line that is too long.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TooLarge } from '../../../../adapters/upstream/ports.ts';
import { Lines } from '../../../../adapters/upstream/stdio/lines.ts';

interface Read {
  readonly lines: string[];
  readonly tooLarge: TooLarge[];
  endless: number;
}

function read(chunks: readonly Buffer[], bytesMax: number, discardMax = 1_000_000, knownAtOnce = false): Read {
  const seen: Read = { lines: [], tooLarge: [], endless: 0 };
  const reader = new Lines(
    {
      onMessage: (bytes) => seen.lines.push(Buffer.from(bytes).toString()),
      messageBytesMax: () => bytesMax,
      onTooLarge: (what) => {
        seen.tooLarge.push(what);
        return knownAtOnce;
      },
    },
    discardMax,
    () => seen.endless++,
  );
  for (const chunk of chunks) reader.push(chunk);
  return seen;
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((start, i) => bytes.subarray(start, places[i] ?? bytes.length));
}

it('the lines are the same however the bytes were cut', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/[\r\n]/.test(text));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat()), fc.constantFrom('\n', '\r\n'), (lines, at, end) => {
      const bytes = Buffer.from(lines.map((text) => text + end).join(''));
      expect(read(cut(bytes, at), 100).lines).toEqual(lines.filter((text) => text !== ''));
    }),
  );
});

it('a line without its end is not a message yet', () => {
  expect(read([Buffer.from('a\nb')], 100).lines).toEqual(['a']);
});

describe('a line longer than 100000 bytes', () => {
  const BYTES_MAX = 100_000;
  for (const pieces of [1, 2, 7, 1000]) {
    it(`is thrown away, and the next one read, when it comes in ${pieces} pieces`, () => {
      const text = `{"id":7,${'x'.repeat(BYTES_MAX)}tail}\nnext\n`;
      const size = Math.ceil(text.length / pieces);
      const chunks = Array.from({ length: pieces }, (_, i) => Buffer.from(text.slice(i * size, (i + 1) * size)));
      const { lines, tooLarge } = read(chunks, BYTES_MAX);
      expect(lines).toEqual(['next']);
      expect(tooLarge).toEqual([
        { head: expect.stringMatching(/^\{"id":7,x+$/) },
        { head: expect.stringMatching(/^\{"id":7,x+$/), tail: expect.stringMatching(/^x+tail\}$/) },
      ]);
    });
  }

  it('is not asked about again once it is known whose it is', () => {
    expect(read([Buffer.from(`${'x'.repeat(BYTES_MAX + 1)}\n`)], BYTES_MAX, 1_000_000, true).tooLarge).toHaveLength(1);
  });

  it('begins with one byte more than allowed', () => {
    expect(read([Buffer.from(`${'x'.repeat(BYTES_MAX)}\n`)], BYTES_MAX).lines).toHaveLength(1);
    expect(read([Buffer.from(`${'x'.repeat(BYTES_MAX + 1)}\n`)], BYTES_MAX).lines).toHaveLength(0);
  });

  it('has no end if more than the bound was thrown away', () => {
    const chunk = Buffer.alloc(60_000, 'x');
    expect(read([chunk, chunk, chunk], BYTES_MAX, 150_000).endless).toBe(1);
  });
});
