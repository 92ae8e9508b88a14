// Whether clients go through the gate, as doctor finds it.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientFindings } from '../../../cli/client-findings.ts';
import { NotedAddress } from '../../../cli/gate-addresses.ts';
import { addressFile, gateFolder, type Home } from '../../../cli/home.ts';
import { ownProgram } from '../../../cli/onboarding/own-program.ts';
import { Sightings, sightingsOf } from '../../../cli/sightings.ts';

const NOW = 1_800_000_000_000;
let folder: string;
let home: Home;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
  home = { config: join(folder, 'config'), state: join(folder, 'state') };
  mkdirSync(gateFolder(home, 'local').folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function cursor(servers: object | string): void {
  const file = join(folder, '.cursor', 'mcp.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof servers === 'string' ? servers : JSON.stringify({ mcpServers: servers }));
}

function found() {
  return clientFindings(home, NOW, { platform: 'linux', home: folder, env: {}, cwd: join(folder, 'work') });
}

const wrapped = (name: string) => ({
  command: process.execPath,
  args: [ownProgram(), 'wrap', '--agent', 'cursor', '--name', name, '--', 'node', '/srv/x.js'],
});

describe('what doctor says of a server of a client', () => {
  it('is that it goes round the gate, with the command that puts it behind', () => {
    cursor({ files: { command: 'node', args: ['/srv/files.js'], env: { TOKEN: 'very-secret-value' } } });
    const { servers, gaps, findings } = found();
    expect(gaps).toBe(1);
    expect(servers).toMatchObject([{ client: 'cursor', name: 'files', state: 'bypassed' }]);
    expect(servers[0]?.hint).toContain('portcullis init --client cursor');
    expect(JSON.stringify(findings)).not.toContain('very-secret-value');
  });

  it('is that its address is that of a gate that runs here, and not once that has ended', () => {
    const at = (url: string) => ({ url, headers: { Authorization: 'Bearer very-secret-value' } });
    const noted = new NotedAddress(gateFolder(home, 'local'), [
      'http://127.0.0.1:7300/mcp',
      'https://gate.example/mcp',
    ]);
    cursor({
      all: at('http://localhost:7300/mcp'),
      one: at('http://[::1]:7300/mcp/files'),
      socket: at('ws://127.0.0.1:7300/mcp'),
      public: at('https://gate.example/mcp'),
      port: at('http://127.0.0.1:7301/mcp'),
      path: at('http://127.0.0.1:7300/mcpx'),
      host: at('https://gate.example.org/mcp'),
    });
    const states = () => Object.fromEntries(found().servers.map(({ name, state }) => [name, state]));
    const past = { port: 'bypassed', path: 'bypassed', host: 'bypassed' };
    expect(states()).toEqual({ all: 'seen', one: 'seen', socket: 'seen', public: 'seen', ...past });
    noted.close();
    expect(new Set(Object.values(states()))).toEqual(new Set(['bypassed']));
  });

  it.each([
    ['a process that is gone', { urls: ['http://127.0.0.1:7300/mcp'], pid: 2 ** 30, start: '1' }],
    ['another process of its number', { urls: ['http://127.0.0.1:7300/mcp'], pid: process.pid, start: 'then' }],
    ['nothing that can be read', 7300],
  ])('is not that of a gate that was noted by %s', (_who, noted) => {
    writeFileSync(addressFile(gateFolder(home, 'local')), JSON.stringify(noted));
    cursor({ all: { url: 'http://127.0.0.1:7300/mcp' } });
    expect(found().servers).toMatchObject([{ state: 'bypassed' }]);
  });

  it('is that nobody has come for it, as long as nobody has', () => {
    cursor({ files: wrapped('files') });
    expect(found()).toMatchObject({ gaps: 1, servers: [{ state: 'unseen' }] });
    const sightings = new Sightings(gateFolder(home, 'local'), () => {});
    const greeting = { revision: '2025-06-18', client: { name: 'cursor-vscode', version: '2.0' } };
    sightings.saw('codex', 'files', greeting, NOW);
    sightings.saw('cursor', 'another', greeting, NOW);
    expect(found()).toMatchObject({ gaps: 1, servers: [{ state: 'unseen' }] });
    sightings.saw('cursor', 'files', greeting, NOW - 5 * 60_000);
    const seen = found();
    expect(seen).toMatchObject({ gaps: 0, servers: [{ state: 'seen' }] });
    expect(seen.servers[0]?.detail).toBe('cursor-vscode 2.0 came through the gate 5 min ago, and speaks 2025-06-18');
  });

  it('is why it cannot be governed, or that it is switched off, which is no gap', () => {
    cursor({
      keyed: { command: 'node', args: ['/srv/x.js', '${env:KEY}'] },
      off: { command: 'node', args: ['/srv/x.js'], disabled: true },
    });
    const { servers, gaps } = found();
    expect(servers.find(({ name }) => name === 'keyed')?.state).toBe('left');
    expect(gaps).toBe(servers.filter(({ state }) => state === 'left').length);
  });

  it('is nothing of a file that cannot be read, which is a problem', () => {
    cursor('{ "mcpServers": { ');
    expect(found()).toMatchObject({ gaps: 1, servers: [], findings: [{ check: 'cursor', state: 'problem' }] });
  });
});

describe('sightings', () => {
  it('are kept over a restart, one for each agent and server, and what is no sighting is none', () => {
    const gate = gateFolder(home, 'local');
    const one = new Sightings(gate, () => {});
    one.saw('cursor', 'files', { revision: '2025-06-18', client: undefined }, NOW - 2);
    one.saw('cursor', 'files', { revision: '2025-11-25', client: undefined }, NOW - 1);
    new Sightings(gate, () => {}).saw('codex', 'files', { revision: '2025-06-18', client: undefined }, NOW);
    expect(sightingsOf(home).map(({ agent, revision }) => [agent, revision])).toEqual([
      ['codex', '2025-06-18'],
      ['cursor', '2025-11-25'],
    ]);
    writeFileSync(join(gate.folder, 'sightings.json'), '[{"agent":1},null,7]');
    expect(sightingsOf(home)).toEqual([]);
  });

  it('that cannot be written are said, and stop nothing', () => {
    const notes: string[] = [];
    const nowhere = new Sightings({ folder: join(folder, 'not', 'there') }, (text) => notes.push(text));
    nowhere.saw('cursor', 'files', { revision: '2025-06-18', client: undefined }, NOW);
    expect(notes).toHaveLength(1);
  });
});
