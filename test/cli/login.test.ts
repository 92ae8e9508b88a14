import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { closeInstallations, type Installation, installation } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { logIn, logInWhenAsked } from '../support/operator.ts';
import { browse, PROTECTED_TOOLS, ProtectedWorld } from '../support/protected-server.ts';
import { protectedWs } from '../support/protected-streams.ts';
import { denialOf, RawHttp, textOf } from '../support/raw-mcp.ts';
import { play } from './session.ts';

const ALLOW_ALL = `@id("all")
@reason("everything the vault does is harmless")
permit (principal, action, resource == Portcullis::Server::"vault");
`;

let world: ProtectedWorld;

beforeEach(async () => {
  world = await new ProtectedWorld().start();
});

afterEach(async () => {
  await closeInstallations();
  await world.stop();
});

function protectedGate(http: object = { url: world.url, oauth: {} }): Installation {
  const at = installation();
  at.configure(
    { agents: { me: { roles: [], auth: 'local' } }, servers: { vault: { http }, fs: { stdio: { command: 'true' } } } },
    ALLOW_ALL,
  );
  return at;
}

it('a gate whose server is protected says what to do, and opens when somebody has logged in', async () => {
  const at = installation();
  at.configure(
    { agents: { me: { roles: [], auth: 'local' } }, servers: { vault: { http: { url: world.url, oauth: {} } } } },
    ALLOW_ALL,
  );
  await at.approveAs('vault', PROTECTED_TOOLS);
  const gate = at.start(['serve', '--http', '127.0.0.1:0']);
  await gate.says('server vault: it needs a login: run portcullis login vault');
  const client = new RawHttp(await urlOf(gate, 'vault'));
  const { code, shown } = await logIn(at, 'vault');
  expect(code).toBe(0);
  await gate.says('open: 1 server(s)');
  await client.initialize();
  expect(textOf(await client.call('echo', {}))).toBe('ran');
  expect(await at.run(['policy', 'check'])).toMatchObject({ code: 0 });
  world.revoke(true);
  expect(denialOf(await client.call('echo', {}))).toContain('SERVER_UNAVAILABLE');
  await gate.says('invalid_grant: run portcullis login vault');
  expect(world.calls).toBe(1);
  await client.call('echo', {});
  expect((await at.run(['log', '--denied'])).stdout).toContain('run portcullis login vault');
  const { stdout, stderr } = await gate.stop();
  // No token is in what was said, nor in any file.
  const said = [shown, stdout, stderr, ...filesBelow(at.home)];
  for (const { authorization = '' } of world.seen) {
    const token = authorization.replace('Bearer ', '');
    if (token !== '') expect(said.filter((text) => text.includes(token))).toEqual([]);
  }
  for (const { parameters } of world.tokenRequests) {
    const refresh = parameters.get('refresh_token') ?? 'none';
    expect(said.filter((text) => text.includes(refresh) && refresh !== 'none')).toEqual([]);
  }
  expect(statSync(join(at.home, 'state/gates/serve/credentials.json')).mode & 0o777).toBe(0o600);
}, 60_000);

it('a server on a WebSocket is logged in to as well', async () => {
  const stream = await protectedWs(world);
  try {
    const at = installation();
    const agents = { me: { roles: [], auth: 'local' } };
    at.configure({ agents, servers: { vault: { ws: { url: stream.url } } } }, ALLOW_ALL);
    world.server.challengedScope = 'read';
    await at.approveAs('vault', PROTECTED_TOOLS);
    const gate = at.start(['serve', '--http', '127.0.0.1:0']);
    await gate.says('run portcullis login vault');
    const client = new RawHttp(await urlOf(gate, 'vault'));
    expect((await logIn(at, 'vault')).shown).toContain('"scope":"read"');
    await gate.says('open: 1 server(s)');
    await client.initialize();
    expect(textOf(await client.call('echo', {}))).toBe('ran');
    await gate.stop();
  } finally {
    await stream.stop();
  }
}, 60_000);

it('where each agent has its own token, nobody gets in with another one', async () => {
  const keys = { ada: generateApiKey(), bob: generateApiKey() };
  const agentOf = (who: keyof typeof keys) => ({ roles: [], auth: { apiKey: keys[who].digest } });
  const http = { url: world.url, oauth: { holder: 'agent' } };
  const servers = { vault: { http, isolation: 'per-session' } };
  const at = installation();
  at.configure({ agents: { ada: agentOf('ada'), bob: agentOf('bob') }, servers }, ALLOW_ALL);
  expect(await at.run(['login', 'vault', '--agent', 'eve'])).toMatchObject({ code: 2 });
  await logIn(at, 'vault');
  const gate = at.start(['serve', '--http', '127.0.0.1:0']);
  await gate.says('open: 1 server(s)');
  const url = await urlOf(gate, 'vault');
  const client = async (who: keyof typeof keys) => {
    const one = new RawHttp(url, { authorization: `Bearer ${keys[who].key}` });
    await one.initialize();
    return one;
  };
  const [ada, bob] = [await client('ada'), await client('bob')];
  for (const one of [ada, bob, ada]) expect(denialOf(await one.call('echo', {}))).toContain('SERVER_UNAVAILABLE');
  await gate.says('run portcullis login vault --agent ada');
  expect((await logIn(at, 'vault', '--agent', 'ada')).code).toBe(0);
  await expect.poll(async () => textOf(await ada.call('echo', {})), { timeout: 20_000, interval: 100 }).toBe('ran');
  const tokenOf = () => world.seen.findLast(({ method }) => method === 'tools/call')?.authorization;
  const tokens = [tokenOf()];
  expect(denialOf(await bob.call('echo', {}))).toContain('SERVER_UNAVAILABLE');
  expect((await logIn(at, 'vault', '--agent', 'bob')).code).toBe(0);
  await expect.poll(async () => textOf(await bob.call('echo', {})), { timeout: 20_000, interval: 100 }).toBe('ran');
  tokens.push(tokenOf(), world.seen.find(({ authorization }) => authorization !== undefined)?.authorization);
  expect(new Set(tokens).size).toBe(3);
  expect(world.calls).toBe(2);
}, 60_000);

it('a call that needs a wider scope says so, and passes once somebody has consented to it', async () => {
  world.server.challengedScope = 'read';
  world.server.callScope = 'write';
  const at = installation();
  at.configure(
    { agents: { me: { roles: [], auth: 'local' } }, servers: { vault: { http: { url: world.url } } } },
    ALLOW_ALL,
  );
  await at.approveAs('vault', PROTECTED_TOOLS);
  const gate = at.start(['serve', '--http', '127.0.0.1:0']);
  const done = logInWhenAsked(gate, at, 'vault');
  await gate.says('open: 1 server(s)');
  const client = new RawHttp(await urlOf(gate, 'vault'));
  await client.initialize();
  expect(denialOf(await client.call('echo', {}))).toContain('SERVER_UNAVAILABLE');
  await expect.poll(async () => textOf(await client.call('echo', {})), { timeout: 20_000, interval: 100 }).toBe('ran');
  expect(await done()).toBe(2);
  expect(world.authorizations.map((asked) => asked.get('scope'))).toEqual(['read', 'read write']);
  expect(world.calls).toBe(1);
}, 60_000);

it('a login that is not given leaves nothing behind', async () => {
  const at = protectedGate();
  world.authorization.iss = 'wrong';
  const { code, shown } = await logIn(at, 'vault');
  expect(code).toBe(1);
  expect(shown).toContain('no token for vault: the issuer that answered is not the issuer that was asked');
  expect(filesBelow(at.home).filter((text) => text.includes('upstream-credentials'))).toEqual([]);
}, 30_000);

it('a login shows the address and who gave the token, and no token', async () => {
  world.server.challengedScope = 'read';
  const at = protectedGate();
  const running = at.start(['login', 'vault']);
  await running.says('waiting for consent');
  const address = /http:\/\/\S+\/authorize\S+/.exec(running.stdout)?.[0] ?? '';
  expect(await browse(new URL(address))).toBe(200);
  const { stdout, code } = await running.ended;
  expect(code).toBe(0);
  expect(stdout).toContain(`logged in to vault at ${world.issuer}\nscope read, exchanged by the gate before it ends\n`);
  expect(stdout).not.toContain('access-');
}, 30_000);

it('a login is refused where there is nothing to log in to', async () => {
  await play(
    protectedGate({ url: world.url, auth: { env: 'TOKEN' } }),
    `
    $ portcullis login vault
    portcullis: servers.vault has its credential in the manifest
    portcullis: hint: a server gets its token in one way: take auth or the Authorization header out to log in
    (exit 2)
    $ portcullis login fs
    portcullis: ~/home/portcullis.yaml has no remote server "fs"
    portcullis: hint: remote servers: vault
    (exit 2)
    $ portcullis login
    portcullis: missing required argument 'server'
    portcullis: hint: portcullis --help lists the commands
    (exit 2)
    `,
  );
}, 30_000);

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
}
