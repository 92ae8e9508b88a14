// Every way in and every way out at once: one gate in front of the same server behind each transport, and a real client library on a WebSocket.

import { readFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { type HttpCounter, startHttpCounter } from '../fixtures/servers/http-counter.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { metaOf } from '../support/sdk-clients.ts';
import { serversThere } from '../support/servers-there.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const TRANSPORTS = ['stdio', 'http', 'sse', 'ws'] as const;
const RULES = TRANSPORTS.map(
  (name) => `@id("${name}-count") @reason("counting and echoing are harmless")
permit (principal, action in [Portcullis::Action::"${name}/count", Portcullis::Action::"${name}/echo"],
  resource == Portcullis::Server::"${name}");
`,
).join('\n');

const developer = generateApiKey();
let at: Installation;
let gate: RunningCommand;
let url: string;
const counters: HttpCounter[] = [];
const clients: Client[] = [];

beforeAll(async () => {
  at = installation();
  const start = async (file: 'http-counter.mjs' | 'sse-counter.mjs' | 'ws-counter.mjs', heard: string) => {
    const counter = await startHttpCounter({ COUNTER_FILE: at.path(heard) }, file);
    counters.push(counter);
    return counter.port;
  };
  const http = await start('http-counter.mjs', 'http.jsonl');
  const sse = await start('sse-counter.mjs', 'sse.jsonl');
  const ws = await start('ws-counter.mjs', 'ws.jsonl');
  at.configure(
    {
      agents: { coder: { roles: [], auth: { apiKey: developer.digest } } },
      servers: {
        stdio: { stdio: { command: process.execPath, args: [fixtureServer('counter.mjs'), at.path('stdio.jsonl')] } },
        http: { http: { url: `http://127.0.0.1:${http}/mcp` } },
        sse: { sse: { url: `http://127.0.0.1:${sse}/sse`, headers: { 'X-Team': { env: 'TEAM' } } } },
        ws: { ws: { url: `ws://127.0.0.1:${ws}/mcp`, auth: { env: 'TEAM' } } },
      },
    },
    RULES,
  );
  gate = at.start(['serve', '--name', 'all', '--http', '127.0.0.1:0'], { env: { TEAM: 'tools' } });
  const address = await urlOf(gate);
  await serversThere(address, TRANSPORTS, { authorization: `Bearer ${developer.key}` });
  url = address.replace('http:', 'ws:');
}, 60_000);

afterAll(async () => {
  for (const client of clients) await client.close();
  await gate?.stop();
  for (const counter of counters) await counter.stop();
  await closeInstallations();
  vi.unstubAllGlobals();
});

/** The library takes the browser's WebSocket, which cannot send a credential; this one does. */
async function connect(path = ''): Promise<Client> {
  class Authorized extends WebSocket {
    constructor(address: string | URL, protocols: string) {
      super(address, protocols, { headers: { authorization: `Bearer ${developer.key}` } });
    }
  }
  vi.stubGlobal('WebSocket', Authorized);
  const client = new Client({ name: 'older', version: '0' });
  const transport = new WebSocketClientTransport(new URL(`${url}${path}`));
  await client.connect(transport as Parameters<Client['connect']>[0]);
  clients.push(client);
  return client;
}

describe('a client on a WebSocket', () => {
  proves('G4', 'is not let in without a credential', async () => {
    const stranger = new WebSocketClient(url);
    expect(await stranger.opened()).toBe(401);
    const lured = new WebSocketClient(url, {
      headers: { authorization: `Bearer ${developer.key}` },
      origin: 'http://evil.example',
    });
    expect(await lured.opened()).toBe(403);
  });

  proves('G9', 'sees what some rule could allow it, of every server', async () => {
    const { tools } = await (await connect()).listTools();
    expect(tools.map(({ name }) => name).sort()).toEqual(
      TRANSPORTS.flatMap((name) => [`${name}__count`, `${name}__echo`]).sort(),
    );
  });

  it.each(TRANSPORTS)('calls a tool behind %s, and what is denied does not happen', async (name) => {
    const client = await connect();
    await expect(client.callTool({ name: `${name}__die`, arguments: {} })).rejects.toThrow(/Unknown tool/);
    const called = await client.callTool({ name: `${name}__count`, arguments: { by: 3 } });
    expect(called.content).toEqual([{ type: 'text', text: '1' }]);
    expect(metaOf(JSON.parse(JSON.stringify(called)), 'receipt')).toBeDefined();
    expect(readFileSync(at.path(`${name}.jsonl`), 'utf8')).toBe('{"by":3}\n');
  });

  it('speaks with one server by its own names', async () => {
    const client = await connect('/ws');
    const { content } = await client.callTool({ name: 'echo', arguments: { text: 'é€' } });
    expect(content).toEqual([{ type: 'text', text: 'é€' }]);
  });

  proves('G6', 'whose frame is refused is closed, and that is in a ledger that verifies', async () => {
    const client = new WebSocketClient(url, { headers: { authorization: `Bearer ${developer.key}` } });
    await client.opened();
    client.socket.send(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"ping"}'));
    expect(await client.end()).toBe(1003);
    expect(client.received.join()).toContain('"code":-32600');
    const log = await at.run(['log', at.ledger('all'), '--denied']);
    expect(log.stdout).toMatch(/coder .*MESSAGE_MALFORMED: .*binary frame/);
    expect(await gate.stop()).toMatchObject({ code: 0 });
    expect(await at.audit(['verify', at.ledger('all')])).toMatchObject({ code: 0 });
  });
});
