// Sandboxes behind a gate, as an operator sees them: what a server reached is in the ledger, and a machine that cannot hold a sandbox keeps that server
// shut and no other.

import { mkdirSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../domain/entry.ts';
import type { JsonObject } from '../../domain/json.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation, type StartOptions } from '../support/cli.ts';
import { RawStdio } from '../support/raw-mcp.ts';
import { FOUND, SKIPPED } from '../support/sandbox.ts';

let service: Server;
let port: number;
let visits = 0;

beforeAll(async () => {
  service = createServer((socket) => {
    visits += 1;
    socket.end('END');
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  port = (service.address() as AddressInfo).port;
});

afterAll(async () => {
  service.close();
  await closeInstallations();
});

function caged(): Installation {
  const at = installation();
  mkdirSync(at.path('workspace'));
  at.configure(
    {
      agents: { me: { roles: [], auth: 'local' } },
      servers: {
        caged: {
          stdio: { command: process.execPath, args: [fixtureServer('prisoner.mjs')] },
          sandbox: { write: ['../workspace'], net: { allow: [`127.0.0.1:${port}`] } },
        },
        counter: { stdio: { command: process.execPath, args: [fixtureServer('counter.mjs'), at.path('heard')] } },
      },
    },
    '@id("all") @reason("all of it is a test") permit (principal, action, resource);',
  );
  return at;
}

async function served(at: Installation, options: StartOptions = {}): Promise<RawStdio> {
  const client = new RawStdio(at.start(['serve', '--stdio', '--name', 'gate'], options));
  await client.initialize();
  return client;
}

async function told(client: RawStdio, script: string): Promise<JsonObject> {
  const reply = await client.call('caged__run', { script });
  return reply?.result as JsonObject;
}

/** On a busy machine a server comes a moment after the gate has opened. */
async function offers(client: RawStdio, tool: string): Promise<void> {
  const names = async () => JSON.stringify((await client.ask('tools/list'))?.result ?? {});
  await expect.poll(names, { timeout: 20_000 }).toContain(`"${tool}"`);
}

const textOf = (result: JsonObject): string => (result.content as { text: string }[])[0]?.text ?? '';

describe.skipIf(!FOUND.ok)(`a server with a sandbox behind a gate${SKIPPED}`, () => {
  it('works, writes where it may, and what it reached is in a ledger that verifies', async () => {
    const at = caged();
    const client = await served(at);
    await offers(client, 'caged__run');
    const inside = `fs.writeFileSync(${JSON.stringify(at.path('workspace', 'note'))}, 'from inside');
      return [fs.existsSync(${JSON.stringify(at.home)}), await talk({ host: '127.0.0.1', port: 3128 },
        'CONNECT 127.0.0.1:${port} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'), await talk({ host: '127.0.0.1', port: 3128 },
        'CONNECT 169.254.169.254:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')]`;
    const [sees, reached, refused] = JSON.parse(textOf(await told(client, inside))).ok;
    expect(sees).toBe(false);
    expect(reached).toContain('END');
    expect(refused).toContain(' 403 ');
    expect(visits).toBe(1);
    expect(at.read('workspace/note')).toBe('from inside');
    client.running.child.stdin.end();
    await client.running.ended;

    const listed = await at.run(['log', at.ledger('gate'), '--all', '--server', 'caged', '--json']);
    const entries = listed.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry)
      .filter(({ type }) => type.startsWith('egress.'))
      // The end of a connection is recorded when it is seen, which may be after the next one was refused.
      .sort((a, b) => (a.type < b.type ? -1 : 1));
    expect(entries).toMatchObject([
      { type: 'egress.closed', server: 'caged', connection: entries[1]?.connection, sent: 0, received: 3 },
      { type: 'egress.opened', server: 'caged', host: '127.0.0.1', port, address: '127.0.0.1', way: 'connect' },
      { type: 'egress.refused', server: 'caged', host: '169.254.169.254', port: 443, reason: 'not_allowed', count: 1 },
    ]);
    const human = await at.run(['log', at.ledger('gate'), '--all', '--server', 'caged']);
    expect(human.stdout).toContain(`egress.opened  caged  127.0.0.1:${port} at 127.0.0.1`);
    expect(human.stdout).toContain('egress.refused  caged  169.254.169.254:443  not_allowed');
    expect((await at.audit(['verify', at.ledger('gate')])).code).toBe(0);
    expect((await at.audit(['replay', at.ledger('gate')])).code).toBe(0);
    // Nor is it started without one to be asked for its tools.
    expect((await at.run(['policy', 'check'])).code).toBe(0);
    const found = await at.run(['doctor']);
    expect(found.stdout).toMatch(/ok\s+sandbox\s+servers can have one/);
  });

  proves('G4', 'stays shut where the machine cannot hold its sandbox, and takes no other server along', async () => {
    const at = caged();
    // A machine without a bubblewrap that works, made with one.
    const before = ['bwrap', '--dev-bind', '/', '/', '--ro-bind', '/dev/null', '/usr/bin/bwrap', '--'];
    const client = await served(at, { before });
    await client.running.says(/server caged stays shut: bubblewrap cannot make one here/);
    await offers(client, 'counter__count');
    const denied = await told(client, 'return 1');
    expect(denied.isError).toBe(true);
    expect(JSON.stringify(denied)).toContain('SANDBOX_MISSING');
    const counted = await client.call('counter__count', { by: 1 });
    expect(counted?.result).toMatchObject({ content: [{ text: '1' }] });
    expect((await at.run(['policy', 'check'], { before })).stderr).toMatch(/caged could not be asked.*it stays shut/);
    const found = await at.run(['doctor'], { before });
    expect(found.code).not.toBe(0);
    expect(found.stdout).toMatch(/remark\s+sandbox\s+bubblewrap cannot make one here/);
    expect(found.stdout).toMatch(/PROBLEM\s+server caged\s+stays shut/);
  });
});
