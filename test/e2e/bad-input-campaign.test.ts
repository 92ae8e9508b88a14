// Bad input by the dice, over HTTP in both eras, as raw requests and on WebSockets. `BAD_INPUT_CASES` says how many, `BAD_INPUT_SEED` which. Whatever
// comes: the gate lives, what it says is whole, the server hears what the ledger has and nothing else, and the others notice nothing.

import { afterAll, beforeAll, expect } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { LEGACY_VERSIONS } from '../conformance/fixture/legacy.ts';
import { proves } from '../guarantees.ts';
import { AttackedGate, tally } from '../support/attacked-gate.ts';
import { badMessage, badRequest, Dice, type Header } from '../support/campaign.ts';
import { closeInstallations } from '../support/cli.ts';
import { exchange } from '../support/raw-exchange.ts';
import { INITIALIZE } from '../support/raw-mcp.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const CASES = Number(process.env.BAD_INPUT_CASES ?? 120);
const SEED = Number(process.env.BAD_INPUT_SEED ?? 20260728);
const AT_ONCE = 8;
const PATIENCE_MS = 1_500;

let gate: AttackedGate;

beforeAll(async () => {
  gate = await AttackedGate.start();
  await gate.stillServes();
}, 60_000);

afterAll(closeInstallations);

const statuses: Record<string, number> = {};
const odd: string[] = [];

function count(what: string): void {
  statuses[what] = (statuses[what] ?? 0) + 1;
}

/** The messages in a response, one by one; what is none is odd. */
function judge(status: number, body: string, seed: number): void {
  count(`HTTP ${status}`);
  if (status >= 500 && ![501, 503, 505].includes(status))
    odd.push(`case ${seed}: HTTP ${status} ${body.slice(0, 200)}`);
  const texts = body.startsWith('event:') ? [...body.matchAll(/^data: (.*)$/gm)].map(([, text = '']) => text) : [body];
  for (const text of texts.filter((one) => one.trim() !== '')) judgeMessage(text, seed);
}

function judgeMessage(text: string, seed: number): void {
  let said: JsonObject | readonly JsonObject[];
  try {
    said = JSON.parse(text) as JsonObject;
  } catch {
    odd.push(`case ${seed}: not JSON: ${text.slice(0, 200)}`);
    return;
  }
  for (const message of [said].flat() as readonly JsonObject[]) {
    // The description of the resource is no message.
    if (message.jsonrpc !== '2.0' && !('resource' in message))
      odd.push(`case ${seed}: no message: ${text.slice(0, 200)}`);
    if (/\bat .*:\d+:\d+|node_modules|\/tmp\/portcullis/.test(text))
      odd.push(`case ${seed}: tells too much: ${text.slice(0, 300)}`);
  }
}

async function overHttp(dice: Dice, seed: number, sessions: readonly (readonly Header[])[]): Promise<void> {
  const isModern = dice.chance(0.4);
  const body = badMessage(dice, isModern ? 'modern' : 'legacy');
  const said = mirrored(body);
  const session = dice.pick(sessions);
  const modern: readonly Header[] = [['MCP-Protocol-Version', '2026-07-28'], ...said];
  const headers: readonly Header[] = [
    ['Host', `127.0.0.1:${gate.port}`],
    ['Authorization', gate.bearer.evil],
    ['Accept', 'application/json, text/event-stream'],
    ['Content-Type', 'application/json'],
    ...(isModern ? modern : session),
  ];
  const bytes = badRequest(dice, headers, body);
  const {
    status,
    body: answer,
    closed,
  } = await exchange(gate.port, bytes, { end: dice.chance(0.3), withinMs: PATIENCE_MS });
  if (status === 0) count(closed ? 'closed' : 'waits');
  else judge(status, answer, seed);
}

/** The headers that an honest client would send with this body. */
function mirrored(body: Uint8Array): Header[] {
  try {
    const { method, params } = JSON.parse(Buffer.from(body).toString()) as { method?: unknown; params?: JsonObject };
    const name = ['resources/read'].includes(String(method))
      ? params?.uri
      : params?.taskId !== undefined && String(method).startsWith('tasks/')
        ? params.taskId
        : params?.name;
    const isPlain = (text: unknown): text is string => typeof text === 'string' && /^[\x21-\x7e]{1,200}$/.test(text);
    return [
      ...(isPlain(method) ? [['Mcp-Method', method] as const] : []),
      ...(isPlain(name) ? [['Mcp-Name', name] as const] : []),
    ];
  } catch {
    return [];
  }
}

async function onWebSocket(dice: Dice, seed: number): Promise<void> {
  const client = new WebSocketClient(`ws://127.0.0.1:${gate.port}/mcp/counter`, {
    headers: { authorization: gate.bearer.evil },
  });
  await client.opened();
  if (dice.chance(0.7))
    client.send(JSON.stringify({ jsonrpc: '2.0', id: 'init', method: 'initialize', params: INITIALIZE }));
  for (let messages = 1 + dice.below(4); messages > 0; messages--) {
    const bytes = badMessage(dice, dice.chance(0.5) ? 'modern' : 'legacy');
    client.socket.send(bytes, { binary: dice.chance(0.1), fin: !dice.chance(0.05) });
  }
  client.socket.ping();
  const end = Date.now() + PATIENCE_MS;
  const pong = new Promise<void>((resolve) =>
    client.socket.once('pong', () => resolve()).once('close', () => resolve()),
  );
  await Promise.race([pong, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  await new Promise((resolve) => setTimeout(resolve, Math.min(50, Math.max(0, end - Date.now()))));
  count(client.closed === undefined ? 'WebSocket open' : `WebSocket ${client.closed}`);
  for (const text of client.received) judgeMessage(text, seed);
  if (dice.chance(0.5)) client.socket.close();
  else client.socket.terminate();
}

proves(
  'G8',
  `${CASES} cases by the dice leave a gate that serves, hears and records as before`,
  async () => {
    const sessions = await Promise.all(
      LEGACY_VERSIONS.map(async (revision): Promise<readonly Header[]> => {
        const params = { ...INITIALIZE, protocolVersion: revision };
        const { headers } = await gate
          .client('evil')
          .post(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
        return [
          ['Mcp-Session-Id', headers.get('mcp-session-id') ?? ''],
          ['MCP-Protocol-Version', revision],
        ];
      }),
    );
    const good = gate.client('good');
    await good.initialize();
    const listening = new AbortController();
    const stream = await fetch(good.url, {
      headers: { ...good.headers, accept: 'text/event-stream' },
      signal: listening.signal,
    });
    let overheard = '';
    const reading = (async () => {
      for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>)
        overheard += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    const descriptors = gate.descriptors();
    let resident = 0;
    for (let begun = 0; begun < CASES; begun += AT_ONCE) {
      await Promise.all(
        Array.from({ length: Math.min(AT_ONCE, CASES - begun) }, (_, index) => {
          const seed = SEED + begun + index;
          const dice = new Dice(seed);
          return dice.chance(0.2) ? onWebSocket(dice, seed) : overHttp(dice, seed, sessions);
        }),
      );
      if (begun % (AT_ONCE * 8) === 0) await gate.stillServes();
      if (begun < CASES / 2) resident = gate.residentBytes();
    }
    await gate.stillServes();
    await gate.settlesAt(descriptors + 5, 60_000);
    listening.abort();
    await reading;
    const grown = gate.residentBytes() - resident;
    // What was said of evil's calls to the other one's stream would be here.
    expect(overheard.replaceAll(': alive\n\n', '')).toBe('');
    expect(odd).toEqual([]);
    expect((await good.ask('ping')).result).toEqual({});
    const { code, complaints, verified } = await gate.stop();
    expect({ code, complaints, verified }).toEqual({ code: 0, complaints: '', verified: 0 });
    const records = await gate.records('evil');
    const executed = records.filter(({ tool, intent }) => tool === 'count' && intent !== undefined);
    const heard = tally(gate.heard().map((args) => JSON.stringify(args)));
    const begun = tally(executed.map(({ args }) => JSON.stringify(args)));
    const completed = tally(
      executed.filter(({ status }) => status === 'completed').map(({ args }) => JSON.stringify(args)),
    );
    // Nothing is heard that the ledger did not have before; what was given up in between may not have been heard.
    for (const [args, times] of Object.entries(heard)) expect(begun[args], args).toBeGreaterThanOrEqual(times);
    for (const [args, times] of Object.entries(completed)) expect(heard[args], args).toBeGreaterThanOrEqual(times);
    for (const { intent, endings } of records) expect(endings, JSON.stringify(intent)).toHaveLength(1);
    const denials = records.filter(({ code: denied }) => denied !== undefined).length;
    if (process.env.BAD_INPUT_CASES !== undefined) {
      const figures = {
        seed: SEED,
        cases: CASES,
        statuses,
        records: records.length,
        denials,
        executed: executed.length,
        heard: gate.heard().length,
        grown,
      };
      process.stdout.write(`${JSON.stringify(figures)}\n`);
    }
  },
  60_000 + CASES * 400,
);
