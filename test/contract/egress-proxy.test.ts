// The way out of a sandbox, spoken to over its socket: refusals first. The other end is a service on this machine's loopback that counts who comes.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EgressLimits } from '../../adapters/sandbox/egress-limits.ts';
import { EgressProxy } from '../../adapters/sandbox/egress-proxy.ts';
import type { EgressClosing, EgressOpening, EgressRefusal } from '../../adapters/sandbox/ports.ts';
import { parseEgressEntry } from '../../control-plane/policy/egress.ts';
import { proves } from '../guarantees.ts';

let folder: string;
let service: Server;
let port: number;
let heard: string[];
let visits: number;
const proxies: EgressProxy[] = [];
const services: (Server | HttpServer)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  heard = [];
  visits = 0;
  // Says everything back.
  service = createServer((socket) => {
    visits += 1;
    socket.on('data', (chunk) => {
      heard.push(chunk.toString('latin1'));
      socket.write(chunk);
    });
    socket.on('error', () => undefined);
  });
  port = await listening(service, '127.0.0.1');
});

afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  for (const one of services.splice(0)) one.close();
  rmSync(folder, { recursive: true, force: true });
});

async function listening(server: Server | HttpServer, host: string, at = 0): Promise<number> {
  services.push(server);
  await new Promise<void>((resolve) => server.listen(at, host, resolve));
  return (server.address() as AddressInfo).port;
}

interface Recorded {
  readonly opened: EgressOpening[];
  readonly closed: EgressClosing[];
  readonly refused: EgressRefusal[];
}

interface Opened extends Recorded {
  readonly path: string;
  readonly proxy: EgressProxy;
}

interface With {
  readonly allow?: readonly string[];
  readonly answers?: (name: string) => readonly string[];
  readonly limits?: Partial<EgressLimits>;
  readonly mayGoOut?: () => boolean;
  readonly broken?: boolean;
}

async function opened(options: With = {}): Promise<Opened> {
  const recorded: Recorded = { opened: [], closed: [], refused: [] };
  let next = 0;
  const allow = options.allow ?? [`good.example:${port}`, `127.0.0.1:${port}`];
  const proxy = new EgressProxy({
    entries: allow.map((text) => parseEgressEntry(text)).filter((entry) => entry !== undefined),
    recorder: {
      opened: async (opening) => {
        // A connection that was made before it was recorded would have been seen by now.
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (visits !== recorded.opened.length) throw new Error('it was made before it was recorded');
        if (options.broken === true) throw new Error('the disk is full');
        recorded.opened.push(opening);
      },
      closed: async (closing) => void recorded.closed.push(closing),
      refused: async (refusal) => void recorded.refused.push(refusal),
    },
    connectionId: () => `c${next++}`,
    resolve: async (name) => options.answers?.(name) ?? ['127.0.0.1'],
    ...(options.mayGoOut === undefined ? {} : { mayGoOut: options.mayGoOut }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  proxies.push(proxy);
  const path = join(folder, `${proxies.length}.sock`);
  await proxy.listen(path);
  return { ...recorded, path, proxy };
}

interface Said {
  readonly socket: Socket;
  text(): string;
  /** Resolves when this was said to us, or the other end closed. */
  until(part: string): Promise<string>;
}

function said(path: string, words: string): Said {
  const socket = connect({ path, allowHalfOpen: false });
  let text = '';
  let ended = false;
  let look = () => {};
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    look();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    ended = true;
    look();
  });
  socket.write(words);
  return {
    socket,
    text: () => text,
    until: (part) =>
      new Promise((resolve) => {
        look = () => {
          if (ended || (part !== '' && text.includes(part))) resolve(text);
        };
        look();
      }),
  };
}

const tunnel = (path: string, where: string): Said => said(path, `CONNECT ${where} HTTP/1.1\r\nHost: ${where}\r\n\r\n`);

describe('what is refused', () => {
  proves('G4', 'a host, a port or a spelling that the list does not have reaches nobody, and is recorded', async () => {
    const { path, refused } = await opened();
    const cases: [string, number, string, string][] = [
      ['evil.example:443', 403, 'not_allowed', 'evil.example'],
      [`evil.example:${port}`, 403, 'not_allowed', 'evil.example'],
      ['good.example:22', 403, 'not_allowed', 'good.example'],
      ['localhost:443', 403, 'not_allowed', 'localhost'],
      [`localhost:${port}`, 403, 'not_allowed', 'localhost'],
      [`2130706433:${port}`, 400, 'malformed', `2130706433:${port}`],
      [`0x7f000001:${port}`, 400, 'malformed', `0x7f000001:${port}`],
      [`127.1:${port}`, 400, 'malformed', `127.1:${port}`],
      [`[::ffff:127.0.0.1]:${port}`, 403, 'not_allowed', '::ffff:7f00:1'],
      [`[::1]:${port}`, 403, 'not_allowed', '::1'],
      ['good.example', 400, 'malformed', 'good.example'],
      [`good.example@evil.example:${port}`, 400, 'malformed', `good.example@evil.example:${port}`],
    ];
    for (const [where, status] of cases) expect(await tunnel(path, where).until('')).toContain(`HTTP/1.1 ${status} `);
    expect(refused.map(({ reason, host }) => [reason, host])).toEqual(
      cases.map(([, , reason, host]) => [reason, host]),
    );
    expect(visits).toBe(0);
  });

  proves('G4', 'a name that leads to this machine reaches nobody, whatever it led to before', async () => {
    let answers = ['93.184.216.34'];
    const { path, refused, opened: made } = await opened({ allow: [`good.example:${port}`], answers: () => answers });
    answers = ['127.0.0.1'];
    expect(await tunnel(path, `good.example:${port}`).until('')).toContain('HTTP/1.1 403 ');
    answers = ['::ffff:127.0.0.1'];
    expect(await tunnel(path, `good.example:${port}`).until('')).toContain('HTTP/1.1 403 ');
    expect(refused.map(({ reason }) => reason)).toEqual(['private_address', 'private_address']);
    expect([visits, made]).toEqual([0, []]);
  });

  it('a name is resolved once, and the connection goes to the address that was checked', async () => {
    let others = 0;
    const elsewhere = createServer(() => {
      others += 1;
    });
    await listening(elsewhere, '127.0.0.2', port);
    const answers = [['127.0.0.1'], ['127.0.0.2'], ['127.0.0.2']];
    let asked = 0;
    const { path, opened: made } = await opened({ answers: () => answers[asked++] ?? [] });
    const line = tunnel(path, `good.example:${port}`);
    await line.until('200 ');
    expect([asked, visits, others, made[0]?.address]).toEqual([1, 1, 0, '127.0.0.1']);
    line.socket.destroy();
  });

  it('other methods than those of a client, and what is no proxy request', async () => {
    const { path, refused } = await opened();
    const at = `http://good.example:${port}/`;
    for (const [words, status] of [
      [`TRACE ${at} HTTP/1.1\r\nHost: x\r\n\r\n`, 405],
      [`PROPFIND ${at} HTTP/1.1\r\nHost: x\r\n\r\n`, 405],
      ['GET / HTTP/1.1\r\nHost: good.example\r\n\r\n', 400],
      [`GET https://good.example:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
      [`GET http://me@good.example:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
      [`GET http://evil.example:${port}/ HTTP/1.1\r\nHost: good.example:${port}\r\n\r\n`, 403],
      // Port 80 is not in the list.
      ['GET http://good.example/ HTTP/1.1\r\nHost: x\r\n\r\n', 403],
    ] as const)
      expect(await said(path, words).until('')).toContain(`HTTP/1.1 ${status} `);
    expect(refused.map(({ reason }) => reason)).toEqual([
      'method',
      'method',
      'malformed',
      'malformed',
      'malformed',
      'not_allowed',
      'not_allowed',
    ]);
    await said(path, `GET ${at} HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`).until('');
    await said(path, '\x16\x03\x01 no words of HTTP\r\n\r\n').until('');
    expect(visits).toBe(0);
  });

  proves('G1', 'a connection that cannot be recorded is not made', async () => {
    const { path } = await opened({ broken: true });
    expect(await tunnel(path, `good.example:${port}`).until('')).toBe('');
    expect(visits).toBe(0);
  });

  proves('G12', 'a server that was set aside goes nowhere, and what it has open ends', async () => {
    let may = true;
    const { path, refused, closed } = await opened({ mayGoOut: () => may, limits: { recheckMs: 20 } });
    const line = tunnel(path, `good.example:${port}`);
    await line.until('200 ');
    may = false;
    await line.until('');
    expect(closed.map(({ end }) => end)).toEqual(['stopped']);
    expect(await tunnel(path, `good.example:${port}`).until('')).toContain('HTTP/1.1 403 ');
    expect(refused.map(({ reason }) => reason)).toEqual(['set_aside']);
  });

  it('a flood is told in one entry, and makes no connection that is not told', async () => {
    const limits = { entriesBurst: 6, entriesPerSecond: 0 };
    const { path, proxy, refused, opened: made, closed } = await opened({ limits });
    const lines = [];
    for (let index = 0; index < 4; index += 1) {
      const line = tunnel(path, `good.example:${port}`);
      await line.until('\r\n\r\n');
      lines.push(line);
    }
    for (let index = 0; index < 50; index += 1) await tunnel(path, 'evil.example:443').until('');
    expect(made).toHaveLength(3);
    expect(visits).toBe(3);
    expect(refused).toEqual([]);
    await proxy.close();
    expect(refused).toEqual([{ reason: 'too_many', host: null, port: null, count: 51 }]);
    expect(closed.map(({ end }) => end)).toEqual(['stopped', 'stopped', 'stopped']);
    expect(lines[3]?.text()).toContain('HTTP/1.1 429 ');
  });

  it('more at once than may be open', async () => {
    const { path, refused } = await opened({ limits: { openMax: 1 } });
    const line = tunnel(path, `good.example:${port}`);
    await line.until('200 ');
    expect(await tunnel(path, `good.example:${port}`).until('')).toContain('HTTP/1.1 429 ');
    expect(refused.map(({ reason }) => reason)).toEqual(['too_many']);
    line.socket.destroy();
  });

  it.each<[string, Partial<EgressLimits>]>([
    ['idle', { idleMs: 40 }],
    ['too_long', { lifeMs: 40 }],
    ['too_large', { bytesMax: 10 }],
  ])('ends what is %s', async (end, limits) => {
    const { path, closed } = await opened({ limits });
    const line = tunnel(path, `good.example:${port}`);
    await line.until('200 ');
    if (end === 'too_large') line.socket.write('more than ten bytes');
    await line.until('');
    expect(closed.map((one) => one.end)).toEqual([end]);
  });
});

describe('what is allowed', () => {
  it('a tunnel passes on what either side says, and its bytes are recorded', async () => {
    const { path, opened: made, closed } = await opened();
    const line = tunnel(path, `Good.Example:${port}`);
    await line.until('200 ');
    line.socket.write('hello');
    expect(await line.until('hello')).toContain('hello');
    line.socket.end();
    await expect.poll(() => closed).toHaveLength(1);
    expect(made).toEqual([{ connection: 'c0', host: 'good.example', port, address: '127.0.0.1', way: 'connect' }]);
    expect(closed[0]).toMatchObject({
      connection: 'c0',
      end: expect.stringMatching(/ended|lost/),
      sent: 5,
      received: 5,
    });
  });

  it('a host where nobody answers is told and recorded as such', async () => {
    service.close();
    const { path, closed } = await opened();
    expect(await tunnel(path, `good.example:${port}`).until('')).toContain('HTTP/1.1 502 ');
    expect(closed.map(({ end }) => end)).toEqual(['unreachable']);
  });

  it('a plain request arrives with the host that was checked and without words for the proxy', async () => {
    const web = createHttp((incoming, response) => {
      visits += 1;
      let body = '';
      incoming.on('data', (chunk) => {
        body += chunk;
      });
      incoming.on('end', () => {
        response.setHeader('x-seen', JSON.stringify([incoming.method, incoming.url, incoming.headers.host, body]));
        response.setHeader('x-headers', Object.keys(incoming.headers).join());
        response.end('answered');
      });
    });
    const at = await listening(web, '127.0.0.1');
    const { path, closed } = await opened({ allow: [`web.example:${at}`, `127.0.0.1:${at}`] });
    const words = [
      `POST http://web.example:${at}/p?q=1 HTTP/1.1`,
      'Host: other.example',
      'Proxy-Authorization: Basic c2VjcmV0',
      'Connection: close, x-hop',
      'X-Hop: 1',
      'X-End: 2',
      'Content-Length: 4',
      '',
      'body',
    ];
    const text = await said(path, words.join('\r\n')).until('');
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain('answered');
    expect(text).toContain(`x-seen: ${JSON.stringify(['POST', '/p?q=1', `web.example:${at}`, 'body'])}`);
    expect(text).toMatch(/x-headers: (?!.*(?:proxy|x-hop)).*x-end/);
    await expect.poll(() => closed.map(({ end }) => end)).toEqual(['ended']);
    expect(closed[0]?.received).toBeGreaterThan(8);
  });
});
