// The headers that repeat a request of 2026-07-28, and which annotations of a schema are valid.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  headerValue,
  mirroredArguments,
  routingHeaders,
} from '../../../../../adapters/upstream/modern/routing-headers.ts';
import type { JsonObject } from '../../../../../domain/json.ts';

const at = (schema: JsonObject): JsonObject => ({ type: 'object', properties: { a: schema } });
const marked = (header: string, type = 'string'): JsonObject => ({ type, 'x-mcp-header': header });

describe('an annotation of an argument', () => {
  for (const [what, schema] of [
    ['that is empty', at(marked(''))],
    ['with a space', at(marked('a b'))],
    ['with a line break', at(marked('a\r\nb'))],
    ['with a colon', at(marked('a:b'))],
    ['that is no text', at({ type: 'string', 'x-mcp-header': 7 })],
    ['of a number that is no integer', at(marked('A', 'number'))],
    ['of an object', at(marked('A', 'object'))],
    ['of a list', at(marked('A', 'array'))],
    ['without a type', at({ 'x-mcp-header': 'A' })],
    ['of the whole', { type: 'object', 'x-mcp-header': 'A' }],
    ['in items', at({ type: 'array', items: marked('A') })],
    ['in a branch', { ...at({}), anyOf: [at(marked('A'))] }],
    ['behind a reference', { ...at({ $ref: '#/$defs/a' }), $defs: { a: marked('A') } }],
    ['in further properties', { type: 'object', additionalProperties: marked('A') }],
    ['twice, in other letters', { type: 'object', properties: { a: marked('A'), b: marked('a') } }],
  ] as readonly [string, JsonObject][]) {
    it(`is not valid ${what}`, () => {
      expect(mirroredArguments(schema)).toBeUndefined();
    });
  }

  it('is valid wherever properties lead, and elsewhere the word is only data', () => {
    const schema = {
      type: 'object',
      properties: { 'x-mcp-header': { type: 'string' }, a: marked('A', 'integer'), b: at(marked('Deep', 'boolean')) },
      examples: [{ 'x-mcp-header': 'B' }],
      default: { 'x-mcp-header': 'C' },
    };
    expect(mirroredArguments(schema)).toEqual([
      { header: 'mcp-param-a', path: ['a'] },
      { header: 'mcp-param-deep', path: ['b', 'a'] },
    ]);
  });
});

describe('the headers of a request', () => {
  const mirrored = mirroredArguments({
    type: 'object',
    properties: { a: marked('A'), n: marked('N', 'integer'), f: marked('F', 'boolean'), o: at(marked('O')) },
  });

  for (const [args, expected] of [
    [{}, {}],
    [{ a: null, n: null }, {}],
    [{ a: {}, o: 7 }, {}],
    [
      { a: '', n: 0, f: false },
      { 'mcp-param-a': '=?base64??=', 'mcp-param-n': '0', 'mcp-param-f': 'false' },
    ],
    [{ n: 2 ** 60 }, {}],
    [{ o: { a: ' x' } }, { 'mcp-param-o': '=?base64?IHg=?=' }],
    [{ __proto__: null, a: 'x' }, { 'mcp-param-a': 'x' }],
  ] as readonly [JsonObject, Record<string, string>][]) {
    it(`of the arguments ${JSON.stringify(args)}`, () => {
      const headers = routingHeaders('tools/call', { name: 'x', arguments: args }, mirrored ?? []);
      expect(headers).toEqual({ 'mcp-method': 'tools/call', 'mcp-name': 'x', ...expected });
    });
  }

  for (const [method, params, name] of [
    ['prompts/get', { name: 'p', uri: 'u' }, 'p'],
    ['resources/read', { name: 'p', uri: 'u:ä' }, '=?base64?dTrDpA==?='],
    ['tasks/get', { taskId: 't' }, 't'],
    ['completion/complete', { name: 'p' }, undefined],
    ['tools/list', {}, undefined],
  ] as readonly [string, JsonObject, string | undefined][]) {
    it(`of ${method} name ${name}`, () => {
      expect(routingHeaders(method, params, [])['mcp-name']).toBe(name);
    });
  }

  it('carry any text so that it can be read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const value = headerValue(text);
        expect(value).toMatch(/^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/);
        const encoded = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
        expect(encoded === undefined ? value : Buffer.from(encoded, 'base64').toString('utf8')).toBe(text);
      }),
    );
  });
});
