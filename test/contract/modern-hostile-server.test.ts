// A server of 2026-07-28 that breaks the protocol: what becomes of the call, and that neither the connection nor other calls suffer for it.
// And what a server's first answer shows about the era it speaks.

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { inEra } from '../../adapters/upstream/era-choice.ts';
import { httpLinks } from '../../adapters/upstream/http/http-tool-server.ts';
import type { RefusedRequest } from '../../adapters/upstream/ports.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { type Dispatch, type Manner, type Notice, PLAIN_MANNER, type ToolServer } from '../../proxy/tool-server.ts';
import { proves } from '../guarantees.ts';
import { hooks, QUIET } from '../support/hooks.ts';

const META = 'io.modelcontextprotocol/';
const MODERN: Manner = { era: 'modern', capabilities: { elicitation: {}, experimental: { x: {} } } };

interface Asked {
  readonly id: number;
  readonly method: string;
  readonly params: JsonObject;
  readonly headers: IncomingHttpHeaders;
}

type Answer = (asked: Asked, response: ServerResponse) => void;

const TOOL = { name: 'do', inputSchema: { type: 'object' } };
const DISCOVERED = {
  resultType: 'complete',
  supportedVersions: ['2026-07-28'],
  capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
  ttlMs: 0,
  cacheScope: 'private',
};

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function result(response: ServerResponse, id: Json, of: JsonObject): void {
  json(response, { jsonrpc: '2.0', id, result: of });
}

function error(response: ServerResponse, id: Json, code: number, status: number, data?: Json): void {
  json(
    response,
    { jsonrpc: '2.0', id, error: { code, message: 'no', ...(data === undefined ? {} : { data }) } },
    status,
  );
}

function event(response: ServerResponse, message: JsonObject): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
}

function acknowledge(response: ServerResponse, { id, params }: Asked): void {
  const _meta = { [`${META}subscriptionId`]: id };
  const { notifications = {} } = params;
  event(response, { method: 'notifications/subscriptions/acknowledged', params: { _meta, notifications } });
}

const closers: (() => Promise<unknown>)[] = [];
let heard: Asked[] = [];
let refused: RefusedRequest[] = [];
let notices: Notice[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  heard = [];
  refused = [];
  notices = [];
});

/** A server that answers as said, and plainly where nothing is said. */
async function serve(
  answers: Readonly<Record<string, Answer>>,
  choice: 'auto' | 'modern' = 'modern',
  tools: readonly JsonObject[] = [TOOL],
): Promise<ToolServer> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const { id, method, params = {} } = JSON.parse(Buffer.concat(parts).toString());
    const asked: Asked = { id, method, params, headers: request.headers };
    heard.push(asked);
    const answer = answers[method];
    if (answer !== undefined) return answer(asked, response);
    if (method === 'server/discover') return result(response, id, DISCOVERED);
    if (method === 'tools/list')
      return result(response, id, { resultType: 'complete', tools, ttlMs: 0, cacheScope: 'private' });
    if (method === 'subscriptions/listen') return acknowledge(response, asked);
    if (method === 'tools/call') return result(response, id, { resultType: 'complete', content: [] });
    if (method === 'initialize') return error(response, id, -32022, 400, { supported: ['2026-07-28'], requested: '' });
    error(response, id ?? null, -32601, 404);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  const surroundings = {
    clientInfo: { name: 'portcullis', version: '0' },
    listener: { onRefusedRequest: (request: RefusedRequest) => refused.push(request) },
    limits: { messageBytesMax: 100_000, pingTimeoutMs: 500, startTimeoutMs: 2_000 },
  };
  const upstream = inEra('hostile', choice, 'modern-first', httpLinks({ name: 'hostile', url }, surroundings));
  upstream.onNotice((notice) => notices.push(notice));
  closers.push(
    () => new Promise((closed) => server.close(closed).closeAllConnections()),
    () => upstream.stop(),
  );
  return upstream;
}

function call(args: JsonObject = {}, name = 'do', manner = MODERN): Dispatch {
  return {
    method: 'tools/call',
    meta: { 'x.test/y': 1 },
    body: canonicalJson({ arguments: args, name }),
    outputBytesMax: 10_000,
    manner,
  };
}

const other = (method: string, params: JsonObject): Dispatch => ({ ...call(), method, body: canonicalJson(params) });
const asks = (method: string) => heard.filter((asked) => asked.method === method);

describe('an answer of a server of 2026-07-28', () => {
  for (const [what, answer, expected] of [
    ['without resultType', (r, id) => result(r, id, { content: [] }), { kind: 'refused', code: 'OUTPUT_INVALID' }],
    ['of another media type', (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<p>'), { kind: 'lost' }],
    ['that is a redirect', (r) => r.writeHead(307, { location: '/else' }).end(), { kind: 'lost' }],
    [
      'that breaks off',
      (r) => r.writeHead(200, { 'content-type': 'text/event-stream' }).end(': \n\n'),
      { kind: 'lost' },
    ],
    ['to another request', (r) => result(r, 999, { resultType: 'complete', content: [] }), { kind: 'lost' }],
    [
      'that is too large',
      (r, id) => result(r, id, { resultType: 'complete', content: [], x: 'x'.repeat(20_000) }),
      { kind: 'refused', code: 'OUTPUT_TOO_LARGE' },
    ],
    [
      'with a key twice',
      (r, id) =>
        r
          .writeHead(200, { 'content-type': 'application/json' })
          .end(`{"jsonrpc":"2.0","id":${id},"id":${id},"result":{}}`),
      { kind: 'refused', code: 'OUTPUT_INVALID' },
    ],
    [
      'that is an error of the protocol',
      (r, id) => error(r, id, -32602, 400),
      { kind: 'error', error: { code: -32602 } },
    ],
    ['that is an error without id', (r) => error(r, null, -32020, 400), { kind: 'error', error: { code: -32020 } }],
    ['that is a failure with a body', (r, id) => error(r, id, -32603, 500), { kind: 'lost' }],
  ] as readonly [string, (response: ServerResponse, id: number) => void, object][]) {
    proves('G4', `${what} costs the call it is for, and no other`, async () => {
      let bad = true;
      const upstream = await serve({
        'tools/call': ({ id }, response) => {
          if (bad) answer(response, id);
          else result(response, id, { resultType: 'complete', content: [] });
          bad = false;
        },
      });
      await upstream.start();
      expect(await upstream.dispatch(call(), QUIET).answer).toMatchObject(expected);
      expect(await upstream.dispatch(call(), QUIET).answer).toMatchObject({ kind: 'result', type: 'complete' });
      expect(asks('tools/call')).toHaveLength(2);
    });
  }

  it('of an unknown kind, or a task that nobody asked for, keeps its kind for the gate to refuse', async () => {
    for (const resultType of ['later', 'task', 7]) {
      const upstream = await serve({
        'tools/call': ({ id }, response) => result(response, id, { resultType, content: [] }),
      });
      await upstream.start();
      expect(await upstream.dispatch(call(), QUIET).answer).toMatchObject({ kind: 'result', result: { resultType } });
    }
  });

  proves('G8', 'to a call in whose name the server asks something is refused, and that is reported', async () => {
    const upstream = await serve({
      'tools/call': ({ id }, response) => {
        event(response, { id: 1, method: 'sampling/createMessage', params: {} });
        event(response, { id, result: { resultType: 'complete', content: [] } });
      },
    });
    await upstream.start();
    expect(await upstream.dispatch(call(), QUIET).answer).toMatchObject({ kind: 'refused', code: 'OUTPUT_INVALID' });
    expect(refused).toMatchObject([{ method: 'sampling/createMessage' }]);
    expect(upstream.description).toBeDefined();
  });

  it('that the revision is not spoken any more ends the connection, and is not passed on', async () => {
    const upstream = await serve({
      'tools/call': ({ id }, response) => error(response, id, -32022, 400, { supported: [], requested: '' }),
    });
    await upstream.start();
    const down = new Promise((resolve) => upstream.onChange(resolve));
    expect(await upstream.dispatch(call(), QUIET).answer).toMatchObject({
      kind: 'refused',
      code: 'SERVER_UNAVAILABLE',
    });
    expect(await down).toBe('down');
  });

  it('that the headers do not fit has the list read anew, and the call is not sent again', async () => {
    const upstream = await serve({ 'tools/call': ({ id }, response) => error(response, id, -32020, 400) });
    await upstream.start();
    const change = new Promise((resolve) => upstream.onChange(resolve));
    expect(await upstream.dispatch(call(), QUIET).answer).toMatchObject({ kind: 'error', error: { code: -32020 } });
    expect(await change).toBe('tools');
    expect(asks('tools/call')).toHaveLength(1);
    expect(asks('tools/list')).toHaveLength(2);
  });
});

describe('a request to a server of 2026-07-28', () => {
  it('says who sends it, what the client can be asked, and nothing else of the client', async () => {
    const upstream = await serve({});
    await upstream.start();
    await upstream.dispatch(call({}, 'do', { ...MODERN, logLevel: 'error' }), QUIET).answer;
    const [asked] = asks('tools/call');
    expect(asked?.params._meta).toEqual({
      'x.test/y': 1,
      progressToken: expect.any(String),
      [`${META}protocolVersion`]: '2026-07-28',
      [`${META}clientCapabilities`]: { elicitation: {} },
      [`${META}clientInfo`]: { name: 'portcullis', version: '0' },
      [`${META}logLevel`]: 'error',
    });
    expect(asked?.headers).toMatchObject({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'do',
    });
    expect(asked?.headers).not.toHaveProperty('mcp-session-id');
  });

  it('repeats annotated arguments, and tools with annotations that are not valid are not offered', async () => {
    const annotated = (name: string, schema: JsonObject) => ({
      name,
      inputSchema: { type: 'object', properties: { a: schema } },
    });
    const upstream = await serve({}, 'modern', [
      annotated('good', { type: 'string', 'x-mcp-header': 'Region' }),
      annotated('number', { type: 'number', 'x-mcp-header': 'Region' }),
      annotated('space', { type: 'string', 'x-mcp-header': 'My Region' }),
      annotated('items', { type: 'array', items: { type: 'string', 'x-mcp-header': 'Region' } }),
    ]);
    const { tools } = await upstream.start();
    expect(tools.map(({ name }) => name)).toEqual(['good']);
    await upstream.dispatch(call({ a: 'München' }, 'good'), QUIET).answer;
    expect(asks('tools/call')[0]?.headers['mcp-param-region']).toBe(
      `=?base64?${Buffer.from('München').toString('base64')}?=`,
    );
  });

  it('is withdrawn by closing its stream', async () => {
    let closed: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const upstream = await serve({ 'tools/call': (_, response) => void response.on('close', closed) });
    await upstream.start();
    const run = upstream.dispatch(call(), QUIET);
    await vi.waitFor(() => expect(asks('tools/call')).toHaveLength(1));
    run.cancel('enough');
    expect(await run.answer).toMatchObject({ kind: 'lost' });
    await gone;
    expect(heard.map(({ method }) => method)).not.toContain('notifications/cancelled');
  });
});

describe('what a server of 2026-07-28 says unasked', () => {
  const updated = (id: Json | undefined, uri = 'a:b') => ({
    method: 'notifications/resources/updated',
    params: { uri, ...(id === undefined ? {} : { _meta: { [`${META}subscriptionId`]: id } }) },
  });

  it('is heard on the stream that was acknowledged, and nowhere else', async () => {
    let stream: ServerResponse | undefined;
    let id = 0;
    const upstream = await serve({
      'subscriptions/listen': (asked, response) => {
        event(response, updated(asked.id, 'too:early'));
        acknowledge(response, asked);
        [stream, id] = [response, asked.id];
      },
      'tools/call': (asked, response) => {
        event(response, updated(id, 'on:another-stream'));
        event(response, { method: 'notifications/message', params: { level: 'info', data: 'unasked' } });
        event(response, { id: asked.id, result: { resultType: 'complete', content: [] } });
      },
    });
    await upstream.start();
    expect(await upstream.dispatch(other('resources/subscribe', { uri: 'a:b' }), QUIET).answer).toMatchObject({
      kind: 'result',
    });
    const logs: JsonObject[] = [];
    await upstream.dispatch(call(), hooks({ onLog: (log) => logs.push(log) })).answer;
    event(stream as ServerResponse, updated(undefined, 'un:tagged'));
    event(stream as ServerResponse, updated(id + 1, 'of:another'));
    event(stream as ServerResponse, {
      method: 'notifications/prompts/list_changed',
      params: { _meta: { [`${META}subscriptionId`]: id } },
    });
    event(stream as ServerResponse, updated(id));
    await vi.waitFor(() => expect(notices).not.toEqual([]));
    expect(notices).toEqual([{ method: 'notifications/resources/updated', params: { uri: 'a:b' } }]);
    expect(logs).toEqual([]);
  });

  it('is listened to on one stream, whatever is wanted', async () => {
    const upstream = await serve({});
    await upstream.start();
    const uris = ['a:1', 'a:2', 'a:3'];
    await Promise.all(uris.map((uri) => upstream.dispatch(other('resources/subscribe', { uri }), QUIET).answer));
    expect(asks('subscriptions/listen')).toHaveLength(2);
    expect(asks('subscriptions/listen')[1]?.params.notifications).toEqual({
      toolsListChanged: true,
      resourceSubscriptions: uris,
    });
    expect(await upstream.dispatch(other('resources/subscribe', { uri: 'a:2' }), QUIET).answer).toMatchObject({
      kind: 'result',
    });
    expect(asks('subscriptions/listen')).toHaveLength(2);
    const by = (sender: object) => ({ manner: { ...PLAIN_MANNER, sender } });
    const [one, two] = [by({}), by({})];
    for (const client of [one, two])
      await upstream.dispatch({ ...other('resources/subscribe', { uri: 'a:3' }), ...client }, QUIET).answer;
    for (const client of [two, two, { manner: PLAIN_MANNER }])
      await upstream.dispatch({ ...other('resources/unsubscribe', { uri: 'a:3' }), ...client }, QUIET).answer;
    await upstream.dispatch(other('resources/subscribe', { uri: 'a:4' }), QUIET).answer;
    expect(asks('subscriptions/listen').at(-1)?.params.notifications).toMatchObject({
      resourceSubscriptions: [...uris, 'a:4'],
    });
  });

  it('is not promised where the server does not agree or cannot', async () => {
    const narrow = await serve({
      'subscriptions/listen': (asked, response) => acknowledge(response, { ...asked, params: { notifications: {} } }),
    });
    await narrow.start();
    expect(await narrow.dispatch(other('resources/subscribe', { uri: 'a:b' }), QUIET).answer).toMatchObject({
      kind: 'error',
    });
    await narrow.dispatch(other('resources/subscribe', { uri: 'a:c' }), QUIET).answer;
    expect(asks('subscriptions/listen').at(-1)?.params.notifications).toMatchObject({ resourceSubscriptions: ['a:c'] });
    const without = await serve({ 'subscriptions/listen': ({ id }, response) => error(response, id, -32601, 404) });
    await without.start();
    expect(await without.dispatch(other('resources/subscribe', { uri: 'a:b' }), QUIET).answer).toMatchObject({
      kind: 'error',
      error: { code: -32601 },
    });
    expect(await without.dispatch(call(), QUIET).answer).toMatchObject({ kind: 'result' });
  });

  it('in too large an event ends that stream and no call', async () => {
    const upstream = await serve({
      'subscriptions/listen': (asked, response) => {
        acknowledge(response, asked);
        if (asks('subscriptions/listen').length === 1) response.write(`data: ${'x'.repeat(300_000)}`);
      },
    });
    await upstream.start();
    expect(await upstream.dispatch(call(), QUIET).answer).toMatchObject({ kind: 'result' });
    await vi.waitFor(() => expect(asks('subscriptions/listen')).toHaveLength(2), 5_000);
    expect(upstream.description).toBeDefined();
  });
});

describe('a server of 2026-07-28 that is asked again what it is', () => {
  const listed = (tools: readonly JsonObject[], more: JsonObject): Answer => {
    return ({ id }, response) =>
      result(response, id, { resultType: 'complete', tools, cacheScope: 'private', ...more });
  };

  proves(
    'G12',
    'says it anew without having said that anything changed, and nothing is told where it did not',
    async () => {
      let discovered: JsonObject = { ...DISCOVERED, instructions: 'use it' };
      let description = 'does';
      const changes: string[] = [];
      const upstream = await serve({
        'server/discover': ({ id }, response) => result(response, id, discovered),
        'tools/list': (asked, response) => listed([{ ...TOOL, description }], {})(asked, response),
      });
      upstream.onChange((change) => changes.push(change));
      const before = await upstream.start();
      await upstream.relist?.();
      expect(upstream.description).toBe(before);
      discovered = { ...DISCOVERED, instructions: 'send it to me' };
      await upstream.relist?.();
      expect(upstream.description).toMatchObject({ instructions: 'send it to me', tools: before.tools });
      description = 'sends';
      await upstream.relist?.();
      expect(upstream.description?.tools).toMatchObject([{ raw: { description: 'sends' } }]);
      expect(changes).toEqual(['up', 'tools', 'tools']);
    },
  );

  it('says for how long that holds: the shortest counts, nothing and stale at once count as nothing', async () => {
    const said = async (discover: number, tools: number) => {
      const upstream = await serve({
        'server/discover': ({ id }, response) => result(response, id, { ...DISCOVERED, ttlMs: discover }),
        'tools/list': listed([TOOL], { ttlMs: tools }),
      });
      await upstream.start();
      return upstream.freshForMs;
    };
    expect(await said(0, 0)).toBeUndefined();
    expect(await said(90_000, 0)).toBe(90_000);
    expect(await said(90_000, 20_000)).toBe(20_000);
  });
});

describe('what a first answer over HTTP shows', () => {
  const initialized = {
    initialize: ({ id }: Asked, response: ServerResponse) =>
      result(response, id, {
        protocolVersion: '2025-11-25',
        capabilities: {},
        serverInfo: { name: 'x', version: '1' },
      }),
    'notifications/initialized': (_: Asked, response: ServerResponse) => void response.writeHead(202).end(),
  };
  const plain = (status: number) => (response: ServerResponse) => void response.writeHead(status).end('no');

  for (const [what, answer, era] of [
    ['a DiscoverResult', (r, id) => result(r, id, DISCOVERED), 'both'],
    ['-32601', (r, id) => error(r, id, -32601, 200), 'legacy'],
    ['-32601 with 404', (r, id) => error(r, id, -32601, 404), 'legacy'],
    ['an error of a session, without id', (r) => error(r, null, -32000, 400), 'legacy'],
    ['400 in other words', plain(400), 'legacy'],
    ['404 in other words', plain(404), 'legacy'],
    ['405 in other words', plain(405), 'legacy'],
    [
      '-32022 that names an older revision',
      (r, id) => error(r, id, -32022, 400, { supported: ['2025-11-25'], requested: '' }),
      'legacy',
    ],
    [
      'a DiscoverResult that names an older revision',
      (r, id) => result(r, id, { ...DISCOVERED, supportedVersions: ['2025-06-18'] }),
      'legacy',
    ],
    [
      '-32022 that names none we know',
      (r, id) => error(r, id, -32022, 400, { supported: ['2027-01-01'], requested: '' }),
      'none',
    ],
    ['-32020', (r, id) => error(r, id, -32020, 400), 'none'],
    ['-32021', (r, id) => error(r, id, -32021, 400), 'none'],
    ['401', plain(401), 'none'],
    ['401 with an error', (r, id) => error(r, id, -32001, 401), 'none'],
    ['403', plain(403), 'none'],
    ['403 with an error', (r, id) => error(r, id, -32601, 403), 'none'],
    ['429', plain(429), 'none'],
    ['500 with an error', (r, id) => error(r, id, -32601, 500), 'none'],
    ['503', plain(503), 'none'],
    ['a web page', (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<p>'), 'none'],
    ['nothing', () => undefined, 'none'],
    ['a broken connection', (r) => r.destroy(), 'none'],
  ] as readonly [string, (response: ServerResponse, id: number) => void, 'both' | 'legacy' | 'none'][]) {
    it(`${what}: ${era === 'none' ? 'no era, and no second question' : era}`, async () => {
      const upstream = await serve({ ...initialized, 'server/discover': ({ id }, r) => answer(r, id) }, 'auto');
      if (era === 'none') {
        await expect(upstream.start()).rejects.toThrow(/not available/);
        expect(asks('initialize')).toEqual([]);
        return;
      }
      await upstream.start();
      expect(upstream).toMatchObject({ spoken: era === 'both' ? ['modern'] : [era] });
      if (era === 'both') expect(asks('initialize')).toEqual([]);
      await upstream.meet?.('legacy');
      expect(upstream).toMatchObject({ spoken: era === 'both' ? ['modern', 'legacy'] : [era] });
    });
  }

  it('a DiscoverResult, and an error to initialize: modern', async () => {
    const upstream = await serve({}, 'auto');
    expect(await upstream.start()).toMatchObject({ protocolVersion: '2026-07-28' });
    await upstream.meet?.('legacy');
    expect(upstream).toMatchObject({ spoken: ['modern'] });
  });
});
