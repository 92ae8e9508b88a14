// How clients of the HTTP front learn how to prove themselves, on real sockets: the document that needs no credential, and the challenge.

import { afterEach, describe, expect, it } from 'vitest';
import { type HttpFrontOptions, listenHttp } from '../../adapters/downstream/http/http-front.ts';
import type { Authenticator, CredentialRequest } from '../../adapters/downstream/ports.ts';
import { deny } from '../../domain/denial.ts';
import type { Principal } from '../../domain/principal.ts';
import { EchoSessions } from '../support/echo-sessions.ts';
import { RawConnection, rawRequest } from '../support/raw-http.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const LOCAL: Principal = { agent: 'local', roles: [], root: true, authentication: 'local', connection: 'sha256:local' };
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Lets nobody in, says so in every way there is, and remembers what it was asked. */
class Doorkeeper implements Authenticator {
  readonly asked: CredentialRequest[] = [];
  readonly headers = (): Record<string, string> => ({ 'dpop-nonce': 'n1' });
  readonly metadata = (url: string): { resource: string } => ({ resource: url });

  async authenticate(request: CredentialRequest) {
    this.asked.push(request);
    const status = request.authorization === undefined ? (401 as const) : (403 as const);
    const headers = { 'www-authenticate': `Bearer resource_metadata="${request.url}"` };
    return { ...deny('ID_UNAUTHENTICATED', 'the secret reason'), challenge: { status, headers } };
  }
}

async function start(options: Partial<HttpFrontOptions> = {}) {
  const door = new Doorkeeper();
  const result = await listenHttp({
    host: '127.0.0.1',
    port: 0,
    sessions: new EchoSessions(),
    access: { kind: 'authenticated', authenticator: door },
    ...options,
    limits: { drainMs: 100 },
  });
  if (!result.ok) throw new Error(result.problem);
  cleanups.push(() => result.front.close());
  const { port } = result.front;
  const raw = async (method: string, path: string, headers: Record<string, string | undefined> = {}, body = '') => {
    const connection = await RawConnection.open(port);
    cleanups.push(() => connection.close());
    connection.send(rawRequest(method, path, { host: `127.0.0.1:${port}`, connection: 'close', ...headers }, body));
    return connection.until(() => false);
  };
  const post = (headers: Record<string, string> = {}, path = '/mcp') =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      body: INITIALIZE,
      headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json', ...headers },
    });
  return { door, port, raw, post, origin: `http://127.0.0.1:${port}` };
}

describe('the description of the resource', () => {
  const refused: [string, number, string, string, Record<string, string | undefined>][] = [
    ['to POST', 405, 'POST', WELL_KNOWN, { 'content-length': '0' }],
    ['to DELETE', 405, 'DELETE', WELL_KNOWN, {}],
    ['to OPTIONS', 405, 'OPTIONS', `${WELL_KNOWN}/mcp`, {}],
    ['to a host that is not ours', 403, 'GET', `${WELL_KNOWN}/mcp`, { host: 'evil.example' }],
    ['to the page of somebody else', 403, 'GET', `${WELL_KNOWN}/mcp`, { origin: 'https://evil.example' }],
    ['with a body', 400, 'GET', WELL_KNOWN, { 'content-length': '2' }],
    ['with a query', 404, 'GET', `${WELL_KNOWN}?x=1`, {}],
    ['of another path', 404, 'GET', `${WELL_KNOWN}/other`, {}],
    ['with a slash at its end', 404, 'GET', `${WELL_KNOWN}/`, {}],
    ['of a path that climbs', 404, 'GET', `${WELL_KNOWN}/mcp/../mcp`, {}],
    ['of a path inside a server', 404, 'GET', `${WELL_KNOWN}/mcp/fs/x`, {}],
    ['of a longer name', 404, 'GET', `${WELL_KNOWN}x/mcp`, {}],
  ];

  it.each(refused)('is not given %s: %d', async (_, status, method, path, headers) => {
    const { raw, door } = await start();
    expect(await raw(method, path, headers)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(door.asked).toEqual([]);
  });

  it('is not there where nobody has to prove anything, nor where no authorization server is known', async () => {
    const local = await start({ access: { kind: 'local', principal: LOCAL } });
    expect((await fetch(`${local.origin}${WELL_KNOWN}`)).status).toBe(404);
    const keysOnly = { authenticate: async () => deny('ID_UNAUTHENTICATED') };
    const other = await start({ access: { kind: 'authenticated', authenticator: keysOnly } });
    expect((await fetch(`${other.origin}${WELL_KNOWN}`)).status).toBe(404);
    expect((await other.post()).headers.get('www-authenticate')).toBe('Bearer');
  });

  it.each([
    ['', '/mcp'],
    ['/mcp', '/mcp'],
    ['/mcp/fs', '/mcp/fs'],
    ['/mcp/no-such-server', '/mcp/no-such-server'],
  ])('at "%s" is that of %s, without a credential', async (suffix, path) => {
    const { origin, door } = await start();
    const response = await fetch(`${origin}${WELL_KNOWN}${suffix}`);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual({ resource: `${origin}${path}` });
    expect(door.asked).toEqual([]);
  });

  it('is told to HEAD by its size', async () => {
    const { origin } = await start();
    const response = await fetch(`${origin}${WELL_KNOWN}/mcp`, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe(String(JSON.stringify({ resource: `${origin}/mcp` }).length));
    expect(await response.text()).toBe('');
  });

  it('is of the public address where there is one, whatever name of ours the client used', async () => {
    const { origin, raw, door, post } = await start({ publicUrl: 'https://gate.example' });
    expect(await (await fetch(`${origin}${WELL_KNOWN}/mcp`)).json()).toEqual({ resource: 'https://gate.example/mcp' });
    expect(await raw('GET', WELL_KNOWN, { host: 'gate.example' })).toContain('"https://gate.example/mcp"');
    await post({}, '/mcp/fs');
    expect(door.asked).toMatchObject([{ method: 'POST', url: 'https://gate.example/mcp/fs' }]);
  });
});

describe('a request that proves nobody', () => {
  it('with two proofs is refused before anybody looks at them', async () => {
    const { raw, door, port } = await start();
    const head = `POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\ndpop: a\r\nDPoP: b\r\ncontent-length: 2\r\n\r\n{}`;
    const connection = await RawConnection.open(port);
    cleanups.push(() => connection.close());
    expect(await connection.send(head).until(() => false)).toMatch(/^HTTP\/1.1 400 .*Repeated header: dpop/s);
    expect(await raw('GET', WELL_KNOWN)).toMatch(/^HTTP\/1.1 200 /);
    expect(door.asked).toEqual([]);
  });

  it('is told what the authenticator says, by status and headers, and not why', async () => {
    const { post, origin } = await start();
    const nobody = await post();
    expect(nobody.status).toBe(401);
    expect(nobody.headers.get('www-authenticate')).toBe(`Bearer resource_metadata="${origin}/mcp"`);
    expect(nobody.headers.get('dpop-nonce')).toBeNull();
    expect(await nobody.text()).not.toContain('secret');
    const tooLittle = await post({ authorization: 'Bearer x' });
    expect(tooLittle.status).toBe(403);
    expect(await tooLittle.text()).not.toContain('secret');
  });

  it('with a proof hears what is said to proofs', async () => {
    const { post, door } = await start();
    const response = await post({ authorization: 'DPoP x', dpop: 'p' });
    expect(response.headers.get('dpop-nonce')).toBe('n1');
    expect(door.asked).toMatchObject([{ authorization: 'DPoP x', proof: 'p', method: 'POST' }]);
  });
});
