// What 2026-07-28 adds to be got wrong, against a gate that runs: headers that do not say what the body says, states of rounds that are not
// good, streams that are opened by the hundred and closed at any moment. Nothing of it reaches the server, and no other client notices.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { type AgentName, AttackedGate, tally } from '../support/attacked-gate.ts';
import { closeInstallations } from '../support/cli.ts';
import { faultOf } from '../support/modern-schema.ts';
import { exchange } from '../support/raw-exchange.ts';
import { RawConnection, rawRequest } from '../support/raw-http.ts';

const VERSION = '2026-07-28';
const KEY = 'io.modelcontextprotocol/';
const COUNT: JsonObject = { name: 'count', arguments: { by: 666 } };

let gate: AttackedGate;
const recorded: string[] = [];

beforeAll(async () => {
  gate = await AttackedGate.start();
  await gate.stillServes();
}, 60_000);

afterAll(closeInstallations);

type Headers = Record<string, string | undefined>;

interface Said {
  readonly status: number;
  readonly message: JsonObject & { readonly error?: { readonly code: number }; readonly result?: JsonObject };
}

function envelope(more: JsonObject = {}): JsonObject {
  return { [`${KEY}protocolVersion`]: VERSION, [`${KEY}clientCapabilities`]: { roots: {} }, ...more };
}

function request(
  agent: AgentName,
  method: string,
  params: JsonObject,
  headers: Headers = {},
  path = '/counter',
): string {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta: envelope(), ...params } });
  const name = params.name ?? params.uri;
  return rawRequest(
    'POST',
    `/mcp${path}`,
    {
      host: `127.0.0.1:${gate.port}`,
      authorization: gate.bearer[agent],
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'content-length': `${Buffer.byteLength(body)}`,
      'mcp-protocol-version': VERSION,
      'mcp-method': method,
      'mcp-name': typeof name === 'string' ? name : undefined,
      ...headers,
    },
    body,
  );
}

async function say(bytes: string, method = 'tools/call'): Promise<Said> {
  const { status, body } = await exchange(gate.port, Buffer.from(bytes));
  const message = JSON.parse(body) as Said['message'];
  expect(faultOf(message, method)).toBeUndefined();
  return { status, message };
}

async function expectError(bytes: string, status: number, rpc: number, code: string): Promise<void> {
  const said = await say(bytes);
  expect(said, JSON.stringify(said)).toMatchObject({ status, message: { error: { code: rpc } } });
  recorded.push(code);
}

describe('headers that do not say what the body says', () => {
  const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;
  it.each<[string, Headers]>([
    ['no method', { 'mcp-method': undefined }],
    ['an empty method', { 'mcp-method': '' }],
    ['another method', { 'mcp-method': 'tools/list' }],
    ['a method in capitals', { 'mcp-method': 'Tools/Call' }],
    ['a method in Base64 that is another', { 'mcp-method': base64('tools/list') }],
    ['two methods', { 'Mcp-Method': 'tools/call' }],
    ['no name', { 'mcp-name': undefined }],
    ['an empty name', { 'mcp-name': '' }],
    ['another name', { 'mcp-name': 'echo' }],
    ['a name in capitals', { 'mcp-name': 'COUNT' }],
    ['two names', { 'Mcp-Name': 'count' }],
    ['two names that differ', { 'MCP-NAME': 'echo' }],
    ['a name in Base64 that is another', { 'mcp-name': base64('echo') }],
    ['a name in Base64 without its padding', { 'mcp-name': '=?base64?Y291bnQ?=' }],
    ['a name in Base64 with spare bits', { 'mcp-name': '=?base64?Y291bnR=?=' }],
    ['a name in the Base64 of URLs', { 'mcp-name': '=?base64?_-==?=' }],
    ['a name in Base64 that is no UTF-8', { 'mcp-name': '=?base64?//79?=' }],
    ['a name in another spelling of Base64', { 'mcp-name': base64('count').replace('base64', 'BASE64') }],
    ['no version', { 'mcp-protocol-version': undefined }],
    ['a version of sessions', { 'mcp-protocol-version': '2025-11-25' }],
    ['a version that never was', { 'mcp-protocol-version': '2099-01-01' }],
  ])('%s', (_name, headers) => {
    return expectError(request('evil', 'tools/call', COUNT, headers), 400, -32020, 'HEADER_MISMATCH');
  });

  it('two versions', async () => {
    const { status } = await exchange(
      gate.port,
      request('evil', 'tools/call', COUNT, { 'MCP-Protocol-Version': VERSION }),
    );
    expect(status).toBe(400);
  });

  it.each<[string, JsonObject | undefined, number, number]>([
    ['no envelope', {}, 400, -32602],
    ['no capabilities', { [`${KEY}protocolVersion`]: VERSION }, 400, -32602],
    ['capabilities that are a list', envelope({ [`${KEY}clientCapabilities`]: [] }), 400, -32602],
    ['a version that is a number', envelope({ [`${KEY}protocolVersion`]: 20260728 }), 400, -32602],
    ['a client that is a text', envelope({ [`${KEY}clientInfo`]: 'me' }), 400, -32602],
    ['a level that is none', envelope({ [`${KEY}logLevel`]: 'loud' }), 400, -32602],
  ])('an envelope with %s', (_name, meta, status, rpc) =>
    expectError(request('evil', 'tools/call', { ...COUNT, _meta: meta ?? {} }), status, rpc, 'MESSAGE_MALFORMED'),
  );

  it('a version that is not served, said twice alike', () => {
    const bytes = request(
      'evil',
      'tools/call',
      { ...COUNT, _meta: envelope({ [`${KEY}protocolVersion`]: '2099-01-01' }) },
      { 'mcp-protocol-version': '2099-01-01' },
    );
    return expectError(bytes, 400, -32022, 'MESSAGE_MALFORMED');
  });
});

describe('states of rounds', () => {
  const ASK: JsonObject = { name: 'ask', arguments: { method: 'roots/list' } };
  let state: string;
  let key: string;

  beforeAll(async () => {
    const { message } = await say(request('evil', 'tools/call', ASK));
    state = String(message.result?.requestState);
    key = Object.keys(message.result?.inputRequests as JsonObject)[0] ?? '';
  });

  const answered = (more: JsonObject = {}): JsonObject => ({
    ...ASK,
    requestState: state,
    inputResponses: { [key]: { roots: [] } },
    ...more,
  });

  it.each<[string, () => string]>([
    [
      'changed at its end',
      () => request('evil', 'tools/call', answered({ requestState: `${state.slice(0, -4)}AAAA` })),
    ],
    [
      'changed at its beginning',
      () => request('evil', 'tools/call', answered({ requestState: `AAAA${state.slice(4)}` })),
    ],
    ['cut off', () => request('evil', 'tools/call', answered({ requestState: state.slice(0, 40) }))],
    ['with something behind it', () => request('evil', 'tools/call', answered({ requestState: `${state}A` }))],
    ['padded', () => request('evil', 'tools/call', answered({ requestState: `${state}=` }))],
    ['that is empty', () => request('evil', 'tools/call', answered({ requestState: '' }))],
    ['that is an object', () => request('evil', 'tools/call', answered({ requestState: {} }))],
    ['that is null', () => request('evil', 'tools/call', answered({ requestState: null }))],
    ['that is endless', () => request('evil', 'tools/call', answered({ requestState: 'A'.repeat(2_000_000) }))],
    ['made up', () => request('evil', 'tools/call', { ...COUNT, requestState: 'let me in' })],
    ['of another agent', () => request('good', 'tools/call', answered())],
    ['on another path', () => request('evil', 'tools/call', answered({ name: 'counter__ask' }), {}, '')],
    ['of other arguments', () => request('evil', 'tools/call', answered({ arguments: { method: 'ping' } }))],
    ['of another tool', () => request('evil', 'tools/call', { ...answered(), ...COUNT })],
    ['of another method', () => request('evil', 'prompts/get', { name: 'ask', requestState: state })],
  ])('a state %s', async (name, bytes) => {
    const said = await say(bytes());
    expect(said.message, JSON.stringify(said)).toMatchObject({ error: { code: -32602 } });
    if (name !== 'of another agent') recorded.push('REQUEST_STATE_INVALID');
  });

  it.each<[string, () => JsonObject['x']]>([
    ['that are a list', () => []],
    ['that are a text', () => 'yes'],
    ['of which one is a number', () => ({ [key]: 5 })],
    ['that do not fit what was asked', () => ({ [key]: { roots: 'everything' } })],
  ])('answers %s', (_name, inputResponses) =>
    expectError(
      request('evil', 'tools/call', answered({ inputResponses: inputResponses() ?? null })),
      200,
      -32602,
      'MESSAGE_MALFORMED',
    ),
  );

  it('answers to what nobody asked say nothing; a good one goes on with the call once', async () => {
    const { message } = await say(
      request('evil', 'tools/call', answered({ inputResponses: { other: { roots: [] } } })),
    );
    expect(message.result).toMatchObject({ resultType: 'input_required' });
    const used = state;
    state = String(message.result?.requestState);
    key = Object.keys(message.result?.inputRequests as JsonObject)[0] ?? '';
    const done = await say(request('evil', 'tools/call', answered()));
    expect(done.message.result).toMatchObject({ resultType: 'complete' });
    for (const again of [state, used]) {
      const bytes = request('evil', 'tools/call', answered({ requestState: again }));
      await expectError(bytes, 200, -32602, 'REQUEST_STATE_INVALID');
    }
  });
});

describe('a server that this agent may not know of', () => {
  it.each<[string, JsonObject]>([
    ['tools/list', {}],
    ['tools/call', COUNT],
    ['server/discover', {}],
    ['prompts/list', {}],
    ['prompts/get', { name: 'x' }],
    ['resources/read', { uri: 'count://0' }],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'x' }, argument: { name: 'a', value: 'b' } }],
  ])('answers %s as one that is not there', async (method, params) => {
    const [shut, missing] = await Promise.all(
      ['/shut', '/missing'].map(async (path) => say(request('evil', method, params, {}, path), method)),
    );
    expect(shut).toEqual(missing);
  });
});

describe('streams by the hundred', () => {
  const listen = (): string =>
    request('evil', 'subscriptions/listen', { notifications: { toolsListChanged: true, resourceSubscriptions: [] } });

  it('are held or refused, hold up nobody, and leave nothing behind', async () => {
    const before = gate.descriptors();
    const connections = await Promise.all(Array.from({ length: 300 }, () => RawConnection.open(gate.port)));
    for (const connection of connections) connection.send(listen());
    for (const connection of connections)
      await connection.until((received) => received.includes('acknowledged') || received.includes('"error"'), 20_000);
    await gate.stillServes();
    for (const connection of connections) connection.close();
    await gate.settlesAt(before + 5);
    await gate.stillServes();
  }, 60_000);

  it('can be closed at every moment', async () => {
    const before = gate.descriptors();
    const whole = request('evil', 'tools/call', { name: 'sleep', arguments: { ms: 60_000 } });
    for (const bytes of [whole, listen()]) {
      // Before its head, within it, within its body, behind it, and later and later.
      for (const cut of [0, 20, bytes.indexOf('\r\n\r\n'), bytes.length - 5, ...Array<number>(10).fill(bytes.length)]) {
        const connection = await RawConnection.open(gate.port);
        connection.send(bytes.slice(0, cut));
        if (cut === bytes.length) await new Promise((resolve) => setTimeout(resolve, 5 * Math.random()));
        connection.close();
      }
    }
    // A call that was heard is cancelled there too: the next one is not behind sixty seconds of sleep.
    await gate.settlesAt(before + 5);
    await gate.stillServes();
  }, 60_000);
});

proves(
  'G8',
  'after all of it nothing was forwarded that should not be, every refusal is recorded, and the ledger verifies',
  async () => {
    expect(gate.heard()).toEqual([]);
    const refused = ['HEADER_MISMATCH', 'REQUEST_STATE_INVALID'];
    const codes = (await gate.records('evil', recorded.length)).map(({ code }) => code);
    const counted = tally(codes);
    for (const code of refused) expect(counted[code], code).toBe(tally(recorded)[code]);
    expect(counted.MESSAGE_MALFORMED).toBeGreaterThanOrEqual(tally(recorded).MESSAGE_MALFORMED ?? 0);
    expect(await gate.stop()).toEqual({ code: 0, complaints: '', verified: 0 });
  },
  60_000,
);
