// However a client begins, it ends up with its tools and a governed call: the first messages of clients that are widely used, and of some that
// nobody would write, on standard input and over HTTP, in front of a real gate and a real server.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { closeInstallations, type RunningCommand } from '../support/cli.ts';
import { type CounterGate, counterGate, urlOf } from '../support/counter-gate.ts';
import { callsOf, heardIn } from '../support/evidence.ts';
import { CLIENTS, type FirstMessages, type Said } from '../support/first-messages.ts';

const ONLY_COUNT = `@id("count")
@reason("counting is harmless")
permit (principal, action == Portcullis::Action::"counter/count", resource == Portcullis::Server::"counter");
`;
const TOOL = 'counter__count';
const MODERN = '2026-07-28';

/** One client, however its messages travel. */
interface Way {
  /** Resolves with the answer of a request; a notification has none. */
  say(message: JsonObject): Promise<JsonObject | undefined>;
  /** Called once the revision is agreed. */
  agreed(revision: string): Promise<void>;
  close(): Promise<void>;
}

let gate: CounterGate;
let http: RunningCommand;
let url: string;

beforeAll(async () => {
  gate = counterGate({ rules: ONLY_COUNT });
  http = gate.at.start(['serve', '--name', 'http', '--http', '127.0.0.1:0']);
  url = await urlOf(http);
}, 60_000);

afterAll(closeInstallations);

describe.each(CLIENTS)('$client', (client) => {
  const by = CLIENTS.indexOf(client) + 1;

  it('is served on standard input', async () => {
    const name = `stdio-${by}`;
    const running = gate.at.start(['serve', '--name', name, '--stdio']);
    await converse(client, overStdio(running, client), by);
    expect((await running.stop()).code).toBe(0);
    await expectGoverned(name, by);
  }, 30_000);

  it('is served over HTTP', async () => {
    for (const { path, headers = {} } of client.http?.looks ?? []) {
      const look = await fetch(new URL(path, url), { headers });
      expect(look.status).toBeGreaterThanOrEqual(400);
      expect(look.status).toBeLessThan(500);
      await look.body?.cancel();
    }
    await converse(client, overHttp(client), 100 + by);
    await expectGoverned('http', 100 + by);
  }, 30_000);
});

/** The whole conversation; `by` is what this client counts by, and nobody else. */
async function converse(client: FirstMessages, way: Way, by: number): Promise<void> {
  const { hello, before = [], between = [], after = [], meta, firstId = 1 } = client;
  let last = firstId;
  const request = ({ method, params, notification, id: own }: Said): JsonObject => {
    const id = own ?? last;
    if (notification === undefined && own === undefined) last = typeof last === 'number' ? last + 1 : `${last}+`;
    return { jsonrpc: '2.0', ...(notification ? {} : { id }), method, ...(params === undefined ? {} : { params }) };
  };
  for (const said of before) await way.say(request(said));
  const listMeta = hello === undefined ? meta : client.listMeta;
  const list = { method: 'tools/list', ...(listMeta === undefined ? {} : { params: { _meta: listMeta } }) };
  if (hello !== undefined) {
    const greeting = way.say(request({ method: 'initialize', params: hello }));
    if (client.atOnce === undefined) await greet(client, greeting, way);
    const waiting = between.map((said) => way.say(request(said)));
    const answers = await Promise.all(waiting);
    // What it asks for on the way is answered, be there anything or not. A second hello changes nothing.
    for (const [index, { method, notification }] of between.entries()) {
      if (notification !== undefined) expect(answers[index]).toBeUndefined();
      else expect(answers[index]).toHaveProperty(method === 'initialize' ? 'error' : 'result');
    }
    if (client.atOnce !== undefined) await greet(client, greeting, way);
  }
  const listed = await way.say(request(list));
  expect((listed?.result as JsonObject | undefined)?.tools, JSON.stringify(listed)).toMatchObject([{ name: TOOL }]);
  const params = { name: TOOL, arguments: { by }, ...(meta === undefined ? {} : { _meta: meta }) };
  const called = await way.say(request({ method: 'tools/call', params }));
  expect(called?.result, JSON.stringify(called)).toMatchObject({
    content: [{ type: 'text', text: expect.stringMatching(/^\d+$/) }],
    _meta: { 'dev.portcullis/receipt': {} },
  });
  for (const said of after) await way.say(request(said));
  await way.close();
}

async function greet(client: FirstMessages, greeting: Promise<JsonObject | undefined>, way: Way): Promise<void> {
  const { agreed = client.hello?.protocolVersion } = client;
  const { result } = (await greeting) as { result?: JsonObject };
  expect(result).toMatchObject({ protocolVersion: agreed, capabilities: { tools: {} }, serverInfo: {} });
  await way.agreed(String(agreed));
}

/** The tool heard the call once, and the ledger of the gate has it with its ending. */
async function expectGoverned(name: string, by: number): Promise<void> {
  expect(heardIn(gate.heard).filter((args) => args.by === by)).toHaveLength(1);
  const calls = (await callsOf(gate.at, name)).filter(({ args }) => (args as JsonObject | undefined)?.by === by);
  expect(calls).toMatchObject([{ agent: 'me', status: 'completed' }]);
  expect(calls[0]?.intent).toBeDefined();
}

function overStdio(running: RunningCommand, { lineEnd = '\n' }: FirstMessages): Way {
  const waiting = new Map<unknown, (answer: JsonObject) => void>();
  let rest = '';
  running.child.stdout.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as JsonObject;
      // A stream that stays open says first what it listens to.
      const { params } = message as { params?: { _meta?: JsonObject } };
      const id = message.id ?? params?._meta?.['io.modelcontextprotocol/subscriptionId'];
      waiting.get(id)?.(message);
    }
  });
  return {
    say: (message) => {
      running.child.stdin.write(`${JSON.stringify(message)}${lineEnd}`);
      if (message.id === undefined) return Promise.resolve(undefined);
      const ended = running.ended.then(({ stderr }) => Promise.reject(new Error(stderr)));
      return Promise.race([new Promise<JsonObject>((resolve) => waiting.set(message.id, resolve)), ended]);
    },
    agreed: async () => {},
    close: async () => {},
  };
}

function overHttp({ hello, http: spoken = {} }: FirstMessages): Way {
  const { accept = 'application/json, text/event-stream', contentType = 'application/json' } = spoken;
  const headers: Record<string, string> = { accept, 'content-type': contentType };
  const over = new AbortController();
  let first: Promise<unknown> = Promise.resolve();
  const post = async (message: JsonObject): Promise<JsonObject | undefined> => {
    const own = isModern(message) ? mirrored(message) : headers;
    const body = JSON.stringify(message);
    const response = await fetch(url, { method: 'POST', headers: { ...headers, ...own }, body, signal: over.signal });
    const session = response.headers.get('mcp-session-id');
    if (session !== null) headers['mcp-session-id'] = session;
    if (message.method === 'subscriptions/listen') return undefined;
    const text = await response.text();
    if (text === '') return undefined;
    const events = text.startsWith('{') ? [text] : [...text.matchAll(/^data: ?(.+)$/gm)].map(([, data = '']) => data);
    return events.map((event) => JSON.parse(event) as JsonObject).find(({ id }) => id === message.id);
  };
  return {
    say: (message) => {
      // Nobody can name a session that is not there yet.
      const answer = first.then(() => post(message));
      if (message.method === 'initialize') first = answer;
      return answer;
    },
    agreed: async (revision) => {
      if (spoken.namesRevision !== false) headers['mcp-protocol-version'] = revision;
      if (spoken.listens === undefined) return;
      const stream = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal: over.signal });
      expect(stream.status).toBe(200);
    },
    close: async () => {
      if (spoken.deletes !== undefined) {
        const gone = await fetch(url, { method: 'DELETE', headers });
        expect(gone.ok).toBe(true);
        const after = await fetch(url, {
          method: 'POST',
          headers,
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
        });
        expect(after.status).toBe(404);
      }
      over.abort();
      expect(hello === undefined).toBe(headers['mcp-session-id'] === undefined);
    },
  };
}

function isModern({ params }: JsonObject): boolean {
  const { _meta: meta } = (params ?? {}) as { _meta?: JsonObject };
  return meta?.['io.modelcontextprotocol/protocolVersion'] === MODERN;
}

/** What the newer revision repeats in headers. */
function mirrored({ method, params }: JsonObject): Record<string, string> {
  const { name } = params as JsonObject;
  const named = typeof name === 'string' ? { 'mcp-name': name } : {};
  return { 'mcp-protocol-version': MODERN, 'mcp-method': String(method), ...named };
}
