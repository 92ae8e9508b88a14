// A server that asks for the roots of its client by itself, when it starts and when they change: the real one for files.

import { mkdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { proves } from '../guarantees.ts';
import { APPROVING, closeInstallations, type Installation, installation, PORTCULLIS } from '../support/cli.ts';
import { entriesOf } from '../support/evidence.ts';

const SERVER = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-filesystem/dist/index.js');
const TOOLS = `@id("look") @reason("looking harms nobody")
permit (principal, action == Portcullis::Action::"fs/list_allowed_directories", resource);
`;
const ROOTS = `@id("roots") @reason("the server may know where we work")
permit (principal, action == Portcullis::Action::"fs:roots/list", resource);
`;

const clients: Client[] = [];
afterAll(async () => {
  for (const client of clients) await client.close();
  await closeInstallations();
});

/** A client that has roots, or has none, with the server for files behind the gate. */
async function open(rules: string, isolation: 'shared' | 'per-session', hasRoots = true) {
  const at = installation();
  for (const folder of ['start', 'one', 'two']) mkdirSync(at.path(folder));
  const line = [process.execPath, SERVER, at.path('start')] as const;
  const [command, ...args] = line;
  at.configure(
    { agents: { me: { roles: [], auth: 'local' } }, servers: { fs: { stdio: { command, args }, isolation } } },
    rules,
  );
  const client = new Client(
    { name: 'roots', version: '0' },
    { capabilities: hasRoots ? { roots: { listChanged: true } } : {} },
  );
  let root = at.path('one');
  if (hasRoots)
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: pathToFileURL(root).href }] }));
  const gate = [...APPROVING, PORTCULLIS, 'wrap', '--alone', '--name', 'fs', '--', ...line];
  const transport = new StdioClientTransport({ command: process.execPath, args: gate, env: at.env, stderr: 'ignore' });
  await client.connect(transport as Parameters<Client['connect']>[0]);
  clients.push(client);
  const allowed = async (): Promise<string> =>
    JSON.stringify((await client.callTool({ name: 'list_allowed_directories', arguments: {} })).content);
  const move = async (folder: string): Promise<void> => {
    root = at.path(folder);
    await client.sendRootsListChanged();
  };
  return { at, allowed, move };
}

const real = (at: Installation, folder: string): string => realpathSync(at.path(folder));

describe('the roots of a client', () => {
  proves('G4', 'are not told to a server that no rule allows to know them', async () => {
    const { at, allowed, move } = await open(TOOLS, 'shared');
    expect(await allowed()).toContain(real(at, 'start'));
    await move('two');
    await vi.waitFor(async () => {
      const asked = (await entriesOf(at.ledger('fs'))).filter((entry) => JSON.stringify(entry).includes('roots/list'));
      expect(asked.map(({ type }) => type)).toContain('call.denial');
    }, 20_000);
    expect(await allowed()).toContain(real(at, 'start'));
  });

  it('are asked for in vain where the client has none, which is no doing of the server', async () => {
    const { at, allowed } = await open(TOOLS + ROOTS, 'per-session', false);
    expect(await allowed()).toContain(real(at, 'start'));
    await vi.waitFor(async () => {
      const denied = (await entriesOf(at.ledger('fs'))).filter(({ type }) => type === 'call.denial');
      expect(new Set(denied.map(({ code }) => code))).toEqual(new Set(['CLIENT_CANNOT_BE_ASKED']));
    }, 20_000);
  });

  for (const isolation of ['shared', 'per-session'] as const) {
    it(`reach a server of its own that may know them, and it follows them (${isolation})`, async () => {
      const { at, allowed, move } = await open(TOOLS + ROOTS, isolation);
      await vi.waitFor(async () => expect(await allowed()).toContain(real(at, 'one')), 20_000);
      await move('two');
      await vi.waitFor(async () => expect(await allowed()).toContain(real(at, 'two')), 20_000);
      const types = (await entriesOf(at.ledger('fs')))
        .filter((entry) => JSON.stringify(entry).includes('"roots/list"'))
        .map(({ type }) => type);
      expect(types).toContain('call.intent');
      expect(await at.audit(['verify', at.ledger('fs')])).toMatchObject({ code: 0 });
    }, 60_000);
  }
});
