// A thousand conversations that say nothing, and two hundred and fifty-six that speak at once: all hold, each hears its own answer, and the
// ledger has every call.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { proves } from '../guarantees.ts';
import { AttackedGate } from '../support/attacked-gate.ts';
import { closeInstallations } from '../support/cli.ts';
import { INITIALIZE, type RawHttp, textOf } from '../support/raw-mcp.ts';

const SESSIONS = 1_000;
const AT_ONCE = 256;

let gate: AttackedGate;
const clients: RawHttp[] = [];
const listening = new AbortController();

beforeAll(async () => {
  gate = await AttackedGate.start();
  await gate.stillServes();
}, 60_000);

afterAll(async () => {
  listening.abort();
  await closeInstallations();
});

async function opened(): Promise<RawHttp> {
  const client = gate.client('evil');
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: INITIALIZE });
  const { status, headers } = await client.post(body);
  expect(status).toBe(200);
  client.headers['mcp-session-id'] = headers.get('mcp-session-id') ?? '';
  client.headers['mcp-protocol-version'] = INITIALIZE.protocolVersion;
  return client;
}

/** So many at a time, as a machine's clients would come. */
async function inTurns<T>(many: readonly T[], work: (one: T, index: number) => Promise<void>): Promise<void> {
  for (let start = 0; start < many.length; start += 50)
    await Promise.all(many.slice(start, start + 50).map((one, offset) => work(one, start + offset)));
}

it('a thousand sessions of one agent are open, a hundred of them listening, and nobody lost his', async () => {
  const before = gate.residentBytes();
  await inTurns(Array.from({ length: SESSIONS }), async () => {
    clients.push(await opened());
  });
  const streams = await Promise.all(
    clients
      .slice(0, 100)
      .map(({ url, headers }) =>
        fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal: listening.signal }),
      ),
  );
  expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 200));
  expect(new Set(clients.map(({ headers }) => headers['mcp-session-id'])).size).toBe(SESSIONS);
  // Some tens of kilobytes each, and whatever the engine has not collected.
  expect(gate.residentBytes() - before).toBeLessThan(400_000_000);
  await gate.stillServes();
}, 120_000);

proves(
  'G1',
  'two hundred and fifty-six calls at once, of as many sessions or of one, are each answered once and recorded',
  async () => {
    const calls = Array.from({ length: AT_ONCE }, (_, index) => `call ${index}`);
    const ofMany = await Promise.all(
      calls.map((text, index) => (clients[index * 3] as RawHttp).call('echo', { text: `${text} of many` })),
    );
    expect(ofMany.map(textOf)).toEqual(calls.map((text) => `${text} of many`));
    const one = clients.at(-1) as RawHttp;
    const ofOne = await Promise.all(calls.map((text) => one.call('echo', { text: `${text} of one` })));
    expect(ofOne.map(textOf)).toEqual(calls.map((text) => `${text} of one`));
    const records = await gate.records('evil', 2 * AT_ONCE);
    expect(records).toHaveLength(2 * AT_ONCE);
    for (const { status, endings } of records) expect([status, endings.length]).toEqual(['completed', 1]);
  },
  120_000,
);

proves(
  'G9',
  'and afterwards the oldest of the thousand are still there, until the gate ends',
  async () => {
    // Every fifth, from the oldest on.
    const some = clients.filter((_client, index) => index % 5 === 0);
    await inTurns(some, async (client) => {
      expect((await client.ask('ping')).result).toEqual({});
    });
    listening.abort();
    expect(await gate.stop()).toEqual({ code: 0, complaints: '', verified: 0 });
  },
  120_000,
);
