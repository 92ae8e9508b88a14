// What people have in their clients' files goes through the gate under the same names, and comes back byte for byte.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KNOWN_CLIENTS } from '../../../../adapters/clients/known-clients.ts';
import { clientVariables } from '../../../../cli/client-variables.ts';
import { backupsOf } from '../../../../cli/onboarding/client-files.ts';
import { ownProgram } from '../../../../cli/onboarding/own-program.ts';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';
import { ClientHome } from '../../../support/client-home.ts';

const SECRET = 'not-to-be-seen';

let at: ClientHome;
beforeEach(() => {
  at = new ClientHome();
});
afterEach(() => at.close());

const CURSOR = '.cursor/mcp.json';
const cursor = (servers: object): string => at.write(CURSOR, `${JSON.stringify({ mcpServers: servers }, null, 2)}\n`);

function manifest() {
  const text = at.read('config/portcullis.yaml');
  const parsed = parseManifest(text, 'portcullis.yaml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.manifest;
}

describe('there and back again, byte for byte', () => {
  it.each<[string, string, string, string]>([
    [
      'JSONC with comments, a byte order mark and CRLF',
      'cursor',
      CURSOR,
      `\uFEFF{\r\n  // mine\r\n  "mcpServers": {\r\n\t"files" : { "command":"node", "args":["f.js"], "env":{"K":"${SECRET}"} }, /* last */\r\n  },\r\n}`,
    ],
    [
      'JSON on one line without an end',
      'claude-code',
      '.claude.json',
      `{"numStartups":3,"mcpServers":{"files":{"type":"stdio","command":"node","args":["f.js"],"env":{"K":"${SECRET}"}}}}`,
    ],
    [
      'TOML with comments and inline tables',
      'codex',
      '.codex/config.toml',
      `model = "m" # which\n\n[mcp_servers.files] # mine\ncommand = "node"\nargs = [ "f.js", ] # one\nenv = { K = "${SECRET}" }\n\n[other]\na=1\n`,
    ],
    [
      'YAML with comments and a list',
      'continue',
      '.continue/config.yaml',
      `# mine\nname: me\nmcpServers:\n  - name: files   # first\n    command: node\n    args: ["f.js"]\n    env:\n      K: ${SECRET}\n`,
    ],
  ])('%s', async (_what, client, path, text) => {
    if (!KNOWN_CLIENTS.some(({ id }) => id === client)) return;
    at.write(path, text);
    const done = await at.init();
    expect(done).toMatchObject({ code: 0 });
    const written = at.read(path);
    expect(written).not.toBe(text);
    expect(written).toContain(ownProgram());
    expect(manifest().servers.files).toMatchObject({
      stdio: { command: 'node', args: ['f.js'], env: { allow: ['K'] } },
    });
    expect(manifest().agents[client]).toMatchObject({ roles: ['developer'], auth: 'local' });
    expect(done.stdout + done.stderr + at.read('config/portcullis.yaml')).not.toContain(SECRET);
    // A second time nothing is to do.
    expect((await at.init()).stdout).toContain('nothing is to do');
    expect(at.read(path)).toBe(written);
    expect(await at.restore({ all: true })).toMatchObject({ code: 0 });
    expect(at.read(path)).toBe(text);
    // And once more from there: the same servers again.
    await at.init();
    expect(at.read(path)).toBe(written);
    expect(Object.keys(manifest().servers)).toEqual(['files']);
  });
});

describe('refused or left alone, and said', () => {
  it.each<[string, object, string]>([
    ['a command that the client fills in', { command: `\${HOME}/x` }, 'the client fills in'],
    ['a server that is switched off', { command: 'x', disabled: true }, 'switched off'],
    ['an entry that nobody understands', { run: 'x' }, 'neither'],
    ['a variable that makes programs load other code', { command: 'x', env: { NODE_OPTIONS: SECRET } }, 'NODE_OPTIONS'],
    ['a variable that has no name', { command: 'x', env: { 'a b': SECRET } }, 'cannot be the name of a variable'],
    ['an address with a password', { url: `https://u:${SECRET}@h.example/` }, 'a user name or a password'],
    ['an address in the clear', { url: 'http://h.example/' }, 'not encrypted'],
    [
      'a header that is the gate’s',
      { url: 'https://h.example/', headers: { 'Mcp-Session-Id': SECRET } },
      'Mcp-Session-Id',
    ],
    ['a zero byte', { command: 'x', args: ['a\u0000b'] }, 'zero byte'],
    ['half a character', { command: 'x', env: { K: 'a\ud800' } }, 'half a character'],
    ['an argument longer than the manifest takes', { command: 'x', args: ['y'.repeat(5_000)] }, '4096'],
    ['a header of two lines', { url: 'https://h.example/', headers: { 'X-A': 'a\nb' } }, 'several lines'],
    ['another gate', { command: '/opt/other/portcullis', args: ['wrap', '--', 'x'] }, 'not there any more'],
  ])('%s', async (_what, entry, why) => {
    cursor({ one: entry });
    const before = at.read(CURSOR);
    const { code, stdout, stderr } = await at.init();
    expect(code).toBe(0);
    expect(stdout).toContain(why);
    expect(stdout + stderr).not.toContain(SECRET);
    expect(at.read(CURSOR)).toBe(before);
    expect(existsSync(at.home.config)).toBe(false);
  });

  it('what cannot be written down keeps no other server from being governed, and a name that leads to a prototype gets another', async () => {
    cursor({
      long: { command: 'x', args: ['y'.repeat(5_000)] },
      constructor: { command: 'node' },
      good: { command: 'x' },
    });
    expect(await at.init()).toMatchObject({ code: 0 });
    expect(Object.keys(manifest().servers)).toEqual(['constructor-server', 'good']);
  });

  it('a file that is half written, with its place', async () => {
    at.write(CURSOR, '{\n  "mcpServers": {\n    "files": { "comm');
    const { stdout } = await at.init();
    expect(stdout).toMatch(/mcp\.json:3:\d+: /);
    expect(at.read(CURSOR)).toBe('{\n  "mcpServers": {\n    "files": { "comm');
  });

  it('a file that is read-only: nothing is written, not even the manifest', async () => {
    const file = cursor({ files: { command: 'node' } });
    chmodSync(file, 0o444);
    const { code, stderr } = await at.init();
    expect(code).toBe(1);
    expect(stderr).toContain('is read-only');
    expect(existsSync(at.home.config)).toBe(false);
  });

  it('a client that nobody knows', async () => {
    expect(await at.init({ client: ['nobody'] })).toMatchObject({ code: 2 });
  });
});

it('without a terminal and without --yes nothing is written at all', async () => {
  cursor({ files: { command: 'node', env: { K: SECRET } } });
  const { code, stdout } = await at.init({}, false);
  expect(code).toBe(0);
  expect(stdout).toContain('nothing was written; to do it: portcullis init --yes');
  expect(readdirSync(at.folder)).toEqual(['.cursor']);
  const json = await at.init({ dryRun: true, yes: true }, true);
  expect(JSON.parse(json.stdout)).toMatchObject({ dryRun: true, changes: [{ client: 'cursor', name: 'files' }] });
  expect(json.stdout).not.toContain(SECRET);
  expect(readdirSync(at.folder)).toEqual(['.cursor']);
});

it('a remote server: its headers become variables of the same entry, and their values go nowhere else', async () => {
  cursor({ docs: { url: 'https://docs.example/mcp', headers: { Authorization: `Bearer ${SECRET}`, Accept: '*/*' } } });
  const before = at.read(CURSOR);
  const { stdout } = await at.init();
  const { mcpServers } = JSON.parse(at.read(CURSOR)) as { mcpServers: { docs: object } };
  expect(mcpServers.docs).toEqual({
    command: process.execPath,
    args: [ownProgram(), 'wrap', '--agent', 'cursor', '--name', 'docs'],
    env: { PORTCULLIS_DOCS_AUTHORIZATION: `Bearer ${SECRET}` },
  });
  expect(manifest().servers.docs).toMatchObject({
    http: { url: 'https://docs.example/mcp', headers: { Authorization: { env: 'PORTCULLIS_DOCS_AUTHORIZATION' } } },
    isolation: 'per-session',
  });
  expect(stdout + at.read('config/portcullis.yaml')).not.toContain(SECRET);
  expect(clientVariables(backupsOf(at.home)).get('docs')).toEqual({
    PORTCULLIS_DOCS_AUTHORIZATION: `Bearer ${SECRET}`,
  });
  await at.restore();
  expect(at.read(CURSOR)).toBe(before);
});

it('a remote server whose secrets lie in the environment of its client: they stay there, and the entry hands them on', async () => {
  const before = `[mcp_servers.github] # ours
url = "https://api.example/mcp"
bearer_token_env_var = "GITHUB_TOKEN"
env_http_headers = { "X-Team" = 'TEAM' }
`;
  at.write('.codex/config.toml', before);
  await at.init();
  const after = at.read('.codex/config.toml');
  expect(after).toContain('env_vars = ["TEAM", "GITHUB_TOKEN"]');
  expect(after).not.toContain('bearer_token_env_var');
  expect(manifest().servers.github).toMatchObject({
    http: {
      url: 'https://api.example/mcp',
      auth: { env: 'GITHUB_TOKEN' },
      headers: { 'X-Team': { env: 'TEAM' } },
    },
  });
  expect((await at.init()).stdout).toContain('nothing is to do');
  await at.restore();
  expect(at.read('.codex/config.toml')).toBe(before);
});

it.each([
  ['a name that is none', 'bearer_token_env_var = "A B"', 'cannot be the name'],
  ['a header twice', 'bearer_token_env_var = "A"\nhttp_headers = { authorization = "b" }', 'twice'],
])('a remote server that sends %s is left alone', async (_what, fields, why) => {
  const before = `[mcp_servers.github]\nurl = "https://api.example/mcp"\n${fields}\n`;
  at.write('.codex/config.toml', before);
  expect((await at.init()).stdout).toContain(why);
  expect(at.read('.codex/config.toml')).toBe(before);
});

it('names, quotes and shell syntax stay what they are', async () => {
  const odd = { 'my "files" ☂ __': { command: 'sh', args: ['-c', 'a "b" && $(c) | d > e', "it's", 'ü\u202E'] } };
  cursor(odd);
  const before = at.read(CURSOR);
  const { stdout } = await at.init();
  expect(stdout).not.toContain('\u202E');
  const { mcpServers } = JSON.parse(at.read(CURSOR)) as { mcpServers: Record<string, { args: string[] }> };
  expect(mcpServers['my "files" ☂ __']?.args.slice(-5)).toEqual(['sh', ...odd['my "files" ☂ __'].args]);
  expect(Object.keys(manifest().servers)).toEqual(['my-files']);
  expect(manifest().servers['my-files']?.stdio?.args).toEqual(odd['my "files" ☂ __'].args);
  await at.restore();
  expect(at.read(CURSOR)).toBe(before);
});

it('the same server of two clients is one; another of that name, or with other values, has a number', async () => {
  const files = { command: 'node', args: ['f.js'], env: { K: 'one' } };
  cursor({ files, other: { command: 'node', args: ['g.js'] } });
  at.write(
    '.claude.json',
    JSON.stringify({ mcpServers: { files, other: { ...files, env: { K: 'two' } }, Files: { command: 'x' } } }),
  );
  await at.init();
  const { servers, agents } = manifest();
  expect(Object.keys(servers).sort()).toEqual(['Files-2', 'files', 'other', 'other-2']);
  expect(Object.keys(agents).sort()).toEqual(['claude-code', 'cursor']);
});

it('an existing manifest keeps its comments, its spaces and what it says', async () => {
  cursor({ files: { command: 'node' } });
  const text =
    '# mine\napiVersion: portcullis/v1\nagents:\n  me:   { roles: [user], auth: local }   # myself\nservers:\n  files: # mine too\n    stdio: { command: other }\n';
  at.write('config/portcullis.yaml', text);
  await at.init();
  const after = at.read('config/portcullis.yaml');
  for (const part of [
    '# mine\n',
    'me:   { roles: [user], auth: local }   # myself',
    'files: # mine too',
    'command: other',
  ])
    expect(after).toContain(part);
  expect(Object.keys(manifest().servers).sort()).toEqual(['files', 'files-2']);
});

describe('files that others get too', () => {
  const text = `${JSON.stringify({ mcpServers: { db: { command: 'node', args: ['db.js'] } } })}\n`;
  beforeEach(() => mkdirSync(join(at.project, '.git'), { recursive: true }));

  it('stay, and an entry that is only its user’s stands before', async () => {
    at.write('work/.mcp.json', text);
    const own = '{\n  "numStartups": 1\n}\n';
    at.write('.claude.json', own);
    await at.init();
    expect(at.read('work/.mcp.json')).toBe(text);
    const { projects } = JSON.parse(at.read('.claude.json')) as {
      projects: Record<string, { mcpServers: { db: { args: string[] } } }>;
    };
    expect(projects[at.project]?.mcpServers.db.args).toContain('claude-code');
    expect(manifest().servers.db?.stdio?.cwd).toBe(at.project);
    expect((await at.init()).stdout).toContain('nothing is to do');
    await at.restore();
    expect(at.read('.claude.json')).toBe(own);
  });

  it('of a worktree have it where the repository is, and those of a folder in it too: there the client looks', async () => {
    rmSync(join(at.project, '.git'), { recursive: true });
    mkdirSync(join(at.folder, 'main/.git/worktrees/work'), { recursive: true });
    at.write('work/.git', `gitdir: ${join(at.folder, 'main/.git/worktrees/work')}\n`);
    at.write('main/.git/worktrees/work/commondir', '../..\n');
    at.write('work/.mcp.json', text);
    at.write('work/deep/.mcp.json', text.replaceAll('db', 'deep'));
    at.write('.claude.json', '{}');
    at.started = 'work/deep';
    await at.init();
    const { projects } = JSON.parse(at.read('.claude.json')) as { projects: Record<string, { mcpServers: object }> };
    expect(Object.keys(projects)).toEqual([realpathSync(join(at.folder, 'main'))]);
    expect(Object.values(projects).map(({ mcpServers }) => Object.keys(mcpServers).sort())).toEqual([['db', 'deep']]);
    expect((await at.init()).stdout).toContain('nothing is to do');
  });

  it('that hide one another get one entry, for the nearer', async () => {
    at.write('work/.mcp.json', text);
    at.write('work/deep/.mcp.json', text.replaceAll('db.js', 'near.js'));
    at.write('.claude.json', '{}');
    at.started = 'work/deep';
    expect((await at.init()).stdout).toContain('nearer to this one');
    expect(at.read('.claude.json')).toContain('near.js');
    expect(at.read('.claude.json')).not.toContain('db.js');
  });

  it('are left alone where there is no such entry, unless their client is named', async () => {
    at.write('work/.cursor/mcp.json', text);
    const { stderr } = await at.init();
    expect(stderr).toContain('under version control and was left as it is');
    expect(at.read('work/.cursor/mcp.json')).toBe(text);
    await at.init({ yes: true, client: ['cursor'] });
    expect(at.read('work/.cursor/mcp.json')).toContain('wrap');
  });
});

describe('a file that was changed since', () => {
  beforeEach(async () => {
    cursor({ files: { command: 'node', args: ['f.js'] }, notes: { command: 'notes' } });
    await at.init();
  });
  const change = (
    edit: (servers: Record<string, { command?: string; args: string[]; timeout?: number }>) => void,
  ): void => {
    const document = JSON.parse(at.read(CURSOR)) as { mcpServers: Parameters<typeof edit>[0] };
    edit(document.mcpServers);
    at.write(CURSOR, JSON.stringify(document, null, 4));
  };
  const servers = (): unknown => (JSON.parse(at.read(CURSOR)) as { mcpServers: unknown }).mcpServers;

  it('is not edited without being asked for', async () => {
    change((all) => Object.assign(all, { more: { command: 'more' } }));
    const before = at.read(CURSOR);
    const { code, stderr } = await at.restore({ all: true });
    expect(code).toBe(1);
    expect(stderr).toContain('was changed since');
    expect(at.read(CURSOR)).toBe(before);
  });

  it('loses our part of it and nothing else', async () => {
    change((all) => {
      Object.assign(all, { more: { command: 'more', args: [] } });
      if (all.files !== undefined) all.files.timeout = 7;
    });
    expect((await at.restore()).code).toBe(0);
    expect(servers()).toEqual({
      files: { command: 'node', args: ['f.js'], timeout: 7 },
      notes: { command: 'notes' },
      more: { command: 'more', args: [] },
    });
  });

  it('keeps what its user made of the command, and what he took away stays away', async () => {
    change((all) => {
      all.files?.args.push('--deep');
      delete all.notes;
    });
    const { code, stdout } = await at.restore();
    expect(code).toBe(0);
    expect(stdout).toContain('was taken away since');
    expect(servers()).toEqual({ files: { command: 'node', args: ['f.js', '--deep'] } });
  });

  it('leaves an entry alone that does not go through a gate any more', async () => {
    change((all) => Object.assign(all, { files: { command: 'mine', args: [] } }));
    await at.restore();
    expect(servers()).toEqual({ files: { command: 'mine', args: [] }, notes: { command: 'notes' } });
  });

  it('gives its command back to an entry that has another name now', async () => {
    at.write(CURSOR, at.read(CURSOR).replace('"files"', '"papers"'));
    expect((await at.restore()).code).toBe(0);
    expect(servers()).toEqual({ papers: { command: 'node', args: ['f.js'] }, notes: { command: 'notes' } });
  });

  it('is left as it is where it cannot be read any more', async () => {
    writeFileSync(join(at.folder, CURSOR), '{"half');
    expect(await at.restore()).toMatchObject({ code: 1, stderr: expect.stringContaining('left as it is') });
    expect(at.read(CURSOR)).toBe('{"half');
  });

  it('that is gone stays gone', async () => {
    rmSync(join(at.folder, CURSOR));
    expect((await at.restore()).code).toBe(0);
    expect(existsSync(join(at.folder, CURSOR))).toBe(false);
    expect((await at.restore()).stdout).toContain('nothing is to be taken back');
  });
});

it('what a client wrote back from memory, and was wrapped anew, still goes back byte for byte', async () => {
  const file = cursor({ files: { command: 'node' } });
  const before = at.read(CURSOR);
  await at.init();
  writeFileSync(file, before);
  await at.init();
  expect(await at.restore({ all: true })).toMatchObject({ code: 0 });
  expect(at.read(CURSOR)).toBe(before);
});

it('of two entries with one name each gets its own command back', async () => {
  const [path, text] = [
    '.continue/config.yaml',
    'name: me\nmcpServers:\n  - name: two\n    command: one\n  - name: two\n    command: other\n',
  ];
  at.write(path, text);
  await at.init();
  at.write(path, `${at.read(path)}# mine\n`);
  expect(await at.restore()).toMatchObject({ code: 0 });
  expect(at.read(path)).toBe(`${text}# mine\n`);
});

it('a secret that was changed while it was a variable goes back as the header that it was', async () => {
  const docs = (token: string) => ({ url: 'https://docs.example/mcp', headers: { Authorization: token, 'X-A': 'a' } });
  cursor({ docs: docs('old') });
  await at.init();
  at.write(CURSOR, at.read(CURSOR).replace('"old"', `"${SECRET}"`));
  const { code, stdout } = await at.restore();
  expect(code).toBe(0);
  expect(stdout).not.toContain(SECRET);
  expect(JSON.parse(at.read(CURSOR))).toEqual({ mcpServers: { docs: docs(SECRET) } });
});

it('a file behind a link is written where it lies', async () => {
  const real = at.write('dotfiles/mcp.json', '{"mcpServers":{"files":{"command":"node"}}}');
  mkdirSync(join(at.folder, '.cursor'));
  symlinkSync(real, join(at.folder, CURSOR));
  await at.init();
  expect(readFileSync(real, 'utf8')).toContain('wrap');
  await at.restore();
  expect(readFileSync(real, 'utf8')).toBe('{"mcpServers":{"files":{"command":"node"}}}');
});

it('what went in step by step comes out as one, or client by client', async () => {
  const text = '{ "mcpServers": {\n "a": {"command":"a"}, // one\n "b": {"command":"b"} } }';
  at.write(CURSOR, text);
  const other = '{"mcpServers":{"a":{"command":"a"}}}';
  at.write('.claude.json', other);
  await at.init({ yes: true, server: ['a'], client: ['cursor'] });
  await at.init({ yes: true, server: ['b'] });
  await at.init();
  expect(at.read('.claude.json')).not.toBe(other);
  expect(await at.restore({ client: ['cursor'] })).toMatchObject({ code: 0 });
  expect(at.read(CURSOR)).toBe(text);
  expect(at.read('.claude.json')).not.toBe(other);
  await at.restore();
  expect(at.read('.claude.json')).toBe(other);
});

it('headers whose names come to one variable each have one, and an empty one is none', async () => {
  cursor({ docs: { url: 'https://docs.example/mcp', headers: { 'X-Key': 'one', x_key: 'two', 'X-None': '' } } });
  await at.init();
  expect(manifest().servers.docs?.http?.headers).toEqual({
    'X-Key': { env: 'PORTCULLIS_DOCS_X_KEY' },
    x_key: { env: 'PORTCULLIS_DOCS_X_KEY_2' },
  });
});

it('a server of no project is started in the home folder, unless its words begin in the folder of its client', async () => {
  cursor({
    fetch: { command: 'npx', args: ['-y', '@scope/server-fetch', 'https://h.example/a'] },
    here: { command: 'npx', args: ['-y', 'server-files', '.'] },
    root: { command: 'files', args: ['--root=./data'] },
    script: { command: 'node', args: ['server.js'] },
    stated: { command: 'files', cwd: '/srv' },
  });
  await at.init();
  const { servers } = manifest();
  const folders = Object.fromEntries(Object.entries(servers).map(([name, { stdio }]) => [name, stdio?.cwd]));
  expect(folders).toEqual({ fetch: at.folder, here: undefined, root: undefined, script: undefined, stated: '/srv' });
});

it('two init at once write once', async () => {
  cursor({ files: { command: 'node' } });
  const before = at.read(CURSOR);
  const both = await Promise.all([at.init(), at.init()]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(backupsOf(at.home).runs()).toHaveLength(1);
  await at.restore();
  expect(at.read(CURSOR)).toBe(before);
});

it('a run that was cut off is told by the next one, which goes on from there', async () => {
  cursor({ files: { command: 'node' } });
  await at.init();
  const journal = join(at.home.state, 'backups', readdirSync(join(at.home.state, 'backups'))[0] ?? '', 'journal.json');
  const record = JSON.parse(readFileSync(journal, 'utf8')) as { state: string; changes: { state: string }[] };
  // As it is when the process is killed after its last rename.
  writeFileSync(
    journal,
    JSON.stringify({ ...record, state: 'open', changes: record.changes.map((one) => ({ ...one, state: 'planned' })) }),
  );
  const { stderr, code } = await at.restore();
  expect(stderr).toContain('was cut off');
  expect(code).toBe(0);
  expect(JSON.parse(at.read(CURSOR))).toEqual({ mcpServers: { files: { command: 'node' } } });
});
