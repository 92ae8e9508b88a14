import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isWellFormed } from '../../../domain/well-formed.ts';
import { recordedText } from '../../../proxy/recorded-text.ts';

it('keeps what is short and whole', () => {
  expect(recordedText('tools/call 😀', 200)).toBe('tools/call 😀');
  expect(recordedText('x'.repeat(256), 256)).toBe('x'.repeat(256));
});

it('cuts what is longer, with a mark', () => {
  expect(recordedText('x'.repeat(257), 256)).toBe(`${'x'.repeat(256)}…`);
});

it('is bounded and has a UTF-8 form, whatever it is and wherever it is cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat({ max: 40 }), (text, max) => {
      // Units of UTF-16, so that pairs are torn as well.
      const torn = [...text].map((unit) => (unit.length === 2 && max % 2 === 0 ? unit.charAt(0) : unit)).join('');
      const recorded = recordedText(torn, max);
      expect(isWellFormed(recorded)).toBe(true);
      expect(recorded.length).toBeLessThanOrEqual(max + 1);
      if (torn.length <= max && isWellFormed(torn)) expect(recorded).toBe(torn);
    }),
  );
});
