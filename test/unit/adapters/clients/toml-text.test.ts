import { parse as secondParser } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { editText, parseText } from '../../../../adapters/clients/edit-text.ts';
import { onlyTheseTables } from '../../../../adapters/clients/untouched-lines.ts';

const CODEX = [
  '# my codex',
  'model = "o3"   # which',
  'since   =   1979-05-27T07:32:00Z',
  '',
  '[mcp_servers.files] # files',
  "command = 'npx'   # runner",
  'args = [',
  '  "-y", # yes',
  '  "pkg",',
  ']',
  'startup_timeout_sec = 20',
  '[mcp_servers.files.env]',
  'TOKEN = "s3cret" # keep',
  '',
  '[mcp_servers."odd name"]',
  '# the address',
  'url = "https://x.example/y" # there',
  'http_headers = { Authorization = "Bearer 1" }',
  'enabled = true',
  '# end',
  '',
  '# of another',
  '[other]',
  'k=1',
].join('\n');

const server = ['mcp_servers', 'files'];
const odd = ['mcp_servers', 'odd name'];

describe('a TOML text', () => {
  it.each([
    ['a value that is no value', 'token = sk-secret', 1, 9, /^Invalid float "…"$/],
    ['a value with quotes in it', 'token = sk"secret"', 1, 9, /^Invalid float "…"$/],
    ['an escape that is none', 'token = "\\usecret"', 1, 9, /^Invalid Unicode escape: \\u…$/],
    ['a text without its end', 'a = 1\nb = "x', 2, 5, /close of string/],
    ['a key given twice', 'a = 1\na = 2', 2, 1, /already defined/],
    ['a table given twice', '[a]\nb=1\n[a]\nc=1', 3, 1, /already defined/],
    ['brackets without end', `x = ${'['.repeat(20_000)}`, 1, 105, /deeper/],
    ['a list without its end', 'x=[1,2\n', 1, 3, /Expected/],
  ])('is refused for %s, with line and column and without the value', (_, text, line, column, reason) => {
    const read = parseText('toml', text);
    expect(read).toEqual({ ok: false, problem: { line, column, reason: expect.stringMatching(reason) } });
    expect(JSON.stringify(read)).not.toContain('secret');
  });

  it('changes the lines of a server and no others', () => {
    const edits = [
      { path: [...server, 'command'], value: '/usr/bin/node' },
      { path: [...server, 'args'], value: ['/p.js', '--', 'npx', '-y', 'pkg'] },
      { path: [...server, 'env'], value: { TOKEN: 's3cret', MORE: 'a"b\u007f' } },
      { path: [...odd, 'command'], value: '/usr/bin/node' },
      { path: [...odd, 'args'], value: ['/p.js'] },
      { path: [...odd, 'url'], value: undefined },
      { path: [...odd, 'http_headers'], value: undefined },
      { path: [...odd, 'env'], value: { H: 'Bearer 1' } },
    ];
    const edited = editText('toml', CODEX, edits);
    expect(edited.ok && edited.text.split('\n')).toEqual([
      '# my codex',
      'model = "o3"   # which',
      'since   =   1979-05-27T07:32:00Z',
      '',
      '[mcp_servers.files] # files',
      'command = "/usr/bin/node"   # runner',
      'args = [',
      '  "/p.js",',
      '  "--",',
      '  "npx",',
      '  "-y", # yes',
      '  "pkg",',
      ']',
      'startup_timeout_sec = 20',
      '[mcp_servers.files.env]',
      'TOKEN = "s3cret" # keep',
      'MORE = "a\\"b\\u007f"',
      '',
      '[mcp_servers."odd name"]',
      '# the address',
      'enabled = true',
      'command = "/usr/bin/node"',
      'args = ["/p.js"]',
      'env = { H = "Bearer 1" }',
      '# end',
      '',
      '# of another',
      '[other]',
      'k=1',
    ]);
    if (!edited.ok) return;
    expect(JSON.parse(JSON.stringify(secondParser(edited.text)))).toMatchObject({
      mcp_servers: { 'odd name': { command: '/usr/bin/node', env: { H: 'Bearer 1' }, enabled: true } },
    });
    const crlf = editText('toml', `\uFEFF${CODEX.replaceAll('\n', '\r\n')}`, edits);
    expect(crlf).toEqual({ ok: true, text: `\uFEFF${edited.text.replaceAll('\n', '\r\n')}` });
  });

  it.each([
    [
      'an inline table',
      'mcp_servers = { a = { command = "x" } } # c\n',
      ['command'],
      'n',
      'mcp_servers = { a = { command = "n" } } # c\n',
    ],
    [
      'a new key of an inline table',
      's = 1\n[mcp_servers]\na = {command="x"}\n',
      ['env'],
      { K: 'v' },
      's = 1\n[mcp_servers]\na = {command="x", env = { K = "v" }}\n',
    ],
    [
      'dotted keys',
      '[mcp_servers]\n  a.command = "x"\nb.command = "y"\n',
      ['env'],
      { K: 'v' },
      '[mcp_servers]\n  a.command = "x"\n  a.env = { K = "v" }\nb.command = "y"\n',
    ],
    [
      'a table of the entry',
      '[mcp_servers.a]\nurl = "u"\n[mcp_servers.a.http_headers] # h\nA = "1"\n[z]\n',
      ['http_headers'],
      undefined,
      '[mcp_servers.a]\nurl = "u"\n[z]\n',
    ],
    ['a table without keys', '[mcp_servers.a]', ['command'], 'n', '[mcp_servers.a]\ncommand = "n"'],
    [
      'the last line without its end',
      '[mcp_servers.a]\nb = 1\nurl = "u"',
      ['url'],
      undefined,
      '[mcp_servers.a]\nb = 1',
    ],
    [
      'one of several inline keys',
      'mcp_servers.a = { url = "u", x = 1 }\n',
      ['url'],
      undefined,
      'mcp_servers.a = { x = 1 }\n',
    ],
  ])('edits %s', (_, text, keys, value, expected) => {
    expect(editText('toml', text, [{ path: ['mcp_servers', 'a', ...keys], value }])).toEqual({
      ok: true,
      text: expected,
    });
  });

  it('is refused for a value that TOML does not have', () => {
    expect(editText('toml', '[a]\nb = 1\n', [{ path: ['a', 'c'], value: null }]).ok).toBe(false);
  });

  it('is refused by the reading of lines when another table changed', () => {
    const paths = [['mcp_servers', 'files', 'command']];
    expect(onlyTheseTables(CODEX, CODEX.replace("'npx'", '"node"'), paths)).toBe(true);
    expect(onlyTheseTables(CODEX, CODEX.replace('k=1', 'k=2'), paths)).toBe(false);
    expect(onlyTheseTables(CODEX, CODEX.replace('# my codex\n', ''), paths)).toBe(false);
  });
});
