import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWithin, permits, readScope, type ScopedCall } from '../../../../control-plane/lineage/scope.ts';
import type { PathResolver } from '../../../../control-plane/policy/ports.ts';
import type { Json, JsonObject } from '../../../../domain/json.ts';
import type { Scope } from '../../../../domain/scope.ts';

const read = (args: JsonObject, tool = 'read'): ScopedCall => ({ server: 'fs', method: 'tools/call', tool, args });
const under = (...roots: string[]): Scope => [{ server: 'fs', actions: ['read'], under: { '/path': roots } }];

describe('a call lies outside a scope', () => {
  it.each<[string, Scope, ScopedCall]>([
    ['that grants nothing', [], read({})],
    ['of another server', [{ server: 'db', actions: ['*'] }], read({})],
    ['of other tools', [{ server: 'fs', actions: ['write'] }], read({})],
    [
      'of a method of the name of the tool',
      [{ server: 'fs', actions: ['resources/read'] }],
      { server: 'fs', method: 'resources/read', tool: 'resources/read', args: {} },
    ],
    ['of tools, being of another method', [{ server: 'fs', actions: [':tools/call'] }], read({})],
    ['whose path is a sibling with the same beginning', under('/srv/ws'), read({ path: '/srv/wsevil/x' })],
    ['whose path is above', under('/srv/ws/a'), read({ path: '/srv/ws' })],
    ['that goes up', under('/srv/ws'), read({ path: '/srv/ws/a/../b' })],
    ['with a path that is not there', under('/srv/ws'), read({})],
    ['with a path that is no text', under('/srv/ws'), read({ path: 7 })],
    ['with a relative path', under('/srv/ws'), read({ path: 'ws/a' })],
    ['with a path that reads in two ways', under('/srv/ws'), read({ path: '/srv/ws/a\\..\\..\\b' })],
    [
      'with a value that is not listed',
      [{ server: 'fs', actions: ['*'], in: { '/mode': ['r'] } }],
      read({ mode: 'w' }),
    ],
    ['with a number that is too great', [{ server: 'fs', actions: ['*'], max: { '/n': 3 } }], read({ n: 4 })],
    ['with a number as text', [{ server: 'fs', actions: ['*'], max: { '/n': 3 } }], read({ n: '1' })],
    [
      'of which one value of many is outside',
      [{ server: 'fs', actions: ['*'], under: { '/paths/*': ['/srv/ws'] } }],
      read({ paths: ['/srv/ws/a', '/etc/b'] }),
    ],
    [
      'with no value at all where all are limited',
      [{ server: 'fs', actions: ['*'], under: { '/paths/*': ['/srv/ws'] } }],
      read({ paths: [] }),
    ],
  ])('%s', (_, scope, call) => {
    expect(permits(scope, call)).toBe(false);
  });

  it('when a link leads out of it, where links can be followed', () => {
    const links: PathResolver = {
      real: (path) =>
        path === '/srv/ws/dead'
          ? { ok: false, reason: 'dangling' }
          : { ok: true, path: path.replace('/srv/ws/out', '/etc').replace(/^\/srv\/ws/, '/srv/srv') },
    };
    expect(permits(under('/srv/ws'), read({ path: '/srv/ws/a' }), links)).toBe(true);
    expect(permits(under('/srv/ws'), read({ path: '/srv/ws/out/passwd' }), links)).toBe(false);
    expect(permits(under('/srv/ws'), read({ path: '/srv/ws/dead' }), links)).toBe(false);
  });
});

describe('a call lies in a scope', () => {
  it.each<[string, Scope, ScopedCall]>([
    ['under a root, which is itself under it', under('/srv/ws'), read({ path: '/srv/ws' })],
    ['under one of several roots', under('/a', '/b/'), read({ path: '/b/./c//d' })],
    ['by any of its grants', [...under('/a'), { server: 'fs', actions: ['*'] }], read({ path: '/z' })],
    [
      'of another method, named as such',
      [{ server: 'fs', actions: [':resources/read'] }],
      { server: 'fs', method: 'resources/read', tool: 'resources/read', args: {} },
    ],
  ])('%s', (_, scope, call) => {
    expect(permits(scope, call)).toBe(true);
  });
});

describe('a scope that somebody else wrote is no scope', () => {
  it.each<[string, Json]>([
    ['when it is no list', { server: 'fs', actions: ['*'] }],
    ['when a grant is no object', ['fs']],
    ['without a server', [{ actions: ['*'] }]],
    ['without actions', [{ server: 'fs' }]],
    ['with a member that we do not know', [{ server: 'fs', actions: ['*'], except: ['rm'] }]],
    ['with a member of the prototype', [JSON.parse('{"server":"fs","actions":["*"],"__proto__":{}}')]],
    ['with a pointer that is none', [{ server: 'fs', actions: ['*'], max: { n: 1 } }]],
    ['with a root that goes up', [{ server: 'fs', actions: ['*'], under: { '/p': ['/a/..'] } }]],
    ['with a relative root', [{ server: 'fs', actions: ['*'], under: { '/p': ['a'] } }]],
    ['with too many grants', Array(17).fill({ server: 'fs', actions: ['*'] })],
    ['with too many actions', [{ server: 'fs', actions: Array(129).fill('a') }]],
    ['with a bound that is no number', [{ server: 'fs', actions: ['*'], max: { '/n': '1' } }]],
  ])('%s', (_, value) => {
    expect(readScope(value)).toBeUndefined();
  });

  it('and otherwise it is read as it stands', () => {
    const scope = [{ server: 'fs', actions: ['*'], under: { '/p': ['/a'] }, in: { '/m': ['r'] }, max: { '/n': 1 } }];
    expect(readScope(scope)).toEqual(scope);
    expect(readScope([])).toEqual([]);
  });
});

describe('a scope within another', () => {
  const path = fc.constantFrom('/a', '/a/b', '/a/b/c', '/ab', '/d');
  const limit = <T>(value: fc.Arbitrary<T>) => fc.dictionary(fc.constantFrom('/p', '/q'), value, { maxKeys: 2 });
  const grant = fc.record(
    {
      server: fc.constantFrom('fs', 'db'),
      actions: fc.subarray(['read', 'write', '*', ':resources/read']),
      under: limit(fc.array(path, { maxLength: 2 })),
      in: limit(fc.array(path, { maxLength: 2 })),
      max: limit(fc.integer({ min: 0, max: 3 })),
    },
    { requiredKeys: ['server', 'actions'] },
  );
  const scope = fc.array(grant, { maxLength: 3 });
  const call = fc.record({
    server: fc.constantFrom('fs', 'db'),
    method: fc.constant('tools/call'),
    tool: fc.constantFrom('read', 'write'),
    args: fc.dictionary(fc.constantFrom('p', 'q'), fc.oneof(path, fc.integer({ min: 0, max: 4 })), { maxKeys: 2 }),
  });

  it('permits nothing that the other does not', () => {
    fc.assert(
      fc.property(scope, scope, fc.array(call, { minLength: 8, maxLength: 8 }), (inner, outer, calls) => {
        if (isWithin(inner, outer))
          for (const one of calls) if (permits(inner, one)) expect(permits(outer, one)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it('is itself, and anything with fewer grants or further limits', () => {
    fc.assert(
      fc.property(scope, (one) => {
        expect(isWithin(one, one)).toBe(true);
        expect(isWithin(one.slice(1), one)).toBe(true);
        expect(isWithin([], one)).toBe(true);
      }),
    );
    expect(isWithin([{ server: 'fs', actions: ['read'], max: { '/n': 1 } }], [{ server: 'fs', actions: ['*'] }])).toBe(
      true,
    );
    expect(isWithin(under('/a/b'), under('/a'))).toBe(true);
  });

  it('is none that leaves out a limit, or widens one', () => {
    expect(isWithin([{ server: 'fs', actions: ['read'] }], under('/a'))).toBe(false);
    expect(isWithin(under('/a'), under('/a/b'))).toBe(false);
    expect(isWithin(under('/ab'), under('/a'))).toBe(false);
    expect(isWithin([{ server: 'fs', actions: ['*'] }], [{ server: 'fs', actions: ['read'] }])).toBe(false);
  });
});
