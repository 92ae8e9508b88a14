import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spkiPin } from '../../../../../adapters/crypto/spki-pin.ts';
import { networkOf } from '../../../../../adapters/network/networks.ts';
import { routeTo } from '../../../../../adapters/network/route.ts';
import { guardedFetch } from '../../../../../adapters/upstream/http/oauth/guarded-fetch.ts';
import type { Digest } from '../../../../../domain/digest.ts';
import { selfSigned } from '../../../../support/certificates.ts';

describe('a network', () => {
  it.each([
    ['8.8.8.8', 'public'],
    ['2606:4700::1111', 'public'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.1', 'public'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd00::1', 'private'],
    ['::ffff:10.0.0.1', 'private'],
    ['169.254.169.254', 'special'],
    ['0.0.0.0', 'special'],
    ['::', 'special'],
    ['224.0.0.1', 'special'],
    ['255.255.255.255', 'special'],
    ['fe80::1', 'special'],
    ['ff02::1', 'special'],
    ['64:ff9b::a00:1', 'special'],
    ['2002:a00:1::', 'special'],
    ['::ffff:8.8.8.8', 'special'],
    ['::ffff:808:808', 'special'],
    ['::7f00:1', 'special'],
    ['example.com', 'special'],
    ['', 'special'],
  ])('holds %s as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('a fetch on the way to a token', () => {
  let server: Server;
  let origin: string;
  const public_ = new URL('https://tools.example/mcp');

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/large') return response.end('x'.repeat(2_000));
      if (request.url === '/silent') return undefined;
      if (request.url === '/gone') return request.socket.destroy();
      if (request.url === '/moved') return response.writeHead(307, { location: '/' }).end();
      return response.end(JSON.stringify({ host: request.headers.host, method: request.method }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const resolveTo =
    (addresses: Record<string, string[]>) =>
    async (name: string): Promise<string[]> =>
      addresses[name] ?? [];

  it.each<[string, string, Record<string, string[]>, string]>([
    ['this machine', 'https://127.0.0.1/', { 'tools.example': ['8.8.8.8'] }, 'loopback network'],
    ['a private network', 'https://10.1.2.3/', { 'tools.example': ['8.8.8.8'] }, 'private network'],
    ['the metadata of a cloud', 'https://169.254.169.254/', { 'tools.example': ['8.8.8.8'] }, 'special network'],
    ['a number that is an address', 'https://2130706433/', { 'tools.example': ['8.8.8.8'] }, 'loopback network'],
    [
      'a public name with a private address',
      'https://id.example/',
      { 'tools.example': ['8.8.8.8'], 'id.example': ['192.168.0.1'] },
      'private network',
    ],
    [
      'a name with one private address among public ones',
      'https://id.example/',
      { 'tools.example': ['8.8.8.8'], 'id.example': ['8.8.4.4', '10.0.0.1'] },
      'private network',
    ],
    [
      'this machine, from a server in a private network',
      'https://localhost/',
      { 'tools.example': ['10.0.0.1'], localhost: ['127.0.0.1'] },
      'loopback network',
    ],
    ['another port over plain http', 'http://id.example/', {}, 'is not https'],
    ['an address with credentials', 'https://a:b@id.example/', {}, 'holds credentials'],
    ['another scheme', 'file:///etc/passwd', {}, 'is not https'],
    ['a local name that leads elsewhere', 'http://localhost/', { localhost: ['8.8.8.8'] }, 'not on this machine'],
    ['a name without an address', 'https://id.example/', {}, 'has no address'],
  ])('does not go to %s', async (_what, url, addresses, reason) => {
    const fetch = guardedFetch({ server: public_, resolve: resolveTo(addresses) });
    await expect(fetch(url)).rejects.toThrow(reason);
  });

  it('goes to this machine for a server that is on it, at the address that was looked at', async () => {
    const asked: string[] = [];
    const resolve = async (name: string) => {
      asked.push(name);
      return ['127.0.0.1'];
    };
    const fetch = guardedFetch({ server: new URL('http://localhost:1/mcp'), resolve });
    const response = await fetch(`${origin.replace('127.0.0.1', 'localhost')}/`, { method: 'POST', body: 'x' });
    expect(await response.json()).toEqual({ host: origin.replace('http://127.0.0.1', 'localhost'), method: 'POST' });
    // Each name once for the judgement; the connection asks nobody again.
    expect(asked).toEqual(['localhost', 'localhost']);
  });

  it('goes to the server itself by its own way: to the pinned key, and to no network that was not named', async () => {
    const tls = selfSigned();
    const secure = createTlsServer(tls, (_request, response) => response.end('{}'));
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const url = new URL(`https://localhost:${(secure.address() as AddressInfo).port}/token`);
    const way = (pins: Digest[]) => routeTo(url.hostname, { pins }, { trusted: tls.cert });
    const fetched = async (pins: Digest[]) => (await guardedFetch({ server: url, route: way(pins) })(url)).status;
    await expect(fetched([spkiPin(selfSigned().publicKey)])).rejects.toThrow('is not pinned');
    expect(await fetched([spkiPin(tls.publicKey)])).toBe(200);
    secure.close();
    const inward = guardedFetch({ server: public_, resolve: resolveTo({ 'tools.example': ['10.0.0.1'] }) });
    await expect(inward('https://tools.example/token')).rejects.toThrow('private network, and nobody said so');
  });

  it.each([
    ['is too large', '/large', 'more than 1000 bytes'],
    ['does not come', '/silent', 'within 100 ms'],
    ['is none', '/gone', 'could not be reached'],
    ['is a redirect', '/moved', 'no redirect is followed'],
  ])('refuses an answer that %s', async (_what, path, reason) => {
    const fetch = guardedFetch({ server: new URL(`${origin}/mcp`), limits: { timeoutMs: 100, bytesMax: 1_000 } });
    await expect(fetch(`${origin}${path}`)).rejects.toThrow(reason);
  });
});
