// Tokens for protected servers that are bound to a key of the gate (RFC 9449), against a real small authorization server and tool server.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import { httpToolServer } from '../../adapters/upstream/http/http-tool-server.ts';
import { CredentialStore } from '../../adapters/upstream/http/oauth/credentials.ts';
import type { OAuthConfig } from '../../adapters/upstream/http/oauth/oauth-config.ts';
import { browse, ProtectedWorld } from '../support/protected-server.ts';
import { callEcho, up } from '../support/started.ts';

const SECRET = new Uint8Array(32).fill(7);
const SOON = { timeout: 15_000, interval: 20 };

let world: ProtectedWorld;
let folder: string;
let open: Connection[] = [];

beforeEach(async () => {
  world = await new ProtectedWorld().start();
  world.authorization.proofs = ['ES256'];
  world.server.schemes = ['DPoP'];
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
});

afterEach(async () => {
  await Promise.all(open.map((server) => server.stop()));
  open = [];
  await world.stop();
  rmSync(folder, { recursive: true });
});

const credentials = () => new CredentialStore(join(folder, 'credentials.json'), SECRET);
const place = () => ({ holder: 'gate', server: 'vault', url: world.url }) as const;

function server(oauth?: OAuthConfig, person = true, env = {}): Connection {
  const connection = httpToolServer(
    { name: 'vault', url: world.url, oauth },
    {
      clientInfo: { name: 'portcullis', version: '0' },
      ourEnvironment: env,
      credentials: credentials(),
      consent: person ? async (address) => void (await browse(address)) : undefined,
    },
  );
  open.push(connection);
  return connection;
}

const reasonOf = (connection: Connection) =>
  connection.start().then(
    () => 'started',
    (error: Error) => error.message,
  );

describe('where a token has to be bound to a key', () => {
  it('one that is not is refused', async () => {
    world.authorization.binds = false;
    expect(await reasonOf(server({ dpop: 'required' }))).toContain('not bound to our key');
    expect(world.seen).toEqual([]);
  });

  it('and the authorization server binds none, nobody is asked', async () => {
    world.authorization.proofs = undefined;
    expect(await reasonOf(server({ dpop: 'required' }))).toContain('a token bound to a key is required');
    world.server.bound = 'required';
    expect(await reasonOf(server({}))).toContain('a token bound to a key is required');
    expect(world.authorizations).toEqual([]);
  });

  it('one that was stored before that was said is not used', async () => {
    world.authorization.proofs = undefined;
    world.server.schemes = ['Bearer'];
    const before = await up(server({}));
    await before.stop();
    expect(await reasonOf(server({ dpop: 'required' }, false))).toContain('run portcullis login vault');
  });

  it('it stays bound when it is exchanged', async () => {
    const first = await up(server({ dpop: 'required' }));
    await first.stop();
    const later = await up(server({}, false));
    world.authorization.binds = false;
    world.revoke();
    const refused = { kind: 'refused', detail: expect.stringContaining('not bound to our key') };
    await expect.poll(() => callEcho(later), SOON).toMatchObject(refused);
    expect(world.seen.every(({ authorization }) => authorization?.startsWith('Bearer ') !== true)).toBe(true);
  });
});

describe('a token bound to a key', () => {
  it.each([
    ['the server asks for one', () => undefined],
    [
      'the metadata of the server says that it knows them',
      () => {
        world.server.schemes = ['Bearer'];
        world.server.bound = 'known';
      },
    ],
  ])('is got where %s, and each request carries a proof of its own', async (_where, prepare) => {
    prepare();
    const connection = await up(server(world.server.bound === undefined ? undefined : {}));
    expect((await callEcho(connection)).kind).toBe('result');
    expect((await callEcho(connection)).kind).toBe('result');
    expect(world.tokenRequests.at(-1)?.jkt).toMatch(/^[\w-]{43}$/);
    const used = world.seen.filter(({ authorization }) => authorization !== undefined);
    expect(used.length).toBeGreaterThan(3);
    expect(used.every(({ authorization }) => authorization?.startsWith('DPoP '))).toBe(true);
  });

  it('is got from an authorization server that describes itself by OpenID Connect alone', async () => {
    world.authorization.document = 'openid-configuration';
    const connection = await up(server({ dpop: 'required' }));
    expect((await callEcho(connection)).kind).toBe('result');
    expect(world.seen.at(-1)?.authorization).toMatch(/^DPoP /);
  });

  it('is not asked for where the server does not know them', async () => {
    world.server.schemes = ['Bearer'];
    const connection = await up(server({}));
    expect((await callEcho(connection)).kind).toBe('result');
    expect(world.tokenRequests.map(({ jkt }) => jkt)).toEqual([undefined]);
  });

  it('is used by the next gate with the same key, which lies sealed beside it, and is exchanged with that key', async () => {
    const first = await up(server());
    await first.stop();
    const stored = await credentials().read(place());
    expect(stored?.tokens.proofKey).toContain('PRIVATE KEY');
    expect(readFileSync(join(folder, 'credentials.json'), 'utf8')).not.toContain('PRIVATE');
    const second = await up(server(undefined, false));
    expect((await callEcho(second)).kind).toBe('result');
    world.revoke();
    expect((await callEcho(second)).kind).toBe('refused');
    await expect.poll(async () => (await callEcho(second)).kind, SOON).toBe('result');
    const jkts = world.tokenRequests.map(({ jkt }) => jkt);
    expect(jkts.length).toBe(2);
    expect(new Set(jkts).size).toBe(1);
  });

  it('takes the place of one that is not, once the server asks for it, without a person', async () => {
    world.server.schemes = ['Bearer'];
    const first = await up(server({}));
    await first.stop();
    const later = await up(server({}, false));
    world.server.schemes = ['DPoP'];
    world.revoke();
    await expect.poll(async () => (await callEcho(later)).kind, SOON).toBe('result');
    expect(world.seen.at(-1)?.authorization).toMatch(/^DPoP /);
    expect(world.authorizations.length).toBe(1);
  });

  it('comes without a person too', async () => {
    world.authorization.clients.gate = { secret: 's3cret' };
    const oauth: OAuthConfig = {
      grant: 'client_credentials',
      clientId: 'gate',
      clientSecretEnv: 'SECRET',
      issuer: world.issuer,
      dpop: 'required',
    };
    const connection = await up(server(oauth, false, { SECRET: 's3cret' }));
    expect((await callEcho(connection)).kind).toBe('result');
    expect((await credentials().read(place()))?.tokens.proofKey).toBeDefined();
  });
});

describe('a nonce', () => {
  it('of the authorization server is said back to it', async () => {
    world.authorization.nonce = 'of-the-issuer';
    const connection = await up(server({ dpop: 'required' }));
    expect((await callEcho(connection)).kind).toBe('result');
    expect(world.tokenRequests.length).toBe(2);
  });

  it('of the server is said back to it: the call that lacked it is made anew, once, and runs once', async () => {
    world.server.nonce = 'one';
    const connection = await up(server({ dpop: 'required' }));
    expect((await callEcho(connection)).kind).toBe('result');
    world.server.nonce = 'two';
    const before = world.seen.length;
    expect((await callEcho(connection)).kind).toBe('result');
    expect(world.seen.length - before).toBe(2);
    expect((await callEcho(connection)).kind).toBe('result');
    expect(world.seen.length - before).toBe(3);
    expect(world.calls).toBe(3);
  });

  it('that changes with every answer costs the call, and not the token', async () => {
    const connection = await up(server({ dpop: 'required' }));
    let turn = 0;
    Object.defineProperty(world.server, 'nonce', { get: () => `never-the-same-${turn++}` });
    const before = world.seen.length;
    expect(await callEcho(connection)).toMatchObject({ kind: 'refused', detail: expect.stringContaining('nonce') });
    expect(world.seen.length - before).toBe(2);
    expect(world.calls).toBe(0);
    expect(world.tokenRequests.length).toBe(1);
  });
});
