// What no HTTP client would send, on raw sockets, to a gate that runs: each is refused in the words of HTTP, nothing of it reaches the server,
// what somebody known has sent is on the record, and whoever means well does not notice.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { proves } from '../guarantees.ts';
import { AttackedGate, tally } from '../support/attacked-gate.ts';
import { closeInstallations } from '../support/cli.ts';
import { type ExchangeOptions, exchange } from '../support/raw-exchange.ts';
import { RawConnection, rawRequest } from '../support/raw-http.ts';
import type { RawHttp } from '../support/raw-mcp.ts';

const REVISION = '2025-11-25';
const COUNT = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"by":666}}}';
const LENGTH = COUNT.length;
const CHUNKED = `${LENGTH.toString(16)}\r\n${COUNT}\r\n0\r\n\r\n`;

let gate: AttackedGate;
let evil: RawHttp;
let session: string;
/** What is to be in the ledger of the one who means ill. */
const recorded: string[] = [];

beforeAll(async () => {
  gate = await AttackedGate.start();
  await gate.stillServes();
  evil = gate.client('evil');
  await evil.initialize();
  session = evil.headers['mcp-session-id'] ?? '';
}, 60_000);

afterAll(closeInstallations);

/** The headers of a request that would be welcome. */
function welcome(): Record<string, string> {
  return {
    host: `127.0.0.1:${gate.port}`,
    authorization: gate.bearer.evil,
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    'mcp-session-id': session,
    'mcp-protocol-version': REVISION,
  };
}

/** A welcome POST, but for the lines that are added as they are. */
function framed(lines: string, body = COUNT): string {
  const head = Object.entries(welcome()).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /mcp/counter HTTP/1.1\r\n${head.join('')}${lines}\r\n\r\n${body}`;
}

function post(headers: Record<string, string | undefined>, path = '/mcp/counter', method = 'POST'): string {
  return rawRequest(method, path, { ...welcome(), 'content-length': `${LENGTH}`, ...headers }, COUNT);
}

function bare(method: string, headers: Record<string, string | undefined>, path = '/mcp/counter'): string {
  return rawRequest(method, path, { ...welcome(), 'content-type': undefined, ...headers });
}

/** What is sent; the statuses that may come back; how it is recorded. */
type Attack = [string, () => string | Buffer, readonly number[], string?, ExchangeOptions?];

function each(attacks: readonly Attack[]): void {
  it.each<Attack>(attacks)('%s', async (_name, bytes, statuses, code, options) => {
    const { status, body } = await exchange(gate.port, bytes(), options);
    expect(statuses, body).toContain(status);
    expect(body).not.toContain('"result"');
    if (body.startsWith('{')) expect(JSON.parse(body)).toMatchObject({ jsonrpc: '2.0', error: {} });
    if (code !== undefined) recorded.push(code);
  });
}

const MALFORMED = 'MESSAGE_MALFORMED';
const END = { end: true };

describe('lengths and chunks that could be read in two ways', () => {
  each([
    ['a length and chunks', () => framed(`Content-Length: ${LENGTH}\r\nTransfer-Encoding: chunked`, CHUNKED), [400]],
    ['chunks and a length', () => framed(`Transfer-Encoding: chunked\r\nContent-Length: ${LENGTH}`, CHUNKED), [400]],
    ['chunked twice', () => framed('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', CHUNKED), [400]],
    ['chunked, then identity', () => framed('Transfer-Encoding: chunked, identity', CHUNKED), [400]],
    ['identity and a length', () => framed(`Transfer-Encoding: identity\r\nContent-Length: ${LENGTH}`), [400]],
    ['nearly chunked', () => framed('Transfer-Encoding: xchunked', CHUNKED), [400, 501], MALFORMED],
    ['a vertical tab before chunked', () => framed('Transfer-Encoding:\x0bchunked', CHUNKED), [400]],
    ['chunked on a folded line', () => framed('Transfer-Encoding:\r\n chunked', CHUNKED), [400]],
    ['a list of lengths', () => framed(`Content-Length: ${LENGTH}, ${LENGTH}`), [400]],
    ['the same length twice', () => framed(`Content-Length: ${LENGTH}\r\nContent-Length: ${LENGTH}`), [400]],
    ['a length with a sign', () => framed(`Content-Length: +${LENGTH}`), [400]],
    ['a negative length', () => framed('Content-Length: -1'), [400]],
    ['a length in hexadecimal', () => framed('Content-Length: 0x10'), [400]],
    ['a length in two words', () => framed(`Content-Length: 1 ${LENGTH}`), [400]],
    ['an empty length', () => framed('Content-Length: '), [400]],
    ['a length beyond all numbers', () => framed('Content-Length: 99999999999999999999999'), [400]],
    ['a length beyond all bodies', () => framed('Content-Length: 9223372036854775807'), [413], 'MESSAGE_TOO_LARGE'],
    ['a length that is too short', () => framed('Content-Length: 10'), [400], MALFORMED],
    ['a length that is too long', () => framed('Content-Length: 1000'), [0, 400], MALFORMED, END],
    ['neither length nor chunks', () => framed('X-A: 1'), [400], MALFORMED],
    ['no chunk', () => framed('Transfer-Encoding: chunked', '0\r\n\r\n'), [400], MALFORMED],
    ['a chunk size that is none', () => framed('Transfer-Encoding: chunked', `zz\r\n${COUNT}`), [400], MALFORMED],
    ['a chunk size with a sign', () => framed('Transfer-Encoding: chunked', `-1\r\n${COUNT}`), [400], MALFORMED],
    ['a chunk size with 0x', () => framed('Transfer-Encoding: chunked', `0x${CHUNKED}`), [400], MALFORMED],
    [
      'a chunk size with a space',
      () => framed('Transfer-Encoding: chunked', CHUNKED.replace('\r\n', ' \r\n')),
      [400],
      MALFORMED,
    ],
    [
      'a chunk size that overflows',
      () => framed('Transfer-Encoding: chunked', `fffffffffffffffff\r\n${COUNT}`),
      [400],
      MALFORMED,
    ],
    [
      'a chunk of far more than there may be',
      () => framed('Transfer-Encoding: chunked', `ffffffffffff\r\n${COUNT}`),
      [0, 400],
      MALFORMED,
      END,
    ],
    [
      'a chunk without its end',
      () => framed('Transfer-Encoding: chunked', CHUNKED.replace('}\r\n', '}')),
      [400],
      MALFORMED,
    ],
    [
      'chunks with line feeds',
      () => framed('Transfer-Encoding: chunked', CHUNKED.replaceAll('\r', '')),
      [400],
      MALFORMED,
    ],
    [
      'a line feed in the extension of a chunk',
      () => framed('Transfer-Encoding: chunked', CHUNKED.replace('\r\n', ';a\nb\r\n')),
      [400],
      MALFORMED,
    ],
    [
      'an endless extension of a chunk',
      () => framed('Transfer-Encoding: chunked', CHUNKED.replace('\r\n', `;${'a'.repeat(20_000)}\r\n`)),
      [413],
      MALFORMED,
    ],
    [
      'chunks without the last',
      () => framed('Transfer-Encoding: chunked', CHUNKED.slice(0, -5)),
      [0, 400],
      MALFORMED,
      END,
    ],
    [
      'a length in the trailer',
      () => framed('Transfer-Encoding: chunked', CHUNKED.replace('0\r\n\r\n', '0\r\nContent-Length: 3\r\n\r\n')),
      [400],
      MALFORMED,
    ],
    [
      'an endless trailer',
      () =>
        framed(
          'Transfer-Encoding: chunked',
          CHUNKED.replace('0\r\n\r\n', `0\r\n${'A: bcdefgh\r\n'.repeat(20_000)}\r\n`),
        ),
      [400, 431],
      MALFORMED,
    ],
  ]);
});

describe('heads that are none', () => {
  each([
    ['NUL in a header', () => framed(`X-A: a\0b\r\nContent-Length: ${LENGTH}`), [400]],
    ['a bare carriage return', () => framed(`X-A: a\rb\r\nContent-Length: ${LENGTH}`), [400]],
    ['a bare line feed', () => framed(`X-A: a\nContent-Length: ${LENGTH}`), [400]],
    ['nothing but line feeds', () => framed(`Content-Length: ${LENGTH}`).replaceAll('\r\n', '\n'), [400]],
    ['a folded line', () => framed(`X-A: b\r\n c\r\nContent-Length: ${LENGTH}`), [400]],
    ['a space before the colon', () => framed(`X-A : a\r\nContent-Length: ${LENGTH}`), [400]],
    ['a header without a name', () => framed(`: a\r\nContent-Length: ${LENGTH}`), [400]],
    ['a header without a colon', () => framed(`XA\r\nContent-Length: ${LENGTH}`), [400]],
    ['ten thousand headers', () => framed(`${'X: a\r\n'.repeat(10_000)}Content-Length: ${LENGTH}`), [431]],
    ['one endless header', () => framed(`X: ${'a'.repeat(100_000)}\r\nContent-Length: ${LENGTH}`), [431]],
    ['an endless path', () => post({}, `/mcp/${'a'.repeat(100_000)}`), [431]],
    [
      'HTTP/1.2',
      () => rawRequest('POST', '/mcp/counter', { ...welcome(), 'content-length': '2' }, '{}', '1.2'),
      [400, 505],
    ],
    ['HTTP/0.9', () => 'POST /mcp\r\n\r\n', [400, 403, 505]],
    ['HTTP/2 at once', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
    [
      'chunks in HTTP/1.0',
      () => framed('Transfer-Encoding: chunked', CHUNKED).replace('HTTP/1.1', 'HTTP/1.0'),
      [400],
      MALFORMED,
    ],
    ['TLS', () => Buffer.from('16030100c8010000c40303', 'hex'), [400]],
    ['words', () => 'let me in\r\n\r\n', [400]],
    ['a method in lower case', () => post({}, '/mcp/counter', 'post'), [400, 405]],
    ['a method that is none', () => post({}, '/mcp/counter', 'SUMMON'), [400, 405]],
    ['CONNECT', () => bare('CONNECT', {}, `127.0.0.1:${gate.port}`), [405]],
    ['CONNECT to a path', () => bare('CONNECT', {}, '/mcp'), [400, 405]],
    ['TRACE', () => bare('TRACE', {}), [405]],
    ['PUT', () => post({}, '/mcp/counter', 'PUT'), [405]],
    ['PATCH', () => post({}, '/mcp/counter', 'PATCH'), [405]],
    [
      'OPTIONS',
      () => bare('OPTIONS', { origin: 'http://evil.example', 'access-control-request-method': 'POST' }),
      [405],
    ],
  ]);
});

describe('paths that mean another', () => {
  const paths = [
    '/',
    '/mcp/',
    '//mcp',
    '/mcp//counter',
    '/mcp/../mcp',
    '/mcp/./counter',
    '/mcp/%2e%2e/mcp',
    '/mcp/%63ounter',
  ];
  const more = ['/mcp/counter/', '/mcp?a=1', '/mcp#a', '/mcp;a', '/MCP', '/mcp/counter%00', '/mcp/.hidden', '*'];
  each([
    ...[...paths, ...more].map((path): Attack => [path, () => post({}, path), [404]]),
    ['a whole address', () => post({}, `http://127.0.0.1:${gate.port}/mcp`), [404]],
    ['a backslash', () => post({}, '\\mcp'), [400, 404]],
    ['letters beyond ASCII', () => post({}, '/mcp/caf\xe9'), [400, 404]],
  ]);
});

describe('heads that say something else', () => {
  each([
    ['no host', () => post({ host: undefined }), [400]],
    ['the host of somebody else', () => post({ host: 'evil.example' }), [403]],
    ['two hosts', () => post({ Host: 'evil.example' }), [400]],
    ['a foreign page', () => post({ origin: 'http://evil.example' }), [403]],
    ['no credential', () => post({ authorization: undefined }), [401]],
    [
      'a key that is none',
      () => post({ authorization: 'Bearer pck_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }),
      [401],
    ],
    ['two credentials', () => post({ Authorization: gate.bearer.good }), [400]],
    ['plain text', () => post({ 'content-type': 'text/plain' }), [415], MALFORMED],
    ['no content type', () => post({ 'content-type': undefined }), [415], MALFORMED],
    ['a form', () => post({ 'content-type': 'application/x-www-form-urlencoded' }), [415], MALFORMED],
    ['another character set', () => post({ 'content-type': 'application/json; charset=utf-16' }), [415], MALFORMED],
    ['a compressed body', () => post({ 'content-encoding': 'gzip' }), [415], MALFORMED],
    ['no Accept', () => post({ accept: undefined }), [406], MALFORMED],
    ['an Accept without events', () => post({ accept: 'application/json' }), [406], MALFORMED],
    ['an Accept of anything', () => post({ accept: '*/*' }), [406], MALFORMED],
    ['an expectation', () => post({ expect: 'a-miracle' }), [417]],
    ['a socket of another kind', () => post({ connection: 'upgrade', upgrade: 'websocket' }), [405]],
    ['a GET with a body', () => bare('GET', { 'content-length': '3' }), [400], MALFORMED],
    [
      'a revision that is not that of the session',
      () => post({ 'mcp-protocol-version': '2024-11-05' }),
      [400],
      'HEADER_MISMATCH',
    ],
    ['a revision that never was', () => post({ 'mcp-protocol-version': '1999-01-01' }), [400], MALFORMED],
    ['an empty revision', () => post({ 'mcp-protocol-version': '' }), [400], MALFORMED],
    ['two revisions', () => post({ 'MCP-Protocol-Version': REVISION }), [400]],
    ['the revision without sessions', () => post({ 'mcp-protocol-version': '2026-07-28' }), [400], MALFORMED],
  ]);
});

describe('sessions of others', () => {
  const NOT_OURS = 'NOT_INITIALIZED';
  let foreign = '';

  beforeAll(async () => {
    const good = gate.client('good');
    await good.initialize();
    foreign = good.headers['mcp-session-id'] ?? '';
  });

  each([
    ['a session that never was', () => post({ 'mcp-session-id': 'AAAAAAAAAAAAAAAAAAAAAA' }), [404], NOT_OURS],
    ['an empty one', () => post({ 'mcp-session-id': '' }), [404], NOT_OURS],
    ['two at once', () => post({ 'mcp-session-id': `${session}, ${foreign}` }), [404], NOT_OURS],
    ['two headers', () => post({ 'Mcp-Session-Id': foreign }), [400]],
    ["another agent's", () => post({ 'mcp-session-id': foreign }), [404], NOT_OURS],
    ["another agent's, to listen", () => bare('GET', { 'mcp-session-id': foreign }), [404], NOT_OURS],
    [
      "another agent's, to hear again",
      () => bare('GET', { 'mcp-session-id': foreign, 'last-event-id': '1' }),
      [404],
      NOT_OURS,
    ],
    ["another agent's, to end", () => bare('DELETE', { 'mcp-session-id': foreign }), [404], NOT_OURS],
    ['its own on another path', () => post({}, '/mcp'), [404], NOT_OURS],
    ['no session to listen to', () => bare('GET', { 'mcp-session-id': undefined }), [400], NOT_OURS],
    ['no session at all', () => post({ 'mcp-session-id': undefined }), [400], NOT_OURS],
  ]);

  it('and its own with the id of an event: there is nothing to hear again', async () => {
    const connection = await RawConnection.open(gate.port);
    connection.send(bare('GET', { 'last-event-id': '1' }));
    expect(await connection.status()).toBe(200);
    expect(connection.received.split('\r\n\r\n')[1]).toBe('');
    connection.close();
  });
});

describe('connections that do not go on', () => {
  it('hold up nobody, and are forgotten once they are closed', async () => {
    const before = gate.descriptors();
    const begun = [
      'POST /mcp/counter HTTP/1.1\r\nhost: ',
      framed('Content-Length: 100000', '{"jsonrpc":'),
      framed('Transfer-Encoding: chunked', '5\r\n{"jso'),
      framed('Expect: 100-continue\r\nContent-Length: 1000', ''),
      '',
    ];
    const connections = await Promise.all(Array.from({ length: 300 }, () => RawConnection.open(gate.port)));
    for (const [index, connection] of connections.entries()) connection.send(begun[index % begun.length] ?? '');
    await gate.stillServes();
    // Half of them close their writing side only, the others at once.
    for (const [index, connection] of connections.entries()) {
      if (index % 2 === 0) connection.socket.end();
      else connection.close();
    }
    await gate.stillServes();
    for (const connection of connections) connection.close();
    await gate.settlesAt(before + 5);
    // Three of the five had begun a message of somebody known.
    for (let index = 0; index < 180; index++) recorded.push(MALFORMED);
  }, 60_000);

  it('cost no more than they hold, in chunks of a byte', async () => {
    const before = gate.residentBytes();
    const connections = await Promise.all(Array.from({ length: 4 }, () => RawConnection.open(gate.port)));
    for (const connection of connections)
      connection.send(framed('Transfer-Encoding: chunked', '1\r\nx\r\n'.repeat(200_000)));
    await gate.stillServes();
    // Heard behind all that was sent before.
    for (const connection of connections) connection.send('zz\r\n');
    for (const connection of connections) expect(await connection.status()).toBe(400);
    expect(gate.residentBytes() - before).toBeLessThan(150_000_000);
    for (const connection of connections) connection.close();
    recorded.push(...connections.map(() => MALFORMED));
  }, 60_000);

  it('nor do requests of which nobody waits for the answers', async () => {
    const connection = await RawConnection.open(gate.port);
    const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
    const request = framed(`Content-Length: ${list.length}`, list);
    connection.socket.pause();
    connection.send(request.repeat(2_000));
    await gate.stillServes();
    connection.close();
    await gate.stillServes();
  }, 60_000);
});

proves(
  'G8',
  'after all of it nothing was forwarded, each refusal of somebody known is recorded once, and the ledger verifies',
  async () => {
    await gate.stillServes();
    expect(gate.heard()).toEqual([]);
    const codes = (await gate.records('evil', recorded.length)).map(({ code }) => code);
    expect(tally(codes)).toEqual(tally(recorded));
    expect(await gate.stop()).toEqual({ code: 0, complaints: '', verified: 0 });
  },
  60_000,
);
