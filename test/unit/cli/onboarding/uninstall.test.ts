// What is left of an installation that was removed: the clients as they were, the ledgers with what verifies them, and what its owner wrote.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ClientHome } from '../../../support/client-home.ts';

const CLIENT = '{"mcpServers":{"files":{"command":"node"}}}';
const FILE = '.cursor/mcp.json';

let at: ClientHome;
beforeEach(async () => {
  at = new ClientHome();
  at.write(FILE, CLIENT);
  await at.init();
  for (const path of ['gates/files/ledger/checkpoint', 'gates/files/log.vkey', 'gates/files/credentials.json'])
    at.write(`state/${path}`, 'x');
  for (const path of ['keys/log.pub', 'keys/log.key', 'keys/vault.key', 'approvals.json'])
    at.write(`state/${path}`, 'x');
});
afterEach(() => at.close());

it('nobody is taken for somebody who agreed', async () => {
  expect(await at.uninstall({})).toMatchObject({ code: 2 });
  expect(at.read(FILE)).not.toBe(CLIENT);
  expect(existsSync(join(at.home.state, 'approvals.json'))).toBe(true);
});

it('nothing is removed while a file of a client cannot be put back: its backup is all there is', async () => {
  at.write(FILE, '{"half');
  expect(await at.uninstall()).toMatchObject({ code: 1, stderr: expect.stringContaining('so the state stays') });
  expect(existsSync(join(at.home.state, 'backups'))).toBe(true);
});

it('the ledgers stay with what verifies them, and the configuration', async () => {
  const { code, stdout } = await at.uninstall({ yes: true }, true);
  expect(code).toBe(0);
  expect(at.read(FILE)).toBe(CLIENT);
  expect(readdirSync(at.home.state)).toEqual(['kept']);
  const { kept } = JSON.parse(stdout) as { kept: string };
  const files = readdirSync(kept, { recursive: true, encoding: 'utf8' }).sort();
  expect(files).toEqual([
    'gates',
    'gates/files',
    'gates/files/ledger',
    'gates/files/ledger/checkpoint',
    'gates/files/log.vkey',
    'keys',
    'keys/log.pub',
    'keys/vault.key',
  ]);
  expect(readdirSync(at.home.config).sort()).toEqual(['policy', 'portcullis.yaml']);
});

it('with --purge they go too', async () => {
  expect(await at.uninstall({ yes: true, purge: true })).toMatchObject({ code: 0 });
  expect(existsSync(at.home.state)).toBe(false);
  expect(at.read(FILE)).toBe(CLIENT);
});
