// Lists over several servers: each principal gets what it may know of, in pages that are its own, marked as nobody else's in the newer era; and
// it hears when such a list changes.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { EventListener } from '../support/event-listener.ts';
import { neighbours } from '../support/neighbours.ts';
import { denialOf, RawHttp, type RawReply, textOf } from '../support/raw-mcp.ts';
import { RawModern } from '../support/raw-modern.ts';

const keys = { ada: generateApiKey(), bob: generateApiKey(), cleo: generateApiKey() };
type Who = keyof typeof keys;
const credential = (who: Who) => ({ authorization: `Bearer ${keys[who].key}` });

/** Ada may use every server; Bob and Cleo may use all but the first, and so see the same. */
const RULES = `@id("all") @reason("ada may do anything")
permit (principal in Portcullis::Role::"all", action, resource);
@id("some") @reason("the others may not know of the first")
permit (principal in Portcullis::Role::"some", action, resource) unless { resource == Portcullis::Server::"one" };
@id("not-one") @reason("the first is not for them")
forbid (principal in Portcullis::Role::"some", action, resource == Portcullis::Server::"one");
`;

let gate: RunningCommand;
let url: string;

beforeAll(async () => {
  const many = ['--prompts=600'];
  const at = neighbours({
    servers: { one: { flags: many }, two: { flags: many }, three: { flags: many } },
    agents: {
      ada: { roles: ['all'], auth: { apiKey: keys.ada.digest } },
      bob: { roles: ['some'], auth: { apiKey: keys.bob.digest } },
      cleo: { roles: ['some'], auth: { apiKey: keys.cleo.digest } },
    },
    rules: RULES,
  });
  gate = at.start(['serve', '--name', 'many', '--http', '127.0.0.1:0']);
  url = await urlOf(gate);
  await gate.opensWith(3);
}, 60_000);

afterAll(async () => {
  await gate?.stop();
  await closeInstallations();
});

type Ask = (method: string, params?: JsonObject) => Promise<RawReply>;

async function legacy(who: Who, at = url): Promise<Ask> {
  const client = new RawHttp(at, credential(who));
  await client.initialize();
  return (method, params) => client.ask(method, params);
}

async function modern(who: Who, at = url): Promise<Ask> {
  const client = new RawModern(at, credential(who));
  return (method, params) => client.ask(method, params);
}

interface Item {
  readonly name: string;
}

/** Every page of a list. */
async function pagesOf(ask: Ask, method: string, member: string): Promise<readonly (readonly Item[])[]> {
  const pages: (readonly Item[])[] = [];
  let cursor: unknown;
  do {
    const { result = {} } = await ask(method, cursor === undefined ? {} : { cursor: cursor as string });
    pages.push(result[member] as unknown as readonly Item[]);
    cursor = result.nextCursor;
  } while (cursor !== undefined);
  return pages;
}

const serversOf = (items: readonly Item[]): string[] => [
  ...new Set(items.map(({ name }) => name.split('__')[0] ?? '')),
];

describe.each([
  ['the older revisions', legacy],
  ['2026-07-28', modern],
] as const)('to clients of %s', (_era, connect) => {
  proves('G9', 'the cursor of one principal is refused to every other, also where both see the same', async () => {
    const [ada, bob, cleo] = [await connect('ada'), await connect('bob'), await connect('cleo')];
    const cursors = await Promise.all([ada, bob].map(async (ask) => (await ask('prompts/list')).result?.nextCursor));
    for (const cursor of cursors) {
      expect(cursor).toEqual(expect.any(String));
      expect((await cleo('prompts/list', { cursor: cursor as string })).error).toMatchObject({ code: -32602 });
    }
    const [adas, bobs] = cursors as string[];
    expect((await bob('prompts/list', { cursor: adas as string })).error).toMatchObject({ code: -32602 });
    expect((await ada('prompts/list', { cursor: bobs as string })).error).toMatchObject({ code: -32602 });
    // Another list of its own, and the same one seen through one server's view.
    expect((await ada('tools/list', { cursor: adas as string })).error).toMatchObject({ code: -32602 });
    const through = await connect('ada', `${url}/two`);
    expect((await through('prompts/list', { cursor: adas as string })).error).toMatchObject({ code: -32602 });
    const again = await connect('ada');
    expect((await again('prompts/list', { cursor: adas as string })).result).toBeDefined();
  });

  proves('G9', 'lists hold what the principal may know of, every item once, in the order of the manifest', async () => {
    const ada = (await pagesOf(await connect('ada'), 'prompts/list', 'prompts')) as Item[][];
    expect(ada.map(({ length }) => length)).toEqual([1_000, 803]);
    expect(serversOf(ada.flat())).toEqual(['one', 'two', 'three']);
    expect(new Set(ada.flat().map(({ name }) => name)).size).toBe(1_803);
    const bob = (await pagesOf(await connect('bob'), 'prompts/list', 'prompts')) as Item[][];
    expect(bob.map(({ length }) => length)).toEqual([1_000, 202]);
    expect(serversOf(bob.flat())).toEqual(['two', 'three']);
    for (const [method, member] of [
      ['tools/list', 'tools'],
      ['resources/list', 'resources'],
    ] as const) {
      const all = (await pagesOf(await connect('ada'), method, member)).flat().length;
      const some = (await pagesOf(await connect('bob'), method, member)).flat().length;
      expect(some * 3).toBe(all * 2);
    }
  });

  proves('G9', 'a server that nobody told a principal about answers in no list and under no name', async () => {
    const bob = await connect('bob');
    const greet = (name: string) => bob('prompts/get', { name });
    expect((await greet('two__greet')).result?.messages).toMatchObject([{ content: { text: 'two: greet' } }]);
    const refusals = [await greet('one__greet'), await greet('nowhere__greet')];
    const [forbidden, missing] = refusals.map(({ error }) => JSON.stringify(error).replace(/(one|nowhere)__/, ''));
    expect(forbidden).toBe(missing);
  });
});

const LISTS = ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'server/discover'] as const;

proves(
  'G9',
  'everything that is listed in 2026-07-28 is private to who asked, on every page, and may not be kept',
  async () => {
    const ada = await modern('ada');
    for (const method of LISTS) {
      const { result } = await ada(method);
      expect(result).toMatchObject({ cacheScope: 'private', ttlMs: 0, resultType: 'complete' });
    }
    const { result } = await ada('prompts/list');
    const next = await ada('prompts/list', { cursor: result?.nextCursor as string });
    expect(next.result).toMatchObject({ cacheScope: 'private', ttlMs: 0 });
  },
);

proves(
  'G9',
  'that a list changed is told on the streams of those who may know of its server, under the name of their own stream',
  async () => {
    const clients = (['ada', 'bob'] as const).map((who) => new RawModern(url, credential(who)));
    const notifications = { promptsListChanged: true, toolsListChanged: true };
    const listens = clients.map((client) => client.begin('subscriptions/listen', { notifications }, { id: 'listen' }));
    for (const listen of listens) await listen.until((heard) => heard.length === 1);
    const sessions = await Promise.all(
      (['ada', 'bob'] as const).map(async (who) => {
        const client = new RawHttp(url, credential(who));
        await client.initialize();
        const headers = { ...client.headers, accept: 'text/event-stream' };
        return { client, stream: await EventListener.open(url, { headers }) };
      }),
    );
    const streams = [...listens, ...sessions.map(({ stream }) => stream)];
    const changes = ({ messages }: EventListener): number =>
      messages.filter(({ method }) => method === 'notifications/prompts/list_changed').length;
    const tell = async (server: string) =>
      expect(textOf(await sessions[0]?.client.call(`${server}__tell`, {}))).toBe(`${server}: told`);
    await tell('one');
    await streams[0]?.until(() => streams[0] !== undefined && changes(streams[0]) === 1);
    // What is told to all of them comes behind what was told to some.
    await tell('two');
    for (const stream of streams)
      await stream.until(() => changes(stream) > (stream === streams[1] || stream === streams[3] ? 0 : 1));
    expect(streams.map(changes)).toEqual([2, 1, 2, 1]);
    for (const { messages } of listens)
      for (const { params } of messages)
        expect((params as JsonObject)._meta).toMatchObject({ 'io.modelcontextprotocol/subscriptionId': 'listen' });
    for (const stream of streams) stream.close();
  },
  60_000,
);

proves(
  'G9',
  'that a server came is told in 2026-07-28 to who may know of it, and to nobody else',
  async () => {
    const rules = RULES.replace('Server::"one"', 'Server::"late"').replace('Server::"one"', 'Server::"late"');
    const at = neighbours({
      servers: { well: {}, late: { flags: ['--late=1500'] } },
      agents: {
        ada: { roles: ['all'], auth: { apiKey: keys.ada.digest } },
        bob: { roles: ['some'], auth: { apiKey: keys.bob.digest } },
      },
      rules,
    });
    const other = at.start(['serve', '--name', 'many', '--http', '127.0.0.1:0']);
    const clients = (['ada', 'bob'] as const).map(async (who) => new RawModern(await urlOf(other), credential(who)));
    const [ada, bob] = (await Promise.all(clients)) as [RawModern, RawModern];
    const names = async (client: RawModern) =>
      serversOf(((await client.ask('tools/list')).result as { tools: readonly Item[] } | undefined)?.tools ?? []);
    expect([await names(ada), await names(bob)]).toEqual([['well'], ['well']]);
    const [hers, his] = [ada, bob].map((client) =>
      client.begin('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    ) as [EventListener, EventListener];
    const changes = ({ messages }: EventListener): number =>
      messages.filter(({ method }) => method === 'notifications/tools/list_changed').length;
    await hers.until(() => changes(hers) === 1);
    expect([await names(ada), await names(bob)]).toEqual([['well', 'late'], ['well']]);
    expect(changes(his)).toBe(0);
    for (const listen of [hers, his]) listen.close();
    await other.stop();
  },
  60_000,
);

proves(
  'G2',
  'a server that came back as another one is told of, offered to nobody any more, and not called',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
    const at = neighbours({
      servers: { well: {}, turns: { flags: [`--changes=${join(folder, 'first')}`] } },
      agents: { ada: { roles: ['all'], auth: { apiKey: keys.ada.digest } } },
    });
    const other = at.start(['serve', '--name', 'many', '--http', '127.0.0.1:0']);
    const ada = new RawModern(await urlOf(other), credential('ada'));
    await other.opensWith(2);
    const names = async () =>
      ((await ada.ask('tools/list')).result as { tools: readonly Item[] } | undefined)?.tools.map(({ name }) => name);
    expect(await names()).toEqual(expect.arrayContaining(['turns__echo', 'turns__count']));
    const listen = ada.begin('subscriptions/listen', { notifications: { toolsListChanged: true } });
    await listen.until((heard) => heard.length === 1);
    await ada.call('turns__die', {});
    await listen.until((heard) => heard.some(({ method }) => method === 'notifications/tools/list_changed'));
    await other.says(/server turns is set aside, because it is not what was approved: tools changed: echo/);
    expect((await names())?.filter((name) => name.startsWith('turns'))).toEqual([]);
    expect(denialOf(await ada.call('turns__echo', {}))).toBe('SERVER_QUARANTINED');
    expect(denialOf(await ada.call('turns__count', {}))).toBe('SERVER_QUARANTINED');
    expect(textOf(await ada.call('well__echo', { text: 'on' }))).toBe('well: on');
    listen.close();
    await other.stop();
    rmSync(folder, { recursive: true, force: true });
  },
  60_000,
);
