// Messages that are none, or not for us, in every revision and on every transport: each is told so in the words of its revision, valid by its
// published schema where that has a word for it, recorded once, and never heard by a server.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { LEGACY_VERSIONS } from '../conformance/fixture/legacy.ts';
import { PublishedSchema } from '../conformance/published-schema.ts';
import { proves } from '../guarantees.ts';
import { AttackedGate, tally } from '../support/attacked-gate.ts';
import { BAD_MESSAGES, type BadMessage, NO_MESSAGE, textFor } from '../support/bad-messages.ts';
import { closeInstallations, type RunningCommand } from '../support/cli.ts';
import { RawStdio } from '../support/raw-mcp.ts';
import { vectors } from '../support/vectors.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const MODERN = '2026-07-28';
const here = vectors('mcp-schema') !== undefined;
const schemas = new Map<string, PublishedSchema>();

let gate: AttackedGate;
const recorded: string[] = [];

beforeAll(async () => {
  gate = await AttackedGate.start();
  await gate.stillServes();
}, 60_000);

afterAll(closeInstallations);

/** What a revision's schema says against an error; nothing where it had no word for one without an id. */
function faultsOf(message: JsonObject, revision: string): readonly string[] {
  if (!here || (message.id === null && revision < '2025-11-25')) return [];
  let schema = schemas.get(revision);
  if (schema === undefined) {
    schema = new PublishedSchema(vectors(`mcp-schema/${revision}/schema.json`) ?? '');
    schemas.set(revision, schema);
  }
  // What is said of a tool that was called is its result.
  return 'result' in message
    ? schema.faults(message.result, 'CallToolResult')
    : schema.faults(message, 'JSONRPCErrorResponse', 'JSONRPCError');
}

function isQuiet({ silent, silentWithSessions }: BadMessage, revision: string): boolean {
  return silent === true || (silentWithSessions === true && revision !== MODERN);
}

function expectRefused(said: readonly JsonObject[], message: BadMessage, revision: string): void {
  if (isQuiet(message, revision)) return expect(said).toEqual([]);
  const text = JSON.stringify(said).slice(0, 500);
  expect(said, text).toHaveLength(1);
  const [one = {}] = said;
  const { error, result } = one as { error?: { code: number }; result?: { isError?: boolean } };
  if (result === undefined) expect(error?.code, text).toEqual(expect.any(Number));
  else expect(result.isError, text).toBe(true);
  expect(faultsOf(one, revision), text).toEqual([]);
}

function record({ recorded: [legacy, modern] }: BadMessage, era: 'legacy' | 'modern'): void {
  recorded.push(era === 'legacy' ? legacy : modern);
}

/** The headers that mirror a message, where it can be mirrored. */
function mirrors(text: string | Uint8Array): Record<string, string> {
  let said: { method?: unknown; params?: { name?: unknown; uri?: unknown } };
  try {
    said = JSON.parse(typeof text === 'string' ? text : new TextDecoder().decode(text));
  } catch {
    return {};
  }
  const encoded = (value: unknown): string | undefined => {
    if (typeof value !== 'string' || value === '' || value.length > 1_000) return undefined;
    const isPlain = /^[\x21-\x7e]+$/.test(value);
    return isPlain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
  };
  const method =
    typeof said?.method === 'string' && /^[\x21-\x7e]{1,1000}$/.test(said.method) ? said.method : undefined;
  const name = encoded(said?.params?.name ?? said?.params?.uri);
  return {
    ...(method === undefined ? {} : { 'mcp-method': method }),
    ...(name === undefined ? {} : { 'mcp-name': name }),
  };
}

describe.each(LEGACY_VERSIONS)(`over HTTP at %s${here ? '' : ' (shared vectors are not here)'}`, (revision) => {
  it('each is refused, with the status of HTTP that says so where it answers no request', async () => {
    const client = gate.client('evil');
    const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'evil', version: '1' } };
    const { headers } = await client.post(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
    client.headers['mcp-session-id'] = headers.get('mcp-session-id') ?? '';
    client.headers['mcp-protocol-version'] = revision;
    // The revisions between the first and the last read bytes as their neighbours do.
    const all = revision === '2024-11-05' || revision === '2025-11-25';
    for (const message of all ? BAD_MESSAGES : NO_MESSAGE) {
      const { status, messages } = await client.post(textFor(message, 'legacy') as string);
      expectRefused(messages, message, revision);
      const [said] = messages;
      expect(status, message.name).toBe(said === undefined ? 202 : (said.id ?? null) === null ? 400 : 200);
      record(message, 'legacy');
    }
    await gate.stillServes();
  }, 60_000);

  const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
  const enveloped = textFor(
    { name: '', text: '{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{@"x":1}}', recorded: ['', ''] },
    'modern',
  );
  const count = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"count","arguments":{"by":666}}}';
  it.each([
    ['that is empty', '[]', 'MESSAGE_BATCH', 'MESSAGE_MALFORMED'],
    ['inside a batch', `[[${count}]]`, 'MESSAGE_BATCH', 'MESSAGE_BATCH'],
    ['of both eras', `[${list},${enveloped}]`, 'MESSAGE_BATCH', 'MESSAGE_BATCH'],
    ['that begins', '[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]', 'MESSAGE_BATCH', 'MESSAGE_BATCH'],
    ['of a value', '[1]', 'MESSAGE_BATCH', 'MESSAGE_MALFORMED'],
    ['of a call', `[${count}]`, 'MESSAGE_BATCH', undefined],
  ])('a batch %s', async (name, text, other, batched) => {
    const client = gate.client('evil');
    const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'evil', version: '1' } };
    const { headers } = await client.post(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
    client.headers['mcp-session-id'] = headers.get('mcp-session-id') ?? '';
    const code = revision === '2025-03-26' ? batched : other;
    if (code === undefined) return;
    const { messages } = await client.post(text);
    const [said] = messages.flat() as JsonObject[];
    expect(said, name).toMatchObject({ error: { code: -32600 } });
    recorded.push(code);
  });
});

it(`over HTTP at ${MODERN} each is refused with its status`, async () => {
  for (const message of BAD_MESSAGES) {
    const text = textFor(message, 'modern');
    const mirrored = mirrors(text);
    const client = gate.client('evil', '/counter', { 'mcp-protocol-version': MODERN, ...mirrored });
    const { status, messages } = await client.post(text as string);
    expectRefused(messages, message, MODERN);
    const [said] = messages as readonly { id?: unknown; error?: { code: number } }[];
    if (said === undefined) expect(status, message.name).toBe(202);
    else if (said.id === undefined) expect(status, message.name).toBe(400);
    else if (said.error?.code === -32601) expect(status, message.name).toBe(404);
    // What cannot stand in a header disagrees with it.
    const [, code] = message.recorded;
    recorded.push(said?.error?.code === -32020 ? 'HEADER_MISMATCH' : code);
  }
  await gate.stillServes();
}, 60_000);

it.each(['legacy', 'modern'] as const)(
  'on a WebSocket each is refused, and the conversation goes on (%s)',
  async (era) => {
    const client = new WebSocketClient(`ws://127.0.0.1:${gate.port}/mcp/counter`, {
      headers: { authorization: gate.bearer.evil },
    });
    await client.opened();
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'evil', version: '1' } };
    if (era === 'legacy') client.send(JSON.stringify({ jsonrpc: '2.0', id: 'init', method: 'initialize', params }));
    if (era === 'legacy') await client.until(({ length }) => length === 1);
    for (const message of BAD_MESSAGES) {
      const text = textFor(message, era);
      // Bytes that are no text end a WebSocket.
      if (typeof text !== 'string') continue;
      const before = client.received.length;
      const revision = era === 'legacy' || !isEnveloped(text) ? '2025-11-25' : MODERN;
      const expected = isQuiet(message, revision) ? 0 : 1;
      client.send(text).send(`{"jsonrpc":"2.0","id":"then","method":"x${before}"}`);
      await client.until(({ length }) => length > before + expected);
      const said = client.received.slice(before).map((one) => JSON.parse(one) as JsonObject);
      expectRefused(
        said.filter(({ id }) => id !== 'then'),
        message,
        revision,
      );
      recorded.push('METHOD_UNKNOWN', message.recorded[revision === MODERN ? 1 : 0]);
    }
    client.socket.close();
    await gate.stillServes();
  },
  60_000,
);

function isEnveloped(text: string | Uint8Array): boolean {
  return typeof text === 'string' && text.includes('io.modelcontextprotocol/protocolVersion');
}

proves(
  'G8',
  'after all of it nothing was forwarded, each refusal is recorded once, and the ledger verifies',
  async () => {
    expect(gate.heard()).toEqual([]);
    const codes = (await gate.records('evil', recorded.length)).map(({ code }) => code);
    expect(tally(codes)).toEqual(tally(recorded));
    expect(await gate.stop()).toEqual({ code: 0, complaints: '', verified: 0 });
  },
  60_000,
);

describe('on standard input', () => {
  let running: RunningCommand;

  it('each line is refused by itself, and the next one is read', async () => {
    const { at } = gate;
    const local = { agents: { me: { roles: [], auth: 'local' } } };
    const { servers } = JSON.parse(at.read('home/portcullis.yaml')) as { servers: object };
    const rules = '@id("all") @reason("all") permit (principal, action, resource);';
    const file = at.configure({ ...local, servers }, rules, 'stdio');
    running = at.start(['serve', '--config', file, '--name', 'stdio', '--stdio']);
    const client = new RawStdio(running);
    await client.initialize();
    for (const message of BAD_MESSAGES) {
      const bytes = Buffer.from(textFor(message, 'legacy') as string);
      // A line break would be the end of the line.
      if (bytes.includes(0x0a)) continue;
      client.send(Buffer.concat([bytes, Buffer.from('\n')]));
      // A message of the other era is refused in its words, in the middle of this one.
      if (isEnveloped(textFor(message, 'modern'))) client.send(`${textFor(message, 'modern')}\n`);
    }
    client.send(`${'x'.repeat(5_000_000)}\r\n\r\n`);
    const reply = await client.ask('tools/call', { name: 'counter__echo', arguments: { text: 'still here' } }, 'last');
    expect(JSON.stringify(reply?.result)).toContain('still here');
    running.child.stdin.end();
    expect(await running.ended).toMatchObject({ code: 0 });
    const answered = BAD_MESSAGES.filter(({ silent, silentWithSessions }) => !silent && !silentWithSessions);
    const again = answered.filter((message) => isEnveloped(textFor(message, 'modern')));
    expect(client.stray.length).toBe(answered.length + again.length + 1);
    for (const said of client.stray) expect(faultsOf(said as unknown as JsonObject, '2025-11-25')).toEqual([]);
    expect(gate.heard()).toEqual([]);
    expect(running.stderr).not.toMatch(/at .*:\d+:\d+|Unhandled|Defect/);
    expect(await at.audit(['verify', at.ledger('stdio')])).toMatchObject({ code: 0 });
  }, 60_000);
});
