import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import { httpToolServer } from '../../adapters/upstream/http/http-tool-server.ts';
import { CredentialStore } from '../../adapters/upstream/http/oauth/credentials.ts';
import type { Consent } from '../../adapters/upstream/http/oauth/grants.ts';
import type { OAuthConfig } from '../../adapters/upstream/http/oauth/oauth-config.ts';
import type { ToolAnswer } from '../../proxy/tool-server.ts';
import { PLAIN_MANNER } from '../../proxy/tool-server.ts';
import { QUIET } from '../support/hooks.ts';
import { browse, newClientKey, ProtectedWorld } from '../support/protected-server.ts';

const SECRET = new Uint8Array(32).fill(7);
/** A first look at the SDK takes a while on a busy machine. */
const SOON = { timeout: 15_000, interval: 20 };

let world: ProtectedWorld;
let folder: string;
let open: Connection[] = [];
let notes: string[] = [];

beforeEach(async () => {
  world = await new ProtectedWorld().start();
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  notes = [];
});

afterEach(async () => {
  await Promise.all(open.map((server) => server.stop()));
  open = [];
  await world.stop();
  // A token may be on its way to its file.
  rmSync(folder, { recursive: true, maxRetries: 5, retryDelay: 100 });
});

const credentials = () => new CredentialStore(join(folder, 'credentials.json'), SECRET);
const withBrowser: Consent = async (address) => void (await browse(address));

interface How {
  readonly oauth?: OAuthConfig;
  readonly consent?: Consent | undefined;
  readonly env?: Record<string, string>;
  readonly url?: string;
}

function server({ oauth, consent, env = {}, url = world.url }: How = {}): Connection {
  const connection = httpToolServer(
    { name: 'vault', url, oauth },
    {
      clientInfo: { name: 'portcullis', version: '0' },
      ourEnvironment: env,
      credentials: credentials(),
      consent,
      listener: { onAuthorization: (detail) => notes.push(detail) },
    },
  );
  open.push(connection);
  return connection;
}

/** Gets a token as a login would, and leaves it on the disk. */
async function logIn(oauth: OAuthConfig = {}): Promise<void> {
  const connection = server({ oauth, consent: withBrowser });
  const up = () =>
    connection.start().then(
      () => true,
      () => false,
    );
  // A token that is on the disk and no longer good is found out first.
  await expect.poll(up, SOON).toBe(true);
  await connection.stop();
}

function call(connection: Connection): Promise<ToolAnswer> {
  const body = '{"arguments":{},"name":"echo"}';
  const dispatch = { method: 'tools/call', meta: {}, body, outputBytesMax: 10_000, manner: PLAIN_MANNER };
  return connection.dispatch(dispatch, QUIET).answer;
}

const refusedStart = (how: How = { oauth: {}, consent: withBrowser }) =>
  server(how)
    .start()
    .then(
      () => 'started',
      (error: Error) => error.message,
    );

describe('a protected server', () => {
  it('gets no call and says what to do while nobody has logged in', async () => {
    const connection = server({ oauth: {} });
    await expect(connection.start()).rejects.toThrow('run portcullis login vault');
    expect(notes).toEqual([expect.stringContaining('run portcullis login vault')]);
    expect(world.seen).toEqual([]);
    expect(await call(connection)).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
  });

  it('that nobody said is protected says so itself', async () => {
    const message = await refusedStart({});
    expect(message).toContain('run portcullis login vault');
    expect(world.seen).toEqual([{ method: 'initialize', authorization: undefined }]);
  });

  it('lets calls pass with a token that was consented to, for this resource and with PKCE', async () => {
    const connection = server({ oauth: {}, consent: withBrowser });
    await connection.start();
    expect(await call(connection)).toMatchObject({ kind: 'result' });
    const [asked] = world.authorizations;
    expect(asked?.get('code_challenge_method')).toBe('S256');
    expect(asked?.get('resource')).toBe(world.url);
    expect(asked?.get('redirect_uri')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    expect(world.tokenRequests[0]?.parameters.get('resource')).toBe(world.url);
    expect(world.registrations[0]).toMatchObject({
      application_type: 'native',
      redirect_uris: [asked?.get('redirect_uri')],
    });
  });

  it('gets the token of a login in another process without being started again', async () => {
    const connection = server({ oauth: {} });
    await expect(connection.start()).rejects.toThrow('login');
    const started = connection.start();
    await logIn();
    await started;
    expect(await call(connection)).toMatchObject({ kind: 'result' });
  });

  it('does not wait for a login after it was stopped', async () => {
    const connection = server({ oauth: {} });
    await expect(connection.start()).rejects.toThrow('login');
    const started = connection.start();
    started.catch(() => undefined);
    await connection.stop();
    await expect(started).rejects.toThrow('it was stopped');
  });

  it('has its token on the disk, sealed, for its own address only', async () => {
    await logIn();
    const file = join(folder, 'credentials.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    expect(text).toContain(world.issuer);
    expect(text).not.toContain('access-');
    expect(text).not.toContain('refresh-');
    for (const token of world.givenTokens) expect(text).not.toContain(Buffer.from(token).toString('base64url'));
    const moved = await refusedStart({ oauth: {}, url: world.url.replace('127.0.0.1', 'localhost') });
    expect(moved).toContain('run portcullis login vault');
    expect(
      await new CredentialStore(file, SECRET).read({ holder: 'principal:x', server: 'vault', url: world.url }),
    ).toBe(undefined);
  });

  it('refuses credentials that were altered or belong to another installation', async () => {
    await logIn();
    const file = join(folder, 'credentials.json');
    const place = { holder: 'gate', server: 'vault', url: world.url } as const;
    await expect(new CredentialStore(file, new Uint8Array(32)).read(place)).rejects.toThrow('sealed with another key');
    writeFileSync(file, readFileSync(file, 'utf8').replace(world.issuer, 'https://issuer.example'));
    await expect(credentials().read(place)).rejects.toThrow('was altered');
  });
});

describe('a token', () => {
  it('is exchanged ahead of its end, for the same resource, and the calls go on', async () => {
    world.authorization.expiresIn = 2;
    await logIn();
    const connection = server({ oauth: {} });
    await connection.start();
    const before = world.tokenRequests.length;
    await expect.poll(() => world.tokenRequests.length, SOON).toBeGreaterThan(before);
    await expect.poll(async () => (await call(connection)).kind, SOON).toBe('result');
    expect(world.tokenRequests.at(-1)?.parameters.get('resource')).toBe(world.url);
    expect(world.tokenRequests.at(-1)?.grantType).toBe('refresh_token');
  });

  it('that has ended and cannot be exchanged keeps calls from leaving', async () => {
    world.authorization.expiresIn = 1;
    world.authorization.refreshable = false;
    await logIn();
    const connection = server({ oauth: {} });
    await connection.start().catch(() => undefined);
    await expect.poll(async () => (await call(connection)).kind, SOON).toBe('refused');
    const sent = world.seen.length;
    expect(await call(connection)).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
    expect(world.seen.length).toBe(sent);
  });

  it('that was revoked costs the call, which is not sent again, and is exchanged for the next', async () => {
    await logIn();
    const connection = server({ oauth: {} });
    await connection.start();
    world.revoke();
    expect(await call(connection)).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
    expect(world.calls).toBe(0);
    await expect.poll(async () => (await call(connection)).kind, SOON).toBe('result');
    expect(world.calls).toBe(1);
  });

  it('that was revoked with its refresh token asks for a login', async () => {
    await logIn();
    const connection = server({ oauth: {} });
    await connection.start();
    world.revoke(true);
    await call(connection);
    await expect.poll(() => notes.at(-1), SOON).toContain('run portcullis login vault');
    expect(await call(connection)).toMatchObject({ kind: 'refused', detail: expect.stringContaining('invalid_grant') });
    await logIn();
    await expect.poll(async () => (await call(connection)).kind, SOON).toBe('result');
  });

  it('that a server never accepts is not exchanged again and again', async () => {
    await logIn();
    const connection = server({ oauth: {} });
    await connection.start();
    world.server.acceptsNone = true;
    const before = world.tokenRequests.length;
    for (let turn = 0; turn < 8; turn++) {
      expect(await call(connection)).toMatchObject({ kind: 'refused' });
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await expect.poll(() => notes.at(-1), SOON).toContain('does not accept our token');
    expect(world.tokenRequests.length - before).toBe(1);
  });

  it('stays in use while the authorization server is ailing', async () => {
    world.authorization.expiresIn = 4;
    await logIn();
    const connection = server({ oauth: {} });
    await connection.start();
    world.authorization.tokenError = { status: 503, error: 'temporarily_unavailable' };
    const before = world.tokenRequests.length;
    await expect.poll(() => world.tokenRequests.length, SOON).toBeGreaterThan(before);
    world.authorization.tokenError = undefined;
    await expect.poll(async () => (await call(connection)).kind, SOON).toBe('result');
  });

  it('is not given to another issuer: where the server trusts a new one, a person logs in anew', async () => {
    await logIn();
    const other = await new ProtectedWorld().start();
    try {
      const connection = server({ oauth: {} });
      await connection.start();
      world.server.issuers = [other.issuer];
      world.revoke();
      await call(connection);
      await expect.poll(() => notes.at(-1), SOON).toContain('run portcullis login vault');
      expect(other.tokenRequests).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('of a new issuer is for a client of its own there', async () => {
    const connection = server({ oauth: {}, consent: withBrowser });
    await connection.start();
    const other = await new ProtectedWorld().start();
    try {
      const [mine] = world.authorizations;
      world.server.issuers = [other.issuer];
      world.revoke();
      await call(connection);
      await expect.poll(() => other.tokenRequests.length, SOON).toBe(1);
      expect(other.registrations).toHaveLength(1);
      expect(other.tokenRequests[0]?.parameters.has('refresh_token')).toBe(false);
      expect(mine?.get('resource')).toBe(world.url);
    } finally {
      await other.stop();
    }
  });

  it('is not used once the operator names another issuer', async () => {
    await logIn();
    const message = await refusedStart({ oauth: { issuer: 'https://issuer.example' } });
    expect(message).toContain('run portcullis login vault');
    expect(world.seen.filter(({ authorization }) => authorization !== undefined).length).toBeGreaterThan(0);
  });
});

describe('an authorization is refused', () => {
  it.each([
    ['has the wrong issuer in its answer', () => (world.authorization.iss = 'wrong'), 'the issuer that answered'],
    ['has an issuer that is only nearly right', () => (world.authorization.iss = 'slash'), 'the issuer that answered'],
    ['lacks the issuer it promised', () => (world.authorization.iss = 'missing'), 'the issuer that answered'],
    [
      'sends another issuer although it promised none',
      () => {
        world.authorization.issPromised = false;
        world.authorization.iss = 'wrong';
      },
      'the issuer that answered',
    ],
    [
      'calls itself by another name',
      () => (world.authorization.issuerInMetadata = 'wrong'),
      'the issuer that answered',
    ],
    ['does not say that it knows PKCE', () => (world.authorization.pkce = undefined), 'PKCE'],
    ['knows only PKCE without a digest', () => (world.authorization.pkce = ['plain']), 'PKCE'],
    [
      'sends its token endpoint over plain http somewhere else',
      () => (world.authorization.tokenEndpoint = 'http://10.0.0.1/token'),
      'not https',
    ],
    [
      'has its token endpoint in a private network',
      () => (world.authorization.tokenEndpoint = 'https://10.0.0.1/token'),
      'private network',
    ],
    [
      'redirects to a private address',
      () => (world.authorization.redirectTo = 'http://169.254.169.254/latest/meta-data'),
      'no redirect is followed',
    ],
    ['redirects at all', () => (world.authorization.redirectTo = `${world.issuer}/token`), 'no redirect is followed'],
    ['registers nobody', () => (world.authorization.registration = false), 'configure a clientId'],
    [
      'refuses the code',
      () => (world.authorization.tokenError = { status: 400, error: 'invalid_grant' }),
      'answered invalid_grant',
    ],
  ])('where the authorization server %s', async (_what, spoil, reason) => {
    spoil();
    const message = await refusedStart();
    expect(message).toContain(reason);
    expect(message).not.toContain('do-not-repeat-me');
    expect(world.seen.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
  });

  it.each([
    ['is the metadata of another resource', () => (world.server.resource = 'https://vault.example/mcp')],
    ['is the metadata of another path', () => (world.server.resource = `${world.url}/deeper`)],
    ['trusts an issuer in a private network', () => (world.server.issuers = ['https://192.168.1.1'])],
    ['trusts an issuer over plain http', () => (world.server.issuers = ['http://issuer.example'])],
    ['trusts nobody', () => (world.server.issuers = [])],
  ])('where what the server says %s', async (_what, spoil) => {
    spoil();
    expect(await refusedStart()).toContain('not available');
    expect(world.authorizations).toEqual([]);
  });

  it('where the challenge leads to metadata at another origin', async () => {
    const other = await new ProtectedWorld().start();
    try {
      world.server.metadataUrl = other.url.replace('/mcp', '/.well-known/oauth-protected-resource/mcp');
      other.server.resource = world.url;
      const connection = server({ consent: withBrowser });
      await expect(connection.start()).rejects.toThrow();
      await expect.poll(() => notes.at(-1), SOON).toContain('at another origin');
      expect(other.authorizations).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('when the answer comes with another state, and still waits for the right one', async () => {
    world.authorization.state = 'wrong';
    const statuses: number[] = [];
    const consent: Consent = async (address) => {
      statuses.push(await browse(address));
      world.authorization.state = 'right';
      statuses.push(await browse(address));
    };
    const connection = server({ oauth: {}, consent });
    await connection.start();
    expect(statuses).toEqual([400, 200]);
    expect(world.tokenRequests).toHaveLength(1);
  });
});

describe('a client', () => {
  it('that was registered beforehand authenticates with its secret, at its issuer', async () => {
    world.authorization.clients.gate = { secret: 'hush' };
    const oauth = { clientId: 'gate', clientSecretEnv: 'VAULT_SECRET', issuer: world.issuer };
    const connection = server({ oauth, env: { VAULT_SECRET: 'hush' }, consent: withBrowser });
    await connection.start();
    expect(world.registrations).toEqual([]);
    expect(world.tokenRequests[0]?.authorization).toMatch(/^Basic /);
    expect(readFileSync(join(folder, 'credentials.json'), 'utf8')).not.toContain('hush');
  });

  it('with a secret and without an issuer is not sent anywhere', async () => {
    world.authorization.clients.gate = { secret: 'hush' };
    const oauth = { clientId: 'gate', clientSecretEnv: 'VAULT_SECRET', grant: 'client_credentials' } as const;
    expect(await refusedStart({ oauth, env: { VAULT_SECRET: 'hush' } })).toContain('needs the issuer');
    expect(world.tokenRequests).toEqual([]);
  });

  it('with credentials of its own needs no person', async () => {
    world.authorization.clients.gate = { secret: 'hush' };
    const oauth = {
      clientId: 'gate',
      clientSecretEnv: 'VAULT_SECRET',
      issuer: world.issuer,
      grant: 'client_credentials',
      scopes: ['read'],
    } as const;
    const connection = server({ oauth, env: { VAULT_SECRET: 'hush' } });
    await connection.start();
    expect(await call(connection)).toMatchObject({ kind: 'result' });
    expect(world.tokenRequests[0]?.parameters.get('scope')).toBe('read');
    world.revoke();
    expect(await call(connection)).toMatchObject({ kind: 'refused' });
    await expect.poll(async () => (await call(connection)).kind, SOON).toBe('result');
  });

  it('with a private key signs for its issuer', async () => {
    const { pem, publicKey } = newClientKey();
    world.authorization.clients.gate = { key: publicKey };
    const oauth = {
      clientId: 'gate',
      privateKeyEnv: 'VAULT_KEY',
      algorithm: 'ES256',
      issuer: world.issuer,
      grant: 'client_credentials',
    } as const;
    const connection = server({ oauth, env: { VAULT_KEY: pem } });
    await connection.start();
    expect(await call(connection)).toMatchObject({ kind: 'result' });
    expect(world.tokenRequests[0]?.authorization).toBeUndefined();
  });

  it('is the address of a document where the issuer reads such documents', async () => {
    world.authorization.metadataDocuments = true;
    const clientMetadataUrl = 'https://gate.example/client.json';
    const connection = server({ oauth: { clientMetadataUrl }, consent: withBrowser });
    await connection.start();
    expect(world.authorizations[0]?.get('client_id')).toBe(clientMetadataUrl);
    expect(world.registrations).toEqual([]);
  });
});

describe('a scope', () => {
  it('is what the server asks for, once more with what a call needs, and only once', async () => {
    world.server.callScope = 'write';
    world.server.challengedScope = 'read';
    const connection = server({ consent: withBrowser });
    await connection.start().catch(() => undefined);
    await expect
      .poll(
        () =>
          connection.start().then(
            () => 'up',
            () => 'down',
          ),
        SOON,
      )
      .toBe('up');
    expect(world.authorizations[0]?.get('scope')).toBe('read');
    expect(await call(connection)).toMatchObject({ kind: 'refused', detail: expect.stringContaining('write') });
    await expect.poll(async () => (await call(connection)).kind, SOON).toBe('result');
    expect(world.authorizations.at(-1)?.get('scope')).toBe('read write');
    expect(world.authorizations).toHaveLength(2);
  });

  it('that the operator did not list is not asked for', async () => {
    world.server.callScope = 'admin';
    const connection = server({ oauth: { scopes: ['read'] }, consent: withBrowser });
    await connection.start();
    expect(world.authorizations[0]?.get('scope')).toBe('read');
    expect(await call(connection)).toMatchObject({ kind: 'refused', detail: expect.stringContaining('does not list') });
    expect(world.authorizations).toHaveLength(1);
  });

  it('for offline access is asked for where it exists', async () => {
    world.authorization.scopesSupported = ['read', 'offline_access'];
    world.server.challengedScope = 'read';
    const connection = server({ consent: withBrowser });
    await connection.start().catch(() => undefined);
    await expect.poll(() => world.authorizations[0]?.get('scope'), SOON).toBe('read offline_access');
  });
});
