import { describe, expect, it } from 'vitest';
import { readEntry, restoredEntry, shadowingEntry, wrappedEntry } from '../../../../adapters/clients/entry-shapes.ts';
import type { ShapeName } from '../../../../adapters/clients/shapes.ts';
import type { Json } from '../../../../domain/json.ts';

const NODE = '/usr/bin/node';
const GATE = '/opt/portcullis/bin/portcullis.js';

const leftAlone: readonly (readonly [string, ShapeName, Json, string])[] = [
  ['a text instead of a map', 'standard', 'npx x', 'unknown-shape'],
  ['a map of nothing', 'standard', {}, 'unknown-shape'],
  ['a command that is a list', 'standard', { command: ['npx'] }, 'unknown-shape'],
  ['an empty command', 'standard', { command: ' ' }, 'unknown-shape'],
  ['arguments that are not texts', 'standard', { command: 'x', args: [1] }, 'unknown-shape'],
  ['arguments that are one text', 'standard', { command: 'x', args: '-y' }, 'unknown-shape'],
  ['an environment that is a list', 'standard', { command: 'x', env: ['A=1'] }, 'unknown-shape'],
  ['a folder that is a number', 'standard', { command: 'x', cwd: 1 }, 'unknown-shape'],
  ['both a command and an address', 'standard', { command: 'x', url: 'https://x' }, 'unknown-shape'],
  ['a type nobody knows', 'standard', { type: 'pigeon', url: 'https://x' }, 'unknown-shape'],
  ['a type that every object has', 'standard', { type: 'constructor', url: 'https://x' }, 'unknown-shape'],
  ['a remote type with a command', 'standard', { type: 'http', command: 'x' }, 'unknown-shape'],
  ['a local type with an address', 'standard', { type: 'stdio', url: 'https://x' }, 'unknown-shape'],
  ['an address that is none', 'standard', { url: 'far' }, 'unknown-shape'],
  ['headers that are a text', 'standard', { url: 'https://x', headers: 'A: 1' }, 'unknown-shape'],
  ['a password in the address', 'standard', { url: 'https://u:s3cret@x/mcp' }, 'unsupported'],
  ['two addresses', 'gemini', { url: 'https://x', httpUrl: 'https://y' }, 'unsupported'],
  ['a login of the client', 'opencode', { type: 'remote', url: 'https://x', oauth: {} }, 'unsupported'],
  ['options of a request', 'continue', { url: 'https://x', requestOptions: { proxy: 'y' } }, 'unsupported'],
  ['the name of a variable that is a number', 'codex', { url: 'https://x', bearer_token_env_var: 1 }, 'unknown-shape'],
  ['variables of headers that are a list', 'codex', { url: 'https://x', env_http_headers: ['T'] }, 'unknown-shape'],
  [
    'a token in a variable, where the client has no such field',
    'standard',
    { url: 'https://x', bearer_token_env_var: 'T' },
    'unsupported',
  ],
  ['an older transport or not', 'cline', { url: 'https://x/mcp' }, 'unsupported'],
  ['a file of variables', 'vscode', { command: 'x', envFile: '.env' }, 'unsupported'],
  ['a nested field that is absent', 'cline-cli', { command: 'x' }, 'unknown-shape'],
  ['a braced variable in the command', 'standard', { command: '$\u007bHOME}/x' }, 'expanded'],
  ['a variable in an argument', 'standard', { command: 'x', args: ['-d', '$env:HOME'] }, 'expanded'],
  ['a question in the address', 'vscode', { type: 'http', url: 'https://x/$\u007binput:a}' }, 'expanded'],
  ['a plain variable where the client fills it in', 'gemini', { command: '$HOME/x' }, 'expanded'],
  ['a file where the client reads it', 'opencode', { type: 'local', command: ['x', '{file:y}'] }, 'expanded'],
  ['a server that is off', 'standard', { command: 'x', disabled: true }, 'disabled'],
  ['a server that is not on', 'goose', { type: 'stdio', cmd: 'x', enabled: false }, 'disabled'],
  ['a part of the client', 'goose', { type: 'builtin', name: 'developer', enabled: true }, 'built-in'],
  ['a part of an extension', 'zed', { settings: {} }, 'built-in'],
];

describe('an entry', () => {
  it.each(leftAlone)('is left alone for %s, with a reason and a way on', (_, shape, raw, reason) => {
    const entry = readEntry(shape, raw);
    expect(entry).toMatchObject({ kind: 'other', reason });
    expect(JSON.stringify(entry)).not.toContain('s3cret');
    if (entry.kind === 'other') expect(entry.hint.length).toBeGreaterThan(10);
  });

  it.each<[ShapeName, Json]>([
    ['codex', { command: 'sh', args: ['-c', 'echo $\u007bHOME}'] }],
    ['standard', { command: 'sh', args: ['-c', 'echo "$PWD"'] }],
    ['zed', { command: 'x', args: ['$\u007bA}'] }],
  ])('of %s keeps what only looks like a variable to others', (shape, raw) => {
    expect(readEntry(shape, raw)).toMatchObject({ kind: 'stdio' });
  });

  it('names the variables that the client hands on', () => {
    expect(readEntry('codex', { command: 'x', env: { A: '1' }, env_vars: ['B'] })).toEqual({
      kind: 'stdio',
      command: 'x',
      args: [],
      env: { A: '1' },
      forwarded: ['B'],
    });
    expect(readEntry('goose', { type: 'stdio', cmd: 'x', envs: {}, env_keys: ['B'] })).toMatchObject({
      forwarded: ['B'],
    });
  });

  it.each<[Json, object]>([
    [{ url: 'https://x/mcp' }, { transport: 'http' }],
    [{ url: 'https://x/sse/' }, { transport: 'sse' }],
    [{ url: 'wss://x/mcp' }, { transport: 'ws' }],
    [{ type: 'sse', url: 'https://x/mcp' }, { transport: 'sse' }],
  ])('that is remote has a transport: %j', (raw, want) => {
    expect(readEntry('standard', raw)).toMatchObject({ kind: 'remote', ...want });
  });

  it.each<[string, string[], object]>([
    [
      NODE,
      [GATE, 'wrap', '--agent', 'cursor', '--name', 'a b', '--', 'npx', '-y', 'x'],
      { gate: GATE, agent: 'cursor', name: 'a b', line: { command: 'npx', args: ['-y', 'x'] } },
    ],
    [NODE, ['C:\\tools\\portcullis.js', 'wrap', '--name=a'], { gate: 'C:\\tools\\portcullis.js', name: 'a' }],
    [
      'portcullis',
      ['wrap', '--', '$\u007bHOME}/x'],
      { gate: 'portcullis', line: { command: '$\u007bHOME}/x', args: [] } },
    ],
    ['C:\\x\\Portcullis.CMD', ['wrap', '--', 'x'], { gate: 'C:\\x\\Portcullis.CMD' }],
    ['npx', ['-y', 'portcullis@latest', 'wrap', '--', 'x'], { gate: 'portcullis@latest' }],
  ])('that starts a gate already is recognised: %s %j', (command, args, want) => {
    expect(readEntry('standard', { command, args })).toMatchObject({ kind: 'wrapped', disabled: false, ...want });
    expect(readEntry('standard', { command, args, disabled: true })).toMatchObject({ kind: 'wrapped', disabled: true });
  });

  it.each([
    ['portcullis', ['doctor']],
    [NODE, ['/srv/portcullis.js', 'serve']],
    [NODE, ['/srv/not-portcullis.js', 'wrap']],
  ])('that merely sounds like it is not: %s %j', (command, args) => {
    expect(readEntry('standard', { command, args })).toMatchObject({ kind: 'stdio' });
  });

  it('that shadows another holds everything the other has, wrapped', () => {
    const raw = { type: 'http', url: 'https://x/mcp', headers: { A: '1' }, timeout: 5 };
    expect(shadowingEntry('standard', raw, { command: NODE, args: [GATE], env: { H: '1' } })).toEqual({
      type: 'stdio',
      timeout: 5,
      command: NODE,
      args: [GATE],
      env: { H: '1' },
    });
  });

  it('is not edited where it is already as it would become', () => {
    const raw = { command: NODE, args: [GATE] };
    expect(wrappedEntry('standard', raw, { command: NODE, args: [GATE] })).toEqual([]);
  });
});

describe('an entry that is put back', () => {
  const before = { command: 'npx', args: ['x'], env: { A: '1' }, timeout: 5 };
  const wrapped = { command: NODE, args: [GATE, 'x'], env: { A: '1', H: '2' }, timeout: 5 };

  it('keeps what someone has changed since, and says so', () => {
    const now = { ...wrapped, args: ['other'], timeout: 6 };
    expect(restoredEntry(before, wrapped, now)).toEqual({
      edits: [
        { path: ['command'], value: 'npx' },
        { path: ['env', 'H'], value: undefined },
      ],
      conflicts: ['args'],
    });
  });

  it('keeps a variable that was added since', () => {
    const now = { ...wrapped, env: { ...wrapped.env, NEW: '3' } };
    expect(restoredEntry(before, wrapped, now)).toEqual({
      edits: [
        { path: ['command'], value: 'npx' },
        { path: ['args'], value: ['x'] },
        { path: ['env', 'H'], value: undefined },
      ],
      conflicts: [],
    });
  });

  it('needs nothing when it was put back by hand', () => {
    expect(restoredEntry(before, wrapped, before)).toEqual({ edits: [], conflicts: [] });
  });
});
