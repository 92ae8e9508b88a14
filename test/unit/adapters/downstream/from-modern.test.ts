// What a client of the older revisions is told of tools and results that only 2026-07-28 can say.

import { describe, expect, it } from 'vitest';
import { olderDefinition, olderResult } from '../../../../adapters/downstream/legacy/from-modern.ts';
import { canonicalJson } from '../../../../domain/canonical-json.ts';
import type { Json, JsonObject } from '../../../../domain/json.ts';
import type { CallEnd } from '../../../../proxy/client-view.ts';

const ended = (result: JsonObject) =>
  ({ kind: 'result', type: 'complete', result, resultJson: canonicalJson(result), receipt: {} }) as unknown as Extract<
    CallEnd,
    { kind: 'result' }
  >;

describe('a definition', () => {
  for (const outputSchema of [undefined, { type: 'object' }, { type: 'object', anyOf: [{ $ref: '#/$defs/a' }] }]) {
    it(`stays as it is with the output schema ${JSON.stringify(outputSchema)}`, () => {
      const definition: JsonObject = { name: 'x', ...(outputSchema === undefined ? {} : { outputSchema }) };
      expect(olderDefinition(definition)).toBe(definition);
    });
  }

  it('has what is no object under a member, with the references that follow it there', () => {
    const outputSchema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'array',
      items: {
        anyOf: [{ $ref: '#/$defs/$ref' }, { $ref: '#' }, { $ref: '#named' }, { $ref: 'https://else.example/#/x' }],
      },
      $defs: { $ref: { const: { $ref: '#/a' } }, own: { $id: 'urn:own', $ref: '#/b' } },
    };
    expect(olderDefinition({ name: 'x', outputSchema })).toEqual({
      name: 'x',
      outputSchema: {
        $schema: outputSchema.$schema,
        type: 'object',
        properties: {
          result: {
            ...outputSchema,
            items: {
              anyOf: [
                { $ref: '#/properties/result/$defs/$ref' },
                { $ref: '#/properties/result' },
                { $ref: '#named' },
                { $ref: 'https://else.example/#/x' },
              ],
            },
          },
        },
        required: ['result'],
      },
    });
  });
});

describe('a result', () => {
  for (const [result, schema, expected] of [
    [{ structuredContent: [1] }, { type: 'array' }, { structuredContent: { result: [1] } }],
    [{ structuredContent: { a: 1 } }, { anyOf: [] }, { structuredContent: { result: { a: 1 } } }],
    [{ structuredContent: null }, undefined, { structuredContent: { result: null } }],
    [{ content: [], ttlMs: 5, cacheScope: 'public', x: 1 }, undefined, { content: [], x: 1 }],
  ] as readonly [JsonObject, Json | undefined, JsonObject][]) {
    it(`becomes ${JSON.stringify(expected)}`, () => {
      const told = olderResult(ended(result), schema);
      expect(told.result).toEqual(expected);
      expect(told.resultJson).toBe(canonicalJson(expected));
    });
  }

  for (const [result, schema] of [
    [{ structuredContent: { a: 1 } }, { type: 'object' }],
    [{ structuredContent: { a: 1 } }, undefined],
    [{ content: [], isError: true }, { type: 'array' }],
  ] as readonly [JsonObject, Json | undefined][]) {
    it(`stays ${JSON.stringify(result)}`, () => {
      const end = ended(result);
      expect(olderResult(end, schema)).toBe(end);
    });
  }
});
