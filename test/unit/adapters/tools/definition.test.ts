import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { definitionOf } from '../../../../adapters/tools/definition.ts';
import type { AnyToolFunction } from '../../../../adapters/tools/tool-function.ts';

const FUNCTION: AnyToolFunction = { description: 'x', inputSchema: { type: 'object' }, execute: () => 1 };
const define = (parts: object, name = 'read') => definitionOf(`notes__${name}`, name, { ...FUNCTION, ...parts });
const cyclic: Record<string, unknown> = { type: 'object' };
cyclic.properties = cyclic;

describe('a function cannot be a tool', () => {
  it.each<[string, object, string, RegExp]>([
    ['without what it does', { execute: undefined }, 'read', /no function "execute"/],
    ['without a description', { description: '' }, 'read', /no description/],
    ['without a schema', { inputSchema: undefined }, 'read', /no inputSchema/],
    [
      'with a schema of something else than an object',
      { inputSchema: { type: 'string' } },
      'read',
      /not one of an object/,
    ],
    [
      'with a schema of a library that is not one of an object',
      { inputSchema: z.string() },
      'read',
      /not one of an object/,
    ],
    ['with a schema that is no JSON', { inputSchema: cyclic }, 'read', /not JSON: it is nested too deeply/],
    [
      'with a schema of a quarter of a megabyte',
      { inputSchema: { type: 'object', title: 'x'.repeat(262_144) } },
      'read',
      /not JSON: more than/,
    ],
    ['with an output schema that is none', { outputSchema: 'text' }, 'read', /outputSchema is not an object/],
    [
      'with a schema that cannot say itself',
      { inputSchema: { '~standard': { version: 1, vendor: 'old', validate: () => ({ value: 1 }) } } },
      'read',
      /old that does not say itself/,
    ],
    ['under a name with a dot', {}, 'read.note', /no name that models take/],
    ['under a name that is too long', {}, 'x'.repeat(58), /no name that models take/],
    ['under no name', {}, 'é', /no name that models take/],
  ])('%s', (_, parts, name, message) => {
    expect(() => define(parts, name)).toThrow(TypeError);
    expect(() => define(parts, name)).toThrow(message);
  });
});

describe('the definition of a function', () => {
  it('is closed: what it does not name is refused', () => {
    expect(define({}).raw).toEqual({
      name: 'read',
      description: 'x',
      inputSchema: { type: 'object', additionalProperties: false },
    });
    const { inputSchema } = define({
      title: 'Reads',
      inputSchema: z.object({ a: z.string(), b: z.number().optional() }),
    }).raw;
    expect(inputSchema).toMatchObject({ required: ['a'], additionalProperties: false });
  });

  it.each([
    { additionalProperties: true },
    { patternProperties: { '^x': {} }, additionalProperties: { type: 'string' } },
    { allOf: [{ properties: { a: {} } }] },
    { $ref: '#/$defs/a', $defs: { a: {} } },
    { unevaluatedProperties: false },
  ])('is as it is where it says that itself: %j', (schema) => {
    expect(define({ inputSchema: { type: 'object', ...schema } }).raw.inputSchema).toEqual({
      type: 'object',
      ...schema,
    });
  });

  it('says of the value what its schema says, with definitions where references find them', () => {
    const outputSchema = { $ref: '#/$defs/count', $defs: { count: { type: 'integer' } } };
    expect(define({ outputSchema }).raw.outputSchema).toEqual({
      type: 'object',
      properties: { result: { $ref: '#/$defs/count' } },
      required: ['result'],
      additionalProperties: false,
      $defs: { count: { type: 'integer' } },
    });
  });

  it('is a copy: what becomes of the original changes nothing that is pinned', () => {
    const schema: Record<string, unknown> = { type: 'object' };
    const { raw } = define({ inputSchema: schema });
    schema.properties = { a: {} };
    expect(raw.inputSchema).toEqual({ type: 'object', additionalProperties: false });
  });
});
