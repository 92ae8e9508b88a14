import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Machine } from '../../../../adapters/clients/client-paths.ts';
import { foundFiles, nodeDisk, projectFolders } from '../../../../adapters/clients/found-files.ts';

const SERVER = '{"mcpServers": {"a": {"command": "x"}}}';

let root: string;
let machine: Machine;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
  machine = { platform: 'linux', home: join(root, 'home'), env: {}, cwd: join(root, 'home', 'work', 'deep') };
  mkdirSync(machine.cwd, { recursive: true });
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, content: string | Uint8Array): string {
  const file = join(machine.home, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const found = (env: Record<string, string> = {}) => foundFiles({ ...machine, env });
const names = () => found().files.flatMap(({ client, servers }) => servers.map(({ name }) => `${client.id} ${name}`));

describe('the search for the files of clients', () => {
  it('finds nothing on a machine without clients', () => {
    expect(found()).toEqual({ files: [], unread: [] });
  });

  it.each([
    ['is no UTF-8', Buffer.from('fffe7b007d00', 'hex'), { reason: 'it is not UTF-8 text' }],
    ['is half written', '{\n"mcpServers": {', { line: 2, column: 16 }],
    ['is empty', '', { reason: 'the file is empty' }],
    ['has a server twice', '{"mcpServers": {"a": {}, "a": {}}}', { line: 1, column: 26 }],
  ])('reports a file that %s, with its place', (_, content, problem) => {
    const file = put('.cursor/mcp.json', content);
    expect(found()).toMatchObject({ files: [], unread: [{ client: { id: 'cursor' }, file, problem }] });
  });

  it('reports a folder where a file should be, and a file that may not be read', () => {
    mkdirSync(join(machine.home, '.cursor/mcp.json'), { recursive: true });
    expect(found().unread.map(({ problem }) => problem.reason)).toEqual(['cannot be read: it is not a regular file']);
    const other = put('.qwen/settings.json', '{}');
    chmodSync(other, 0o000);
    // Whoever runs as root may read it all the same.
    const reasons = found().unread.map(({ problem }) => problem.reason);
    expect(reasons.length + found().files.length).toBe(2);
  });

  it('reports servers that are no map, and reads the rest of the file', () => {
    put(
      '.claude.json',
      '{"mcpServers": ["a"], "projects": {"/w": {"mcpServers": {"b": {"command": "x"}}, "n": 1}, "/v": 7}}',
    );
    const [file] = found().files;
    expect(file?.problems).toEqual(['mcpServers is not a map', 'projects./v is not a map']);
    expect(file?.servers).toMatchObject([
      { name: 'b', path: ['projects', '/w', 'mcpServers', 'b'], project: '/w', place: { scope: 'local' } },
    ]);
  });

  it('reports items of a list without a name', () => {
    put('.continue/config.yaml', 'mcpServers:\n- command: x\n- name: b\n  command: x\n');
    expect(found().files).toMatchObject([
      { problems: ['mcpServers.0 has no name'], servers: [{ name: 'b', path: ['mcpServers', 1] }] },
    ]);
  });

  it('follows symbolic links to the file itself and names it once', () => {
    const real = put('dotfiles/mcp.json', SERVER);
    mkdirSync(join(machine.home, '.cursor'));
    symlinkSync(real, join(machine.home, '.cursor/mcp.json'));
    mkdirSync(join(machine.home, '.lmstudio'));
    symlinkSync(real, join(machine.home, '.lmstudio/mcp.json'));
    expect(found().files).toMatchObject([
      { client: { id: 'cursor' }, file: join(machine.home, '.cursor/mcp.json'), real },
    ]);
  });

  it('takes a dangling link for no file', () => {
    mkdirSync(join(machine.home, '.cursor'));
    symlinkSync(join(root, 'gone'), join(machine.home, '.cursor/mcp.json'));
    expect(found()).toEqual({ files: [], unread: [] });
  });

  it('looks in the folder it is started in and in those above, up to the repository', () => {
    put('work/.git/HEAD', 'ref');
    put('work/.cursor/mcp.json', SERVER);
    put('work/deep/.cursor/mcp.json', SERVER);
    put('.vscode/mcp.json', SERVER);
    expect(found().files.map(({ file, project }) => [file, project])).toEqual([
      [join(machine.home, 'work/deep/.cursor/mcp.json'), machine.cwd],
      [join(machine.home, 'work/.cursor/mcp.json'), join(machine.home, 'work')],
    ]);
    const deeper = join(machine.cwd, 'er');
    expect(projectFolders({ ...machine, cwd: deeper }, nodeDisk)).toEqual([
      deeper,
      machine.cwd,
      join(machine.home, 'work'),
    ]);
    expect(projectFolders({ ...machine, cwd: machine.home }, nodeDisk)).toEqual([machine.home]);
  });

  it('takes the file of a project for the user’s own in the home folder, and names each server once', () => {
    put('.cursor/mcp.json', SERVER);
    put('.codex/config.toml', '[mcp_servers.a]\ncommand = "x"\n');
    put(
      '.claude.json',
      `{"mcpServers": {"a": {"command": "x"}}, "projects": {${JSON.stringify(machine.home)}: ${SERVER}}}`,
    );
    const { files } = foundFiles({ ...machine, cwd: machine.home });
    const scopes = files.map(({ client, servers }) => [client.id, ...servers.map(({ place }) => place.scope)]);
    expect(scopes).toEqual([
      ['claude-code', 'user', 'local'],
      ['codex', 'user'],
      ['cursor', 'user'],
    ]);
  });

  it('looks above the repository too for a client that does', () => {
    put('work/.git/HEAD', 'ref');
    put('work/deep/.mcp.json', SERVER);
    put('work/.mcp.json', SERVER);
    put('.mcp.json', SERVER);
    expect(found().files.map(({ file }) => file)).toEqual(
      ['work/deep/.mcp.json', 'work/.mcp.json', '.mcp.json'].map((name) => join(machine.home, name)),
    );
  });

  it('goes by the variables that a client goes by, if they name a place', () => {
    put('.codex/config.toml', '[mcp_servers.home]\ncommand = "x"\n');
    put('elsewhere/config.toml', '[mcp_servers.elsewhere]\ncommand = "x"\n');
    const server = (value: string) => found({ CODEX_HOME: value }).files[0]?.servers[0]?.name;
    expect(server(join(machine.home, 'elsewhere'))).toBe('elsewhere');
    expect(server('elsewhere')).toBe('home');
    expect(server('')).toBe('home');
  });

  it('finds the profiles of an editor and the pieces of a configuration', () => {
    put('.config/Code/User/profiles/p1/mcp.json', '{"servers": {"a": {"type": "stdio", "command": "x"}}}');
    put('.config/Code/User/profiles/p2/other.json', '{}');
    put('.continue/mcpServers/b.yaml', 'mcpServers:\n- name: b\n  command: x\n');
    put('.continue/mcpServers/b.txt', 'mcpServers:\n- name: c\n');
    expect(names()).toEqual(['continue b', 'vscode a']);
  });

  it('writes nothing', () => {
    put('.cursor/mcp.json', SERVER);
    const before = readdirSync(machine.home, { recursive: true }).sort();
    found();
    expect(readdirSync(machine.home, { recursive: true }).sort()).toEqual(before);
  });
});
