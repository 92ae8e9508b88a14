// Bytes that no honest peer would send, into a real gate from both sides. It never ends, never lets one through, and goes on serving; what it
// refuses is in the ledger, and the ledger replays.

import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, installation } from '../support/cli.ts';
import { type CounterGate, counterGate } from '../support/counter-gate.ts';
import { callsOf, heardIn } from '../support/evidence.ts';
import { goneWithin } from '../support/processes.ts';
import { denialOf, type RawHttp, RawStdio, textOf } from '../support/raw-mcp.ts';

afterEach(closeInstallations);

const COUNT = '"method":"tools/call","params":{"name":"count","arguments":{"by":666}}';
const bytes = (...parts: (string | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

/** Messages that would call the tool if a reader were kind, and others that are nothing at all. None ends with a line break. */
const GARBAGE: Readonly<Record<string, Buffer>> = {
  'not JSON': bytes('hello'),
  'half a message': bytes(`{"jsonrpc":"2.0","id":1,${COUNT}`),
  'two messages in one': bytes(`{"jsonrpc":"2.0","id":1,${COUNT}}{"jsonrpc":"2.0","id":2,${COUNT}}`),
  'bytes behind the message': bytes(`{"jsonrpc":"2.0","id":1,${COUNT}}`, [0]),
  'a byte order mark': bytes([0xef, 0xbb, 0xbf], `{"jsonrpc":"2.0","id":1,${COUNT}}`),
  'UTF-16': Buffer.from(Buffer.from(`{"jsonrpc":"2.0","id":1,${COUNT}}`, 'utf16le').filter((byte) => byte !== 10)),
  'all bytes but line breaks': Buffer.from(Array.from({ length: 256 }, (_, at) => at).filter((at) => at !== 10)),
  'invalid UTF-8': bytes(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count`, [0xc3, 0x28], '"}}'),
  'overlong UTF-8': bytes('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"c', [0xc1, 0xaf], 'unt"}}'),
  'a lone surrogate': bytes(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"\\ud800"}}}`,
  ),
  'a duplicate member': bytes(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"count","arguments":{}}}`,
  ),
  'an escaped duplicate': bytes(
    `{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call","params":{"name":"count"}}`,
  ),
  __proto__: bytes(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"__proto__":{"by":1}}}}`,
  ),
  'a number too large': bytes(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"by":9007199254740993}}}',
  ),
  'an infinite number': bytes(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"by":1e400}}}',
  ),
  'another case': bytes('{"jsonrpc":"2.0","id":1,"METHOD":"tools/call","params":{"name":"count"}}'),
  'jsonrpc 1.0': bytes(`{"jsonrpc":"1.0","id":1,${COUNT}}`),
  'no jsonrpc': bytes(`{"id":1,${COUNT}}`),
  'an id that is an object': bytes(`{"jsonrpc":"2.0","id":{},${COUNT}}`),
  'an id with a fraction': bytes(`{"jsonrpc":"2.0","id":1.5,${COUNT}}`),
  'a call without an id': bytes(`{"jsonrpc":"2.0",${COUNT}}`),
  'an id of null': bytes(`{"jsonrpc":"2.0","id":null,${COUNT}}`),
  'a call that is also an answer': bytes(`{"jsonrpc":"2.0","id":1,"result":{},${COUNT}}`),
  'a batch': bytes(`[{"jsonrpc":"2.0","id":1,${COUNT}}]`),
  'an empty batch': bytes('[]'),
  'arguments that are a list': bytes(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":[]}}',
  ),
  'a name that is a list': bytes('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["count"]}}'),
  'another name of the tool': bytes(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"counter__count"}}',
  ),
  'the method with a space': bytes('{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"count"}}'),
  'a call as a task': bytes(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{},"task":{}}}',
  ),
  'our own _meta': bytes(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","_meta":{"dev.portcullis/receipt":{}}}}',
  ),
  'lists in lists': bytes('['.repeat(100_000)),
  'objects in objects': bytes('{"a":'.repeat(50_000), '1', '}'.repeat(50_000)),
  'deep arguments': bytes(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"by":${'['.repeat(200)}${']'.repeat(200)}}}}`,
  ),
  'many values': bytes(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"by":[${'0,'.repeat(300_000)}0]}}}`,
  ),
  'a line of 5 MiB': Buffer.alloc(5 * 1024 * 1024, 'x'),
  'a call of 5 MiB': bytes(`{"jsonrpc":"2.0","id":1,${COUNT},"pad":"${'x'.repeat(5 * 1024 * 1024)}"}`),
};

/** The gate still serves, executed nothing but what is good, and recorded each refusal. */
async function expectUnmoved(counter: CounterGate, call: (by: number) => Promise<string>): Promise<void> {
  expect(await call(1)).toBe('1');
  expect(heardIn(counter.heard)).toEqual([{ by: 1 }]);
  const calls = await callsOf(counter.at, 'counter');
  expect(calls.filter(({ endings }) => endings.length !== 1)).toEqual([]);
  expect(calls.filter(({ intent }) => intent !== undefined)).toHaveLength(1);
}

async function expectReplay(counter: Pick<CounterGate, 'at'>, gate = 'counter'): Promise<void> {
  expect(await counter.at.audit(['verify', counter.at.ledger(gate)])).toMatchObject({ code: 0 });
  const replayed = await counter.at.audit(['replay', counter.at.ledger(gate), '--json']);
  expect(replayed).toMatchObject({ code: 0 });
  expect(JSON.parse(replayed.stdout)).toMatchObject({ differences: [] });
}

describe('on standard input', () => {
  proves(
    'G8',
    'no garbage reaches a tool or ends the gate, and each piece is refused on the record',
    async () => {
      const counter = counterGate();
      const client = await counter.wrapped();
      for (const garbage of Object.values(GARBAGE)) client.send(Buffer.concat([garbage, Buffer.from('\n')]));
      await expectUnmoved(counter, async (by) => textOf(await client.call('count', { by })));
      // What cannot be answered is at least recorded; everything but the call that is a notification has been answered.
      const calls = await callsOf(counter.at, 'counter');
      expect(calls.filter(({ code }) => code !== undefined)).toHaveLength(Object.keys(GARBAGE).length);
      client.running.child.stdin.end();
      expect((await client.running.ended).code).toBe(0);
      await expectReplay(counter);
    },
    60_000,
  );

  it('a flood of pings, blank lines and line breaks of both kinds is answered in full', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const pings = Array.from({ length: 10_000 }, (_, at) => client.ask('ping', {}, `ping-${at}`));
    client.send('\n\r\n\n\n');
    client.send(`{"jsonrpc":"2.0","id":"crlf","method":"ping"}\r\n`);
    const replies = await Promise.all(pings);
    expect(replies.filter((reply) => reply?.result === undefined)).toEqual([]);
    await expectUnmoved(counter, async (by) => textOf(await client.call('count', { by })));
  }, 60_000);

  it('a message cut into single bytes is one message, and half a message at the end is none', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const whole = Buffer.from(
      `{"jsonrpc":"2.0","id":"pieces","method":"tools/call","params":{"name":"echo","arguments":{"text":"€"}}}\n`,
    );
    for (const byte of whole) {
      client.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.running.says(/"id":"pieces".*€/);
    expect(textOf(await client.call('count', { by: 1 }))).toBe('1');
    client.send(`{"jsonrpc":"2.0","id":"half","method":"tools/call","params":{"name":"count","argum`);
    client.running.child.stdin.end();
    expect((await client.running.ended).code).toBe(0);
    expect(heardIn(counter.heard)).toEqual([{ by: 1 }]);
    await expectReplay(counter);
  }, 60_000);

  it('two thousand calls without waiting: each is answered, none is lost, the gate stays up', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const replies = await Promise.all(Array.from({ length: 2_000 }, (_, by) => client.call('count', { by })));
    const denied = replies.map(denialOf).filter((code) => code !== undefined);
    expect(denied.filter((code) => code !== 'OVERLOADED')).toEqual([]);
    expect(heardIn(counter.heard)).toHaveLength(replies.length - denied.length);
    client.running.child.stdin.end();
    expect((await client.running.ended).code).toBe(0);
    await expectReplay(counter);
  }, 60_000);
});

describe('over HTTP', () => {
  it('no garbage reaches a tool or ends the gate', async () => {
    const counter = counterGate();
    const { gate, client } = await counter.served();
    for (const [what, garbage] of Object.entries(GARBAGE)) {
      const { status, messages } = await client.post(new Uint8Array(garbage)).catch(refusedEarly);
      expect(status, what).toBeLessThan(500);
      const told = messages.find(({ error, result }) => error !== undefined || result?.isError === true);
      if (status === 200) expect(told, `${what}: ${JSON.stringify(messages)}`).toBeDefined();
    }
    await expectUnmoved(counter, async (by) => textOf(await client.call('count', { by })));
    expect((await gate.stop()).code).toBe(0);
    await expectReplay(counter);
  }, 60_000);

  it('strange requests are refused without a session being harmed', async () => {
    const counter = counterGate();
    const { gate, client } = await counter.served();
    const good = JSON.stringify({
      jsonrpc: '2.0',
      id: 7,
      method: 'tools/call',
      params: { name: 'count', arguments: { by: 666 } },
    });
    const variants: readonly [string, RequestInit][] = [
      ['text/plain', { headers: { ...client.headers, 'content-type': 'text/plain' } }],
      ['a form', { headers: { ...client.headers, 'content-type': 'application/x-www-form-urlencoded' } }],
      ['a foreign origin', { headers: { ...client.headers, origin: 'https://evil.example' } }],
      ['an origin of null', { headers: { ...client.headers, origin: 'null' } }],
      ['no session', { headers: without(client, 'mcp-session-id') }],
      [
        'an unknown session',
        { headers: { ...client.headers, 'mcp-session-id': '00000000-0000-4000-8000-000000000000' } },
      ],
      ['an unknown revision', { headers: { ...client.headers, 'mcp-protocol-version': '1999-01-01' } }],
      ['PUT', { headers: client.headers, method: 'PUT' }],
      ['PATCH', { headers: client.headers, method: 'PATCH' }],
    ];
    for (const [what, init] of variants) {
      const { status } = await fetch(client.url, { method: 'POST', body: good, ...init });
      expect(status, what).toBeGreaterThanOrEqual(400);
      expect(status, what).toBeLessThan(500);
    }
    for (const path of ['/', '/mcp/nobody', '/mcp/counter/more', '/mcp/../mcp', '/%6dcp', '/mcp%2fcounter']) {
      const { status } = await fetch(new URL(path, client.url), {
        method: 'POST',
        headers: client.headers,
        body: good,
      });
      expect([400, 404, 405], path).toContain(status);
    }
    await expectUnmoved(counter, async (by) => textOf(await client.call('count', { by })));
    expect((await gate.stop()).code).toBe(0);
  }, 60_000);
});

function without(client: RawHttp, header: string): Record<string, string> {
  return Object.fromEntries(Object.entries(client.headers).filter(([name]) => name !== header));
}

/** A body that is too large may be refused by closing the connection before it was sent. */
function refusedEarly(): {
  status: number;
  messages: readonly (JsonObject & { error?: object; result?: JsonObject })[];
} {
  return { status: 413, messages: [] };
}

/** What a call comes to when the server misbehaves: an answer, or one of these codes. More of them: hostile-servers.test.ts. */
const HOSTILE: Readonly<Record<string, readonly string[]>> = {
  'bad-json': ['OUTPUT_INVALID', 'TOOL_LOST', 'DEADLINE_EXCEEDED'],
  'plain-text': ['released', 'DEADLINE_EXCEEDED', 'OUTPUT_INVALID', 'TOOL_LOST'],
  batch: ['OUTPUT_INVALID', 'TOOL_LOST', 'DEADLINE_EXCEEDED'],
  'duplicate-members': ['OUTPUT_INVALID', 'TOOL_LOST'],
  'lone-surrogate': ['OUTPUT_INVALID', 'TOOL_LOST'],
  'big-number': ['OUTPUT_INVALID', 'TOOL_LOST'],
  proto: ['OUTPUT_INVALID', 'TOOL_LOST'],
  'result-and-error': ['OUTPUT_INVALID', 'TOOL_LOST'],
  'result-null': ['OUTPUT_INVALID', 'TOOL_LOST'],
  'endless-line': ['OUTPUT_TOO_LARGE', 'TOOL_LOST', 'DEADLINE_EXCEEDED', 'OUTPUT_INVALID'],
  'progress-wrong': ['released'],
  'request-flood': ['released', 'TOOL_LOST', 'DEADLINE_EXCEEDED'],
  'asks-tools-call': ['released'],
  'changes-tools': ['released', 'ENV_TOOL_DEFINITION', 'AUTHORITY_WITHDRAWN', 'ENV_ATTESTATION'],
  exits: ['TOOL_LOST'],
  'answers-and-exits': ['released'],
};

describe('from a tool server', () => {
  proves(
    'G4',
    'whatever a server does, a call ends in its answer or in a recorded denial, and the gate lives',
    async () => {
      const at = installation();
      const stdio = (mode: string) => ({
        stdio: { command: process.execPath, args: [fixtureServer('hostile.mjs'), mode, at.path('mark')] },
        limits: { timeoutMs: 3_000 },
      });
      const servers = Object.fromEntries(Object.keys(HOSTILE).map((mode) => [mode, stdio(mode)]));
      at.configure(
        { agents: { me: { auth: 'local' } }, servers },
        '@id("all") @reason("anything, to see what it does") permit (principal, action, resource);',
      );
      const client = new RawStdio(at.start(['serve', '--name', 'gate', '--stdio']));
      await client.initialize();
      const listed = async (): Promise<number> => {
        const { tools } = (await client.ask('tools/list'))?.result ?? {};
        return (tools as readonly JsonObject[]).filter(({ name }) => String(name).endsWith('__poke')).length;
      };
      // A busy machine starts one long after the other.
      await expect.poll(listed, { timeout: 30_000 }).toBe(Object.keys(HOSTILE).length);
      const ends: string[] = [];
      // One by one: what one server takes of the machine is nothing that another one is denied for.
      for (const [mode, expected] of Object.entries(HOSTILE)) {
        const reply = await client.call(`${mode}__poke`, {}, { progressToken: 'mine' });
        const end =
          denialOf(reply) ??
          (textOf(reply) === 'poked' ? 'released' : `unexpected: ${JSON.stringify(reply).slice(0, 300)}`);
        expect(expected, `${mode}: ${end}`).toContain(end);
        ends.push(end);
        // The gate is there, says so, and has passed on nothing that nobody asked for.
        expect((await client.ask('ping'))?.result, mode).toEqual({});
        expect(client.stray, mode).toEqual([]);
      }
      client.running.child.stdin.end();
      expect((await client.running.ended).code, client.running.stderr.slice(-1000)).toBe(0);
      expect(await goneWithin(at.path('mark'), 3_000)).toEqual([]);
      const calls = await callsOf(at, 'gate');
      expect(calls.filter(({ endings }) => endings.length !== 1)).toEqual([]);
      const poked = calls.filter(({ tool }) => tool === 'poke');
      expect(poked.map(({ code }) => code ?? 'released')).toEqual(ends);
      await expectReplay({ at }, 'gate');
    },
    150_000,
  );
});
