import { describe, expect, it } from 'vitest';
import { SchemaChecks } from '../../../../adapters/json-schema/schema-checks.ts';
import type { JsonObject } from '../../../../domain/json.ts';

function checks(inputSchema: JsonObject, outputSchema?: JsonObject): SchemaChecks {
  return new SchemaChecks(
    new Map([['s/t', outputSchema === undefined ? { inputSchema } : { inputSchema, outputSchema }]]),
  );
}

const OBJECT: JsonObject = { type: 'object', properties: { n: { type: 'integer', minimum: 1 } }, required: ['n'] };

describe('schemas of tools', () => {
  it.each<[string, JsonObject, JsonObject]>([
    ['a missing member', OBJECT, {}],
    ['a wrong type', OBJECT, { n: '1' }],
    ['a value below the minimum', OBJECT, { n: 0 }],
    ['a value outside draft-07 bounds', { ...OBJECT, $schema: 'http://json-schema.org/draft-07/schema#' }, { n: 0 }],
    ['anything under an unknown dialect', { ...OBJECT, $schema: 'https://example.com/dialect' }, { n: 1 }],
    ['anything under a schema that refers elsewhere', { $ref: 'https://example.com/schema.json' }, { n: 1 }],
    [
      'anything under a schema that does not compile',
      { type: 'object', properties: { n: { pattern: '(' } } },
      { n: '1' },
    ],
    ['anything under a schema nested too deeply', nested(80), { n: 1 }],
  ])('refuses %s', (_what, schema, args) => {
    expect(checks(schema).input('s/t', args)?.code).toBe('ARG_INVALID');
  });

  describe('an argument that is null where the schema has another type', () => {
    const optional: JsonObject = {
      type: 'object',
      properties: {
        n: { type: 'integer' },
        all: { type: 'boolean' },
        at: { type: 'object', properties: { x: { type: 'integer' } } },
      },
      required: ['n'],
      additionalProperties: false,
    };

    it.each<[string, JsonObject]>([
      ['is refused where it is required', { n: null }],
      ['is refused where it is not declared', { n: 1, other: null }],
      ['is refused further down', { n: 1, at: { x: null } }],
      ['does not excuse another one that is wrong', { n: 1, all: null, at: 'x' }],
    ])('%s', (_what, args) => {
      expect(checks(optional).input('s/t', args)?.code).toBe('ARG_INVALID');
    });

    it('is refused where something else requires it', () => {
      const depends = { ...optional, dependentRequired: { n: ['all'] } };
      expect(checks(depends).input('s/t', { n: 1, all: null })?.code).toBe('ARG_INVALID');
    });

    it('counts as left out otherwise', () => {
      expect(checks(optional).input('s/t', { n: 1, all: null, at: null })).toBeUndefined();
    });
  });

  it('refuses arguments for a tool it was not given', () => {
    expect(checks(OBJECT).input('s/other', { n: 1 })?.code).toBe('ARG_INVALID');
  });

  it('refuses structured content where the tool has no output schema, or another one', () => {
    expect(checks(OBJECT).output('s/t', { n: 1 })?.code).toBe('OUTPUT_INVALID');
    expect(checks(OBJECT, OBJECT).output('s/t', { n: 0 })?.code).toBe('OUTPUT_INVALID');
  });

  it.each<[string, JsonObject]>([
    ['no dialect', OBJECT],
    ['2020-12', { ...OBJECT, $schema: 'https://json-schema.org/draft/2020-12/schema' }],
    ['2019-09', { ...OBJECT, $schema: 'https://json-schema.org/draft/2019-09/schema' }],
    ['draft-07', { ...OBJECT, $schema: 'http://json-schema.org/draft-07/schema#' }],
  ])('passes what fits under %s, and leaves it unchanged', (_dialect, schema) => {
    const args = { n: 1, extra: 'kept' };
    expect(
      checks({ ...schema, properties: { n: { type: 'integer', default: 5 }, m: { default: 1 } } }).input('s/t', args),
    ).toBeUndefined();
    expect(args).toEqual({ n: 1, extra: 'kept' });
    expect(checks(OBJECT, schema).output('s/t', { n: 2 })).toBeUndefined();
  });
});

function nested(depth: number): JsonObject {
  let schema: JsonObject = { type: 'integer' };
  for (let i = 0; i < depth; i++) schema = { properties: { n: schema } };
  return schema;
}
