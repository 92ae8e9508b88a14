import { describe, expect, it } from 'vitest';
import { withOwnSpelling } from '../../../../adapters/clients/own-spelling.ts';

const before = '{ "s": { "a": { "url" : "u", /* there */ "x":1 }, "b": {"url":"v"} } }';
const wrapped = '{ "s": { "a": { "x":1, "command": "n" }, "b": {"command": "n"} } }';
const restored = '{ "s": { "a": { "x":1, "url": "u" }, "b": {"url": "v"} } }';
const entries = ['a', 'b'].map((name) => ({ before: ['s', name], now: ['s', name] }));

describe('an entry that is put back', () => {
  it('keeps what its user wrote into it since, while its neighbour gets its own words back', () => {
    const now = wrapped.replace('"x":1,', '"x":1, /* mine */');
    const mine = restored.replace('"x":1,', '"x":1, /* mine */');
    expect(withOwnSpelling('jsonc', { before, wrapped, now, restored: mine }, entries)).toBe(
      mine.replace('{"url": "v"}', '{"url":"v"}'),
    );
  });

  it('stays as it was put back where its own words would say something else', () => {
    const other = restored.replace('"u"', '"w"');
    expect(withOwnSpelling('jsonc', { before, wrapped, now: wrapped, restored: other }, entries)).toBe(other);
  });

  it('is left alone in a text that cannot be read', () => {
    expect(withOwnSpelling('jsonc', { before: '{', wrapped, now: wrapped, restored }, entries)).toBe(restored);
  });

  it.each([
    ['is gone', '[x]\nk = 1\n'],
    ['is scattered over the text', '[m.a]\nurl = "u"\n[x]\nk = 1\n[m.a.env]\nA = "1"\n'],
    ['is written with dots', 'm.a.url = "u"\nm.a.k = 1\n'],
  ])('stays as it was put back where it %s', (_, text) => {
    const moved = [{ before: ['m', 'a'], now: ['m', 'a'] }];
    expect(withOwnSpelling('toml', { before: text, wrapped: text, now: text, restored: `${text}# end\n` }, moved)).toBe(
      `${text}# end\n`,
    );
  });
});
