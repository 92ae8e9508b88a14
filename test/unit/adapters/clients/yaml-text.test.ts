import { describe, expect, it } from 'vitest';
import { editText, parseText } from '../../../../adapters/clients/edit-text.ts';

const CONTINUE = `# my assistant
name:   Local
models: []
mcpServers:
  # files first
  - name: files   # the name
    command: npx
    args:
      - "-y"  # yes
      - pkg
    env: { TOKEN: s3cret }   # keep
    timeout:   20

  - name: far
    type: streamable-http
    url: https://x.example/y  # there
    requestOptions:
      headers:
        Authorization: Bearer 1
# rules below
rules:
- one
`;

describe('a YAML text', () => {
  it.each([
    ['an open bracket', 'a: [1\nb: 2\n', 2, /flow|indentation|missing/],
    ['a key given twice', 'a: 1\nb: 2\na: secret\n', 3, /twice/],
    ['a second document', 'a: 1\n---\nb: 2\n', 2, /several documents/],
    ['nothing', '# only a comment\n', 1, /empty/],
    ['dashes without end', '- '.repeat(20_000), 1, /deeper/],
    [
      'steps without end',
      Array.from({ length: 1_300 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      101,
      /deeper/,
    ],
    ['brackets without end', '['.repeat(20_000), 1, /deeper/],
    [
      'aliases that multiply',
      `a: &a [x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i ? `b${i - 1}` : 'a'}, *${i ? `b${i - 1}` : 'a'}]`).join('\n')}\n`,
      1,
      /alias/,
    ],
    ['a tab for indentation', 'a:\n\t- b: 1\n', 2, /tab/],
  ])('is refused for %s, with its line and without the value', (_, text, line, reason) => {
    const read = parseText('yaml', text);
    expect(read).toMatchObject({ ok: false, problem: { line, reason: expect.stringMatching(reason) } });
    expect(JSON.stringify(read)).not.toContain('secret');
  });

  const edits = [
    { path: ['mcpServers', 0, 'command'], value: '/usr/bin/node' },
    { path: ['mcpServers', 0, 'args'], value: ['/p.js', '--', 'npx', '-y', 'pkg'] },
    { path: ['mcpServers', 0, 'env'], value: { TOKEN: 's3cret', MORE: 'a: #b' } },
    { path: ['mcpServers', 1, 'type'], value: 'stdio' },
    { path: ['mcpServers', 1, 'command'], value: '/usr/bin/node' },
    { path: ['mcpServers', 1, 'args'], value: ['/p.js'] },
    { path: ['mcpServers', 1, 'url'], value: undefined },
    { path: ['mcpServers', 1, 'requestOptions'], value: undefined },
  ];
  const expected = `# my assistant
name:   Local
models: []
mcpServers:
  # files first
  - name: files   # the name
    command: "/usr/bin/node"
    args:
      - "/p.js"
      - "--"
      - "npx"
      - "-y"  # yes
      - pkg
    env: { TOKEN: s3cret, MORE: "a: #b" }   # keep
    timeout:   20

  - name: far
    type: "stdio"
    command: "/usr/bin/node"
    args: ["/p.js"]
# rules below
rules:
- one
`;

  it('changes the lines of a server and no others', () => {
    // Order of insertion: a new key stands below the last one that has a single line.
    const result = editText('yaml', CONTINUE, edits);
    expect(result.ok && result.text).toBe(expected);
  });

  it('keeps CRLF and a byte order mark', () => {
    const result = editText('yaml', `\uFEFF${CONTINUE.replaceAll('\n', '\r\n')}`, edits);
    expect(result).toEqual({ ok: true, text: `\uFEFF${expected.replaceAll('\n', '\r\n')}` });
  });

  it.each([
    ['a list at the column of its key', 'a:\n- x # c\n- y\n', ['a'], ['w', 'x', 'y'], 'a:\n- "w"\n- x # c\n- y\n'],
    ['a list that shrinks again', 'a:\n- "w"\n- x # c\n- y\n', ['a'], ['x', 'y'], 'a:\n- x # c\n- y\n'],
    ['a list with other items', 'a:\n  - x\n  - y # c\nb: 1\n', ['a'], ['p', 'q'], 'a:\n  - "p"\n  - "q" # c\nb: 1\n'],
    ['a flow list', 'a: [ x, y ] # c\n', ['a'], ['w', 'x', 'y'], 'a: [ "w", x, y ] # c\n'],
    ['an empty value', 'a:\nb: 1\n', ['a'], 'v', 'a: "v"\nb: 1\n'],
    ['a text over lines', 'a: |\n  one\n  two\nb: 1\n', ['a'], 'v', 'a: "v"\nb: 1\n'],
    ['a map without members', 'a: {}\n', ['a', 'K'], 'v', 'a: { "K": "v" }\n'],
    ['the last line without its end', 'a: 1\nb: 2', ['b'], undefined, 'a: 1'],
    ['a first key behind its dash', '- a: 1\n  b: 2\n', [0, 'a'], undefined, '- b: 2\n'],
    ['the only key', 'm:\n  a: 1\nn: 2\n', ['m', 'a'], undefined, 'm:\n  {}\nn: 2\n'],
    [
      'a key below a nested map',
      'm:\n  a: 1\n  e:\n    X: 1\n',
      ['m', 'k'],
      'v',
      'm:\n  a: 1\n  k: "v"\n  e:\n    X: 1\n',
    ],
    ['a map with only nested maps', 'm:\n  e:\n    X: 1\n', ['m', 'k'], 'v', 'm:\n  k: "v"\n  e:\n    X: 1\n'],
  ])('edits %s', (_, text, path, value, after) => {
    const result = editText('yaml', text, [{ path, value }]);
    expect(result.ok && result.text.replace('{ K: "v" }', '{ "K": "v" }')).toBe(after);
  });

  it.each([
    ['an alias', 'b: &x { command: y }\na: *x\n', ['a', 'command']],
    ['a merged map', 'b: &x { command: y }\na:\n  <<: *x\n  args: []\n', ['b', 'command']],
    ['an anchor that is used elsewhere', 'a: { command: &x y }\nb: *x\n', ['a', 'command']],
  ])('is not edited through %s', (_, text, path) => {
    expect(editText('yaml', text, [{ path, value: 'n' }]).ok).toBe(false);
  });
});
