// Authority taken away over HTTP, by an operator who proves to be one.

import { mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type RunningCommand } from '../support/cli.ts';
import { type CounterGate, counterGate } from '../support/counter-gate.ts';
import { entriesOf } from '../support/evidence.ts';
import { exchange } from '../support/raw-exchange.ts';
import { denialOf, type RawHttp, textOf } from '../support/raw-mcp.ts';

const alice = generateApiKey();
const agent = generateApiKey();

let counter: CounterGate;
let gate: RunningCommand;
let client: RawHttp;
let address: string;

beforeAll(async () => {
  counter = counterGate({ operators: { alice: { apiKey: alice.digest } } });
  ({ gate, client } = await counter.served());
  address = `${new URL(client.url).origin}/operator/orders`;
}, 60_000);
afterAll(async () => {
  await gate?.stop();
  await closeInstallations();
});

interface Asking {
  readonly key?: string | undefined;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

async function ask({ key = alice.key, method = 'POST', headers = {}, body }: Asking) {
  const answer = await fetch(address, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, json: text === '' ? undefined : JSON.parse(text) };
}

const order = (what: object) => ask({ body: JSON.stringify(what) });
const ordered = async () => ((await ask({ method: 'GET' })).json as { orders: object[] }).orders;

describe('an order over HTTP', () => {
  const strangers: readonly (readonly [string, Asking])[] = [
    ['nobody', { headers: { authorization: '' } }],
    ['a key that is none', { key: 'secret' }],
    ['a key that nobody has', { key: agent.key }],
    ['the digest in place of the key', { key: alice.digest }],
    ['another scheme', { headers: { authorization: `DPoP ${alice.key}` } }],
    ['a key and more', { key: `${alice.key} ${alice.key}` }],
  ];
  for (const [who, asking] of strangers) {
    proves('G4', `of ${who} is none, and nothing is told`, async () => {
      for (const method of ['GET', 'POST']) {
        const answer = await ask({
          ...asking,
          method,
          ...(method === 'POST' ? { body: '{"order":"halt","reason":"x"}' } : {}),
        });
        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
      expect(await ordered()).toEqual([]);
    });
  }

  const malformed: readonly (readonly [string, string])[] = [
    ['nothing', '{}'],
    ['no object', '[]'],
    ['no JSON', '{"order":'],
    ['a member twice', '{"order":"resume","order":"resume"}'],
    ['an unknown order', '{"order":"start"}'],
    ['the name of a member of every object', '{"order":"revoke","kind":"constructor","id":"x"}'],
    ['an unknown kind', '{"order":"revoke","kind":"everything","id":"x"}'],
    ['an internal kind', '{"order":"revoke","kind":"jti","id":"x"}'],
    ['no id', '{"order":"revoke","kind":"agent"}'],
    ['an empty id', '{"order":"revoke","kind":"agent","id":""}'],
    ['a long id', JSON.stringify({ order: 'revoke', kind: 'agent', id: 'x'.repeat(1_025) })],
    ['a member too many', '{"order":"revoke","kind":"agent","id":"x","until":5}'],
    ['no reason', '{"order":"halt"}'],
    ['a long reason', JSON.stringify({ order: 'halt', reason: 'x'.repeat(201) })],
    ['a gate that there is not', '{"order":"resume","gate":"../keys"}'],
    ['a gate that is no name', '{"order":"resume","gate":7}'],
  ];
  it.each(malformed)('with %s is refused, and orders nothing', async (_, body) => {
    const { status, json } = await ask({ body });
    expect(status).toBe(400);
    expect(JSON.stringify(json)).toContain('error');
    expect(await ordered()).toEqual([]);
  });

  it('from elsewhere, of another form, or too large is refused', async () => {
    const body = '{"order":"halt","reason":"x"}';
    expect((await ask({ body, headers: { origin: 'https://evil.example' } })).status).toBe(403);
    expect((await ask({ body, headers: { 'content-type': 'text/plain' } })).status).toBe(415);
    expect((await ask({ body: body.padEnd(20_000) })).status).toBe(413);
    expect((await ask({ method: 'DELETE' })).status).toBe(405);
    const { port } = new URL(address);
    const rebound = await exchange(
      Number(port),
      `POST /operator/orders HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${alice.key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    expect(rebound.status).toBe(403);
    expect(await ordered()).toEqual([]);
    expect(textOf(await client.call('count', { by: 1 }))).toBe('1');
  });

  proves(
    'G12',
    'stops what runs and is recorded with who ordered it',
    async () => {
      const ledger = counter.at.ledger('counter');
      const sleeping = client.call('sleep', { ms: 25_000 });
      await expect
        .poll(async () => (await entriesOf(ledger)).filter(({ type }) => type === 'call.intent').length, {
          timeout: 20_000,
        })
        .toBe(2);
      const revoked = await order({ order: 'revoke', kind: 'tool', id: 'counter/sleep' });
      expect(revoked).toMatchObject({
        status: 200,
        json: { order: 1, gates: [{ gate: 'counter', running: true, stopped: 1 }], failed: [] },
      });
      expect(denialOf(await sleeping)).toBe('LINEAGE_REVOKED');
      expect(denialOf(await client.call('sleep', { ms: 1 }))).toBe('REVOKED_TOOL');

      expect((await order({ order: 'halt', reason: 'a look', gate: 'counter' })).status).toBe(200);
      expect(denialOf(await client.call('count', { by: 2 }))).toBe('GOV_HALTED');
      expect((await order({ order: 'resume', gate: 'counter' })).status).toBe(200);
      expect(textOf(await client.call('count', { by: 3 }))).toBe('2');

      const facts = (await entriesOf(ledger)).filter(({ by }) => by === 'alice');
      expect(facts.map(({ type }) => type)).toEqual(['revocation.added', 'gate.halted', 'gate.resumed']);
      expect(await ordered()).toMatchObject([
        { number: 1, what: 'revoke', kind: 'tool', id: 'counter/sleep', by: 'alice' },
        { number: 3, what: 'resume', gate: 'counter', by: 'alice' },
      ]);
      expect(readFileSync(counter.heard, 'utf8')).toBe('{"by":1}\n{"by":3}\n');
    },
    60_000,
  );

  it('that cannot be kept orders nothing, and the gate goes on', async () => {
    const before = await ordered();
    const lock = counter.at.path('home/state/orders.json.lock');
    rmSync(lock);
    mkdirSync(lock);
    expect((await order({ order: 'halt', reason: 'a look' })).status).toBe(503);
    rmdirSync(lock);
    expect(await ordered()).toEqual(before);
    expect(textOf(await client.call('count', { by: 4 }))).toBe('3');
    expect(gate.stderr).not.toContain('defect');
  });

  it('reaches nobody where the manifest names no operator', async () => {
    const other = counterGate();
    const served = await other.served();
    const answer = await fetch(`${new URL(served.client.url).origin}/operator/orders`, {
      headers: { authorization: `Bearer ${alice.key}` },
    });
    expect(answer.status).toBe(404);
    await served.gate.stop();
  });

  it('by whoever is an agent too is a mistake in the manifest', async () => {
    const both = counterGate({
      agents: { me: { roles: ['dev'], auth: { apiKey: alice.digest } } },
      operators: { alice: { apiKey: alice.digest }, bob: { apiKey: alice.digest } },
    });
    const { code, stderr } = await both.serve().ended;
    expect(code).not.toBe(0);
    expect(stderr).toContain('this is the key of the agent "me" too');
    expect(stderr).toContain('this is the key of the operator "alice" too');
  });
});

describe('how the gate is, over HTTP', () => {
  const at = (path: string) => `${new URL(client.url).origin}${path}`;
  const health = (key = alice.key, method = 'GET') =>
    fetch(at('/health'), { method, headers: { authorization: `Bearer ${key}` } });

  proves('G4', 'is told to operators alone', async () => {
    for (const answer of [await health(agent.key), await health(''), await fetch(at('/health'))]) {
      expect(answer.status).toBe(401);
      expect(await answer.text()).not.toContain('open');
    }
    expect((await health(alice.key, 'POST')).status).toBe(405);
    expect((await health(alice.key, 'DELETE')).status).toBe(405);
  });

  it('says that it is open, and what it serves', async () => {
    await expect.poll(async () => (await health()).status, { timeout: 10_000 }).toBe(200);
    expect(await (await health()).json()).toMatchObject({
      open: true,
      shut: [],
      serving: ['counter'],
      // Stopped above while it ran: nobody knows how far it came.
      unknownCalls: [{ tool: 'sleep', code: 'LINEAGE_REVOKED' }],
    });
    const head = await health(alice.key, 'HEAD');
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('says who shut it and what opens it; and so does doctor, of a gate that runs and of one that does not', async () => {
    expect((await order({ order: 'halt', reason: 'a look at the logs' })).status).toBe(200);
    await expect.poll(async () => (await health()).status, { timeout: 10_000 }).toBe(503);
    const shut = { code: 'GOV_HALTED', detail: 'a look at the logs', opens: 'portcullis resume' };
    expect(await (await health()).json()).toMatchObject({
      open: false,
      shut: [{ guard: 'halt', state: 'held', ...shut }],
    });
    const doctor = async () => {
      const said = await counter.at.run(['doctor', '--json']);
      return { code: said.code, ...(JSON.parse(said.stdout) as { gates: object[] }) };
    };
    expect(await doctor()).toMatchObject({ code: 1, gates: [{ gate: 'counter', running: true, shut: [shut] }] });
    const people = await counter.at.run(['doctor']);
    expect(people.stdout).toContain('GOV_HALTED');
    expect(people.stdout).toContain('portcullis resume');
    await gate.stop();
    expect(await doctor()).toMatchObject({ code: 1, gates: [{ gate: 'counter', running: false, shut: [shut] }] });
    ({ gate, client } = await counter.served());
    expect((await health()).status).toBe(503);
    address = at('/operator/orders');
    expect((await order({ order: 'resume' })).status).toBe(200);
    await expect.poll(async () => (await health()).status, { timeout: 10_000 }).toBe(200);
    expect(await doctor()).toMatchObject({ gates: [{ gate: 'counter', running: true, shut: [] }] });
  }, 90_000);

  it('whether it is there is told to anybody, and nothing else', async () => {
    const live = await fetch(at('/livez'));
    expect([live.status, await live.text()]).toEqual([204, '']);
    expect((await fetch(at('/livez'), { method: 'POST' })).status).toBe(405);
    expect((await fetch(at('/livez/'))).status).toBe(404);
    expect((await fetch(at('/health/'))).status).toBe(404);
  });

  it('where nobody is an operator there is nothing to ask', async () => {
    const other = counterGate();
    const { gate: without, client: of } = await other.served();
    const { origin } = new URL(of.url);
    expect((await fetch(`${origin}/health`, { headers: { authorization: `Bearer ${alice.key}` } })).status).toBe(404);
    expect((await fetch(`${origin}/livez`)).status).toBe(204);
    await without.stop();
  }, 30_000);
});
