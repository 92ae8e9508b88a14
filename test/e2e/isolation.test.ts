// A server of which each conversation gets its own: what one says, keeps and breaks there, no other conversation ever meets.

import { afterAll, beforeAll, describe, expect } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { type HttpCounter, startHttpCounter } from '../fixtures/servers/http-counter.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { EventListener } from '../support/event-listener.ts';
import { callsOf, heardIn } from '../support/evidence.ts';
import { ALL_SERVERS, type Neighbour, neighbours } from '../support/neighbours.ts';
import { pidIn } from '../support/pid-namespace.ts';
import { processesNaming } from '../support/processes.ts';
import { denialOf, RawHttp, RawStdio, textOf } from '../support/raw-mcp.ts';
import { RawModern } from '../support/raw-modern.ts';

afterAll(closeInstallations);

const keys = { ada: generateApiKey(), bob: generateApiKey() };
const agents = {
  ada: { roles: [], auth: { apiKey: keys.ada.digest } },
  bob: { roles: [], auth: { apiKey: keys.bob.digest } },
};
type Who = keyof typeof keys;
const credential = (who: Who) => ({ authorization: `Bearer ${keys[who].key}` });

interface Apart {
  readonly at: Installation;
  readonly gate: RunningCommand;
  readonly url: string;
}

/** A gate on HTTP with one server kept apart and one that is shared. */
async function apart(flags: readonly string[] = [], more: Neighbour = {}): Promise<Apart> {
  const at = neighbours({ servers: { own: { isolation: 'per-session', flags, ...more }, all: {} }, agents });
  const gate = at.start(['serve', '--name', 'many', '--http', '127.0.0.1:0']);
  const url = await urlOf(gate);
  await gate.opensWith(2);
  return { at, gate, url };
}

async function session(url: string, who: Who): Promise<RawHttp> {
  const client = new RawHttp(url, credential(who));
  await client.initialize();
  return client;
}

async function end(client: RawHttp): Promise<void> {
  const { status } = await fetch(client.url, { method: 'DELETE', headers: client.headers });
  expect(status).toBe(204);
}

/** The ledger is whole, and every decision in it is made again. */
async function holds({ at }: Apart): Promise<void> {
  expect(await at.audit(['verify', at.ledger('many')])).toMatchObject({ code: 0 });
  const replayed = await at.audit(['replay', at.ledger('many'), '--json']);
  expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true, decisionsNotReplayable: 0, open: 0 });
}

const running = ({ at }: Apart): number[] => processesNaming(at.path('own.jsonl')).map(({ pid }) => pid);

/** Waits until exactly these processes of the server run. */
async function runs(gate: Apart, pids: readonly number[]): Promise<void> {
  const wanted = JSON.stringify([...pids].sort());
  const deadline = Date.now() + 20_000;
  while (JSON.stringify(running(gate).sort()) !== wanted) {
    if (Date.now() > deadline) throw new Error(`running: ${running(gate)}, wanted: ${pids}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** How often this conversation's process was asked to count, and which process that is. */
function counted(reply: { readonly result?: object } | undefined): { count: number; pid: number } {
  const [, count, pid, namespace = 'none'] = /: (\d+) (\d+) (\S+)$/.exec(textOf(reply as never)) ?? [];
  return { count: Number(count), pid: pidIn(namespace, Number(pid)) };
}

proves(
  'G4',
  'a session whose process offers other tools than were pinned is refused, and the process is gone',
  async () => {
    const at = neighbours({ servers: {}, agents });
    const gate = await apart([`--changes=${at.path('first')}`]);
    const ada = await session(gate.url, 'ada');
    expect(denialOf(await ada.call('own__count', {}))).toBe('ENV_ATTESTATION');
    // What one of them said counts for all.
    await gate.gate.says('server own is set aside');
    expect(denialOf(await (await session(gate.url, 'bob')).call('own__count', {}))).toBe('SERVER_QUARANTINED');
    await gate.gate.says('server own of a session of ada: it is not what was approved');
    await runs(gate, []);
    expect(textOf(await ada.call('all__echo', { text: 'on' }))).toBe('all: on');
    await gate.gate.stop();
    await holds(gate);
    const calls = await callsOf(gate.at, 'many');
    expect(calls.filter(({ code }) => code === 'ENV_ATTESTATION').map(({ intent }) => intent)).toEqual([undefined]);
  },
  60_000,
);

proves(
  'G9',
  'each session and each principal without one has a process of its own, from its first call to its end',
  async () => {
    const gate = await apart();
    // It was asked what it offers, and nobody speaks with that one.
    await runs(gate, []);
    const [one, two, bob] = [
      await session(gate.url, 'ada'),
      await session(gate.url, 'ada'),
      await session(gate.url, 'bob'),
    ];
    await one.ask('tools/list');
    expect(running(gate)).toEqual([]);
    const modern = { ada: new RawModern(gate.url, credential('ada')), bob: new RawModern(gate.url, credential('bob')) };
    const first = await Promise.all([one, two, bob, modern.ada, modern.bob].map((who) => who.call('own__count', {})));
    const own = first.map(counted);
    expect(own.map(({ count }) => count)).toEqual([1, 1, 1, 1, 1]);
    expect(new Set(own.map(({ pid }) => pid)).size).toBe(5);
    const again = await Promise.all([one, two, bob, modern.ada, modern.bob].map((who) => who.call('own__count', {})));
    expect(again.map(counted)).toEqual(own.map(({ pid }) => ({ count: 2, pid })));
    const shared = await Promise.all([one, bob, modern.ada].map((who) => who.call('all__count', {})));
    expect(new Set(shared.map((reply) => counted(reply).pid)).size).toBe(1);

    await end(two);
    await runs(
      gate,
      own.map(({ pid }) => pid).filter((pid) => pid !== own[1]?.pid),
    );
    expect(counted(await one.call('own__count', {}))).toEqual({ count: 3, pid: own[0]?.pid });
    expect((await gate.gate.stop()).code).toBe(0);
    expect(running(gate)).toEqual([]);
    expect(await gate.at.audit(['verify', gate.at.ledger('many')])).toMatchObject({ code: 0 });
  },
  60_000,
);

describe('behind one gate', () => {
  let gate: Apart;

  beforeAll(async () => {
    gate = await apart(['--tasks']);
  }, 60_000);

  proves(
    'G9',
    'what a process of one session says unasked reaches that session alone, and so do its lists and subscriptions',
    async () => {
      const [ada, other, bob] = [
        await session(gate.url, 'ada'),
        await session(gate.url, 'ada'),
        await session(gate.url, 'bob'),
      ];
      const all = [ada, other, bob];
      const streams = await Promise.all(
        all.map(({ url, headers }) =>
          EventListener.open(url, { headers: { ...headers, accept: 'text/event-stream' } }),
        ),
      );
      for (const client of all) {
        await client.ask('resources/subscribe', { uri: 'note://own' });
        await client.ask('logging/setLevel', { level: 'debug' });
      }
      const listening = new RawModern(gate.url, credential('bob')).begin('subscriptions/listen', {
        notifications: { resourceSubscriptions: ['note://own'], promptsListChanged: true },
      });
      await listening.until((heard) => heard.length > 0);
      expect(textOf(await ada.call('own__tell', {}))).toBe('own: told');
      const each = ['notifications/prompts/list_changed', 'notifications/resources/updated'];
      const saidOn = ({ messages }: EventListener) =>
        messages.flatMap(({ method }) => (each.includes(String(method)) ? [String(method)] : [])).sort();
      await streams[0]?.until(() => saidOn(streams[0] as EventListener).length === 2);
      // What the other processes say comes behind it, and on the same streams.
      for (const client of [other, bob]) await client.call('own__tell', {});
      for (const stream of streams) await stream.until(() => saidOn(stream).length >= 2);
      expect(streams.map(saidOn)).toEqual([each, each, each]);
      const methods = streams.flatMap(({ messages }) => messages.map(({ method }) => method));
      expect(methods).not.toContain('notifications/message');
      expect(listening.messages.map(({ method }) => method)).toEqual(['notifications/subscriptions/acknowledged']);
      listening.close();
      for (const stream of streams) stream.close();
    },
    60_000,
  );

  proves(
    'G6',
    'a process that dies takes the calls of its session with it and of no other; the next call gets another process',
    async () => {
      const [ada, bob] = [await session(gate.url, 'ada'), await session(gate.url, 'bob')];
      const mine = counted(await ada.call('own__count', {}));
      const his = counted(await bob.call('own__count', {}));
      const waiting = ada.call('own__wait', { text: 'of ada' });
      const hisWaiting = bob.call('own__wait', { text: 'of bob' });
      while (!gate.at.read('own.jsonl').includes('"of bob"') || !gate.at.read('own.jsonl').includes('"of ada"'))
        await new Promise((resolve) => setTimeout(resolve, 20));
      process.kill(mine.pid, 'SIGKILL');
      expect(denialOf(await waiting)).toBe('TOOL_LOST');
      const next = counted(await ada.call('own__count', {}));
      expect(next.count).toBe(1);
      expect(next.pid).not.toBe(mine.pid);
      expect(counted(await bob.call('own__count', {}))).toEqual({ count: 2, pid: his.pid });
      await bob.call('own__echo', { text: 'of bob' });
      expect(textOf(await hisWaiting)).toBe('own: waited for of bob');
      const calls = await callsOf(gate.at, 'many');
      expect(calls.filter(({ status }) => status === 'unknown').map(({ agent }) => agent)).toEqual(['ada']);
      expect(gate.at.read('own.jsonl').match(/"name":"wait"/g)).toHaveLength(2);
    },
    60_000,
  );

  proves(
    'G9',
    'a task belongs to the session whose process works on it; equal ids of other processes are other tasks',
    async () => {
      const [ada, other, bob] = [
        await session(gate.url, 'ada'),
        await session(gate.url, 'ada'),
        await session(gate.url, 'bob'),
      ];
      const ids: string[] = [];
      for (const [client, text] of [
        [ada, 'one'],
        [other, 'two'],
        [bob, 'three'],
      ] as const) {
        const made = await client.ask('tools/call', { name: 'own__work', arguments: { text }, task: {} });
        ids.push(String((made.result?.task as { taskId: string } | undefined)?.taskId));
      }
      const [adas = '', others = '', bobs = ''] = ids;
      expect(textOf(await ada.ask('tasks/result', { taskId: adas }))).toBe('own: one');
      expect(textOf(await other.ask('tasks/result', { taskId: others }))).toBe('own: two');
      expect(textOf(await bob.ask('tasks/result', { taskId: bobs }))).toBe('own: three');
      expect(others).not.toBe(adas);
      for (const taskId of [others, 'nothing'])
        expect(denialOf(await ada.ask('tasks/get', { taskId }))).toBe('TOOL_UNKNOWN');
      const listed = (await ada.ask('tasks/list')).result?.tasks as { taskId: string }[];
      expect(listed.map(({ taskId }) => taskId)).toEqual([adas]);
    },
    60_000,
  );
});

proves(
  'G4',
  'a client on standard input and output has one process of its own as well, which ends with it',
  async () => {
    const at = neighbours({ servers: { own: { isolation: 'per-session' } } });
    const gate = at.start(['serve', '--name', 'many', '--stdio']);
    const agent = new RawStdio(gate);
    await agent.initialize();
    const one = counted(await agent.call('own__count', {}));
    expect(counted(await agent.call('own__count', {}))).toEqual({ count: 2, pid: one.pid });
    expect(processesNaming(at.path('own.jsonl')).map(({ pid }) => pid)).toEqual([one.pid]);
    gate.child.stdin.end();
    expect((await gate.ended).code).toBe(0);
    expect(processesNaming(at.path('own.jsonl'))).toEqual([]);
  },
  60_000,
);

proves(
  'G9',
  'a server somewhere else is spoken to on a connection for each session, which ends with it, whatever carries it',
  async () => {
    const files = { http: 'http-counter.mjs', sse: 'sse-counter.mjs', ws: 'ws-counter.mjs' } as const;
    const counters: HttpCounter[] = [];
    const start = async (name: keyof typeof files): Promise<number> => {
      const counter = await startHttpCounter({}, files[name]);
      counters.push(counter);
      return counter.port;
    };
    try {
      const [http, sse, ws] = [await start('http'), await start('sse'), await start('ws')];
      const at = installation();
      const isolation = 'per-session';
      at.configure(
        {
          agents,
          servers: {
            http: { http: { url: `http://127.0.0.1:${http}/mcp` }, isolation },
            sse: { sse: { url: `http://127.0.0.1:${sse}/sse` }, isolation },
            ws: { ws: { url: `ws://127.0.0.1:${ws}/mcp` }, isolation },
          },
        },
        ALL_SERVERS,
      );
      const gate = at.start(['serve', '--name', 'many', '--http', '127.0.0.1:0']);
      const url = await urlOf(gate);
      await gate.opensWith(3);
      // The counters count for each connection.
      const clients = [await session(url, 'ada'), await session(url, 'ada'), new RawModern(url, credential('bob'))];
      for (const server of ['http', 'sse', 'ws'])
        for (const expected of ['1', '2'])
          for (const client of clients) expect(textOf(await client.call(`${server}__count`, {}))).toBe(expected);
      // Each session of ours was one of theirs; the first two were of who approved it, and of the gate when it asked what it is.
      const requests = async () =>
        (await (await fetch(`http://127.0.0.1:${http}/requests`)).json()) as { method: string; headers: object }[];
      const ended = async () => (await requests()).filter(({ method }) => method === 'DELETE').length;
      expect(await ended()).toBe(2);
      await end(clients[0] as RawHttp);
      const deadline = Date.now() + 20_000;
      while ((await ended()) < 3 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
      expect(await ended()).toBe(3);
      expect((await gate.stop()).code).toBe(0);
      expect(await ended()).toBe(5);
    } finally {
      for (const counter of counters) await counter.stop();
    }
  },
  60_000,
);

proves(
  'G6',
  'a process that dies with every call is not started with every call, and each call has its ending',
  async () => {
    const gate = await apart(['--dies'], { retryAfterUnknown: 'allow' });
    const ada = await session(gate.url, 'ada');
    const codes: (string | undefined)[] = [];
    for (let n = 0; n < 100; n++) codes.push(denialOf(await ada.call('own__count', {})));
    expect(codes.slice(0, 2)).toEqual(['TOOL_LOST', 'TOOL_LOST']);
    expect([...new Set(codes)].sort()).toEqual(['SERVER_UNAVAILABLE', 'TOOL_LOST']);
    const heard = heardIn(gate.at.path('own.jsonl'));
    const starts = heard.filter(({ method }) => method === 'initialize').length;
    expect(starts).toBeLessThan(20);
    // The first was to ask for the tools; each of the others had one call and took it along.
    const lost = codes.filter((code) => code === 'TOOL_LOST').length;
    expect(heard.filter(({ method }) => method === 'tools/call')).toHaveLength(lost);
    expect(starts).toBe(lost + 1);
    await gate.gate.stop();
    await holds(gate);
    const calls = (await callsOf(gate.at, 'many')).filter(({ tool }) => tool === 'count');
    expect(calls.map(({ endings }) => endings.length)).toEqual(codes.map(() => 1));
    expect(calls.filter(({ status }) => status === 'unknown')).toHaveLength(lost);
  },
  60_000,
);
