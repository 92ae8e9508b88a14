// A client of 2026-07-28 on the real enforcement point: what is refused and how, what a result looks like, and that every word of ours fits the
// published schema.

import { afterEach, describe, expect, it } from 'vitest';
import type { CallId } from '../../../../../domain/ids.ts';
import type { JsonObject } from '../../../../../domain/json.ts';
import {
  CALLS_IN_FLIGHT_PER_SESSION_MAX,
  LEAVE_MS,
  LISTENS_PER_CONVERSATION_MAX,
} from '../../../../../proxy/limits.ts';
import { METHOD_ROWS } from '../../../../../proxy/method-table.ts';
import type { ToolAnswer } from '../../../../../proxy/tool-server.ts';
import { proves } from '../../../../guarantees.ts';
import { LIMITS, settled, TOOLS } from '../../../../support/gate-world.ts';
import { until } from '../../../../support/legacy-client.ts';
import { envelope, ModernClient, request } from '../../../../support/modern-client.ts';

const META = 'io.modelcontextprotocol/';
const clients: ModernClient[] = [];

async function open(options: Parameters<typeof ModernClient.open>[0] = {}): Promise<ModernClient> {
  const client = await ModernClient.open(options);
  clients.push(client);
  return client;
}

afterEach(() => {
  for (const { faults, world } of clients.splice(0)) {
    expect(faults).toEqual([]);
    expect(world.defects).toEqual([]);
  }
});

describe('the envelope', () => {
  const without = (key: string): JsonObject =>
    Object.fromEntries(Object.entries(envelope()).filter(([name]) => name !== `${META}${key}`));
  const cases: [string, JsonObject | undefined][] = [
    ['no params', undefined],
    ['no _meta', {}],
    ['no version', { _meta: without('protocolVersion') }],
    ['no capabilities', { _meta: without('clientCapabilities') }],
    ['capabilities that are no object', { _meta: { ...envelope(), [`${META}clientCapabilities`]: [] } }],
    ['an unknown level', { _meta: envelope({}, { [`${META}logLevel`]: 'loud' }) }],
  ];
  it.each(cases)('%s: -32602 with 400, recorded', async (_name, params) => {
    const client = await open();
    const { message, status } = await client.say({
      jsonrpc: '2.0',
      id: 4,
      method: 'server/discover',
      ...(params === undefined ? {} : { params }),
    });
    expect(message).toMatchObject({ id: 4, error: { code: -32602 } });
    expect(status).toBe(400);
    expect(client.denials()).toEqual(['MESSAGE_MALFORMED']);
  });

  it('does not need clientInfo', async () => {
    const client = await open();
    expect((await client.say(request(1, 'server/discover'))).message.result).toBeDefined();
  });

  it('another version: -32022 with what is served', async () => {
    const client = await open();
    const _meta = { ...envelope(), [`${META}protocolVersion`]: '2099-01-01' };
    const { message, status } = await client.say({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta } });
    const data = { supported: ['2026-07-28'], requested: '2099-01-01' };
    expect(message).toMatchObject({ error: { code: -32022, data } });
    expect(status).toBe(400);
  });
});

describe('methods', () => {
  const denied = METHOD_ROWS.filter(
    ({ era, sender, kind, action }) =>
      era === 'modern' && sender === 'client' && kind === 'request' && action === 'deny',
  ).map(({ method }) => method);

  for (const method of [...denied, 'Tools/Call', 'sampling/createMessage', 'vendor/thing']) {
    proves('G8', `request ${method} of this era is not found, and recorded`, async () => {
      const client = await open();
      const { message, status } = await client.say(request('x', method));
      expect(message).toMatchObject({ id: 'x', error: { code: -32601 } });
      expect(status).toBe(404);
      expect(client.denials()).toHaveLength(1);
      expect(client.world.server.heard).toEqual([]);
    });
  }

  it.each(['tasks/get', 'tasks/update', 'tasks/cancel'])('%s needs the extension: -32021', async (method) => {
    const client = await open();
    const { message, status } = await client.say(request(1, method, { taskId: 'a' }));
    expect(message).toMatchObject({
      error: { code: -32021, data: { requiredCapabilities: { extensions: { [`${META}tasks`]: {} } } } },
    });
    expect(status).toBe(400);
  });

  it('a task of nobody is an invalid parameter', async () => {
    const client = await open();
    const extensions = { [`${META}tasks`]: {} };
    const { message } = await client.say(request(1, 'tasks/get', { taskId: 'a' }, { extensions }));
    expect(message).toMatchObject({ error: { code: -32602, message: 'Unknown task' } });
  });

  it('a batch with one message of this era in it is refused whole', async () => {
    const client = await open();
    const ping = { jsonrpc: '2.0', id: 2, method: 'ping' };
    const { message } = await client.say([ping, request(1, 'tools/call', { name: 'write_file' })]);
    expect(message).toMatchObject({ error: { code: -32600 } });
    expect(message).not.toHaveProperty('id');
    expect(client.denials()).toEqual(['MESSAGE_BATCH']);
    expect(client.world.server.heard).toEqual([]);
  });

  it('a response over HTTP is refused: nothing was asked', async () => {
    const client = await open();
    const headers = { 'mcp-protocol-version': '2026-07-28' };
    const { message, status } = await client.say({ jsonrpc: '2.0', id: 1, result: {} }, { headers });
    expect(message).toMatchObject({ error: { code: -32600 } });
    expect(status).toBe(400);
  });

  it('a reserved key of ours is refused', async () => {
    const client = await open();
    const { message } = await client.say(request(1, 'tools/list', {}, {}, { 'dev.portcullis/receipt': {} }));
    expect(message).toHaveProperty('error');
    expect(client.denials()).toEqual(['META_RESERVED']);
  });
});

describe('what is ours to say', () => {
  it('discover does not pin: an older handshake may follow, and both are served', async () => {
    const client = await open();
    const { message } = await client.say(request(1, 'server/discover'));
    expect(message.result).toMatchObject({
      supportedVersions: ['2026-07-28'],
      resultType: 'complete',
      ttlMs: 0,
      cacheScope: 'private',
      instructions: 'how to use fs',
      _meta: { [`${META}serverInfo`]: { name: 'portcullis' } },
    });
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } };
    const old = client.begin({ jsonrpc: '2.0', id: 2, method: 'initialize', params });
    await old.done;
    expect(old.last().message.result).toMatchObject({ protocolVersion: '2025-11-25' });
    expect((await client.say(request(3, 'tools/list'))).message.result).toHaveProperty('tools');
    client.faults.length = 0; // The answer to `initialize` is of the other revision.
  });

  it.each(['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])(
    '%s is private and not to be kept',
    async (method) => {
      const client = await open();
      const { message } = await client.say(request(1, method));
      expect(message.result).toMatchObject({ resultType: 'complete', ttlMs: 0, cacheScope: 'private' });
    },
  );

  it('a cursor of no list is an invalid parameter', async () => {
    const client = await open();
    expect((await client.say(request(1, 'tools/list', { cursor: 'x' }))).message).toMatchObject({
      error: { code: -32602 },
    });
  });
});

describe('governed messages', () => {
  proves('G4', 'what is forbidden looks like what is missing', async () => {
    const client = await open();
    client.world.authority.decide = async () => ({ decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] });
    const hidden = await client.say(request(1, 'tools/call', { name: 'secret' }));
    const none = await client.say(request(1, 'tools/call', { name: 'nothing' }));
    expect(JSON.stringify(hidden.message).replace('secret', 'nothing')).toBe(JSON.stringify(none.message));
    expect(hidden.message).toMatchObject({ error: { code: -32602 } });
  });

  it('a denied call is a complete result that is an error', async () => {
    const client = await open();
    client.world.authority.decide = async () => ({ decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] });
    const { message } = await client.call();
    expect(message.result).toMatchObject({ isError: true, resultType: 'complete' });
    expect(message.result?._meta).toHaveProperty('dev.portcullis/denial');
    expect(message.result?._meta).toHaveProperty(`${META}serverInfo`);
  });

  it('a result says what it is, who we are, and where it is recorded', async () => {
    const client = await open();
    client.world.server.respond = () =>
      answer({ content: [], _meta: { [`${META}serverInfo`]: { name: 'fs' }, own: 1 } });
    const { message } = await client.call();
    expect(message.result).toMatchObject({ resultType: 'complete', content: [] });
    expect(message.result?._meta).toMatchObject({ own: 1, [`${META}serverInfo`]: { name: 'portcullis' } });
    expect(message.result?._meta).toHaveProperty('dev.portcullis/receipt');
  });

  it.each([
    [-32002, -32602],
    [-32042, -32603],
    [-32020, -32603],
    [-32022, -32603],
    [-32050, -32050],
    [1234, 1234],
  ])('the code %d of a server is told as %d', async (theirs, ours) => {
    const client = await open();
    client.world.server.respond = () => ({ kind: 'error', error: { code: theirs, message: 'no' }, bytes: 2 });
    expect((await client.call()).message).toMatchObject({ error: { code: ours, message: 'no' } });
  });

  it('what is read is kept by nobody else', async () => {
    const client = await open();
    client.world.server.respond = () =>
      answer({ contents: [{ uri: 'a:b', text: '' }], ttlMs: 5, cacheScope: 'public' });
    const { message } = await client.say(request(1, 'resources/read', { uri: 'a:b' }));
    expect(message.result).toMatchObject({ ttlMs: 5, cacheScope: 'private', resultType: 'complete' });
  });

  it('progress needs a token and log messages need a level', async () => {
    const client = await open();
    client.world.server.respond = () => undefined;
    const asked = { name: 'write_file', arguments: {} };
    const quiet = client.begin(request(1, 'tools/call', asked));
    const level = { progressToken: 'p', [`${META}logLevel`]: 'warning' };
    const open2 = client.begin(request(2, 'tools/call', asked, {}, level));
    await settled();
    for (const { hooks, answer: settle } of client.world.server.heard) {
      hooks.onProgress({ progress: 1 });
      hooks.onLog({ level: 'info', data: 'no' });
      hooks.onLog({ level: 'error', data: 'yes' });
      settle(answer({ content: [] }));
    }
    await Promise.all([quiet.done, open2.done]);
    expect(quiet.heard).toHaveLength(1);
    expect(open2.heard.map(({ message }) => message.params)).toEqual([
      { progress: 1, progressToken: 'p' },
      { level: 'error', data: 'yes' },
      undefined,
    ]);
  });

  it('what is said after a call was given up goes nowhere', async () => {
    const client = await open();
    client.world.server.respond = () => undefined;
    const level = { progressToken: 'p', [`${META}logLevel`]: 'debug' };
    const call = client.begin(request(1, 'tools/call', { name: 'write_file', arguments: {} }, {}, level));
    await settled();
    const [heard] = client.world.server.heard;
    client.world.clock.advance(LIMITS.timeoutMs);
    heard?.hooks.onProgress({ progress: 1 });
    heard?.hooks.onLog({ level: 'error', data: 'late' });
    heard?.answer(answer({ content: [] }));
    await call.done;
    expect(call.heard.map(({ message }) => Object.keys(message))).toEqual([['id', 'jsonrpc', 'result']]);
  });

  it('an id in use is refused where ids name requests, and not where each has a stream of its own', async () => {
    const client = await open();
    client.world.server.respond = () => undefined;
    const asked = request(1, 'tools/call', { name: 'write_file', arguments: {} });
    const first = client.begin(asked);
    await settled();
    expect((await client.say(asked)).message).toHaveProperty('error');
    const own = client.begin(asked, { onGone: () => {} });
    await settled();
    expect(client.world.server.heard).toHaveLength(2);
    for (const { answer: settle } of client.world.server.heard) settle(answer({ content: [] }));
    await Promise.all([first.done, own.done]);
  });

  it('is cancelled by what comes right behind it, before anything of it began', async () => {
    const client = await open();
    const call = client.begin(request(1, 'tools/call', { name: 'write_file', arguments: {} }));
    await client.begin({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }).done;
    await call.done;
    expect(call.heard).toEqual([]);
    expect(client.world.server.heard).toEqual([]);
    expect(client.denials()).toEqual(['CANCELLED']);
  });

  it('is cancelled by its id, or by closing its stream, and then not answered', async () => {
    const client = await open();
    client.world.server.respond = () => undefined;
    const asked = request(1, 'tools/call', { name: 'write_file', arguments: {} });
    let gone: () => void = () => {};
    const byId = client.begin(asked);
    const byStream = client.begin(asked, {
      onGone: (listener) => {
        gone = listener;
      },
    });
    await settled();
    await client.begin({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }).done;
    gone();
    for (const heard of client.world.server.heard) {
      expect(heard.cancelled).toBeDefined();
      heard.answer({ kind: 'lost', detail: 'cancelled' });
    }
    await Promise.all([byId.done, byStream.done]);
    expect([...byId.heard, ...byStream.heard]).toEqual([]);
  });
});

describe('the end of a conversation', () => {
  const asked = request(1, 'tools/call', { name: 'write_file', arguments: {} });

  proves('G6', 'a call that is in progress is ended, recorded and answered', async () => {
    const client = await open();
    client.world.server.respond = () => undefined;
    const call = client.begin(asked, { onGone: () => {} });
    await settled();
    const closing = client.session.close('shutdown');
    await settled();
    client.world.server.heard[0]?.answer({ kind: 'lost', detail: 'cancelled' });
    await Promise.all([closing, call.done]);
    expect(JSON.stringify(call.last().message)).toContain('CANCELLED');
    expect(client.world.entries().filter(({ type }) => type === 'call.ending')).toHaveLength(1);
  });

  it('a server that does not let go of a subscription keeps no call going, and the end not for ever', async () => {
    const client = await open();
    client.world.server.respond = ({ method }) => (method === 'resources/subscribe' ? answer({}) : undefined);
    const listen = request('l', 'subscriptions/listen', { notifications: { resourceSubscriptions: ['a:b'] } });
    await client.begin(listen).done;
    const call = client.begin(asked);
    await settled();
    const closing = client.session.close('disconnect');
    const called = client.world.server.heard.find(({ dispatch }) => dispatch.method === 'tools/call');
    expect(called?.cancelled).toBe('CANCELLED');
    await until(() => client.world.server.heard.some(({ dispatch }) => dispatch.method === 'resources/unsubscribe'));
    client.world.clock.advance(LEAVE_MS);
    await Promise.all([closing, call.done]);
  });

  it('what comes while it ends does not run', async () => {
    const client = await open();
    const closing = client.session.close('disconnect');
    const late = client.begin(asked);
    await Promise.all([closing, late.done]);
    expect(client.world.server.heard).toEqual([]);
  });
});

describe('tasks', () => {
  const extensions = { [`${META}tasks`]: {} };
  const task = { taskId: 't1', status: 'working', createdAt: '2026-01-01T00:00:00Z', ttlMs: 1 };
  const run = async (client: ModernClient): Promise<void> => {
    client.world.server.respond = ({ method }) =>
      method === 'tools/call'
        ? { ...answer(task), type: 'task' }
        : answer({ ...task, status: 'completed', result: RESULT });
    await client.call({}, { extensions });
  };
  const RESULT = { content: [{ type: 'text', text: 'done' }] };

  it('a task for a client that knows none is withheld and recorded', async () => {
    const client = await open();
    client.world.server.respond = () => ({ ...answer(task), type: 'task' });
    expect((await client.call()).message).toHaveProperty('error');
    expect(client.denials()).toEqual(['OUTPUT_UNSUPPORTED']);
  });

  it('a task of older revisions for a client that knows none of these is withheld and recorded', async () => {
    const client = await open();
    client.world.server.respond = () => ({ ...answer({ task }), type: 'task' });
    expect((await client.call({}, { extensions })).message).toHaveProperty('error');
    expect(client.denials()).toEqual(['OUTPUT_UNSUPPORTED']);
  });

  it('is bound to its agent, who gets its result', async () => {
    const client = await open();
    client.world.server.respond = () => ({ ...answer(task), type: 'task' });
    expect((await client.call({}, { extensions })).message.result).toMatchObject({ resultType: 'task', taskId: 't1' });
    await run(client);
    const { message } = await client.say(request(2, 'tasks/get', { taskId: 't1' }, { extensions }));
    expect(message.result).toMatchObject({ taskId: 't1', status: 'completed', result: RESULT, resultType: 'complete' });
  });
});

describe('what a task asks for', () => {
  const able = { elicitation: {}, extensions: { [`${META}tasks`]: {} } };
  const form = { type: 'object', properties: { n: { type: 'integer', maximum: 3 } }, required: ['n'] };
  const question = { method: 'elicitation/create', params: { message: 'How many?', requestedSchema: form } };
  const waiting = { taskId: 't1', status: 'input_required', inputRequests: { many: question } };
  const begun = async (state: JsonObject = waiting): Promise<ModernClient> => {
    const client = await open();
    client.world.server.respond = ({ method }) => {
      if (method === 'tools/call') return { ...answer({ taskId: 't1', status: 'working' }), type: 'task' };
      return answer(method === 'tasks/get' ? state : {});
    };
    await client.call({}, able);
    return client;
  };
  const get = (client: ModernClient) => client.say(request(2, 'tasks/get', { taskId: 't1' }, able));
  const update = (client: ModernClient, inputResponses: JsonObject) =>
    client.say(request(3, 'tasks/update', { taskId: 't1', inputResponses }, able));
  const updates = (client: ModernClient): unknown[] =>
    client.world.server.heard
      .filter(({ dispatch }) => dispatch.method === 'tasks/update')
      .map(({ dispatch }) => (JSON.parse(dispatch.body) as JsonObject).inputResponses);

  const unfit: [string, JsonObject][] = [
    ['a number that the form does not take', { action: 'accept', content: { n: 4 } }],
    ['a form without what is required', { action: 'accept', content: {} }],
    ['an action that there is not', { action: 'perhaps' }],
    ['an answer to another kind of question', { roots: [] }],
  ];
  for (const [what, response] of unfit) {
    proves('G4', `${what} does not reach the server`, async () => {
      const client = await begun();
      await get(client);
      expect((await update(client, { many: response })).message).toMatchObject({ error: { code: -32602 } });
      expect(updates(client)).toEqual([]);
      expect(client.denials()).toEqual(['MESSAGE_MALFORMED']);
    });
  }

  it('only what was asked for and released is answered, and without words in our name', async () => {
    const client = await begun();
    const accepted = { action: 'accept', content: { n: 3 } };
    await update(client, { many: accepted });
    await get(client);
    await update(client, { other: accepted, many: { ...accepted, _meta: { 'dev.portcullis/receipt': {}, own: 1 } } });
    expect(updates(client)).toEqual([{}, { many: { ...accepted, _meta: { own: 1 } } }]);
  });

  it('that it waits is also said without saying for what; once it goes on there is nothing to answer', async () => {
    const client = await begun();
    await get(client);
    const { tasks } = client.world.enforcement;
    tasks.learn('fs', 't1', { status: 'input_required' });
    tasks.learn('fs', 't1', {});
    expect(Object.keys(tasks.questions('fs', 't1'))).toEqual(['many']);
    tasks.learn('fs', 't1', { status: 'working' });
    expect(tasks.questions('fs', 't1')).toEqual({});
    expect(tasks.questions('fs', 'another')).toEqual({});
  });

  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
    proves('G8', `a question in the answer to ${method} is decided about like any other`, async () => {
      const client = await begun();
      const { world } = client;
      world.server.respond = () => answer(waiting);
      world.authority.decide = async (asked) =>
        asked.method === 'elicitation/create'
          ? { decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] }
          : world.allow(asked);
      const { message } = await client.say(request(2, method, { taskId: 't1' }, able));
      expect(message).toHaveProperty('error');
      expect(JSON.stringify(message)).not.toContain('How many?');
      expect(client.denials()).toEqual(['POLICY_NO_PERMIT']);
    });
  }
});

describe('words in our name', () => {
  const ours = { 'dev.portcullis/receipt': { call: 'forged' }, own: 1 };

  proves('G8', 'a server does not put them into what a task has come to, nor into a question', async () => {
    const client = await open();
    const { server } = client.world;
    const extensions = { [`${META}tasks`]: {} };
    const params = { message: 'm', requestedSchema: { type: 'object', properties: {} }, _meta: ours };
    server.respond = ({ method }) => {
      if (method !== 'tools/call')
        return answer({ taskId: 't1', status: 'completed', result: { content: [], _meta: ours } });
      const type = server.heard.length === 1 ? 'task' : 'input_required';
      const asks = { inputRequests: { a: { method: 'elicitation/create', params, more: 1 } } };
      return { ...answer(type === 'task' ? { taskId: 't1', status: 'working' } : asks), type };
    };
    await client.call({}, { extensions });
    const got = await client.say(request(2, 'tasks/get', { taskId: 't1' }, { extensions }));
    expect(got.message.result?.result).toEqual({ content: [], _meta: { own: 1 } });
    const asked = await client.call({}, { elicitation: {} }, 3);
    const question = { method: 'elicitation/create', params: { ...params, _meta: { own: 1 } }, more: 1 };
    expect(asked.message.result?.inputRequests).toEqual({ a: question });
    for (const { message } of [got, asked]) expect(JSON.stringify(message)).not.toContain('forged');
  });
});

describe('listening', () => {
  const listen = (id: string, notifications: JsonObject) => request(id, 'subscriptions/listen', { notifications });

  it('a filter that is none is refused', async () => {
    const client = await open();
    expect((await client.say(request(1, 'subscriptions/listen'))).message).toMatchObject({ error: { code: -32602 } });
  });

  it('acknowledges first and tells only what was asked for, with the id', async () => {
    const client = await open();
    const exchange = client.begin(listen('l', { toolsListChanged: true, promptsListChanged: true }));
    await exchange.done;
    const { notices } = client.world.enforcement;
    notices.tell('fs', { method: 'notifications/prompts/list_changed', params: {} });
    notices.tell('fs', { method: 'notifications/tools/list_changed', params: {} });
    const _meta = { [`${META}subscriptionId`]: 'l' };
    await until(() => exchange.heard.length > 1);
    expect(exchange.heard.map(({ message }) => message)).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications: { toolsListChanged: true }, _meta },
      },
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta } },
    ]);
  });

  it('resources are subscribed to where a rule allows it, and left when the stream ends', async () => {
    const client = await open();
    client.world.server.respond = () => answer({});
    client.world.authority.decide = async (asked) =>
      asked.argumentsJson.includes('secret')
        ? { decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] }
        : client.world.allow(asked);
    const exchange = client.begin(listen('l', { resourceSubscriptions: ['a:open', 'a:secret'] }));
    await exchange.done;
    expect(exchange.heard[0]?.message.params?.notifications).toEqual({ resourceSubscriptions: ['a:open'] });
    const { notices } = client.world.enforcement;
    for (const uri of ['a:open', 'a:secret'])
      notices.tell('fs', { method: 'notifications/resources/updated', params: { uri } });
    expect(exchange.heard).toHaveLength(2);
    await client.begin({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'l' } }).done;
    await settled();
    await settled();
    const methods = client.world.server.heard.map(({ dispatch }) => dispatch.method);
    expect(methods).toEqual(['resources/subscribe', 'resources/unsubscribe']);
    notices.tell('fs', { method: 'notifications/resources/updated', params: { uri: 'a:open' } });
    expect(exchange.heard).toHaveLength(2);
  });

  it('a resource that another stream listens to is not given up', async () => {
    const client = await open();
    client.world.server.respond = () => answer({});
    const unsubscribed = () =>
      client.world.server.heard.filter(({ dispatch }) => dispatch.method === 'resources/unsubscribe').length;
    const filter = { resourceSubscriptions: ['a:b'] };
    for (const id of ['one', 'two']) await client.begin(listen(id, filter)).done;
    const cancel = (requestId: string) =>
      client.begin({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } }).done;
    await cancel('one');
    await settled();
    expect(unsubscribed()).toBe(0);
    await cancel('two');
    await until(() => unsubscribed() === 1);
  });

  proves('G9', "of tasks it is granted its own agent's and no other", async () => {
    const client = await open();
    const { tasks } = client.world.enforcement;
    const task = { server: 'fs', tool: 'write_file', call: '01JZ0000000000000000000000' as CallId };
    tasks.bind({ ...task, taskId: 'mine', agent: 'coder' });
    tasks.bind({ ...task, taskId: 'theirs', agent: 'other' });
    const extensions = { [`${META}tasks`]: {} };
    const params = { notifications: { taskIds: ['mine', 'theirs', 'nobody'] } };
    const exchange = client.begin(request('l', 'subscriptions/listen', params, { extensions }));
    await exchange.done;
    expect(exchange.last().message.params?.notifications).toEqual({ taskIds: ['mine'] });
    const tell = (taskId: string) =>
      client.world.enforcement.notices.tell('fs', {
        method: 'notifications/tasks',
        params: { taskId, status: 'working' },
      });
    for (const taskId of ['mine', 'theirs', 'nobody']) tell(taskId);
    expect(exchange.heard.slice(1).map(({ message }) => message.params?.taskId)).toEqual(['mine']);
    client.faults.length = 0; // What a task looks like is the extension's.
  });

  it('where there is no room it is granted no resource', async () => {
    const client = await open();
    client.world.server.respond = () => undefined;
    const asked = (id: number) => request(id, 'tools/call', { name: 'write_file', arguments: {} });
    const calls = Array.from({ length: CALLS_IN_FLIGHT_PER_SESSION_MAX }, (_, id) => client.begin(asked(id)));
    await until(() => client.world.server.heard.length === calls.length);
    const exchange = client.begin(listen('l', { resourceSubscriptions: ['a:b'] }));
    await exchange.done;
    expect(exchange.last().message.params?.notifications).toEqual({});
    expect(client.denials()).toEqual(['OVERLOADED']);
    for (const { answer: settle } of client.world.server.heard) settle(answer({ content: [] }));
    await Promise.all(calls.map(({ done }) => done));
  });

  it('hears of a part of the resource that it named', async () => {
    const client = await open();
    client.world.server.respond = () => answer({});
    const exchange = client.begin(listen('l', { resourceSubscriptions: ['a:dir'] }));
    await exchange.done;
    for (const uri of ['a:dir/file', 'a:dirty'])
      client.world.enforcement.notices.tell('fs', { method: 'notifications/resources/updated', params: { uri } });
    expect(exchange.heard.slice(1).map(({ message }) => message.params?.uri)).toEqual(['a:dir/file']);
  });

  it('hears, once it is acknowledged, what was said while that was not so: of each thing the latest', async () => {
    const client = await open();
    const { server, enforcement } = client.world;
    server.respond = ({ body }) => (body.includes('fast') ? answer({}) : undefined);
    const exchange = client.begin(listen('l', { resourceSubscriptions: ['a:fast', 'a:slow'], toolsListChanged: true }));
    await until(() => server.heard.length === 2);
    await settled();
    for (const at of [1, 2])
      enforcement.notices.tell('fs', { method: 'notifications/resources/updated', params: { uri: 'a:fast', at } });
    enforcement.notices.tell('fs', { method: 'notifications/tools/list_changed', params: {} });
    enforcement.notices.tell('fs', { method: 'notifications/prompts/list_changed', params: {} });
    await settled();
    expect(exchange.heard).toEqual([]);
    for (const { answer: settle } of server.heard) settle(answer({}));
    await exchange.done;
    expect(exchange.heard.map(({ message }) => [message.method, message.params?.at])).toEqual([
      ['notifications/subscriptions/acknowledged', undefined],
      ['notifications/resources/updated', 2],
      ['notifications/tools/list_changed', undefined],
    ]);
  });

  it('ends with a result when the conversation does', async () => {
    const client = await open();
    const exchange = client.begin(listen('l', { toolsListChanged: true }));
    await exchange.done;
    await client.session.close('shutdown');
    expect(exchange.last().message).toMatchObject({
      id: 'l',
      result: { resultType: 'complete', _meta: { [`${META}subscriptionId`]: 'l' } },
    });
  });

  it.each([
    ['ends', 60_000],
    ['has ended meanwhile', -1],
  ])('ends with its result when the credential that came with it %s', async (_what, ms) => {
    const client = await open();
    const { clock } = client.world;
    const exchange = client.begin(listen('l', {}), { until: clock.now() + ms });
    await settled();
    if (ms > 0) {
      clock.advance(ms - 1);
      await settled();
      expect(exchange.heard).toHaveLength(1);
    }
    clock.advance(1);
    await settled();
    expect(exchange.last().message).toHaveProperty('result');
    await exchange.done;
  });

  it('ends when its time is over', async () => {
    const client = await open();
    const exchange = client.begin(listen('l', {}));
    await exchange.done;
    client.world.clock.advance(60 * 60_000);
    await settled();
    expect(exchange.last().message).toHaveProperty('result');
  });

  it('there are so many streams and no more', async () => {
    const client = await open();
    for (let stream = 0; stream < LISTENS_PER_CONVERSATION_MAX; stream++)
      await client.begin(listen(`${stream}`, {})).done;
    expect((await client.say(listen('more', {}))).message).toMatchObject({ error: { code: 40_308 } });
  });
});

describe('headers', () => {
  const tool = {
    name: 'routed',
    inputSchema: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        size: { type: 'integer', 'x-mcp-header': 'Size' },
        within: { type: 'object', properties: { flag: { type: 'boolean', 'x-mcp-header': 'Flag' } } },
      },
    },
  };
  const tools = [...TOOLS, tool];
  const good = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'routed' };
  const args = { region: 'eu', size: 42 };
  const params = { 'mcp-param-region': 'eu', 'mcp-param-size': '42' };
  const encoded = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;
  const refused: [string, Record<string, string>, JsonObject][] = [
    ['no headers at all', {}, {}],
    ['no version', { 'mcp-method': 'tools/call', 'mcp-name': 'routed' }, {}],
    ['an older version', { ...good, 'mcp-protocol-version': '2025-11-25' }, {}],
    ['no method', { 'mcp-protocol-version': '2026-07-28', 'mcp-name': 'routed' }, {}],
    ['another method', { ...good, 'mcp-method': 'tools/list' }, {}],
    ['a method in capitals', { ...good, 'mcp-method': 'TOOLS/CALL' }, {}],
    ['no name', { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call' }, {}],
    ['another name', { ...good, 'mcp-name': 'read_file' }, {}],
    ['a parameter without its header', good, { region: 'eu' }],
    ['another parameter', { ...good, 'mcp-param-region': 'us' }, { region: 'eu' }],
    ['a header without its parameter', { ...good, 'mcp-param-region': 'eu' }, {}],
    ['another number', { ...good, ...params, 'mcp-param-size': '43' }, args],
    ['a number as words', { ...good, ...params, 'mcp-param-size': '0x2a' }, args],
    ['a header of something inside', { ...good, 'mcp-param-flag': 'false' }, { within: { flag: true } }],
    ['Base64 without its padding', { ...good, 'mcp-param-region': '=?base64?ZXU?=' }, { region: 'eu' }],
    ['Base64 with other characters', { ...good, 'mcp-param-region': '=?base64?ZX!U=?=' }, { region: 'eu' }],
    ['Base64 with spare bits', { ...good, 'mcp-param-region': '=?base64?ZXV=?=' }, { region: 'eu' }],
    ['Base64 of no UTF-8', { ...good, 'mcp-param-region': '=?base64?/w==?=' }, { region: '\ufffd' }],
  ];
  it.each(refused)('%s: -32020 with 400, recorded, and nothing reaches the tool', async (_name, headers, given) => {
    const client = await open({ tools });
    const message = request(1, 'tools/call', { name: 'routed', arguments: given });
    const { message: said, status } = await client.say(message, { headers });
    expect(said).toMatchObject({ id: 1, error: { code: -32020 } });
    expect(status).toBe(400);
    expect(client.denials()).toEqual(['HEADER_MISMATCH']);
    expect(client.world.server.heard).toEqual([]);
  });

  const accepted: [string, Record<string, string>, JsonObject][] = [
    ['what agrees', { ...good, ...params }, args],
    ['nothing where there is no argument', good, {}],
    ['nothing where the argument is null', good, { region: null }],
    ['Base64', { ...good, 'mcp-name': encoded('routed'), 'mcp-param-region': encoded('über') }, { region: 'über' }],
    ['what only looks like Base64', { ...good, 'mcp-param-region': '=?base64?ZXU=' }, { region: '=?base64?ZXU=' }],
    ['another spelling of a number', { ...good, ...params, 'mcp-param-size': '42.0' }, args],
    ['a header that nobody declared', { ...good, 'mcp-param-other': 'x' }, {}],
  ];
  it.each(accepted)('%s passes', async (_name, headers, given) => {
    const client = await open({ tools });
    const { message } = await client.say(request(1, 'tools/call', { name: 'routed', arguments: given }), { headers });
    expect(message).toHaveProperty('result');
  });

  proves('G9', 'a hidden tool does not show by the headers that it would want', async () => {
    const client = await open({
      tools: [...TOOLS.filter(({ name }) => name !== 'secret'), { ...tool, name: 'secret' }],
    });
    const call = (name: string) =>
      client.say(request(1, 'tools/call', { name, arguments: args }), { headers: { ...good, 'mcp-name': name } });
    const [hidden, none] = [await call('secret'), await call('nothing')];
    expect(JSON.stringify(hidden).replace('secret', 'nothing')).toBe(JSON.stringify(none));
  });

  it('where there are no headers none is asked for', async () => {
    const client = await open({ tools });
    expect((await client.say(request(1, 'tools/call', { name: 'routed', arguments: args }))).message).toHaveProperty(
      'result',
    );
  });
});

function answer(result: JsonObject): Extract<ToolAnswer, { kind: 'result' }> {
  return { kind: 'result', result, bytes: 10 };
}
