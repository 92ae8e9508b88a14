// Two principals and several sessions of both eras, over HTTP, WebSocket and standard input and output, on the same shared servers at once. All of them use
// the same ids, tokens and names, and so do the servers: what is whose is known to the gate alone.

import { afterAll, beforeAll, beforeEach, describe, expect } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { EventListener } from '../support/event-listener.ts';
import { callsOf, heardIn } from '../support/evidence.ts';
import { neighbours } from '../support/neighbours.ts';
import { denialOf, INITIALIZE, RawHttp, type RawReply, RawStdio, textOf } from '../support/raw-mcp.ts';
import { RawModern } from '../support/raw-modern.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

const keys = { ada: generateApiKey(), bob: generateApiKey() };
type Who = keyof typeof keys;
const credential = (who: Who) => ({ authorization: `Bearer ${keys[who].key}` });

/** One request: what is said within it, and its answer. */
interface Begun {
  readonly said: () => readonly JsonObject[];
  readonly reply: Promise<RawReply>;
}

/** A client of whatever kind, which uses whatever id it is told. */
interface Client {
  readonly name: string;
  begin(id: string, method: string, params: JsonObject, token?: string): Begun;
  cancel(id: string): Promise<unknown>;
}

const isAnswer = (message: JsonObject): boolean => message.method === undefined;

function begunOn(listener: EventListener): Begun {
  const said = () => listener.messages.filter((message) => !isAnswer(message));
  const reply = listener
    .until((messages) => messages.some(isAnswer))
    .then(() => listener.messages.find(isAnswer) as unknown as RawReply);
  // Of a call that is cancelled nobody may ask.
  reply.catch(() => {});
  return { said, reply };
}

function overHttp(name: string, session: RawHttp): Client {
  const post = (message: JsonObject) => ({
    method: 'POST',
    headers: session.headers,
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  });
  return {
    name,
    begin: (id, method, params, token) => {
      const meta = token === undefined ? {} : { _meta: { progressToken: token } };
      return begunOn(EventListener.begin(session.url, post({ id, method, params: { ...params, ...meta } })));
    },
    cancel: async (requestId) => {
      const { status } = await fetch(session.url, post({ method: 'notifications/cancelled', params: { requestId } }));
      expect(status).toBe(202);
    },
  };
}

function modern(name: string, client: RawModern): Client {
  return {
    name,
    begin: (id, method, params, token) => {
      const meta = token === undefined ? {} : { progressToken: token };
      return begunOn(client.begin(method, params, { id, meta }));
    },
    // On HTTP that means nothing in this era; it is what somebody would try all the same.
    cancel: async (requestId) => client.begin('notifications/cancelled', { requestId }),
  };
}

function overStdio(name: string, agent: RawStdio): Client {
  return {
    name,
    begin: (id, method, params, token) => {
      const before = agent.notifications.length;
      const meta = token === undefined ? {} : { _meta: { progressToken: token } };
      const reply = agent.ask(method, { ...params, ...meta }, id).then((answer) => {
        if (answer === undefined) throw new Error('the gate ended');
        return answer;
      });
      return { said: () => agent.notifications.slice(before), reply };
    },
    cancel: async (requestId) => agent.notify('notifications/cancelled', { requestId }),
  };
}

function overWebSocket(name: string, socket: WebSocketClient): Client {
  const heard = () => socket.received.map((text) => JSON.parse(text) as JsonObject);
  const send = (message: JsonObject) => socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
  return {
    name,
    begin: (id, method, params, token) => {
      const before = heard().length;
      const meta = token === undefined ? {} : { _meta: { progressToken: token } };
      send({ id, method, params: { ...params, ...meta } });
      const isReply = (message: JsonObject) => isAnswer(message) && message.id === id;
      const reply = socket
        .until(() => heard().slice(before).some(isReply), 20_000)
        .then(() => heard().slice(before).find(isReply) as unknown as RawReply);
      return {
        said: () =>
          heard()
            .slice(before)
            .filter((message) => !isAnswer(message)),
        reply,
      };
    },
    cancel: async (requestId) => send({ method: 'notifications/cancelled', params: { requestId } }),
  };
}

let at: Installation;
let gate: RunningCommand;
let url: string;
let local: RawStdio;
/** One of every kind: several sessions of one principal, and several principals. */
let clients: readonly Client[] = [];

const sockets: WebSocketClient[] = [];

async function webSocket(who: Who): Promise<WebSocketClient> {
  const socket = new WebSocketClient(url.replace('http:', 'ws:'), { headers: credential(who) });
  sockets.push(socket);
  expect(await socket.opened()).toBe(101);
  socket.send(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: INITIALIZE }));
  await socket.until((received) => received.length > 0, 20_000);
  return socket;
}

async function session(who: Who): Promise<RawHttp> {
  const client = new RawHttp(url, credential(who));
  await client.initialize();
  return client;
}

const called = (name: string, args: JsonObject = {}): JsonObject => ({ name, arguments: args });

beforeAll(async () => {
  at = neighbours({
    servers: {
      left: { flags: ['--tasks'] },
      right: { flags: ['--tasks'] },
      newer: { flags: ['--modern'] },
      // Where calls are cancelled, which a server may be at work on for a while.
      older: {},
      newest: { flags: ['--modern'] },
    },
    agents: {
      me: { roles: [], auth: 'local' },
      ada: { roles: [], auth: { apiKey: keys.ada.digest } },
      bob: { roles: [], auth: { apiKey: keys.bob.digest } },
    },
  });
  gate = at.start(['serve', '--name', 'many', '--http', '127.0.0.1:0', '--stdio']);
  local = new RawStdio(gate);
  await local.initialize();
  url = await urlOf(gate);
  await gate.opensWith(5);
}, 60_000);

beforeEach(async () => {
  clients = [
    overHttp('ada-1', await session('ada')),
    overHttp('ada-2', await session('ada')),
    overHttp('bob', await session('bob')),
    modern('ada-modern', new RawModern(url, credential('ada'))),
    modern('bob-modern', new RawModern(url, credential('bob'))),
    overStdio('local', local),
    overWebSocket('bob-socket', await webSocket('bob')),
  ];
});

afterAll(async () => {
  for (const { socket } of sockets) socket.terminate();
  await gate?.stop();
  await closeInstallations();
});

/** Waits until the server has so many calls of `wait` with this text in them. */
async function waitingAt(server: string, text: string, times: number): Promise<void> {
  const isThere = () =>
    heardIn(at.path(`${server}.jsonl`)).filter(
      ({ params }) => ((params as JsonObject | undefined)?.arguments as JsonObject | undefined)?.text === text,
    ).length >= times;
  const deadline = Date.now() + 20_000;
  while (!isThere()) {
    if (Date.now() > deadline) throw new Error(`${server} does not hear ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Every client has a call of the same id and the same token at the same server. */
async function allWait(server: string): Promise<ReadonlyMap<string, Begun>> {
  const begun = new Map<string, Begun>();
  for (const client of clients) {
    const params = called(`${server}__wait`, { text: client.name });
    begun.set(client.name, client.begin(`same-${server}`, 'tools/call', params, 'token'));
  }
  for (const { name } of clients) await waitingAt(server, name, 1);
  return begun;
}

/** Lets one of them be answered, by its own client. */
async function release(client: Client, server: string): Promise<RawReply> {
  const echo = client.begin('release', 'tools/call', called(`${server}__echo`, { text: client.name }));
  return echo.reply;
}

describe('calls of the same id and the same progress token', () => {
  proves(
    'G9',
    'are each answered with their own result, and hear of their own progress alone, whoever else calls',
    async () => {
      const left = await allWait('left');
      const newer = await allWait('newer');
      // The last comes first: whoever would be confused by order is.
      for (const client of [...clients].reverse()) {
        await release(client, 'newer');
        await release(client, 'left');
      }
      for (const { name } of clients) {
        for (const [server, begun] of [
          ['left', left],
          ['newer', newer],
        ] as const) {
          const { said, reply } = begun.get(name) as Begun;
          expect(await reply).toMatchObject({ id: `same-${server}` });
          expect(textOf(await reply)).toBe(`${server}: waited for ${name}`);
          const progress = said().filter(({ method }) => method === 'notifications/progress');
          const messages = progress.map(({ params }) => params as { progressToken: string; message: string });
          expect(messages.map(({ progressToken }) => progressToken)).toEqual(messages.map(() => 'token'));
          // On one stream for all, progress of both servers is heard; on a stream of its own, that of the one call.
          const own = messages.map(({ message }) => message).filter((message) => message.startsWith(server));
          expect(own).toEqual([`${server} waits for ${name}`]);
          expect(messages.every(({ message }) => message.endsWith(` ${name}`))).toBe(true);
        }
      }
    },
    60_000,
  );

  for (const server of ['older', 'newest'])
    proves(
      'G9',
      `are cancelled by their own client alone: the id of another session means nothing (${server})`,
      async () => {
        const before = (await callsOf(at, 'many')).length;
        const waiting = await allWait(server);
        const [ada, ...others] = clients as [Client, ...Client[]];
        // Sessions that have no such call, and clients whose era knows no such message over HTTP.
        const strangers = [
          overHttp('', await session('ada')),
          overHttp('', await session('bob')),
          ...clients.slice(3, 5),
        ];
        for (const stranger of strangers) await stranger.cancel(`same-${server}`);
        await ada.cancel(`same-${server}`);
        for (const other of others) {
          await release(other, server);
          expect(textOf(await (waiting.get(other.name) as Begun).reply)).toBe(`${server}: waited for ${other.name}`);
        }
        // The server heard of the one that was cancelled, and of no other.
        const told = heardIn(at.path(`${server}.jsonl`)).filter(({ method }) => method === 'notifications/cancelled');
        expect(told).toHaveLength(1);
        expect(textOf(await release(ada, server))).toBe(`${server}: ada-1`);
        const calls = (await callsOf(at, 'many')).slice(before);
        const cancelled = calls.filter(({ code }) => code === 'CANCELLED').map(({ agent, args }) => [agent, args]);
        expect(cancelled).toEqual([['ada', { text: 'ada-1' }]]);
      },
      60_000,
    );
});

describe('what a shared server says', () => {
  proves(
    'G9',
    'of a resource reaches who subscribed to it, and a log message the caller alone, or nobody where that is not known',
    async () => {
      const [ada, other, bob] = [await session('ada'), await session('ada'), await session('bob')];
      const all = [ada, other, bob];
      const streams = await Promise.all(
        all.map(({ headers }) => EventListener.open(url, { headers: { ...headers, accept: 'text/event-stream' } })),
      );
      for (const client of all) await client.ask('logging/setLevel', { level: 'debug' });
      await ada.ask('resources/subscribe', { uri: 'note://left' });
      await other.ask('resources/subscribe', { uri: 'note://right' });
      // The same listen id, for different things.
      const listens = (['ada', 'bob'] as const).map((who) =>
        new RawModern(url, credential(who)).begin(
          'subscriptions/listen',
          { notifications: { resourceSubscriptions: [who === 'ada' ? 'note://left' : 'note://right'] } },
          { id: 'listen' },
        ),
      );
      for (const listen of listens) await listen.until((heard) => heard.length === 1);

      const talk = overHttp('ada', ada).begin('tell', 'tools/call', called('left__tell'));
      expect(textOf(await talk.reply)).toBe('left: told');
      expect(talk.said()).toMatchObject([{ method: 'notifications/message', params: { data: 'left' } }]);
      // Two clients have calls at that server: whose the next message is, nobody can say.
      const waiting = overHttp('bob', bob).begin('wait', 'tools/call', called('right__wait', { text: 'bobs' }));
      await waitingAt('right', 'bobs', 1);
      const unheard = overHttp('ada', ada).begin('tell', 'tools/call', called('right__tell'));
      expect(textOf(await unheard.reply)).toBe('right: told');
      expect([...unheard.said(), ...waiting.said()]).toEqual([]);
      await bob.call('right__echo', { text: 'bobs' });
      await waiting.reply;

      // The same resource of a server of the newer era, which one of them listens to.
      await other.ask('resources/subscribe', { uri: 'note://newer' });
      expect(textOf(await bob.call('newer__tell', {}))).toBe('newer: told');
      const updated = (uri: string) => (heard: readonly JsonObject[]) =>
        heard.some(({ params }) => (params as JsonObject | undefined)?.uri === uri);
      await streams[0]?.until(updated('note://left'));
      await streams[1]?.until(updated('note://right'));
      await streams[1]?.until(updated('note://newer'));
      await listens[0]?.until(updated('note://left'));
      await listens[1]?.until(updated('note://right'));
      const urisIn = (listener: EventListener | undefined) =>
        listener?.messages.flatMap(({ method, params }) =>
          method === 'notifications/resources/updated' ? [(params as JsonObject).uri] : [],
        );
      expect([...streams, ...listens].map(urisIn)).toEqual([
        ['note://left'],
        ['note://right', 'note://newer'],
        [],
        ['note://left'],
        ['note://right'],
      ]);
      const methods = streams.flatMap(({ messages }) => messages.map(({ method }) => method));
      expect(methods).not.toContain('notifications/message');
      for (const { messages } of listens)
        for (const { params } of messages)
          expect((params as JsonObject)._meta).toMatchObject({ 'io.modelcontextprotocol/subscriptionId': 'listen' });
      for (const stream of [...streams, ...listens]) stream.close();
    },
    60_000,
  );
});

describe('what a server leaves behind', () => {
  for (const [server, said] of [
    ['left', '{"action":"accept","content":{}}'],
    ['newer', 'newer 1 {"action":"accept","content":{}}'],
  ] as const)
    proves(
      'G9',
      `the state of one client’s round is refused to every other client and for every other call, and that is recorded (${server})`,
      async () => {
        const can = { capabilities: { elicitation: {} } };
        const [ada, bob] = [new RawModern(url, credential('ada')), new RawModern(url, credential('bob'))];
        const begun = await ada.call(`${server}__ask`, {}, { id: 'same', ...can });
        const { requestState, inputRequests } = begun.result as { requestState: string; inputRequests: JsonObject };
        const [key = ''] = Object.keys(inputRequests);
        const answers = { requestState, inputResponses: { [key]: { action: 'accept', content: {} } } };
        const before = (await callsOf(at, 'many')).filter(({ code }) => code === 'REQUEST_STATE_INVALID').length;
        const retry = (client: RawModern, name: string, more: JsonObject = {}) =>
          client.ask('tools/call', { ...called(name), ...answers, ...more }, { id: 'same', ...can });
        const refused = [
          await retry(bob, `${server}__ask`),
          await retry(ada, 'right__ask'),
          await retry(ada, `${server}__echo`),
          await retry(ada, `${server}__ask`, { arguments: { more: 1 } }),
          await retry(new RawModern(`${url}/${server}`, credential('ada')), 'ask'),
        ];
        expect(refused.map(denialOf)).toEqual(refused.map(() => 'REQUEST_STATE_INVALID'));
        expect(textOf(await retry(ada, `${server}__ask`))).toBe(`${server}: ${said}`);
        // It is used up.
        expect(denialOf(await retry(ada, `${server}__ask`))).toBe('REQUEST_STATE_INVALID');
        const recorded = (await callsOf(at, 'many')).filter(({ code }) => code === 'REQUEST_STATE_INVALID');
        expect(recorded.length - before).toBe(refused.length + 1);
        expect(recorded.slice(before).filter(({ agent }) => agent === 'bob')).toHaveLength(1);
      },
      60_000,
    );

  proves(
    'G9',
    'tasks of the same id, from two servers and for two agents, are each their own, and unknown to everybody else',
    async () => {
      const [ada, bob] = [await session('ada'), await session('bob')];
      const work = async (client: RawHttp, server: string, text: string): Promise<string> => {
        const made = await client.ask('tools/call', { ...called(`${server}__work`, { text }), task: {} });
        return String((made.result?.task as { taskId: string } | undefined)?.taskId);
      };
      const [left, right] = [await work(ada, 'left', 'one'), await work(ada, 'right', 'two')];
      expect(left).toBe('1');
      expect(right).not.toBe(left);
      expect(textOf(await ada.ask('tasks/result', { taskId: left }))).toBe('left: one');
      expect(textOf(await ada.ask('tasks/result', { taskId: right }))).toBe('right: two');
      const bobs = await work(bob, 'left', 'three');
      expect(textOf(await bob.ask('tasks/result', { taskId: bobs }))).toBe('left: three');
      const asked = async (client: RawHttp, taskId: string) => [
        denialOf(await client.ask('tasks/get', { taskId })),
        denialOf(await client.ask('tasks/result', { taskId })),
        denialOf(await client.ask('tasks/cancel', { taskId })),
      ];
      for (const taskId of [left, right, 'nothing'])
        expect(await asked(bob, taskId)).toEqual(['TOOL_UNKNOWN', 'TOOL_UNKNOWN', 'TOOL_UNKNOWN']);
      expect(await asked(ada, bobs)).toEqual(['TOOL_UNKNOWN', 'TOOL_UNKNOWN', 'TOOL_UNKNOWN']);
      // Another session of the same agent knows them: the server is everybody's.
      expect(textOf(await (await session('ada')).ask('tasks/result', { taskId: right }))).toBe('right: two');
      const idsOf = async (client: RawHttp) =>
        ((await client.ask('tasks/list')).result as { tasks: { taskId: string }[] }).tasks.map(({ taskId }) => taskId);
      expect(await idsOf(ada)).toEqual([left, right]);
      expect(await idsOf(bob)).toEqual([bobs]);
    },
    60_000,
  );
});

describe('a session', () => {
  proves(
    'G9',
    'is nobody else’s: with its id another principal neither calls, cancels, listens nor ends',
    async () => {
      const ada = await session('ada');
      const client = overHttp('ada', ada);
      const begun = client.begin('mine', 'tools/call', called('left__wait', { text: 'mine' }));
      await waitingAt('left', 'mine', 1);
      const stolen = { ...ada.headers, ...credential('bob') };
      const post = (message: JsonObject) =>
        fetch(url, { method: 'POST', headers: stolen, body: JSON.stringify({ jsonrpc: '2.0', ...message }) });
      const statuses = [
        await post({ id: 1, method: 'tools/call', params: called('left__echo', { text: 'mine' }) }),
        await post({ method: 'notifications/cancelled', params: { requestId: 'mine' } }),
        await fetch(url, { headers: { ...stolen, accept: 'text/event-stream' } }),
        await fetch(url, { method: 'DELETE', headers: stolen }),
      ].map(({ status }) => status);
      expect(statuses).toEqual([404, 404, 404, 404]);
      await ada.call('left__echo', { text: 'mine' });
      expect(textOf(await begun.reply)).toBe('left: waited for mine');
      expect(INITIALIZE.protocolVersion).toBe(ada.headers['mcp-protocol-version']);
    },
    60_000,
  );
});
