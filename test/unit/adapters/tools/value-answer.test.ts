import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonValue } from '../../../../adapters/tools/json-value.ts';
import { answerOf, failureOf, returnedBy } from '../../../../adapters/tools/value-answer.ts';
import { canonicalJson } from '../../../../domain/canonical-json.ts';

const LIMITS = { bytesMax: 1_000, depthMax: 5, nodesMax: 50 };
const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);

describe('a value of a program', () => {
  it.each<[string, unknown, 'too_large' | 'not_json']>([
    ['one level too many', nested(6), 'not_json'],
    ['one value too many', Array(50).fill(1), 'too_large'],
    ['one byte too many', 'x'.repeat(1_000), 'too_large'],
    ['one byte too many in names', { ['x'.repeat(999)]: 1 }, 'too_large'],
    ['a boxed number', new Number(1), 'not_json'],
    ['bytes', new Uint8Array(2), 'not_json'],
    ['an error', new Error('x'), 'not_json'],
    ['a promise', Promise.resolve(1), 'not_json'],
    ['an object that inherits', Object.create({ inherited: 1 }), 'not_json'],
    ['a name with half of a surrogate pair', { '\udc00': 1 }, 'not_json'],
    ['a list with a hole', new Array(2), 'not_json'],
  ])('is refused: %s', (_, value, reason) => {
    expect(jsonValue(value, LIMITS)).toMatchObject({ ok: false, reason });
  });

  it('is taken up to the bounds', () => {
    for (const value of [nested(5), Array(49).fill(1), 'x'.repeat(999), Object.create(null), { toJSON: 1 }])
      expect(jsonValue(value, LIMITS)).toEqual({ ok: true, value });
  });

  it('is read once: what it says the second time is not asked', () => {
    let asked = 0;
    const changing = Object.defineProperty({}, 'n', { enumerable: true, get: () => ++asked });
    expect(jsonValue(changing, LIMITS)).toEqual({ ok: true, value: { n: 1 } });
    expect(asked).toBe(1);
  });

  it('is a copy that JSON would make, or refused, whatever it is', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withSparseArray: true,
    });
    fc.assert(
      fc.property(fc.oneof(anything, fc.jsonValue()), (value) => {
        const json = jsonValue(value, { ...LIMITS, bytesMax: 100_000, nodesMax: 10_000, depthMax: 64 });
        if (!json.ok) return;
        expect(canonicalJson(json.value)).toBe(canonicalJson(JSON.parse(JSON.stringify(value))));
      }),
    );
  });

  it('is never refused when it is JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        // JSON.stringify escapes half of a surrogate pair, and nothing else that begins so.
        fc.pre(!text.includes('__proto__') && !/\\ud[89a-f]/i.test(text));
        expect(jsonValue(value, { bytesMax: 1e6, depthMax: 64, nodesMax: 1e5 })).toEqual({
          ok: true,
          value: JSON.parse(text),
        });
      }),
    );
  });
});

describe('the answer with a value', () => {
  it('holds the value and nothing else, within its bytes', () => {
    fc.assert(
      fc.property(fc.anything(), fc.boolean(), fc.integer({ min: 1, max: 300 }), (value, isStructured, bytesMax) => {
        const answer = answerOf(value, isStructured, bytesMax);
        if (answer.kind === 'refused') return;
        if (answer.kind !== 'result') throw new Error(answer.kind);
        expect(Buffer.byteLength(JSON.stringify(answer.result))).toBeLessThanOrEqual(bytesMax);
        expect(answer.bytes).toBe(Buffer.byteLength(JSON.stringify(answer.result)));
        const back = returnedBy(answer.result);
        const text = (one: unknown): string | undefined => (one === undefined ? undefined : JSON.stringify(one));
        expect(text(back)).toBe(text(value));
        if (isStructured) expect(answer.result.structuredContent).toEqual({ result: back });
      }),
    );
  });

  it('of a failure holds its words, cut by nobody', () => {
    expect(failureOf('why', 100)).toMatchObject({
      kind: 'result',
      result: { isError: true, content: [{ type: 'text', text: 'why' }] },
    });
    expect(failureOf('why', 10)).toMatchObject({ kind: 'refused', code: 'OUTPUT_TOO_LARGE' });
    expect(failureOf('\ud800', 100)).toMatchObject({ result: { content: [{ text: '\ufffd' }] } });
  });

  it('is nothing at all where a value was promised and none came', () => {
    expect(answerOf(undefined, true, 100)).toMatchObject({ kind: 'refused', code: 'OUTPUT_INVALID' });
    expect(answerOf(undefined, false, 100)).toMatchObject({ kind: 'result', result: { content: [] } });
  });
});
