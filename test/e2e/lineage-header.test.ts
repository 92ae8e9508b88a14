// The token of a chain as a header of HTTP: from the gate to servers that are agents, and back from them, in both eras.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { generateProofKey } from '../support/authorization-server.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { callsOf } from '../support/evidence.ts';
import { exchange } from '../support/raw-exchange.ts';
import { denialOf, INITIALIZE, RawHttp, type RawReply, textOf } from '../support/raw-mcp.ts';
import { RawModern } from '../support/raw-modern.ts';
import { ScriptedAgent } from '../support/scripted-agent.ts';
import { serversThere } from '../support/servers-there.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const KEY = 'dev.portcullis/lineage';
const HEADER = 'portcullis-lineage';
const RULES = `@id("all") @reason("who calls whom is not the question here")
permit (principal, action, resource);
`;

const planner = generateApiKey();
const working = generateApiKey();
const key = await generateProofKey();
const agents = {
  legacy: new ScriptedAgent('legacy'),
  modern: new ScriptedAgent('modern'),
  sse: new ScriptedAgent('sse'),
  tool: new ScriptedAgent('legacy'),
  proving: new ScriptedAgent('legacy'),
};
let at: Installation;
let gate: RunningCommand;
let url: string;
let asPlanner: RawHttp;

beforeAll(async () => {
  at = installation();
  const places = await Promise.all(
    Object.entries(agents).map(
      async ([name, agent]): Promise<[string, JsonObject]> => [
        name,
        { ...(await agent.listen()), ...(name === 'tool' ? {} : { agent: name === 'proving' ? 'prover' : 'worker' }) },
      ],
    ),
  );
  at.configure(
    {
      agents: {
        planner: { auth: { apiKey: planner.digest } },
        worker: { root: false, auth: { apiKey: working.digest } },
        prover: { root: false, auth: { proofKey: key.jkt } },
      },
      servers: Object.fromEntries(places),
    },
    RULES,
  );
  gate = at.start(['serve', '--name', 'header', '--http', '127.0.0.1:0']);
  url = await urlOf(gate);
  await serversThere(url, Object.keys(agents), { authorization: `Bearer ${planner.key}` });
  asPlanner = new RawHttp(url, { authorization: `Bearer ${planner.key}` });
  await asPlanner.initialize();
}, 60_000);

afterAll(async () => {
  await gate?.stop();
  await Promise.all(Object.values(agents).map((agent) => agent.close()));
  await closeInstallations();
});

/** What a client with these headers is answered, in an era, when it calls the tool that is no agent. */
async function tried(era: string, headers: Record<string, string>, meta?: JsonObject): Promise<string> {
  const own = { authorization: `Bearer ${working.key}`, ...headers };
  if (era === 'modern') {
    const reply = await new RawModern(url, own).call('tool__work', {}, meta === undefined ? {} : { meta });
    return denialOf(reply) ?? textOf(reply);
  }
  const client = new RawHttp(url, own);
  await client.initialize();
  const reply = await client.ask('tools/call', {
    name: 'tool__work',
    arguments: {},
    ...(meta === undefined ? {} : { _meta: meta }),
  });
  return denialOf(reply) ?? textOf(reply);
}

describe.each(['legacy', 'modern'])('a lineage token in a header, in the %s era', (era) => {
  proves(
    'G11',
    'counts as one in the message, and is refused where both are there and differ',
    async () => {
      const outcomes: string[] = [];
      const before = agents.tool.calls.length;
      agents.legacy.work = async ({ meta }) => {
        const token = String(meta[KEY]);
        outcomes.push(await tried(era, {}));
        outcomes.push(await tried(era, { [HEADER]: `${token.slice(0, -4)}AAAA` }));
        outcomes.push(await tried(era, { [HEADER]: 'x'.repeat(8_193) }));
        outcomes.push(await tried(era, { [HEADER]: token }, { [KEY]: `${token}x` }));
        outcomes.push(await tried(era, { [HEADER]: token, authorization: `Bearer ${planner.key}` }));
        expect(agents.tool.calls.length).toBe(before);
        outcomes.push(await tried(era, { [HEADER]: token }));
        outcomes.push(await tried(era, { [HEADER]: token }, { [KEY]: token }));
        return 'done';
      };
      expect(textOf(await asPlanner.call('legacy__work', { n: era.length }))).toBe('done');
      expect(outcomes).toEqual([
        'LINEAGE_MISSING',
        'LINEAGE_TOKEN',
        'LINEAGE_TOKEN',
        'LINEAGE_MISMATCH',
        'LINEAGE_BEARER',
        'done',
        'done',
      ]);
    },
    60_000,
  );

  proves(
    'G4',
    'is refused when it comes twice, whatever it says',
    async () => {
      const modern = era === 'modern' ? 'mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n' : '';
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE });
      const head = `POST /mcp HTTP/1.1\r\nhost: ${new URL(url).host}\r\nauthorization: Bearer ${working.key}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n${modern}content-length: ${body.length}\r\n`;
      const port = Number(new URL(url).port);
      const { status, body: said } = await exchange(
        port,
        `${head}${HEADER}: a\r\nPortcullis-Lineage: a\r\n\r\n${body}`,
      );
      expect([status, JSON.parse(said)]).toMatchObject([400, { error: { message: `Repeated header: ${HEADER}` } }]);
      expect((await callsOf(at, 'header')).at(-1)).toMatchObject({ agent: 'worker', code: 'LINEAGE_TOKEN' });
    },
    60_000,
  );
});

proves('G11', 'a token is bound to the key that its agent proves, and to nothing else that it could show', async () => {
  const outcomes: string[] = [];
  agents.proving.work = async ({ headers }) => {
    const token = String(headers[HEADER]);
    outcomes.push(await tried('legacy', { [HEADER]: token }), await tried('modern', { [HEADER]: token }));
    const dpop = await key.prove({ method: 'POST', url, token });
    const reply = await new RawModern(url, { dpop, [HEADER]: token }).call('tool__work', {});
    outcomes.push(denialOf(reply) ?? textOf(reply));
    return 'done';
  };
  expect(textOf(await asPlanner.call('proving__work', {}))).toBe('done');
  expect(outcomes).toEqual(['LINEAGE_BEARER', 'LINEAGE_BEARER', 'done']);
});

describe('a server', () => {
  it.each(['legacy', 'modern', 'sse'] as const)(
    'that is an agent (%s) gets its token in a header too',
    async (flavour) => {
      agents[flavour].work = async () => 'done';
      expect(textOf(await asPlanner.call(`${flavour}__work`, {}))).toBe('done');
      const { headers, meta } = agents[flavour].calls.at(-1) ?? {};
      expect(meta?.[KEY]).toMatch(/^eyJ/);
      expect(headers?.[HEADER]).toBe(meta?.[KEY]);
    },
  );

  it('that is no agent gets none, whatever its client says', async () => {
    const client = new RawHttp(url, { authorization: `Bearer ${planner.key}`, [HEADER]: '' });
    await client.initialize();
    client.headers[HEADER] = 'eyJhbGciOiJFZDI1NTE5In0.e30.AAAA';
    expect(denialOf(await client.call('tool__work', {}))).toBe('LINEAGE_TOKEN');
    expect(
      agents.tool.calls.every(({ headers, meta }) => headers[HEADER] === undefined && meta[KEY] === undefined),
    ).toBe(true);
  });
});

proves('G11', 'a header with which a WebSocket was opened says nothing about the calls on it', async () => {
  const codes: (string | undefined)[] = [];
  agents.legacy.work = async ({ headers }) => {
    const token = String(headers[HEADER]);
    const authorization = `Bearer ${working.key}`;
    const client = new WebSocketClient(url.replace('http', 'ws'), { headers: { authorization, [HEADER]: token } });
    expect(await client.opened()).toBe(101);
    const ask = async (id: number, method: string, params: JsonObject) => {
      client.socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
      const is = (text: string) => (JSON.parse(text) as JsonObject).id === id;
      const received = await client.until((all) => all.some(is), 10_000);
      return JSON.parse(received.find(is) ?? '') as RawReply;
    };
    await ask(1, 'initialize', INITIALIZE);
    codes.push(denialOf(await ask(2, 'tools/call', { name: 'tool__work', arguments: {} })));
    const meta = { [KEY]: token };
    codes.push(denialOf(await ask(3, 'tools/call', { name: 'tool__work', arguments: {}, _meta: meta })));
    client.socket.terminate();
    return 'done';
  };
  expect(textOf(await asPlanner.call('legacy__work', { n: 77 }))).toBe('done');
  expect(codes).toEqual(['LINEAGE_MISSING', undefined]);
});

describe('what tracing says', () => {
  const trace = {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: 'vendor=1',
    baggage: 'user=planner,agent=planner',
  };

  it.each(['legacy', 'modern', 'sse'] as const)(
    'reaches a server (%s) in headers and in the message',
    async (flavour) => {
      agents[flavour].work = async () => 'done';
      const inMessage = { name: `${flavour}__work`, arguments: { n: 7 }, _meta: trace };
      expect(textOf(await asPlanner.ask('tools/call', inMessage))).toBe('done');
      expect(agents[flavour].calls.at(-1)).toMatchObject({ headers: trace, meta: trace });
      const modern = new RawModern(url, { authorization: `Bearer ${planner.key}`, ...trace });
      expect(textOf(await modern.call(`${flavour}__work`, { n: 8 }))).toBe('done');
      expect(agents[flavour].calls.at(-1)).toMatchObject({ headers: trace, meta: trace });
    },
  );

  proves('G11', 'makes no call part of a chain, and nobody somebody else', async () => {
    const codes: string[] = [];
    agents.legacy.work = async () => {
      // The very words of the call that runs.
      codes.push(await tried('legacy', trace), await tried('modern', trace), await tried('legacy', {}, trace));
      return 'done';
    };
    const calling = { name: 'legacy__work', arguments: { n: 9 }, _meta: trace };
    expect(textOf(await asPlanner.ask('tools/call', calling))).toBe('done');
    expect(codes).toEqual(['LINEAGE_MISSING', 'LINEAGE_MISSING', 'LINEAGE_MISSING']);
    // Two chains with one trace have nothing to do with each other.
    const roots = await Promise.all([1, 2].map((n) => asPlanner.ask('tools/call', { ...calling, arguments: { n } })));
    expect(roots.map(textOf)).toEqual(['done', 'done']);
  });
});

it('no token is in the ledger or in what the gate says', () => {
  const tokens = [...agents.legacy.calls, ...agents.modern.calls].map(({ meta }) => String(meta[KEY]));
  expect(tokens.length).toBeGreaterThan(1);
  const kept = [gate.stderr, gate.stdout, ...textsUnder(join(at.home, 'state'))];
  for (const token of tokens) expect(kept.some((text) => text.includes(token))).toBe(false);
});

function textsUnder(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const stat = statSync(path);
    return stat.isDirectory() ? textsUnder(path) : stat.isFile() ? [readFileSync(path, 'latin1')] : [];
  });
}
