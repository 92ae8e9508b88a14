// One client's view in the neutral form: what it may not know of stands in nobody's way, and what it may not hear it does not.

import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../domain/json.ts';
import type { ViewName } from '../../../proxy/client-port.ts';
import { Conversation, type Operation } from '../../../proxy/conversation.ts';
import { operationOf } from '../../../proxy/operation.ts';
import { PLAIN_MANNER, type ServerDescription } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { definitionOf, PRINCIPAL, settled, World } from '../../support/gate-world.ts';

async function conversing(view: ViewName = { kind: 'all' }) {
  const world = await World.open();
  const { server } = world;
  server.description = {
    ...(server.description as ServerDescription),
    capabilities: { prompts: {}, resources: { subscribe: true }, logging: {} },
  };
  const lists: Partial<Record<string, readonly JsonObject[]>> = {
    prompts: [{ name: 'greet', title: 'Hello' }],
    resources: [{ uri: 'file:///a', name: 'a' }],
    resourceTemplates: [{ uriTemplate: 'file:///logs/{day}', name: 'logs' }],
  };
  server.list = async (kind) => lists[kind] ?? [];
  const { prompts = [], resourceTemplates = [] } = lists;
  world.catalogue.pin('fs', { ...definitionOf(server.description), prompts, resourceTemplates });
  const told: string[] = [];
  const onNotice = ({ method }: { method: string }) => told.push(method);
  const conversation = new Conversation(world.enforcement, { principal: PRINCIPAL, view, onNotice });
  const hide = (...actions: string[]): void => {
    world.authority.hidden = new Set(actions);
    world.governance.advanceEpoch();
  };
  return { world, conversation, told, hide };
}

const ALL_METHODS = ['prompts/get', 'resources/read', 'resources/subscribe', 'completion/complete'];

describe('a view', () => {
  proves('G9', 'holds nothing of a server whose use no rule could ever allow', async () => {
    const { conversation, hide } = await conversing();
    hide(...ALL_METHODS.map((method) => `fs:${method}`));
    for (const kind of ['prompts', 'resources', 'resourceTemplates'] as const)
      expect(await conversation.offers(kind)).toEqual([]);
    expect(await conversation.holderOf('file:///a')).toBe('');
    expect(await conversation.capabilities()).toEqual({ tools: { listChanged: true }, logging: {} });
  });

  proves('G9', 'hides the text of a server of which nothing may be known', async () => {
    const { world, told, hide } = await conversing();
    const log = { method: 'notifications/message', params: { level: 'info', data: 'x' } };
    const every = [...(await world.authority.visible(PRINCIPAL))];
    hide(...every, 'fs/secret');
    world.enforcement.notices.tell('fs', log);
    await settled();
    expect(told).toEqual([]);
    hide('fs/secret');
    world.enforcement.notices.tell('fs', log);
    await settled();
    expect(told).toEqual([log.method]);
  });

  proves('G8', 'lists nothing that speaks in our name', async () => {
    const item = { name: 'a', uri: 'a:b', _meta: { 'dev.portcullis/receipt': { call: 'forged' }, own: 1 } };
    const world = await World.open({ tools: [{ ...item, inputSchema: { type: 'object' } }] });
    const { server } = world;
    server.description = { ...(server.description as ServerDescription), capabilities: { prompts: {}, resources: {} } };
    server.list = async () => [item];
    const listed = { prompts: [item], resourceTemplates: [item] };
    world.catalogue.pin('fs', { ...definitionOf(server.description), ...listed });
    const options = { principal: PRINCIPAL, view: { kind: 'all' }, onNotice: () => {} } as const;
    const conversation = new Conversation(world.enforcement, options);
    const lists = await Promise.all([
      conversation.tools(),
      conversation.offers('prompts'),
      conversation.offers('resources'),
      conversation.offers('resourceTemplates'),
    ]);
    for (const list of lists) expect(list).toMatchObject([{ _meta: { own: 1 } }]);
    expect(JSON.stringify(lists)).not.toContain('dev.portcullis/');
  });

  it('of another server finds neither its resources nor its tasks', async () => {
    const { conversation, world } = await conversing({ kind: 'server', server: 'other' });
    const call = world.capture().call;
    world.enforcement.tasks.bind({ server: 'fs', taskId: 't', agent: 'coder', tool: 'x', call });
    expect(await conversation.holderOf('file:///a')).toBe('other');
    expect(conversation.task('t')).toBeUndefined();
    expect(await conversation.offers('prompts')).toEqual([]);
  });

  it('of all servers has qualified names, and finds whose resource a URI is', async () => {
    const { conversation } = await conversing();
    expect(await conversation.offers('prompts')).toEqual([{ name: 'fs__greet', title: 'Hello' }]);
    expect(await conversation.holderOf('file:///a')).toBe('fs');
    expect(await conversation.holderOf('file:///logs/today')).toBe('fs');
    expect(await conversation.holderOf('http://elsewhere')).toBe('');
  });
});

describe('a message', () => {
  const read = async (method: string, params: JsonObject | undefined) =>
    operationOf((await conversing()).conversation, { method, params }, PLAIN_MANNER);

  it.each([
    ['tools/call', {}],
    ['tools/call', { name: 7 }],
    ['tools/call', { name: 'fs__a', arguments: [] }],
    ['prompts/get', { name: null }],
    ['resources/read', undefined],
    ['resources/subscribe', { uri: 7 }],
    ['completion/complete', { ref: 'x' }],
    ['completion/complete', { ref: { type: 'ref/prompt' } }],
    ['sampling/createMessage', {}],
  ] as [string, JsonObject | undefined][])('%s with %j is refused', async (method, params) => {
    expect(await read(method, params)).toMatchObject({ code: expect.stringMatching(/^MESSAGE_/) });
  });

  it.each(['tasks/get', 'tasks/result', 'tasks/update', 'tasks/cancel'])('%s of nobody is refused', async (method) => {
    for (const params of [{}, { taskId: 7 }, { taskId: 'unknown' }])
      expect(await read(method, params)).toMatchObject({ code: 'TOOL_UNKNOWN' });
  });

  it('loses the keys of its hop and those of the gate, and nothing else', async () => {
    const operation = (await read('prompts/get', {
      name: 'fs__greet',
      vendor: 1,
      _meta: {
        progressToken: 1,
        traceparent: 'x',
        'dev.portcullis/receipt': {},
        'io.modelcontextprotocol/clientInfo': {},
        'io.modelcontextprotocol/related-task': { taskId: 't' },
      },
    })) as Operation;
    expect(operation).toMatchObject({ server: 'fs', arguments: { name: 'greet', vendor: 1 } });
    expect(operation.meta).toEqual({ traceparent: 'x', 'io.modelcontextprotocol/related-task': { taskId: 't' } });
  });
});

describe('a conversation that is closed', () => {
  proves('G4', 'begins nothing and asks nothing, and says so in the ledger', async () => {
    const { world, conversation } = await conversing();
    await conversation.close('disconnect');
    const silent = { onProgress: () => {}, onLog: () => {}, client: world.server };
    const operation = { method: 'tools/call', server: 'fs', tool: 'write_file', arguments: {} } as const;
    const manner = { ...PLAIN_MANNER, capabilities: { roots: {} } };
    const { call, end } = conversation.begin({ ...operation, rest: {}, meta: {}, manner }, silent);
    expect(await end).toMatchObject({ kind: 'denied', code: 'CANCELLED', executed: 'no' });
    const within = { call, server: 'fs', manner, lineage: undefined };
    const { answer } = conversation.ask(within, { method: 'roots/list', params: {} }, world.server);
    expect(await answer).toMatchObject({ kind: 'error' });
    expect(world.server.heard).toEqual([]);
    expect(world.entries().filter(({ type }) => type === 'call.denial')).toHaveLength(2);
  });
});
