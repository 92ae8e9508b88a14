// WebSockets that break the rules of their protocol, on raw sockets, to a gate that runs: each ends with the code that says why, is on the
// record where it was about a message, and no other conversation notices.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { proves } from '../guarantees.ts';
import { type AgentName, AttackedGate, tally } from '../support/attacked-gate.ts';
import { closeInstallations } from '../support/cli.ts';
import { exchange } from '../support/raw-exchange.ts';
import { RawConnection, rawRequest } from '../support/raw-http.ts';
import { frame, WebSocketClient } from '../support/web-socket-client.ts';

const TEXT = 0x81;
const BINARY = 0x82;
const BEGINNING = 0x01;
const CONTINUATION = 0x00;
const PING = 0x89;
const COUNT = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"by":666}}}';

let gate: AttackedGate;
const recorded: string[] = [];

beforeAll(async () => {
  gate = await AttackedGate.start();
  await gate.stillServes();
}, 60_000);

afterAll(closeInstallations);

type Headers = Record<string, string | undefined>;

function upgrade(headers: Headers = {}, path = '/mcp/counter', agent: AgentName = 'evil', method = 'GET'): string {
  return rawRequest(method, path, {
    host: `127.0.0.1:${gate.port}`,
    authorization: gate.bearer[agent],
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'mcp',
    ...headers,
  });
}

/** A conversation that has been accepted; nothing of the upgrade is left in what it received. */
async function opened(): Promise<RawConnection> {
  const connection = await RawConnection.open(gate.port);
  connection.send(upgrade());
  expect(await connection.status()).toBe(101);
  connection.received = '';
  return connection;
}

/** The code of the close frame at the end of what came. */
function closeCode(received: string): number | undefined {
  const at = received.lastIndexOf('\x88');
  return at === -1 ? undefined : received.charCodeAt(at + 2) * 256 + received.charCodeAt(at + 3);
}

describe('what is no request for one', () => {
  it.each<[string, number, Headers, string?, string?]>([
    ['no subprotocol', 400, { 'sec-websocket-protocol': undefined }],
    ['another subprotocol', 400, { 'sec-websocket-protocol': 'graphql-ws' }],
    ['a subprotocol in capitals', 400, { 'sec-websocket-protocol': 'MCP' }],
    ['no key', 400, { 'sec-websocket-key': undefined }],
    ['a key that is none', 400, { 'sec-websocket-key': 'x' }],
    ['an old version', 426, { 'sec-websocket-version': '8' }],
    ['a foreign page', 403, { origin: 'http://evil.example' }],
    ['a foreign host', 403, { host: 'evil.example' }],
    ['no credential', 401, { authorization: undefined }],
    ['another path', 404, {}, '/mcp/../mcp'],
    ['a body', 400, { 'content-length': '5' }],
    ['POST', 405, {}, '/mcp/counter', 'POST'],
  ])('%s', async (_name, status, headers, path, method) => {
    const bytes = upgrade(headers, path, 'evil', method);
    expect((await exchange(gate.port, bytes)).status).toBe(status);
  });

  it('half a request', async () => {
    const { status } = await exchange(gate.port, upgrade().slice(0, -10), { end: true });
    expect([0, 400]).toContain(status);
  });
});

describe('frames that break the rules', () => {
  it.each<[string, number, string, () => Buffer[]]>([
    ['bytes', 1003, 'MESSAGE_MALFORMED', () => [frame(BINARY, COUNT)]],
    ['no mask', 1002, 'MESSAGE_MALFORMED', () => [frame(TEXT, COUNT, undefined, false)]],
    ['a reserved bit', 1002, 'MESSAGE_MALFORMED', () => [frame(0xc1, COUNT)]],
    ['a reserved opcode', 1002, 'MESSAGE_MALFORMED', () => [frame(0x8b, COUNT)]],
    ['a continuation of nothing', 1002, 'MESSAGE_MALFORMED', () => [frame(0x80, COUNT)]],
    ['a beginning within a message', 1002, 'MESSAGE_MALFORMED', () => [frame(BEGINNING, '{'), frame(TEXT, COUNT)]],
    ['a ping in pieces', 1002, 'MESSAGE_MALFORMED', () => [frame(0x09, 'x')]],
    ['an endless ping', 1002, 'MESSAGE_MALFORMED', () => [frame(PING, 'x'.repeat(126))]],
    ['a close of one byte', 1002, 'MESSAGE_MALFORMED', () => [frame(0x88, 'x')]],
    ['a close with a code that is none', 1002, 'MESSAGE_MALFORMED', () => [frame(0x88, Buffer.from([0, 1]))]],
    ['text that is no UTF-8', 1007, 'MESSAGE_MALFORMED', () => [frame(TEXT, Buffer.from([0xc0, 0x80]))]],
    ['more than a message may have', 1009, 'MESSAGE_TOO_LARGE', () => [frame(TEXT, 'x'.repeat(5_000_000))]],
    ['a length beyond all messages', 1009, 'MESSAGE_TOO_LARGE', () => [frame(TEXT, '', 2 ** 50)]],
    ['a length beyond all numbers', 1009, 'MESSAGE_TOO_LARGE', () => [frame(TEXT, '', 2 ** 62)]],
    [
      'pieces without an end',
      1008,
      'MESSAGE_MALFORMED',
      () => [frame(BEGINNING, ''), Buffer.concat(Array(6_000).fill(frame(CONTINUATION, '')))],
    ],
    [
      'large pieces without an end',
      1009,
      'MESSAGE_TOO_LARGE',
      () => [frame(BEGINNING, '{'), ...Array(6).fill(frame(CONTINUATION, 'x'.repeat(1_000_000)))],
    ],
  ])('%s', async (_name, code, how, frames) => {
    const connection = await opened();
    for (const bytes of frames()) connection.send(bytes);
    // Whatever comes behind it is not heard any more.
    connection.send(frame(TEXT, COUNT));
    await connection.until(() => false, 10_000);
    expect(closeCode(connection.received)).toBe(code);
    connection.close();
    recorded.push(how);
    await gate.stillServes();
  });
});

describe('what is allowed and still not kind', () => {
  it('a flood of pings is answered and harms nobody', async () => {
    const connection = await opened();
    connection.send(Buffer.concat(Array(20_000).fill(frame(PING, 'x'.repeat(100)))));
    await gate.stillServes();
    connection.send(frame(TEXT, '{"jsonrpc":"2.0","id":1,"method":"tools/execute"}'));
    await connection.until((received) => received.includes('"error"'), 20_000);
    recorded.push('METHOD_UNKNOWN');
    connection.close();
  });

  it('a flood of pings whose answers nobody reads', async () => {
    const before = gate.residentBytes();
    const connections = await Promise.all(Array.from({ length: 5 }, () => opened()));
    for (const connection of connections) {
      connection.socket.pause();
      connection.send(Buffer.concat(Array(50_000).fill(frame(PING, 'x'.repeat(120)))));
    }
    await gate.stillServes();
    for (const connection of connections) connection.close();
    await gate.stillServes();
    expect(gate.residentBytes() - before).toBeLessThan(300_000_000);
  }, 60_000);

  it('hundreds that say nothing, or half a frame, or go away', async () => {
    const before = gate.descriptors();
    const connections = await Promise.all(Array.from({ length: 200 }, () => opened()));
    for (const [index, connection] of connections.entries()) {
      if (index % 4 === 1) connection.send(frame(TEXT, '{', 1_000_000));
      if (index % 4 === 2) connection.send(frame(BEGINNING, '{"jsonrpc"'));
      if (index % 4 === 3) connection.socket.end();
    }
    await gate.stillServes();
    for (const connection of connections) connection.close();
    await gate.settlesAt(before + 5);
    await gate.stillServes();
  }, 60_000);

  it('a server that this agent may not know of is as one that is not there', async () => {
    const [shut, missing] = await Promise.all(
      ['/shut', '/missing'].map(async (path) => {
        const client = new WebSocketClient(`ws://127.0.0.1:${gate.port}/mcp${path}`, {
          headers: { authorization: gate.bearer.evil },
        });
        await client.opened();
        const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
        client.send(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
        await client.until(({ length }) => length === 1);
        client.send('{"jsonrpc":"2.0","id":1,"method":"tools/list"}');
        await client.until(({ length }) => length === 2);
        client.send(COUNT);
        const said = await client.until(({ length }) => length === 3);
        client.socket.close();
        return said;
      }),
    );
    expect(shut).toEqual(missing);
    recorded.push('TOOL_UNKNOWN', 'TOOL_UNKNOWN');
  });
});

proves(
  'G8',
  'after all of it nothing was forwarded, every refused frame is recorded once, and the ledger verifies',
  async () => {
    await gate.stillServes();
    expect(gate.heard()).toEqual([]);
    const codes = (await gate.records('evil', recorded.length)).map(({ code }) => code);
    expect(tally(codes)).toEqual(tally(recorded));
    expect(await gate.stop()).toEqual({ code: 0, complaints: '', verified: 0 });
  },
  60_000,
);
