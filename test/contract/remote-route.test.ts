// Where connections to remote servers lead, and to whose key: before anything is said, on each connection, whatever is spoken on it.

import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { spkiPin } from '../../adapters/crypto/spki-pin.ts';
import type { Connection } from '../../adapters/upstream/connection.ts';
import type { RemoteServerConfig } from '../../adapters/upstream/http/oauth/server-authorization.ts';
import type { RemoteSurroundings } from '../../adapters/upstream/http/remote-server.ts';
import { proves } from '../guarantees.ts';
import { selfSigned } from '../support/certificates.ts';
import { QUIET } from '../support/hooks.ts';
import { RemoteFixture, type RemoteOptions, remoteConnection, WAYS, type Way } from '../support/remote-servers.ts';
import { callOf, textOf } from './tool-server.contract.ts';

const undo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

async function fixture(options: RemoteOptions = {}): Promise<RemoteFixture> {
  const made = await RemoteFixture.start(options);
  undo.push(() => made.stop());
  return made;
}

function connect(
  way: Way,
  config: Omit<RemoteServerConfig, 'name'>,
  surroundings: RemoteSurroundings = {},
): Connection {
  const made = remoteConnection(way, config, surroundings);
  undo.push(() => made.stop());
  return made;
}

const whyNot = (connection: Connection): Promise<string> =>
  connection.start().then(
    () => 'started',
    (error: Error) => error.message,
  );
const look = (connection: Connection) => connection.dispatch(callOf('look', {}), QUIET).answer;

const ONE = selfSigned();
const OTHER = selfSigned({ name: 'other' });
const trusted = `${ONE.cert}${OTHER.cert}`;
const PIN = spkiPin(ONE.publicKey);
const OTHER_PIN = spkiPin(OTHER.publicKey);
const LEADS_TO =
  (...addresses: string[]) =>
  async (): Promise<string[]> =>
    addresses;

describe.each(WAYS)('a pinned key over %s', (way) => {
  it('is the only one that is spoken to: another gets no byte of a request', async () => {
    const server = await fixture({ tls: ONE });
    const headers = { Authorization: 'Bearer not-for-everybody' };
    const connection = connect(way, { url: server.url(way), headers, pins: [OTHER_PIN] }, { trusted });
    expect(await whyNot(connection)).toContain(`it showed the key ${PIN}, which is not pinned`);
    expect(connection.fault?.code).toBe('ENV_TLS_PIN');
    expect(server.connections).toBeGreaterThan(0);
    expect(server.requests).toEqual([]);
    // A call that is made nevertheless is denied for that reason.
    expect(await look(connection)).toMatchObject({ kind: 'refused', code: 'ENV_TLS_PIN' });
  });

  it('may be the one that is put by, and is known afterwards', async () => {
    const server = await fixture({ tls: ONE });
    const connection = connect(way, { url: server.url(way), pins: [OTHER_PIN, PIN] }, { trusted });
    await connection.start();
    expect(textOf(await look(connection))).toBe('seen');
    expect(connection.tlsKeys).toEqual([PIN]);
    expect(connection.fault).toBeUndefined();
  });

  it('does not make up for a certificate that nobody vouches for', async () => {
    const server = await fixture({ tls: ONE });
    const connection = connect(way, { url: server.url(way), pins: [PIN] });
    expect(await whyNot(connection)).toMatch(/self-signed certificate/);
    expect(server.requests).toEqual([]);
  });

  it('is looked at on every connection: a key exchanged behind our back gets nothing', async () => {
    const server = await fixture({ tls: ONE });
    const connection = connect(way, { url: server.url(way), pins: [PIN] }, { trusted });
    await connection.start();
    expect(textOf(await look(connection))).toBe('seen');
    server.exchangeKey(OTHER);
    server.cut();
    const heard = server.requests.length;
    await expect.poll(async () => (await look(connection)).kind).toBe('refused');
    await whyNot(connection);
    expect(await look(connection)).toMatchObject({ kind: 'refused', code: 'ENV_TLS_PIN' });
    expect(server.requests.length).toBe(heard);
  });
});

describe('a server without a pinned key', () => {
  it.each(WAYS)('has its key known, over %s, and is verified whatever our environment says', async (way) => {
    const server = await fixture({ tls: OTHER });
    const connection = connect(way, { url: server.url(way) }, { trusted });
    await connection.start();
    expect(connection.tlsKeys).toEqual([OTHER_PIN]);
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    undo.push(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED);
    const untrusted = await fixture({ tls: OTHER });
    expect(await whyNot(connect(way, { url: untrusted.url(way) }))).toMatch(/self-signed certificate/);
    expect(untrusted.connections).toBeGreaterThan(0);
    expect(untrusted.requests).toEqual([]);
  });

  it('cannot be pinned where there is no TLS', async () => {
    const server = await fixture();
    expect(await whyNot(connect('http', { url: server.url('http'), pins: [PIN] }))).toContain('no key to be pinned');
    expect(server.connections).toBe(0);
  });
});

describe('the name of a server', () => {
  const cleartext = 'on-a-network-i-trust' as const;

  it.each([
    ['this machine', ['127.0.0.1'], 'loopback'],
    ['this machine, over IPv6', ['::1'], 'loopback'],
    ['this machine, mapped', ['::ffff:127.0.0.1'], 'loopback'],
    ['a private network', ['10.1.2.3'], 'private'],
    ['a private network among public ones', ['93.184.216.34', '192.168.0.1'], 'private'],
    ['the network of a carrier', ['100.64.0.1'], 'private'],
    ['a private network over IPv6', ['fd12::1'], 'private'],
    ['the metadata of a cloud', ['169.254.169.254'], 'special'],
    ['the metadata of a cloud, by NAT64', ['64:ff9b::a9fe:a9fe'], 'special'],
    ['a link', ['fe80::1'], 'special'],
    ['nowhere', ['0.0.0.0'], 'special'],
  ])('that leads to %s is not followed', async (_what, addresses, network) => {
    const server = await fixture();
    for (const way of WAYS) {
      const url = server.url(way, 'tools.example');
      const connection = connect(way, { url, cleartext }, { resolve: LEADS_TO(...addresses) });
      expect(await whyNot(connection), way).toContain(`tools.example leads to an address in a ${network} network`);
    }
    expect(server.connections).toBe(0);
  });

  it('may be said to belong to a private network, and then leads nowhere else', async () => {
    const server = await fixture();
    let addresses = ['127.0.0.1'];
    const resolve = async () => addresses;
    const config = { url: server.url('http', 'tools.internal'), cleartext, network: 'private' } as const;
    const connection = connect('http', config, { resolve });
    await connection.start();
    expect(textOf(await look(connection))).toBe('seen');
    const heard = server.requests.length;
    // The name is looked up, and judged, for each connection.
    for (const elsewhere of ['93.184.216.34', '169.254.169.254']) {
      addresses = [elsewhere];
      server.cut();
      await expect
        .poll(async () => JSON.stringify(await look(connection)))
        .toMatch(/leads to an address in a (?:public|special) network|not connected/);
    }
    expect(server.requests.length).toBe(heard);
  });

  it('localhost is this machine or nothing', async () => {
    const server = await fixture();
    const url = server.url('http', 'localhost');
    expect(await whyNot(connect('http', { url }, { resolve: LEADS_TO('10.0.0.1') }))).toContain('private network');
    await connect('http', { url }, { resolve: LEADS_TO('127.0.0.1') }).start();
  });

  it.each(['https://169.254.169.254/', 'https://[fe80::1]/', 'https://[::ffff:169.254.169.254]/', 'https://0/'])(
    'cannot be an address at which no server is: %s',
    async (url) => {
      expect(await whyNot(connect('http', { url }))).toContain('special network');
    },
  );

  it('is an address however it is written', async () => {
    const server = await fixture();
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '127.1'])
      await connect('http', { url: server.url('http', host) }).start();
  });
});

describe.each([301, 302, 303, 307, 308])('a redirect with HTTP %d', (status) => {
  proves('G4', `is followed by nobody, and takes no credential anywhere (${status})`, async () => {
    const elsewhere = await fixture();
    const headers = { Authorization: 'Bearer not-for-everybody' };
    const locations = [
      `http://127.0.0.1:${elsewhere.port}/mcp`,
      `//127.0.0.1:${elsewhere.port}/sse`,
      `http://user:pass@127.0.0.1:${elsewhere.port}/`,
      '/elsewhere',
      'file:///etc/passwd',
    ];
    for (const way of WAYS) {
      for (const location of locations) {
        const server = await fixture({
          instead: (_request, response) => Boolean(response.writeHead(status, { location }).end()),
        });
        const connection = connect(way, { url: server.url(way), headers });
        expect(await whyNot(connection), `${way} ${location}`).toMatch(/redirect/);
        expect(server.requests.map(({ url }) => url)).toEqual([server.requests[0]?.url]);
      }
    }
    // The stream of what belongs to no call, and a call in the middle of a conversation.
    let moved = false;
    const server = await fixture({
      instead: (request, response) => {
        if (!moved && request.method === 'POST') return false;
        response.writeHead(status, { location: locations[0] }).end();
        return true;
      },
    });
    const connection = connect('http', { url: server.url('http'), headers });
    await connection.start();
    moved = true;
    expect(await look(connection)).toMatchObject({ kind: 'lost', detail: expect.stringContaining('redirect') });
    expect(elsewhere.connections).toBe(0);
  });
});

describe('a server that does not get on', () => {
  it('takes the time of the handshake and no more', async () => {
    const held: { destroy(): void }[] = [];
    const silent = createServer((socket) => held.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    undo.push(() => {
      for (const socket of held) socket.destroy();
      silent.close();
    });
    const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/mcp`;
    const limits = { connectTimeoutMs: 100 };
    const surroundings = { httpLimits: limits, sseLimits: limits, wsLimits: limits } as RemoteSurroundings;
    for (const way of WAYS) {
      const connection = connect(way, { url: way === 'ws' ? url.replace('https', 'wss') : url }, surroundings);
      expect(await whyNot(connection), way).toMatch(/took too long|timed out/);
    }
  });
});
