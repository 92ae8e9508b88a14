// What may be a secret is not shown, and what has to be understood is.

import { describe, expect, it } from 'vitest';
import { maskedValue, maskedWords } from '../../../../cli/onboarding/masked.ts';

describe('words of a command line', () => {
  it.each<[string[], string[]]>([
    [
      ['-y', 'pkg', '/srv/ws'],
      ['-y', 'pkg', '/srv/ws'],
    ],
    [
      ['--token', 'abc', 'x'],
      ['--token', '***', 'x'],
    ],
    [
      ['--api-key=abc', '--port=3'],
      ['--api-key=***', '--port=3'],
    ],
    [
      ['--header', 'Authorization: Bearer abc'],
      ['--header', '***'],
    ],
    [['Authorization: Bearer abc'], ['Authorization:***']],
    [['GITHUB_TOKEN=abc'], ['GITHUB_TOKEN=***']],
    [
      ['-c', 'A=1 API_KEY=abc run --password abc it'],
      ['-c', 'A=1 API_KEY=*** run --password *** it'],
    ],
    [
      ['ghp_abcdef', 'sk-abcdef'],
      ['***', '***'],
    ],
    [['postgres://me:abc@db.example/x'], ['postgres://***@db.example/x']],
    [['https://h.example/mcp?key=abc'], ['https://h.example/mcp?***']],
    [['https://h.example/mcp'], ['https://h.example/mcp']],
    [['{"apiKey":"abc d","n":1}'], ['{"apiKey":***,"n":1}']],
    [['{\\"apiKey\\":\\"abc\\",\\"n\\":1}'], ['{\\"apiKey\\":***,\\"n\\":1}']],
    [['Server=db;User Id=u;Password=abc;'], ['Server=db;User Id=u;Password=***;']],
    [["{'token': 'abc d'}"], ["{'token': ***}"]],
  ])('%j', (words, shown) => {
    expect(maskedWords(words)).toEqual(shown);
  });
});

it('of variables and headers the names are shown, and no value', () => {
  const entry = {
    command: 'node',
    env: { A: '1', B: { c: true } },
    http_headers: { X: 'abc' },
    apiToken: 'abc',
    tools: ['*'],
    url: 'https://u:p@h.example/#abc',
  };
  expect(maskedValue(entry, undefined)).toEqual({
    command: 'node',
    env: { A: '***', B: { c: '***' } },
    http_headers: { X: '***' },
    apiToken: '***',
    tools: ['*'],
    url: 'https://***@h.example/#***',
  });
});
