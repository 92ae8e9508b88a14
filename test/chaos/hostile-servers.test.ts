// One gate before servers that each misbehave in a way of their own, and one that does not. Every call ends in one recorded way; the gate, its memory and the
// neighbour do not notice.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { type CallEvidence, callsOf, entriesOf } from '../support/evidence.ts';
import { denialOf, RawHttp, type RawReply, textOf } from '../support/raw-mcp.ts';
import { serversThere } from '../support/servers-there.ts';

/** What becomes of the one call of each, and the status of its ending. */
const MODES: Readonly<Record<string, readonly [code: string | undefined, status: string]>> = {
  twice: [undefined, 'completed'],
  'foreign-ids': [undefined, 'completed'],
  'floods-stderr': [undefined, 'completed'],
  'closes-stdin': [undefined, 'completed'],
  silent: ['DEADLINE_EXCEEDED', 'timed_out'],
  'answers-when-cancelled': ['DEADLINE_EXCEEDED', 'timed_out'],
  'progress-forever': ['TOOL_SILENT', 'timed_out'],
  'notifies-forever': ['DEADLINE_EXCEEDED', 'timed_out'],
  'progress-flood': ['TOOL_LOST', 'unknown'],
  'closes-stdout': ['TOOL_LOST', 'unknown'],
  'forks-and-leaves': ['TOOL_LOST', 'unknown'],
  'changes-tools-and-waits': ['LINEAGE_REVOKED', 'aborted'],
  'endless-line': ['OUTPUT_TOO_LARGE', 'withheld'],
  'answers-a-gigabyte': ['OUTPUT_TOO_LARGE', 'withheld'],
  deep: ['OUTPUT_INVALID', 'withheld'],
  'invalid-utf8': ['OUTPUT_INVALID', 'withheld'],
  'schema-explodes': ['OUTPUT_INVALID', 'withheld'],
  'pattern-without-end': ['OUTPUT_INVALID', 'withheld'],
};
const LIMITS: Readonly<Record<string, object>> = {
  'progress-forever': { timeoutMs: 60_000, idleTimeoutMs: 2_000 },
  // A busy machine takes long to give a thread its fifth of a second.
  'schema-explodes': { timeoutMs: 60_000 },
  'pattern-without-end': { timeoutMs: 60_000 },
};
const OVER_HTTP: readonly string[] = ['json', 'events'];

const MIB = 1024 * 1024;
/** What all of them together may cost: threads that check schemas, and what no collector has been at yet. The large answers are 4 GB. */
const MEMORY_MAX = 320 * MIB;
const RULES = '@id("all") @reason("a test") permit (principal, action, resource);\n';

/** Answers calls with a gigabyte: `/json` on the response, `/events` as one event. */
async function flooding(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  const { id, method } = (text === '' ? {} : JSON.parse(text)) as { id?: number; method?: string };
  if (request.method !== 'POST') return void response.writeHead(405).end();
  if (id === undefined) return void response.writeHead(202).end();
  const say = (result: JsonObject) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  if (method === 'initialize')
    return void say({
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'flood', version: '0' },
    });
  if (method === 'tools/list') return void say({ tools: [{ name: 'poke', inputSchema: { type: 'object' } }] });
  const isEvents = request.url === '/events';
  response.writeHead(200, { 'content-type': isEvents ? 'text/event-stream' : 'application/json' });
  response.write(`${isEvents ? 'data: ' : ''}{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"`);
  const closed = once(response, 'close').catch(() => undefined);
  const part = 'x'.repeat(65_536);
  for (let n = 0; n < 16_384 && !response.destroyed; n++) {
    if (!response.write(part)) await Promise.race([once(response, 'drain'), closed]);
  }
  response.end(`"}]}}${isEvents ? '\n\n' : ''}`);
}

describe('a gate before hostile servers', () => {
  let at: Installation;
  let gate: RunningCommand;
  let remote: Server;
  let before = 0;
  let client: RawHttp;
  const replies = new Map<string, RawReply>();
  /** What the neighbour answered while each of them had its call. */
  const beside = new Map<string, RawReply>();
  /** Whose answer came before whose. */
  const order: string[] = [];
  let neighbours: readonly RawReply[] = [];
  let evidence: readonly CallEvidence[] = [];

  const call = (server: string, name: string, args: JsonObject) =>
    client.ask('tools/call', { name: `${server}__${name}`, arguments: args });

  beforeAll(async () => {
    at = installation();
    remote = createServer((request, response) => void flooding(request, response).catch(() => response.destroy()));
    await new Promise<void>((resolve) => remote.listen(0, '127.0.0.1', resolve));
    const { port } = remote.address() as AddressInfo;
    const stdio = (file: string, ...args: string[]) => ({
      stdio: { command: process.execPath, args: [fixtureServer(file), ...args] },
    });
    const limits = { timeoutMs: 6_000 };
    const hostile = Object.keys(MODES).map((mode) => {
      return [mode, { ...stdio('hostile.mjs', mode), limits: { ...limits, ...LIMITS[mode] } }] as const;
    });
    const overHttp = OVER_HTTP.map(
      (path) => [path, { http: { url: `http://127.0.0.1:${port}/${path}`, era: 'legacy' }, limits }] as const,
    );
    const servers = { near: stdio('neighbour.mjs', 'near'), ...Object.fromEntries([...hostile, ...overHttp]) };
    at.configure({ agents: { me: { auth: 'local' } }, servers }, RULES);
    gate = at.start(['serve', '--name', 'gate', '--http', '127.0.0.1:0']);
    const url = await urlOf(gate);
    await serversThere(url, Object.keys(servers));
    client = new RawHttp(url);
    await client.initialize();
    before = peakOf(gate);
    let over = false;
    const poked = Promise.all(
      [...Object.keys(MODES), ...OVER_HTTP].map(async (server) => {
        const [poke, near] = [call(server, 'poke', {}), call('near', 'echo', { text: server })];
        const answered = near.then((reply) => {
          beside.set(server, reply);
          order.push(`beside ${server}`);
        });
        replies.set(server, await poke);
        order.push(server);
        await answered;
      }),
    ).finally(() => {
      over = true;
    });
    // Meanwhile the neighbour is called, one call after the other.
    const near: RawReply[] = [];
    while (!over) near.push(await call('near', 'echo', { text: `${near.length}` }));
    neighbours = near;
    await poked;
    evidence = await callsOf(at, 'gate');
  }, 120_000);
  afterAll(async () => {
    remote.close();
    remote.closeAllConnections();
    await closeInstallations();
  });

  const CASES: readonly (readonly [string, string | undefined, string])[] = [
    ...Object.entries(MODES).map(([mode, [code, status]]) => [mode, code, status] as const),
    ...OVER_HTTP.map((path) => [path, 'OUTPUT_TOO_LARGE', 'withheld'] as const),
  ];
  for (const [server, code, status] of CASES) {
    proves(
      'G6',
      `${server}: the call ends once, ${code ?? 'with its result'}, which is recorded, and the neighbour answers meanwhile`,
      () => {
        const reply = replies.get(server);
        expect(denialOf(reply)).toBe(code);
        const [own, ...more] = evidence.filter((one) => one.intent !== undefined && targetOf(one) === server);
        expect(more).toEqual([]);
        expect(own).toMatchObject({ code, status });
        expect(own?.endings).toHaveLength(1);
        expect(textOf(beside.get(server))).toBe(`near: ${server}`);
        // Of those that go on for long.
        if (status === 'timed_out') expect(order.indexOf(`beside ${server}`)).toBeLessThan(order.indexOf(server));
      },
    );
  }

  it('the neighbour is served all the while', () => {
    expect(neighbours.length).toBeGreaterThan(3);
    expect(neighbours.map((reply) => denialOf(reply))).toEqual(neighbours.map(() => undefined));
  });

  it('the gate keeps none of what they wrote, and is open', async () => {
    expect(peakOf(gate) - before).toBeLessThan(MEMORY_MAX);
    const shut = (await entriesOf(at.ledger('gate'))).filter(
      ({ type, guard }) => type === 'gate.shut' && guard !== 'stall',
    );
    expect(shut).toEqual([]);
    expect((await call('near', 'echo', { text: 'still' })).result).toMatchObject({ content: [{ type: 'text' }] });
  });

  it('the ledger verifies and replays', async () => {
    await gate.stop();
    expect(await at.audit(['verify', at.ledger('gate')])).toMatchObject({ code: 0 });
    expect(await at.audit(['replay', at.ledger('gate')])).toMatchObject({ code: 0 });
  });
});

/** The most memory that it has had so far, in bytes. */
function peakOf({ pid }: RunningCommand): number {
  return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

function targetOf({ intent }: CallEvidence): unknown {
  const [requested] = (intent?.events ?? []) as readonly JsonObject[];
  return requested?.server;
}
