// What a client sends is what the server hears, and what the server says is what the client hears, with members that no revision knows
// everywhere, over each pair of transports and of eras. What may differ is listed in test/support/allowed-differences.ts, with its reason;
// everything else is a fault of ours.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { CAPABILITIES, instructionsOf, listsOf, STATE, TASKS } from '../fixtures/servers/mirror-core.mjs';
import { proves } from '../guarantees.ts';
import { AllowedDifferences } from '../support/allowed-differences.ts';
import { closeInstallations } from '../support/cli.ts';
import { type FaithfulClient, faithfulHttp, type Heard } from '../support/faithful-clients.ts';
import { CLIENTS, ERAS, type MirrorGate, mirrorGate, nameOf, SERVERS } from '../support/mirror-gate.ts';
import { type Said, said, UNUSUAL } from '../support/odd-json.ts';

const ANSWER = 'test.example/answer';
const HEARD = 'test.example/heard';

const allowed = new AllowedDifferences();
let gate: MirrorGate;

beforeAll(async () => {
  gate = await mirrorGate();
}, 60_000);

afterAll(async () => {
  await gate?.close();
  await closeInstallations();
});

/** Keys that are not for everybody to set. */
const RESERVED: JsonObject = { 'io.modelcontextprotocol/later': { x: 1 } };
const OURS: JsonObject = { 'dev.portcullis/later': { x: 1 } };

/** Each governed method with params that it needs, and a result that it may have, both full of what nobody knows. */
const EXCHANGES: readonly {
  readonly method: string;
  readonly params: (server: string, payload: Json) => JsonObject;
  /** The params as the server knows them. */
  readonly own: (server: string, payload: Json) => JsonObject;
  readonly result: (server: string, given: Pick<Said, 'result' | 'block' | 'structured'>) => JsonObject;
}[] = [
  {
    method: 'tools/call',
    params: (server, payload) => ({ name: `${server}__mirror`, arguments: { payload: { '': payload } } }),
    own: (_server, payload) => ({ name: 'mirror', arguments: { payload: { '': payload } } }),
    result: (_server, { result, block, structured }) => ({
      ...result,
      content: [
        { ...block, type: 'text', text: 'é€\u2028', annotations: { priority: 0.5, ...block }, _meta: block },
        { ...block, type: 'resource', resource: { uri: 'a:b', text: '', ...block, _meta: block } },
        { ...block, type: 'of-a-later-revision' },
      ],
      structuredContent: structured,
    }),
  },
  {
    method: 'prompts/get',
    params: (server) => ({ name: `${server}__mirror`, arguments: { a: 'b', '': 'é' } }),
    own: () => ({ name: 'mirror', arguments: { a: 'b', '': 'é' } }),
    result: (_server, { result, block }) => ({
      ...result,
      messages: [{ role: 'user', ...block, content: { ...block, type: 'text', text: 'x' } }],
    }),
  },
  {
    method: 'resources/read',
    params: (server) => ({ uri: `mirror://${server}/x` }),
    own: (server) => ({ uri: `mirror://${server}/x` }),
    result: (server, { result, block }) => ({
      ...result,
      contents: [{ ...block, uri: `mirror://${server}/x`, text: 'é', _meta: block }],
    }),
  },
  {
    method: 'completion/complete',
    params: (server, payload) => ({
      ref: { type: 'ref/prompt', name: `${server}__mirror`, 'x-later': payload },
      argument: { name: 'a', value: 'b', 'x-later': payload },
      context: { arguments: { c: 'd' }, '': payload },
    }),
    own: (_server, payload) => ({
      ref: { type: 'ref/prompt', name: 'mirror', 'x-later': payload },
      argument: { name: 'a', value: 'b', 'x-later': payload },
      context: { arguments: { c: 'd' }, '': payload },
    }),
    result: (_server, { result, block }) => ({ ...result, completion: { ...block, values: ['b', 'c'] } }),
  },
];

/** Every question that a server has, by the name that it has in the newer era. */
function questions({ params, meta }: Said): Readonly<Record<string, JsonObject>> {
  const _meta = { ...meta, ...RESERVED, ...OURS, progressToken: 'of the server' };
  return {
    'a model': {
      method: 'sampling/createMessage',
      params: {
        ...params,
        messages: [{ ...params, role: 'user', content: { ...params, type: 'text', text: 'é' } }],
        maxTokens: 1,
        task: { ttl: 1 },
        _meta,
      },
    },
    '': {
      method: 'elicitation/create',
      params: {
        ...params,
        mode: 'form',
        message: 'who?',
        requestedSchema: { ...params, type: 'object', properties: { who: { ...params, type: 'string' } } },
        _meta,
      },
    },
    'é "roots"': { method: 'roots/list' },
  };
}

/** What a client says to such a question. */
function answerTo(method: Json | undefined, { given, meta: said }: Said): JsonObject {
  const meta = { ...said, ...RESERVED };
  switch (method) {
    case 'sampling/createMessage':
      return { ...given, role: 'assistant', model: 'm', content: { ...given, type: 'text', text: 'x' }, _meta: meta };
    case 'elicitation/create':
      return { ...given, action: 'accept', content: { who: 'Ada' }, _meta: meta };
    default:
      return { ...given, roots: [{ ...given, uri: 'file:///x', name: 'é' }], _meta: meta };
  }
}

/** What the server says that it heard, and the rest of the result. */
function taken(result: JsonObject | undefined): { readonly heard: JsonObject; readonly result: JsonObject } {
  const { [HEARD]: heard, ...meta } = (result?._meta ?? {}) as JsonObject;
  expect(heard, JSON.stringify(result)).toBeDefined();
  return { heard: heard as JsonObject, result: { ...result, _meta: meta } };
}

function expectSameRequest(heard: JsonObject, sent: JsonObject): void {
  expect(allowed.without('request', heard.params)).toEqual(allowed.without('request', sent));
}

const progress = (params: JsonObject): JsonObject => ({ method: 'notifications/progress', params });
const log = (params: JsonObject): JsonObject => ({ method: 'notifications/message', params });
/** Without what JSON-RPC puts around it. */
const bare = ({ jsonrpc: _, ...message }: JsonObject): JsonObject => message;

describe.each(CLIENTS)('a client of the $era era on $transport', (clientSide) => {
  let client: FaithfulClient;
  const isModernClient = clientSide.era === 'modern';
  beforeAll(() => {
    client = gate.clients.get(nameOf(clientSide)) as FaithfulClient;
  });

  describe.each(SERVERS)('and a server of the $era era on $transport', (serverSide) => {
    const server = nameOf(serverSide);
    const isModernServer = serverSide.era === 'modern';

    proves('G8', 'hear each other word for word', async () => {
      for (const { method, params, own, result } of EXCHANGES) {
        const exchange = async (all: Said): Promise<void> => {
          const answer: JsonObject = { ...result(server, all), _meta: { ...all.meta, ...RESERVED, ...OURS } };
          const ofServer = { ...all.meta, ...RESERVED, ...OURS };
          const before = [
            progress({ progress: 1, total: 2, message: 'é', ...all.block }),
            log({ ...all.block, level: 'info', logger: 'mirror', data: all.payload, _meta: ofServer }),
            progress({ progress: 2, _meta: ofServer }),
          ];
          const _meta = { ...all.meta, ...RESERVED, progressToken: 'ours', [ANSWER]: { before, result: answer } };
          const unasked = { inputResponses: { nobody: { action: 'accept' } } };
          const sent = { ...all.params, ...params(server, all.payload), ...unasked, _meta };
          const heard = await client.ask(method, sent);
          const { heard: request, result: released } = taken(heard.result);
          expect(request.method).toBe(method);
          expectSameRequest(request, { ...all.params, ...own(server, all.payload), ...unasked, _meta });
          if (method !== 'resources/read') allowed.known('qualified');
          expect(allowed.without('result', released)).toEqual(allowed.without('result', asReleased(answer)));
          expect(heard.notifications.map(comparable)).toEqual(before.map(comparable));
        };
        await fc.assert(fc.asyncProperty(said, exchange), { numRuns: 1 });
      }
    });

    it('are both asked and answered word for word', async () => {
      const exchange = async (all: Said): Promise<void> => {
        const asks = questions(all);
        const withMembers = Object.entries(asks).map(([key, question]) => [key, { ...question, 'x-later': all.given }]);
        const asked = { ...all.params, _meta: { ...all.meta, ...RESERVED, ...OURS } };
        const answer = {
          result: { content: [] },
          asked,
          asks: isModernServer ? Object.fromEntries(withMembers) : asks,
        };
        const _meta = { ...all.meta, [ANSWER]: answer };
        const params = { ...all.params, arguments: {}, _meta };
        const heard = await client.ask(
          'tools/call',
          { ...params, name: `${server}__mirror` },
          { answer: ({ method }) => answerTo(method, all) },
        );
        const { heard: said } = taken(heard.result);
        const { inputResponses, requestState, ...sent } = said.params as JsonObject;
        expectSameRequest({ params: sent }, { ...params, name: 'mirror' });
        expect(requestState).toBe(isModernServer ? STATE : undefined);
        expectSameQuestions(heard, asks, asked, all);
        const answers = Object.entries(asks).map(([key, { method }]) => [key, answerTo(method, all)]);
        for (const [key, sentAnswer] of answers as [string, JsonObject][])
          expect(allowed.without('answer', (said.answers as JsonObject)[key])).toEqual(
            allowed.without('answer', sentAnswer),
          );
        expect(Object.keys(said.answers as JsonObject).sort()).toEqual(Object.keys(asks).sort());
        expect(inputResponses).toEqual(isModernServer ? said.answers : undefined);
      };
      await fc.assert(fc.asyncProperty(said, exchange), { numRuns: 1 });
    });

    it('hear of resources that changed with all that is said of them', async () => {
      const uri = `mirror://${server}/x`;
      await client.subscribe(uri);
      const exchange = async ({ params, meta }: Said): Promise<void> => {
        const from = client.unasked.length;
        const _meta = { ...meta, ...RESERVED, ...OURS };
        const notice = { method: 'notifications/resources/updated', params: { ...params, uri, _meta } };
        const changed = { method: 'notifications/prompts/list_changed', params: { ...params, _meta: meta } };
        const answer = { notices: [changed, notice], result: { content: [] } };
        await client.ask('tools/call', { name: `${server}__mirror`, arguments: {}, _meta: { [ANSWER]: answer } });
        const updates = () => client.unasked.slice(from).filter(({ method }) => method === notice.method);
        await client.until(() => updates().length > 0);
        expect(updates().map(({ params: told }) => allowed.without('notice', told))).toEqual([
          allowed.without('notice', notice.params),
        ]);
        if (isModernClient) return;
        await client.until(() => client.unasked.some(({ method }) => method === changed.method));
        allowed.known('listChanged');
      };
      await fc.assert(fc.asyncProperty(said, exchange), { numRuns: 1 });
    });

    // What follows does not depend on the pair: each transport and each pair of eras once is enough.
    if (clientSide.transport !== serverSide.transport && serverSide.transport !== 'sse') return;

    it('hear of errors with their data, whatever it is', async () => {
      const exchange = async ({ given, payload }: Said): Promise<void> => {
        for (const data of [{ ...given, ...OURS }, payload, undefined]) {
          const error = { code: -32050, message: 'é: no\u2028', ...(data === undefined ? {} : { data }) };
          allowed.known('errorMembers');
          const answered = { error: { ...error, 'x-later': 1 } };
          const params = { name: `${server}__mirror`, arguments: {}, _meta: { [ANSWER]: answered } };
          const heard = (await client.ask('tools/call', params)).error as JsonObject;
          const { data: released, ...rest } = allowed.without('error', heard);
          const withData = data === undefined && isEmpty(released) ? rest : { ...rest, data: released };
          expect(withData).toEqual(allowed.without('error', error));
        }
      };
      await fc.assert(fc.asyncProperty(said, exchange), { numRuns: 1 });
    });

    it('mean the same by JSON that is seldom written', async () => {
      const answer = (later: Json) => ({ content: [{ type: 'text', text: '', later }], later });
      const _meta = { [ANSWER]: { result: answer('@said@'), spelling: UNUSUAL }, later: '@spelled@' };
      const params = { name: `${server}__mirror`, arguments: { payload: '@spelled@' }, _meta, '': '@spelled@' };
      const { result: answered } = await client.ask('tools/call', params, { spelling: UNUSUAL });
      allowed.known('spelling');
      const value = JSON.parse(UNUSUAL) as Json;
      const { heard, result: released } = taken(answered);
      expectSameRequest(heard, {
        name: 'mirror',
        arguments: { payload: value },
        _meta: { [ANSWER]: { result: answer(value), spelling: UNUSUAL }, later: value },
        '': value,
      });
      expect(allowed.without('result', released)).toEqual(answer(value));
    });

    if (clientSide.era === serverSide.era)
      it('hear of tasks with all that is said of them', async () => {
        const exchange = async (all: Said): Promise<void> => {
          const taskId = `task of ${nameOf(clientSide)} at ${server}`;
          const times = { createdAt: '2026-11-21T00:00:00Z', lastUpdatedAt: '2026-11-21T00:00:00Z' };
          const working = { ...all.given, taskId, status: 'working', ...times, ttl: 1, ttlMs: 1, pollInterval: 1 };
          const begun = isModernServer ? { ...working, resultType: 'task' } : { ...all.result, task: working };
          const outcome = { ...all.block, content: [{ ...all.block, type: 'text', text: 'é' }] };
          const ended = { ...working, status: 'completed', ...(isModernServer ? { result: outcome } : {}) };
          const asTask: JsonObject = isModernServer ? {} : { task: { ...all.given, ttl: 1 } };
          await step('tools/call', { name: `${server}__mirror`, arguments: {}, ...asTask }, begun, { name: 'mirror' });
          await step('tasks/get', { taskId }, ended);
          if (!isModernServer) await step('tasks/result', { taskId }, outcome);

          async function step(
            method: string,
            params: JsonObject,
            said: JsonObject,
            own: JsonObject = {},
          ): Promise<void> {
            const answer: JsonObject = { ...said, _meta: all.meta };
            const sent: JsonObject = { ...all.params, ...params, _meta: { ...all.meta, [ANSWER]: { result: answer } } };
            const { heard, result: released } = taken((await client.ask(method, sent)).result);
            expectSameRequest(heard, { ...sent, ...own });
            expect(allowed.without('result', released)).toEqual(allowed.without('result', answer));
          }
        };
        await fc.assert(fc.asyncProperty(said, exchange), { numRuns: 1 });
      });

    /** A result as its server says it, in the words of the client's era. */
    function asReleased(result: JsonObject): JsonObject {
      const { structuredContent } = result;
      if (isModernClient || !isModernServer || structuredContent === undefined || isJsonObject(structuredContent))
        return result;
      allowed.known('wrapped');
      return { ...result, structuredContent: { result: structuredContent } };
    }

    function expectSameQuestions(
      { questions: asked, rounds }: Heard,
      sent: Readonly<Record<string, JsonObject>>,
      around: JsonObject,
      { given }: Said,
    ): void {
      const inSameEra = isModernClient && isModernServer;
      if (!isModernServer) allowed.known(isModernClient ? 'questionRounds' : 'questionNames');
      if (isModernServer && !isModernClient) {
        allowed.known('questionMembers');
        allowed.known('roundMembers');
      }
      if (inSameEra) allowed.known('state');
      const expected = Object.entries(sent).map(([key, question]) =>
        asQuestion(inSameEra ? { ...question, key, 'x-later': given } : question),
      );
      const seen = asked.map(({ key, ...question }) =>
        asQuestion(inSameEra ? { ...question, key: key as Json } : question),
      );
      const byText = (one: JsonObject, other: JsonObject) => (String(one.method) < String(other.method) ? -1 : 1);
      expect(seen.sort(byText)).toEqual(expected.sort(byText));
      if (inSameEra)
        expect(rounds.map((round) => allowed.without('round', round))).toEqual([allowed.without('round', around)]);
    }
  });

  it('sees what servers say of what they offer, under qualified names', async () => {
    for (const method of Object.keys(listsOf(''))) {
      const { result = {} } = await client.ask(method, {});
      const [member = ''] = Object.keys(listsOf('')[method] ?? {});
      const expected = SERVERS.map(nameOf).flatMap((server) => {
        const items = (listsOf(server)[method]?.[member] ?? []) as readonly JsonObject[];
        const isQualified = member === 'tools' || member === 'prompts';
        return items.map((item) => (isQualified ? { ...item, name: `${server}__${String(item.name)}` } : item));
      });
      const { [member]: items, ...rest } = allowed.without('list', result);
      expect(items).toEqual(expected);
      expect(rest).toEqual({});
      allowed.known('listMembers');
    }
  });
});

describe.each(ERAS)('a client of the %s era at the address of one server', (era) => {
  it.each(SERVERS)('hears its instructions, and what it can do: $transport, $era', async (side) => {
    const server = nameOf(side);
    const client = await faithfulHttp(era, `${gate.url}/${server}`);
    const { instructions, capabilities, ...rest } = client.hello;
    await client.close();
    expect(instructions).toBe(instructionsOf(server));
    const { 'x-later': _, ...carried } = CAPABILITIES;
    // Tasks of one era are nothing to the other.
    expect(capabilities).toEqual(era === side.era ? { ...carried, ...TASKS[era] } : carried);
    expect(rest).not.toHaveProperty('later');
    allowed.known('hello');
  });
});

it('and nothing is allowed to differ that never does', () => {
  expect(allowed.unneeded()).toEqual([]);
});

function isEmpty(value: Json | undefined): boolean {
  return value === undefined || (isJsonObject(value) && Object.keys(value).length === 0);
}

function comparable(message: JsonObject): JsonObject {
  return { ...bare(message), params: allowed.without('notification', message.params) };
}

function asQuestion({ params = {}, ...question }: JsonObject): JsonObject {
  if (isEmpty(params)) allowed.known('noParams');
  return allowed.without('question', { ...question, params });
}
