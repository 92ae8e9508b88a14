import { describe, expect, it } from 'vitest';
import { extractFacts, type FactPlan } from '../../../../control-plane/policy/facts.ts';
import { globParts, matchesGlob } from '../../../../control-plane/policy/glob.ts';
import type { FactSpec } from '../../../../control-plane/policy/manifest.ts';
import { presence, select } from '../../../../control-plane/policy/pointer.ts';
import type { PathResolver } from '../../../../control-plane/policy/ports.ts';
import type { Json } from '../../../../domain/json.ts';

const AS_IS: PathResolver = { real: (path) => ({ ok: true, path }) };

function facts(spec: FactSpec, args: Json, always = false): unknown {
  const plans: FactPlan[] = [{ name: 'x', spec, always }];
  const result = extractFacts(plans, args, AS_IS);
  return result.ok ? result.facts : result.denial.code;
}

const BYTES: FactSpec = { kind: 'bytes', from: ['/content', '/files/*/content'] };
const COUNT: FactSpec = { kind: 'count', from: ['/files'] };
const PATHS: FactSpec = {
  kind: 'path',
  from: ['/path', '/paths/*'],
  relative: false,
  roots: { w: '/w' },
  classes: {},
};

describe('facts', () => {
  it.each<[string, FactSpec, Json, unknown]>([
    ['a path that is a number', PATHS, { path: 5 }, 'FACT_UNAVAILABLE'],
    ['a path that is null', PATHS, { path: null }, 'FACT_UNAVAILABLE'],
    ['paths that are not a list', PATHS, { paths: '/w/a' }, 'FACT_UNAVAILABLE'],
    ['one path of many that is a list', PATHS, { paths: ['/w/a', ['/etc']] }, 'FACT_UNAVAILABLE'],
    ['bytes of a number', BYTES, { content: 5 }, 'FACT_UNAVAILABLE'],
    ['a count of a text', COUNT, { files: 'abc' }, 'FACT_UNAVAILABLE'],
    ['too many values', PATHS, { paths: Array.from({ length: 1001 }, () => '/w/a') }, 'FACT_UNAVAILABLE'],
    ['no path', PATHS, {}, {}],
    ['an empty list of paths: it is inside nothing', PATHS, { paths: [] }, {}],
    ['inherited names', PATHS, { paths: [], toString: 1 }, {}],
    ['several sources', PATHS, { path: '/w/a', paths: ['/w/b'] }, { x: { within: ['w'], touches: [] } }],
    ['several sources, one outside', PATHS, { path: '/w/a', paths: ['/v/b'] }, { x: { within: [], touches: [] } }],
    ['bytes, not characters', BYTES, { content: 'é€😀' }, { x: { bytes: 9 } }],
    ['the sum of bytes', BYTES, { content: 'ab', files: [{ content: 'c' }, {}] }, { x: { bytes: 3 } }],
    ['a count', COUNT, { files: [1, 2, 3] }, { x: { count: 3 } }],
    ['a count of none', COUNT, { files: [] }, { x: { count: 0 } }],
  ])('know %s', (_, spec, args, expected) => {
    expect(facts(spec, args)).toEqual(expected);
  });

  it('deny when an argument that every call has is missing', () => {
    expect(facts(PATHS, {}, true)).toBe('FACT_UNAVAILABLE');
  });
});

describe('a pointer', () => {
  it('does not see inherited members', () => {
    expect(select({}, '/constructor')).toEqual({ ok: true, values: [] });
  });
  it('reads the escapes of RFC 6901', () => {
    expect(select({ 'a/b': { '~': 1 } }, '/a~1b/~0')).toEqual({ ok: true, values: [1] });
  });
  it.each<[string, string]>([
    ['/path', 'always'],
    ['/mode', 'sometimes'],
    ['/files/*/path', 'sometimes'],
    ['/files/path', 'never'],
    ['/other', 'never'],
    ['/path/deeper', 'never'],
    ['/free/anything', 'sometimes'],
  ])('knows from the schema whether %s is there: %s', (pointer, expected) => {
    const schema = {
      type: 'object',
      required: ['path', 'files'],
      properties: {
        path: { type: 'string' },
        mode: { type: 'string' },
        files: { type: 'array', items: { type: 'object', properties: { path: { type: 'string' } } } },
        free: { type: 'object' },
      },
    };
    expect(presence(schema, pointer)).toBe(expected);
  });
});

describe('a pattern', () => {
  it.each<[string, string, boolean]>([
    ['**/.env*', '/a/b/.env.local', true],
    ['**/.env*', '/.env', true],
    ['**/.env*', '/a/env', false],
    ['/etc/**', '/etc', true],
    ['/etc/**', '/etcetera', false],
    ['**/a/**/b', '/a/x/y/b', true],
    ['**/a/**/b', '/a/b', true],
    ['/a/*/c', '/a/b/c', true],
    ['/a/*/c', '/a/b/b/c', false],
    ['/a?', '/ab', true],
    ['/a?', '/a', false],
  ])('%s and %s: %s', (pattern, path, expected) => {
    expect(matchesGlob(globParts(pattern), globParts(path))).toBe(expected);
  });

  it('takes linear time on patterns made to be slow', () => {
    const pattern = globParts(`/${'*a'.repeat(50)}b`);
    expect(matchesGlob(pattern, [`${'a'.repeat(4000)}`])).toBe(false);
  });
});
