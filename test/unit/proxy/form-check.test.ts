import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../domain/json.ts';
import { formFault } from '../../../proxy/form-check.ts';

const field = (schema: Json, value: Json) => formFault({ properties: { f: schema } }, { f: value });
const text = { type: 'string' };
const choice = { type: 'string', enum: ['a', 'b'] };
const titled = { type: 'string', oneOf: [{ const: 'a', title: 'A' }] };
const several = { type: 'array', minItems: 1, maxItems: 2, items: { type: 'string', enum: ['a', 'b'] } };
const severalTitled = { type: 'array', items: { anyOf: [{ const: 'a', title: 'A' }] } };

describe('a field that does not fit', () => {
  it.each([
    [text, 7],
    [text, null],
    [text, ['a']],
    [{ ...text, minLength: 2 }, 'a'],
    [{ ...text, maxLength: 2 }, 'abc'],
    [choice, 'c'],
    [choice, 'A'],
    [titled, 'A'],
    [{ type: 'number' }, '1'],
    [{ type: 'number', maximum: 1 }, 1.5],
    [{ type: 'integer' }, 1.5],
    [{ type: 'integer', minimum: 1 }, 0],
    [{ type: 'boolean' }, 'true'],
    [{ type: 'boolean' }, 0],
    [several, 'a'],
    [several, []],
    [several, ['a', 'b', 'a']],
    [several, ['a', 'c']],
    [several, ['a', 7]],
    [severalTitled, ['b']],
    [{ type: 'object' }, {}],
    [{ type: 'null' }, null],
    [{}, {}],
    [{}, ['a']],
    [7, 7],
    [null, null],
  ] as [Json, Json][])('%j: %j', (schema, value) => {
    expect(field(schema, value)).toContain('"f"');
  });

  it('is missing, or was not asked for', () => {
    expect(formFault({ properties: { a: text }, required: ['a'] }, {})).toContain('missing');
    const closed = { properties: { a: text }, additionalProperties: false };
    expect(formFault(closed, { b: 'x' })).toContain('not asked for');
    expect(formFault(closed, { toString: 'x' } as JsonObject)).toContain('not asked for');
    expect(formFault({ properties: { a: text } }, { a: 'x', b: {} })).toContain('"b"');
    expect(formFault({ properties: { a: text }, required: ['toString'] }, { a: 'x' })).toContain('missing');
  });
});

it.each([
  [text, ''],
  [{ ...text, maxLength: 1 }, '\u{1f600}'],
  [{ ...text, format: 'email' }, 'not looked at'],
  [choice, 'b'],
  [titled, 'a'],
  [{ type: 'number', minimum: 1 }, 1],
  [{ type: 'integer' }, -3],
  [{ type: 'boolean', default: true }, false],
  [several, ['a', 'b']],
  [severalTitled, ['a']],
  [{ enum: ['a'] }, 'a'],
] as [Json, Json][])('%j takes %j', (schema, value) => {
  expect(field(schema, value)).toBeUndefined();
});

it('a field beside those of the form may be there, as JSON Schema says', () => {
  expect(formFault({ properties: { a: text }, required: ['a'] }, { a: 'x', b: true })).toBeUndefined();
});

it('what is optional may be left out, and an empty form asks for nothing', () => {
  expect(formFault({ properties: { a: text } }, {})).toBeUndefined();
  expect(formFault({}, {})).toBeUndefined();
});
