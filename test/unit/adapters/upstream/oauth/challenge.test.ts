import { describe, expect, it } from 'vitest';
import { allScopes, holdsScopes, tokenChallenge } from '../../../../../adapters/upstream/http/oauth/challenge.ts';

describe('a challenge', () => {
  it.each([
    ['no header', undefined],
    ['another scheme', 'Basic realm="x"'],
    ['a word that begins like one', 'Bearerish scope="a"'],
    ['an endless one', `Bearer scope="${'a '.repeat(5_000)}b"`],
  ])('is not in %s', (_what, header) => {
    expect(tokenChallenge(header)).toBeUndefined();
  });

  it.each<[string, string, object]>([
    ['nothing but the scheme', 'Bearer', {}],
    ['quoted values', 'Bearer error="invalid_token", scope="a b"', { error: 'invalid_token', scope: 'a b' }],
    ['plain values', 'bearer scope=a, error=insufficient_scope', { scope: 'a', error: 'insufficient_scope' }],
    ['an escaped quotation mark, which no scope has', 'Bearer scope="a\\"b"', {}],
    ['a comma in a quoted value', 'Bearer realm="a, scope=evil", scope="good"', { scope: 'good' }],
    ['the same word twice', 'Bearer scope="first", scope="second"', { scope: 'first' }],
    ['another scheme first', 'Basic realm="x", Bearer scope="a"', { scope: 'a' }],
    [
      'an address',
      'Bearer resource_metadata="https://x/.well-known/y"',
      { resourceMetadataUrl: 'https://x/.well-known/y' },
    ],
    ['an address that is none', 'Bearer resource_metadata="nowhere"', {}],
    ['a scope with control characters', 'Bearer scope="a\u0007b"', {}],
  ])('is read from %s', (_what, header, expected) => {
    const { error, scope, resourceMetadataUrl } = tokenChallenge(header) ?? {};
    expect(JSON.parse(JSON.stringify({ error, scope, resourceMetadataUrl }))).toEqual(expected);
  });
});

describe('scopes', () => {
  it('are joined once each, in order', () => {
    expect(allScopes('a b', undefined, 'b c')).toBe('a b c');
    expect(allScopes(undefined, '')).toBeUndefined();
  });

  it('are held when all of them are', () => {
    expect(holdsScopes('a b', 'b a')).toBe(true);
    expect(holdsScopes('a', 'a b')).toBe(false);
    expect(holdsScopes(undefined, 'a')).toBe(false);
  });
});
