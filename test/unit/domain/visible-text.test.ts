import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { visibleText } from '../../../domain/visible-text.ts';

describe('hostile text in a terminal or a log line', () => {
  it.each([
    ['an escape sequence', 'a\u001b[2Jb', 'a\\u{1b}[2Jb'],
    ['a new line that would forge an entry', 'a\nportcullis: allowed', 'a\\nportcullis: allowed'],
    ['a carriage return that would overwrite', 'denied\rallowed', 'denied\\rallowed'],
    ['a bidirectional override', 'a\u202egnp.exe', 'a\\u{202e}gnp.exe'],
    ['zero-width characters', 'read\u200bfile', 'read\\u{200b}file'],
    ['tag characters that a model reads and a person does not', 'x\u{E0041}', 'x\\u{e0041}'],
    ['variation selectors', 'x\ufe0f', 'x\\u{fe0f}'],
    ['a C1 control', 'x\u009b31m', 'x\\u{9b}31m'],
    ['a lone surrogate', 'x\ud800', 'x\\u{d800}'],
  ])('shows %s', (_what, text, shown) => {
    expect(visibleText(text)).toBe(shown);
  });

  it('leaves the letters of every script alone', () => {
    expect(visibleText('Grüße, 世界, עולם, мир, 🙂')).toBe('Grüße, 世界, עולם, мир, 🙂');
  });

  it('is one line of printable characters whatever comes in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visibleText(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/u);
      }),
    );
  });

  it('cuts what is too long and says so', () => {
    expect(visibleText('x'.repeat(30), 10)).toBe(`${'x'.repeat(10)}… (30 characters)`);
  });
});
