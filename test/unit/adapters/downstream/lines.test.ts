import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lines } from '../../../../adapters/downstream/lines.ts';

/** What comes out of the chunks: lines as text, oversized ones as their size. */
function split(chunks: readonly Uint8Array[], bytesMax = 100): (string | number)[] {
  const out: (string | number)[] = [];
  const lines = new Lines(bytesMax, {
    onLine: (line) => out.push(Buffer.from(line).toString()),
    onTooLarge: (bytes) => out.push(bytes),
  });
  for (const chunk of chunks) lines.push(Buffer.from(chunk));
  lines.end();
  return out;
}

describe('lines', () => {
  const cases: [string, string, (string | number)[]][] = [
    ['a line longer than allowed, and the one after it', `${'x'.repeat(101)}\nnext\n`, [101, 'next']],
    ['a line longer than allowed that ends with the stream', 'x'.repeat(300), [300]],
    ['a line longer than allowed with a carriage return', `${'x'.repeat(101)}\r\nnext\n`, [102, 'next']],
    ['two oversized lines', `${'x'.repeat(150)}\n${'y'.repeat(160)}\nnext\n`, [150, 160, 'next']],
    ['a line exactly as long as allowed', `${'x'.repeat(100)}\n`, ['x'.repeat(100)]],
    ['the same with a carriage return', `${'x'.repeat(100)}\r\n`, ['x'.repeat(100)]],
    ['line feeds and carriage returns', 'a\r\nb\nc\r\n', ['a', 'b', 'c']],
    ['a carriage return inside a line', 'a\rb\n', ['a\rb']],
    ['empty lines', '\n\r\na\n\n\n\nb\n', ['a', 'b']],
    ['a last line without an end', 'a\nb', ['a', 'b']],
    ['nothing', '', []],
    ['characters of several bytes', 'ž€\u{1f600}\n\u{1f600}€ž\n', ['ž€\u{1f600}', '\u{1f600}€ž']],
  ];

  it.each(cases)('%s: the same wherever the bytes are cut once', (_name, text, expected) => {
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(split([bytes.subarray(0, cut), bytes.subarray(cut)]), `cut at ${cut}`).toEqual(expected);
    }
  });

  it.each(cases)('%s: the same byte by byte', (_name, text, expected) => {
    expect(split([...Buffer.from(text)].map((byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  it('any chunking of any lines gives the same messages', () => {
    const line = fc.string({ unit: fc.constantFrom('a', '\r', 'ž', '\u{1f600}', ' ', '"'), maxLength: 60 });
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(40)), fc.nat(80), (texts, sizes, bytesMax) => {
        const bytes = Buffer.from(texts.join('\n'));
        const chunks: Buffer[] = [];
        let at = 0;
        for (let turn = 0; at < bytes.length; turn++) {
          const size = sizes.length === 0 ? bytes.length : (sizes[turn % sizes.length] ?? 0) + 1;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(split(chunks, bytesMax)).toEqual(split([bytes], bytesMax));
      }),
    );
  });

  it('does not keep what a chunk shares with the next', () => {
    const seen: Uint8Array[] = [];
    const lines = new Lines(100, { onLine: (line) => seen.push(line), onTooLarge: () => {} });
    lines.push(Buffer.from('ab'));
    lines.push(Buffer.from('cd\nef'));
    lines.push(Buffer.from('gh\n'));
    expect(seen.map((line) => Buffer.from(line).toString())).toEqual(['abcd', 'efgh']);
  });
});
