// One conversation with a client, on the real enforcement point: what it says to messages good and bad, what is recorded of them, and that
// nothing a client writes ends the conversation or reaches a tool unseen.

import { describe, expect, it } from 'vitest';
import { EraSession } from '../../../../adapters/downstream/era-session.ts';
import { DENIALS } from '../../../../domain/denial.ts';
import type { Entry } from '../../../../domain/entry.ts';
import type { JsonObject } from '../../../../domain/json.ts';
import { ENTRY_BYTES_MAX } from '../../../../ledger/entry-line.ts';
import type { ViewName } from '../../../../proxy/client-port.ts';
import { CALLS_IN_FLIGHT_PER_SESSION_MAX, MESSAGE_BYTES_MAX } from '../../../../proxy/limits.ts';
import { METHOD_ROWS, SERVED_REVISIONS } from '../../../../proxy/method-table.ts';
import { proves } from '../../../guarantees.ts';
import { PRINCIPAL, resultOf, settled, TOOLS, World, type WorldOptions } from '../../../support/gate-world.ts';

/** What a client of these revisions may say and hear. */
const LEGACY_ROWS = METHOD_ROWS.filter(({ era }) => era === 'legacy');

const ONE: ViewName = { kind: 'server', server: 'fs' };
const ALL: ViewName = { kind: 'all' };

type Message = JsonObject & { readonly id?: string | number | null };

class Conversation {
  readonly world: World;
  readonly session: EraSession;
  readonly notifications: JsonObject[] = [];
  /** Texts of everything that was said, in order. */
  readonly texts: string[] = [];

  constructor(world: World, view: ViewName = ONE) {
    this.world = world;
    const hints = { missingPolicy: 'edit the file' };
    this.session = new EraSession(world.enforcement, { principal: PRINCIPAL, view, hints, version: '0.0.0' });
    this.session.onNotification((text) => this.notifications.push(JSON.parse(text) as JsonObject));
  }

  static async begin(view: ViewName = ONE, revision = '2025-11-25', options: WorldOptions = {}): Promise<Conversation> {
    const conversation = new Conversation(await World.open(options), view);
    await conversation.initialize(revision);
    return conversation;
  }

  async initialize(revision = '2025-11-25'): Promise<JsonObject> {
    const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const [answer] = await this.say({ jsonrpc: '2.0', id: 'init', method: 'initialize', params });
    await this.say({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return answer as JsonObject;
  }

  /** Sends bytes, a text or a message, and returns everything that was answered once nothing more will be. */
  async say(message: Uint8Array | string | object): Promise<Message[]> {
    const { replies, done } = this.begin(message);
    await done;
    return replies;
  }

  begin(message: Uint8Array | string | object): { replies: Message[]; done: Promise<void> } {
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    const bytes = message instanceof Uint8Array ? message : new TextEncoder().encode(text);
    const replies: Message[] = [];
    const done = this.session.receive(bytes, (reply) => {
      this.texts.push(reply);
      replies.push(JSON.parse(reply) as Message);
    });
    return { replies, done };
  }

  call(name: string, id: string | number = 1, more: JsonObject = {}): Promise<Message[]> {
    return this.say(toolCall(name, id, more));
  }

  async alive(): Promise<boolean> {
    const [answer] = await this.say({ jsonrpc: '2.0', id: 'ping', method: 'ping' });
    return JSON.stringify(answer) === '{"id":"ping","jsonrpc":"2.0","result":{}}';
  }

  denials(): readonly Entry[] {
    return this.world.entries().filter(({ type }) => type === 'call.denial');
  }

  lastDenial(): { code: string; method: string; tool: string | null } {
    const last = this.denials().at(-1);
    const [requested] = (last?.events ?? []) as { method: string; tool: string | null }[];
    return { code: String(last?.code), method: requested?.method ?? '', tool: requested?.tool ?? null };
  }
}

function toolCall(name: string, id: string | number = 1, more: JsonObject = {}): JsonObject {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: { path: '/w/a.txt' }, ...more } };
}

const UTF8 = new TextEncoder();
const ping = (extra: string): string => `{"jsonrpc":"2.0","id":7,"method":"ping"${extra}}`;

describe('a client that does not wait for the answer to initialize', () => {
  it('hears it first, and then the rest in any order', async () => {
    const conversation = new Conversation(await World.open());
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'hasty', version: '1' } };
    const all = [
      { jsonrpc: '2.0', id: 'hello', method: 'initialize', params },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { jsonrpc: '2.0', id: 'tools', method: 'tools/list' },
      { jsonrpc: '2.0', id: 'prompts', method: 'prompts/list' },
      { jsonrpc: '2.0', id: 'level', method: 'logging/setLevel', params: { level: 'info' } },
      { jsonrpc: '2.0', id: 'call', method: 'tools/call', params: { name: 'nothing' } },
    ].map((message) => conversation.begin(message));
    await Promise.all(all.map(({ done }) => done));
    const ids = conversation.texts.map((text) => (JSON.parse(text) as Message).id);
    expect(ids[0]).toBe('hello');
    expect([...ids].sort()).toEqual(['call', 'hello', 'level', 'prompts', 'tools']);
  });
});

describe('bytes that are not a message', () => {
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const cases: readonly (readonly [string, string | Uint8Array, number])[] = [
    ['nothing', '', -32700],
    ['white space', ' \t ', -32700],
    ['half a message', '{"jsonrpc":"2.0","id":1', -32700],
    ['two messages', `${ping('')}${ping('')}`, -32700],
    ['a comment', `/* */${ping('')}`, -32700],
    ['single quotes', "{'jsonrpc':'2.0'}", -32700],
    ['a byte order mark', new Uint8Array([0xef, 0xbb, 0xbf, ...UTF8.encode(ping(''))]), -32700],
    ['bytes that are no UTF-8', new Uint8Array([...UTF8.encode('{"a":"'), 0xff, ...UTF8.encode('"}')]), -32700],
    ['an overlong form', new Uint8Array([...UTF8.encode('{"a":"'), 0xc0, 0xaf, ...UTF8.encode('"}')]), -32700],
    ['UTF-16', new Uint8Array(Buffer.from(ping(''), 'utf16le')), -32700],
    ['a member twice', ping(',"id":8'), -32700],
    ['a member twice, once escaped', ping(',"\\u0069d":8'), -32700],
    ['a member twice, deep inside', ping(',"params":{"a":{"b":1,"b":2}}'), -32700],
    ['__proto__', ping(',"params":{"__proto__":{"x":1}}'), -32700],
    ['an escaped __proto__', ping(',"params":{"__pr\\u006fto__":{}}'), -32700],
    ['constructor', ping(',"params":{"constructor":{"prototype":{}}}'), -32700],
    ['a lone surrogate', ping(',"params":{"a":"\\ud800"}'), -32700],
    ['a number that loses digits', ping(',"params":{"a":12345678901234567890}'), -32700],
    ['a number that is infinite', ping(',"params":{"a":1e999}'), -32700],
    ['NaN', ping(',"params":{"a":NaN}'), -32700],
    ['too much depth', ping(`,"params":{"a":${nested(64)}}`), -32700],
    ['a hundred thousand levels', nested(100_000), -32700],
    ['too many values', `[${'0,'.repeat(200_001)}0]`, -32700],
    ['a message that is too large', ping(`,"params":{"a":"${'x'.repeat(MESSAGE_BYTES_MAX)}"}`), -32600],
    ['a scalar', '7', -32600],
    ['null', 'null', -32600],
    ['a text', '"ping"', -32600],
    ['an empty object', '{}', -32600],
    ['another version', '{"jsonrpc":"1.0","id":7,"method":"ping"}', -32600],
    ['no version', '{"id":7,"method":"ping"}', -32600],
    ['a version that is a number', '{"jsonrpc":2.0,"id":7,"method":"ping"}', -32600],
    ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600],
    ['an id with a fraction', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600],
    ['an id that is true', '{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600],
    ['a method that is no text', '{"jsonrpc":"2.0","id":7,"method":["ping"]}', -32600],
    ['params by position', ping(',"params":[1]'), -32600],
    ['params that are null', ping(',"params":null'), -32600],
    ['a member nobody knows', ping(',"extra":1'), -32600],
    ['a request that is also a response', ping(',"result":{}'), -32600],
    ['_meta that is no object', ping(',"params":{"_meta":"x"}'), -32600],
    [
      'a response with result and error',
      '{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":""}}',
      -32600,
    ],
    ['a response with neither', '{"jsonrpc":"2.0","id":7}', -32600],
  ];

  for (const [what, bytes, code] of cases) {
    proves('G8', `${what}: answered as an error, recorded, and the conversation goes on`, async () => {
      const conversation = await Conversation.begin();
      const replies = await conversation.say(bytes);
      expect(replies).toHaveLength(1);
      expect(replies[0]).toMatchObject({ jsonrpc: '2.0', error: { code } });
      const { error } = replies[0] as { error: { data: Record<string, { call: string }> } };
      const [recorded] = conversation.denials();
      expect(conversation.denials()).toHaveLength(1);
      expect(error.data['dev.portcullis/denial']?.call).toBe(recorded?.call);
      expect(await conversation.alive()).toBe(true);
      expect(conversation.world.defects).toEqual([]);
      expect(conversation.world.governance.reason).toBeUndefined();
    });
  }

  it('a refusal of the edge is recorded and answered like its own', async () => {
    const conversation = await Conversation.begin();
    const replies: string[] = [];
    await conversation.session.refuse('MESSAGE_TOO_LARGE', 'a line of 5000000 bytes', (text) => replies.push(text));
    const told = JSON.parse(replies[0] ?? '') as object;
    expect(told).toMatchObject({ error: { code: -32600 } });
    expect(told).not.toHaveProperty('id');
    expect(conversation.lastDenial().code).toBe('MESSAGE_TOO_LARGE');
  });

  it('an error finds its request where the id could be read', async () => {
    const conversation = await Conversation.begin();
    expect(await conversation.say(ping(',"extra":1'))).toMatchObject([{ id: 7 }]);
    const [told] = await conversation.say('{"jsonrpc":"2.0","id":7.5,"method":"ping"}');
    expect(told).toMatchObject({ error: { code: -32600 } });
    expect(told).not.toHaveProperty('id');
  });

  it.each(SERVED_REVISIONS)('where no id could be read, it has what %s can say of that', async (revision) => {
    const conversation = await Conversation.begin(ONE, revision);
    for (const text of ['{', '7', '{"jsonrpc":"2.0","id":null,"method":"ping"}']) {
      const [told] = await conversation.say(text);
      expect((told as { id?: null }).id, text).toBe(revision === '2025-11-25' ? undefined : null);
    }
  });
});

describe('methods', () => {
  // Whoever sends `server/discover` speaks the later revision, and is answered in it.
  const denied = LEGACY_ROWS.filter(
    ({ action, sender, method }) => action === 'deny' && sender === 'client' && method !== 'server/discover',
  );

  for (const { kind, method } of denied) {
    proves('G8', `${kind} ${method} is refused and recorded`, async () => {
      const conversation = await Conversation.begin();
      const id = kind === 'request' ? { id: 1 } : {};
      const replies = await conversation.say({ jsonrpc: '2.0', ...id, method, params: {} });
      if (kind === 'request') expect(replies).toMatchObject([{ id: 1, error: { code: -32601 } }]);
      else expect(replies).toEqual([]);
      expect(conversation.lastDenial()).toMatchObject({ code: 'METHOD_NOT_SERVED', method });
      expect(conversation.world.server.heard).toEqual([]);
    });
  }

  const unknown = [
    'Tools/Call',
    'TOOLS/LIST',
    'tools/call ',
    'tools/destroy',
    '',
    'rpc.discover',
    'initialize\u0000',
    'toString',
  ];
  it.each(unknown)('%j is not known: not found, and recorded', async (method) => {
    const conversation = await Conversation.begin();
    expect(await conversation.say({ jsonrpc: '2.0', id: 1, method })).toMatchObject([{ error: { code: -32601 } }]);
    expect(conversation.lastDenial()).toMatchObject({ code: 'METHOD_UNKNOWN', method });
  });

  it.each(['sampling/createMessage', 'elicitation/create', 'roots/list', 'notifications/message'])(
    '%s travels in the wrong direction',
    async (method) => {
      const conversation = await Conversation.begin();
      expect(await conversation.say({ jsonrpc: '2.0', id: 1, method })).toMatchObject([{ error: { code: -32600 } }]);
      expect(conversation.lastDenial()).toMatchObject({ code: 'MESSAGE_DIRECTION', method });
    },
  );

  it('a notification nobody knows, and one with the method of a request, are recorded and not answered', async () => {
    const conversation = await Conversation.begin();
    for (const method of ['notifications/unknown', 'tools/call']) {
      expect(await conversation.say({ jsonrpc: '2.0', method, params: { name: 'write_file' } })).toEqual([]);
      expect(conversation.lastDenial()).toMatchObject({ code: 'METHOD_UNKNOWN', method });
    }
    expect(conversation.world.server.heard).toEqual([]);
  });

  it('a response to nothing is recorded and not answered', async () => {
    const conversation = await Conversation.begin();
    expect(await conversation.say({ jsonrpc: '2.0', id: 1, result: {} })).toEqual([]);
    expect(conversation.lastDenial().code).toBe('MESSAGE_DIRECTION');
  });

  it('lists of what is not carried are empty, and a level of logging is taken', async () => {
    const conversation = await Conversation.begin();
    const ask = async (method: string, params: JsonObject = {}) =>
      (await conversation.say({ jsonrpc: '2.0', id: 1, method, params }))[0]?.result;
    expect(await ask('prompts/list')).toEqual({ prompts: [] });
    expect(await ask('resources/list')).toEqual({ resources: [] });
    expect(await ask('resources/templates/list')).toEqual({ resourceTemplates: [] });
    expect(await ask('logging/setLevel', { level: 'info' })).toEqual({});
    expect(await ask('logging/setLevel', { level: 'loud' })).toBeUndefined();
    expect(conversation.denials()).toEqual([]);
  });
});

describe('initialize', () => {
  it.each(SERVED_REVISIONS)('agrees on %s', async (revision) => {
    const conversation = new Conversation(await World.open());
    expect(await conversation.initialize(revision)).toMatchObject({ result: { protocolVersion: revision } });
    expect(conversation.session.revision).toBe(revision);
  });

  it('offers its latest revision for one it does not serve, and its tools and nothing else', async () => {
    const conversation = new Conversation(await World.open());
    expect((await conversation.initialize('2026-07-28')).result).toEqual({
      capabilities: { tools: { listChanged: true } },
      instructions: 'how to use fs',
      protocolVersion: '2025-11-25',
      serverInfo: { name: 'portcullis', version: '0.0.0' },
    });
  });

  it.each(
    LEGACY_ROWS.filter(({ sender, kind, action }) => sender === 'client' && kind === 'request' && action !== 'deny'),
  )('$method before it', async ({ method }) => {
    const conversation = new Conversation(await World.open());
    const [answer] = await conversation.say({ jsonrpc: '2.0', id: 1, method, params: { name: 'write_file' } });
    if (method === 'ping') expect(answer).toMatchObject({ result: {} });
    else expect(answer).toMatchObject({ error: { code: -32600 } });
    expect(conversation.world.server.heard).toEqual([]);
  });

  it('happens once', async () => {
    const conversation = await Conversation.begin(ONE, '2025-06-18');
    const params = { protocolVersion: '2024-11-05' };
    const again = { jsonrpc: '2.0', id: 2, method: 'initialize', params };
    expect(await conversation.say(again)).toMatchObject([{ error: { code: -32600 } }]);
    expect(conversation.session.revision).toBe('2025-06-18');
  });

  it.each([{}, { protocolVersion: 7 }, { protocolVersion: null }, undefined])(
    'is refused with params %j',
    async (params) => {
      const conversation = new Conversation(await World.open());
      const message = { jsonrpc: '2.0', id: 1, method: 'initialize', ...(params === undefined ? {} : { params }) };
      expect(await conversation.say(message)).toMatchObject([{ error: { code: -32600 } }]);
      expect(conversation.session.revision).toBeUndefined();
    },
  );

  it('says that the tools changed, but not before the client was introduced', async () => {
    const conversation = new Conversation(await World.open());
    conversation.world.enforcement.notices.tell('fs', { method: 'notifications/tools/list_changed', params: {} });
    await settled();
    expect(conversation.notifications).toEqual([]);
    await conversation.initialize();
    conversation.world.enforcement.notices.tell('fs', { method: 'notifications/tools/list_changed', params: {} });
    await settled();
    expect(conversation.notifications).toEqual([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }]);
  });
});

describe('batches', () => {
  const batch = [
    { jsonrpc: '2.0', id: 'a', method: 'ping' },
    { jsonrpc: '2.0', method: 'notifications/initialized' },
    toolCall('write_file', 'b'),
    { jsonrpc: '2.0', id: 'c', method: 'resources/read', params: {} },
    { jsonrpc: '2.0', id: 'd', method: 'initialize', params: { protocolVersion: '2025-11-25' } },
    [{ jsonrpc: '2.0', id: 'e', method: 'ping' }],
    7,
  ];

  it.each(SERVED_REVISIONS.filter((revision) => revision !== '2025-03-26'))('are refused in %s', async (revision) => {
    const conversation = await Conversation.begin(ONE, revision);
    expect(await conversation.say(batch)).toMatchObject([{ error: { code: -32600 } }]);
    expect(conversation.lastDenial().code).toBe('MESSAGE_BATCH');
    expect(conversation.world.server.heard).toEqual([]);
  });

  it('are refused before initialize', async () => {
    const conversation = new Conversation(await World.open());
    expect(await conversation.say(batch)).toMatchObject([{ error: { code: -32600 } }]);
  });

  proves('G8', 'in 2025-03-26 every element is governed by itself', async () => {
    const conversation = await Conversation.begin(ONE, '2025-03-26');
    const replies = (await conversation.say(batch)) as unknown as Message[][];
    expect(replies).toHaveLength(1);
    const byId = new Map((replies[0] ?? []).map((reply) => [reply.id, reply]));
    expect(replies[0]).toHaveLength(6);
    expect(byId.get('a')).toMatchObject({ result: {} });
    expect(byId.get('b')).toMatchObject({ result: { content: [{ text: 'done' }] } });
    expect(byId.get('c')).toMatchObject({ error: { code: -32600 } });
    expect(byId.get('d')).toMatchObject({ error: { code: -32600 } });
    expect(byId.has('e')).toBe(false);
    expect(conversation.world.server.heard).toHaveLength(1);
    expect(conversation.session.revision).toBe('2025-03-26');
  });

  it('answer nothing to notifications, and refuse the empty and the endless one', async () => {
    const conversation = await Conversation.begin(ONE, '2025-03-26');
    const note = { jsonrpc: '2.0', method: 'notifications/initialized' };
    expect(await conversation.say([note, note])).toEqual([]);
    expect(await conversation.say([])).toMatchObject([{ error: { code: -32600 } }]);
    const endless = Array.from({ length: CALLS_IN_FLIGHT_PER_SESSION_MAX + 1 }, () => note);
    expect(await conversation.say(endless)).toMatchObject([{ error: { code: 40_308 } }]);
  });

  it('hold answers only: no progress among them', async () => {
    const conversation = await Conversation.begin(ONE, '2025-03-26');
    conversation.world.server.respond = () => undefined;
    const running = conversation.begin([toolCall('write_file', 1, { _meta: { progressToken: 'p' } })]);
    await settled();
    conversation.world.server.heard[0]?.progress({ progress: 1 });
    conversation.world.server.heard[0]?.answer(resultOf('done'));
    await running.done;
    expect(running.replies).toMatchObject([[{ id: 1, result: {} }]]);
    expect(running.replies[0]).toHaveLength(1);
  });

  it('take an id once', async () => {
    const conversation = await Conversation.begin(ONE, '2025-03-26');
    const twice = [toolCall('write_file', 1), toolCall('write_file', 1)];
    const [answers] = (await conversation.say(twice)) as unknown as Message[][];
    expect(answers?.filter((answer) => 'error' in answer)).toHaveLength(1);
    expect(conversation.world.server.heard).toHaveLength(1);
  });
});

describe('tools/list', () => {
  const list = async (conversation: Conversation): Promise<{ name: string }[]> => {
    const [answer] = await conversation.say({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    return (answer as unknown as { result: { tools: { name: string }[] } }).result.tools;
  };

  proves('G9', 'shows the tools that some rule could allow, and no others', async () => {
    const conversation = await Conversation.begin();
    expect((await list(conversation)).map(({ name }) => name)).toEqual(['write_file', 'read_file']);
    conversation.world.authority.hidden = new Set(TOOLS.map(({ name }) => `fs/${String(name)}`));
    conversation.world.governance.advanceEpoch();
    expect(await list(conversation)).toEqual([]);
  });

  it('shows whole definitions, with qualified names in the view of all servers', async () => {
    expect(await list(await Conversation.begin())).toEqual(TOOLS.slice(0, 2));
    expect((await list(await Conversation.begin(ALL))).map(({ name }) => name)).toEqual([
      'fs__write_file',
      'fs__read_file',
    ]);
    expect(await list(await Conversation.begin({ kind: 'server', server: 'other' }))).toEqual([]);
  });

  it('shows nothing of a server that was set aside, and all of it again when that is lifted', async () => {
    const conversation = await Conversation.begin();
    const { enforcement, quarantine } = conversation.world;
    await enforcement.setAside({ kind: 'server', id: 'fs', code: 'SERVER_QUARANTINED', reason: 'another' });
    expect(await list(conversation)).toEqual([]);
    quarantine.lift('server', 'fs');
    expect(await list(conversation)).toHaveLength(2);
  });

  it('shows nothing while the deciding side cannot answer, and everything again afterwards', async () => {
    const conversation = new Conversation(await World.open());
    const { authority } = conversation.world;
    const { visible } = authority;
    authority.visible = () => Promise.reject(new Error('gone'));
    await conversation.initialize();
    expect(await list(conversation)).toEqual([]);
    authority.visible = async () => new Set();
    expect(await list(conversation)).toEqual([]);
    authority.visible = visible;
    expect(await list(conversation)).toHaveLength(2);
  });

  it('shows all tools while no policy is installed, so that a denial can say what to do', async () => {
    const conversation = await Conversation.begin();
    conversation.world.governance.shut('policy', 'GOV_POLICY_MISSING', '');
    expect(await list(conversation)).toHaveLength(3);
    const [answer] = await conversation.call('secret');
    expect(JSON.stringify(answer)).toContain('GOV_POLICY_MISSING');
    expect(JSON.stringify(answer)).toContain('edit the file');
  });

  it('knows no cursor', async () => {
    const conversation = await Conversation.begin();
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { cursor: 'x' } };
    expect(await conversation.say(message)).toMatchObject([{ error: { code: -32602 } }]);
  });
});

describe('tools/call', () => {
  proves('G2', 'sends the canonical arguments, and tells the client where the record is', async () => {
    const conversation = await Conversation.begin();
    const message = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file","arguments":{"b":1.0,"a":"\\u00fc"}}}`;
    const [answer] = await conversation.say(message);
    const { world } = conversation;
    expect(world.server.heard.map(({ dispatch }) => dispatch.body)).toEqual([
      '{"arguments":{"a":"ü","b":1},"name":"write_file"}',
    ]);
    const ending = world.entries().find(({ type }) => type === 'call.ending');
    expect(answer).toMatchObject({
      id: 1,
      result: {
        content: [{ type: 'text', text: 'done' }],
        _meta: { 'dev.portcullis/receipt': { call: ending?.call, entry: ending?.seq } },
      },
    });
    expect(world.verdictOf(ending?.call as string)).toMatchObject({ verdict: 'match' });
  });

  proves('G9', 'a hidden tool and a missing one answer alike in every byte but the name', async () => {
    for (const view of [ONE, ALL]) {
      const prefix = view.kind === 'all' ? 'fs__' : '';
      const answers: string[] = [];
      for (const tool of ['secret', 'absent']) {
        const conversation = await Conversation.begin(view);
        await conversation.call(`${prefix}${tool}`, 1, { arguments: { any: 'thing' } });
        answers.push((conversation.texts.at(-1) ?? '').replaceAll(tool, 'NAME'));
        expect(conversation.lastDenial()).toMatchObject({ code: 'TOOL_UNKNOWN', tool });
        expect(conversation.world.server.heard).toEqual([]);
      }
      expect(answers[0]).toBe(answers[1]);
      expect(answers[0]).toBe(
        `{"error":{"code":-32602,"message":"Unknown tool: ${prefix}NAME"},"id":1,"jsonrpc":"2.0"}`,
      );
    }
  });

  const shuts = ['GOV_HALTED', 'GOV_POLICY_INVALID', 'GOV_NOT_READY'] as const;
  for (const code of shuts) {
    proves('G9', `a hidden tool and a missing one answer alike while the gate is shut: ${code}`, async () => {
      const answers: string[] = [];
      for (const tool of ['secret', 'absent', 'write_file']) {
        const conversation = await Conversation.begin();
        conversation.world.governance.shut('operator', code, 'a test');
        await conversation.call(tool);
        answers.push(
          (conversation.texts.at(-1) ?? '').replaceAll(tool, 'NAME').replaceAll(/[0-9A-HJKMNP-TV-Z]{26}/g, 'ID'),
        );
      }
      expect(new Set(answers).size).toBe(1);
    });
  }

  proves(
    'G9',
    'in the view of one server no other server can be named, and in the view of all none without its name',
    async () => {
      const one = await Conversation.begin(ONE);
      expect(await one.call('fs__write_file')).toMatchObject([{ error: { message: 'Unknown tool: fs__write_file' } }]);
      const all = await Conversation.begin(ALL);
      for (const name of [
        'write_file',
        '__write_file',
        'FS__write_file',
        'fs_write_file',
        'fs__',
        'nobody__write_file',
        '',
      ]) {
        expect(await all.call(name)).toMatchObject([{ error: { code: -32602 } }]);
      }
      expect(all.world.server.heard).toEqual([]);
      expect(await all.call('fs__write_file')).toMatchObject([{ result: { content: [{ text: 'done' }] } }]);
    },
  );

  const malformed: readonly (readonly [string, JsonObject, string])[] = [
    ['no name', { arguments: {} }, 'MESSAGE_MALFORMED'],
    ['a name that is no text', { name: 7 }, 'MESSAGE_MALFORMED'],
    ['arguments that are a list', { name: 'write_file', arguments: [] }, 'MESSAGE_MALFORMED'],
    ['arguments that are null', { name: 'write_file', arguments: null }, 'MESSAGE_MALFORMED'],
    ['a task', { name: 'write_file', task: { ttl: 60_000 } }, 'METHOD_NOT_SERVED'],
    ['a reserved _meta key', { name: 'write_file', _meta: { 'dev.portcullis/permit': 'x' } }, 'META_RESERVED'],
    ['a reserved prefix alone', { name: 'write_file', _meta: { 'dev.portcullis/': 1 } }, 'META_RESERVED'],
  ];
  it.each(malformed)('with %s is refused and recorded', async (_what, params, code) => {
    const conversation = await Conversation.begin();
    const [answer] = await conversation.say({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    expect(answer).toHaveProperty('error');
    expect(conversation.lastDenial()).toMatchObject({ code, method: 'tools/call' });
    expect(conversation.world.server.heard).toEqual([]);
  });

  it.each([{ later: {} }, { 'a.example/later': [1] }])('forwards params that it does not know: %j', async (more) => {
    const conversation = await Conversation.begin();
    await conversation.call('write_file', 1, more);
    expect(JSON.parse(conversation.world.server.heard[0]?.dispatch.body ?? '')).toMatchObject(more);
  });

  it('forwards the _meta of the client but not what describes one hop', async () => {
    const conversation = await Conversation.begin();
    const _meta = {
      traceparent: '00-a',
      progressToken: 'p',
      'io.modelcontextprotocol/related-task': { taskId: 'x' },
      'io.modelcontextprotocol/clientInfo': { name: 'x' },
    };
    await conversation.call('write_file', 1, { _meta });
    expect(conversation.world.server.heard[0]?.dispatch.meta).toEqual({
      traceparent: '00-a',
      'io.modelcontextprotocol/related-task': { taskId: 'x' },
    });
  });

  proves('G4', 'denied by policy: told as a result that is an error, without a rule', async () => {
    const conversation = await Conversation.begin();
    conversation.world.authority.decide = async () => ({
      decision: 'deny',
      code: 'POLICY_FORBID',
      by: ['secret-rule'],
      detail: '/etc',
    });
    const [answer] = await conversation.call('write_file');
    const call = conversation.denials()[0]?.call;
    expect(answer).toEqual({
      id: 1,
      jsonrpc: '2.0',
      result: {
        _meta: { 'dev.portcullis/denial': { call, category: 'policy_mismatch', code: 'POLICY_FORBID' } },
        content: [
          {
            text:
              `Denied by Portcullis (POLICY_FORBID): ${DENIALS.POLICY_FORBID.told}. Not executed. Do not retry; ask the user.\n` +
              `For the operator: portcullis policy explain ${String(call)}`,
            type: 'text',
          },
        ],
        isError: true,
      },
    });
    expect(conversation.world.server.heard).toEqual([]);
  });

  it('a result with a _meta of its own keeps it, and cannot forge a receipt', async () => {
    const conversation = await Conversation.begin();
    const _meta = { theirs: 1, 'dev.portcullis/receipt': { call: 'forged' } };
    conversation.world.server.respond = () => ({ kind: 'result', result: { content: [], _meta }, bytes: 1 });
    const [answer] = await conversation.call('write_file');
    const said = (answer as { result: { _meta: Record<string, { call?: string }> } }).result._meta;
    expect(said.theirs).toBe(1);
    expect(said['dev.portcullis/receipt']?.call).not.toBe('forged');
  });

  it('an error of the tool keeps its code and message', async () => {
    const conversation = await Conversation.begin();
    conversation.world.server.respond = () => ({
      kind: 'error',
      error: { code: -32050, message: 'no disk' },
      bytes: 1,
    });
    expect(await conversation.call('write_file')).toMatchObject([
      { id: 1, error: { code: -32050, message: 'no disk' } },
    ]);
  });
});

describe('names and texts of a megabyte', () => {
  const long = 'x'.repeat(1_000_000);
  const pairs = '😀'.repeat(300_000);

  const cases: readonly (readonly [string, object, string])[] = [
    ['a tool', toolCall(long), 'TOOL_UNKNOWN'],
    ['a tool of pairs', toolCall(`a${pairs}`), 'TOOL_UNKNOWN'],
    ['a method', { jsonrpc: '2.0', id: 1, method: long }, 'METHOD_UNKNOWN'],
    ['a method that would be cut inside a pair', { jsonrpc: '2.0', id: 1, method: `a${pairs}` }, 'METHOD_UNKNOWN'],
    ['a method that would be cut at a pair', { jsonrpc: '2.0', id: 1, method: pairs }, 'METHOD_UNKNOWN'],
    ['a notification', { jsonrpc: '2.0', method: long }, 'METHOD_UNKNOWN'],
    ['a reserved _meta key', toolCall('write_file', 1, { _meta: { [`dev.portcullis/${pairs}`]: 1 } }), 'META_RESERVED'],
    ['a member of the message', { ...toolCall('write_file'), [long]: 1 }, 'MESSAGE_MALFORMED'],
    ['a name of control characters', toolCall('\u0001'.repeat(600_000)), 'TOOL_UNKNOWN'],
  ];
  for (const view of [ONE, ALL]) {
    for (const [what, message, code] of cases) {
      proves('G6', `${what}, in the view of ${view.kind}: refused, recorded, and the gate stays open`, async () => {
        const conversation = await Conversation.begin(view);
        const text = view.kind === 'all' ? JSON.stringify(message).replace('"name":"', '"name":"fs__') : message;
        await conversation.say(text);
        expect(conversation.lastDenial().code).toBe(code);
        for (const entry of conversation.denials())
          expect(JSON.stringify(entry).length).toBeLessThan(ENTRY_BYTES_MAX / 4);
        expect(conversation.world.governance.reason).toBeUndefined();
        expect(conversation.world.defects).toEqual([]);
        expect(conversation.world.generations).toBe(1);
        expect(await conversation.alive()).toBe(true);
      });
    }
  }

  it('a tool name of 256 characters is a name, one of 257 is not, even where a server offers it', async () => {
    const tools = [{ name: 'a'.repeat(256) }, { name: 'b'.repeat(257) }];
    const conversation = await Conversation.begin(ONE, '2025-11-25', { tools });
    expect(await conversation.call('a'.repeat(256))).toMatchObject([{ result: { content: [{ text: 'done' }] } }]);
    expect(await conversation.call('b'.repeat(257))).toMatchObject([{ error: { code: -32602 } }]);
    expect(conversation.lastDenial().tool).toBe(`${'b'.repeat(256)}…`);
  });

  it('an id of a megabyte comes back as it was', async () => {
    const conversation = await Conversation.begin();
    expect(await conversation.call('write_file', long)).toMatchObject([{ id: long, result: {} }]);
  });
});

describe('calls in flight', () => {
  const hanging = async (options: WorldOptions = {}): Promise<Conversation> => {
    const conversation = await Conversation.begin(ONE, '2025-11-25', options);
    conversation.world.server.respond = () => undefined;
    return conversation;
  };
  const cancel = (requestId: unknown) => ({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });

  it('an id that is in use is refused, and the first call goes on', async () => {
    const conversation = await hanging();
    const first = conversation.begin(toolCall('write_file', 5));
    await settled();
    expect(await conversation.call('write_file', 5)).toMatchObject([{ id: 5, error: { code: -32600 } }]);
    expect(conversation.world.server.heard).toHaveLength(1);
    conversation.world.server.heard[0]?.answer(resultOf('the first'));
    await first.done;
    expect(first.replies).toMatchObject([{ id: 5, result: { content: [{ text: 'the first' }] } }]);
    // Ended, so the id is free; and 5 is not "5".
    conversation.world.server.respond = () => resultOf('again');
    expect(await conversation.call('write_file', 5)).toMatchObject([{ id: 5, result: {} }]);
    expect(await conversation.call('write_file', '5')).toMatchObject([{ id: '5', result: {} }]);
  });

  it('a cancelled call gets no reply, its tool is told, and its ending is recorded', async () => {
    const conversation = await hanging();
    const running = conversation.begin(toolCall('write_file', 5));
    await settled();
    await conversation.say(cancel('5'));
    expect(conversation.world.server.heard[0]?.cancelled).toBeUndefined();
    await conversation.say(cancel(5));
    await running.done;
    expect(running.replies).toEqual([]);
    expect(conversation.world.server.heard[0]?.cancelled).toBe('CANCELLED');
    const ending = conversation.world.entries().find(({ type }) => type === 'call.ending');
    expect(ending).toMatchObject({ outcome: { status: 'aborted', dispatched: true, code: 'CANCELLED' } });
    // What the tool still answers, and a second cancellation, change nothing.
    conversation.world.server.heard[0]?.answer(resultOf('too late'));
    await conversation.say(cancel(5));
    await settled();
    expect(running.replies).toEqual([]);
    expect(conversation.world.entries().filter(({ type }) => type === 'call.ending')).toHaveLength(1);
    expect(conversation.world.defects).toEqual([]);
  });

  proves(
    'G4',
    'a call that is cancelled while it is decided is denied, and the decision that comes later does no harm',
    async () => {
      const conversation = await hanging();
      const { world } = conversation;
      let allow: () => void = () => {};
      world.authority.decide = (request) =>
        new Promise((resolve) => {
          allow = () => resolve(world.allow(request));
        });
      const running = conversation.begin(toolCall('write_file', 5));
      await settled();
      const cancelled = conversation.session.receive(UTF8.encode(JSON.stringify(cancel(5))), () => {});
      // In this very tick: the denial is not written yet.
      allow();
      await Promise.all([cancelled, running.done]);
      expect(world.server.heard).toEqual([]);
      expect(world.defects).toEqual([]);
      expect(world.governance.reason).toBeUndefined();
      expect(conversation.lastDenial().code).toBe('CANCELLED');
    },
  );

  proves('G4', 'a call withdrawn at once does not run, also when its id is taken anew in the same breath', async () => {
    let open: () => void = () => {};
    const described = new Promise<void>((resolve) => {
      open = resolve;
    });
    const conversation = new Conversation(await World.open({ described: () => described }), ONE);
    const hello = conversation.initialize('2025-11-25');
    conversation.world.server.respond = () => resultOf('done');
    const first = conversation.begin(toolCall('write_file', 5, { arguments: { path: '/first', content: '' } }));
    await conversation.say(cancel(5));
    const second = conversation.begin(toolCall('write_file', 5, { arguments: { path: '/second', content: '' } }));
    open();
    await Promise.all([hello, first.done, second.done]);
    expect(first.replies).toEqual([]);
    expect(second.replies).toMatchObject([{ id: 5, result: { content: [{ text: 'done' }] } }]);
    expect(conversation.world.server.heard).toHaveLength(1);
    expect(JSON.stringify(conversation.world.server.heard[0])).toContain('/second');
  });

  it('a cancellation that comes after the answer, or names nothing, changes nothing', async () => {
    const conversation = await hanging();
    conversation.world.server.respond = () => resultOf('done');
    await conversation.call('write_file', 5);
    for (const id of [5, 99, null, {}, undefined]) expect(await conversation.say(cancel(id))).toEqual([]);
    expect(await conversation.call('write_file', 5)).toMatchObject([{ id: 5, result: {} }]);
  });

  it('progress comes under the token of the client, while the call runs and not a moment longer', async () => {
    const conversation = await hanging();
    const running = conversation.begin(toolCall('write_file', 5, { _meta: { progressToken: 'mine' } }));
    await settled();
    const [heard] = conversation.world.server.heard;
    heard?.progress({ progress: 1, total: 2, progressToken: 'not mine' });
    heard?.answer(resultOf('done'));
    heard?.progress({ progress: 1.5 });
    await running.done;
    heard?.progress({ progress: 2 });
    const params = { progress: 1, total: 2, progressToken: 'mine' };
    expect(running.replies[0]).toEqual({ jsonrpc: '2.0', method: 'notifications/progress', params });
    expect(running.replies.at(-1)).toMatchObject({ id: 5, result: {} });
    expect(running.replies.filter(({ id }) => id === 5)).toHaveLength(1);
    expect(conversation.texts.filter((text) => text.includes('"progress":2,'))).toEqual([]);
  });

  it('without a token there is no progress, and none of a call that was cancelled or timed out', async () => {
    const conversation = await hanging();
    const quiet = conversation.begin(toolCall('write_file', 1));
    const late = conversation.begin(toolCall('write_file', 2, { _meta: { progressToken: 2 } }));
    await settled();
    conversation.world.server.heard[0]?.progress({ progress: 1 });
    conversation.world.clock.advance(10_000);
    await Promise.all([quiet.done, late.done]);
    conversation.world.server.heard[1]?.progress({ progress: 1 });
    expect(quiet.replies).toHaveLength(1);
    expect(late.replies).toHaveLength(1);
    expect(JSON.stringify(late.replies)).toContain('DEADLINE_EXCEEDED');
  });

  it('that come before the servers are known wait; one that is withdrawn meanwhile never begins', async () => {
    let known: () => void = () => {};
    const described = new Promise<void>((resolve) => {
      known = resolve;
    });
    const conversation = new Conversation(await World.open({ described: () => described }));
    const hello = conversation.begin({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: 'x' } });
    const [first, second] = [1, 2].map((id) => conversation.begin(toolCall('write_file', id)));
    expect(await conversation.call('write_file', 1)).toMatchObject([{ error: { code: -32600 } }]);
    await conversation.say(cancel(2));
    await settled();
    expect(conversation.world.server.heard).toEqual([]);
    known();
    await Promise.all([hello.done, first?.done, second?.done]);
    expect(first?.replies).toMatchObject([{ id: 1, result: {} }]);
    expect(second?.replies).toEqual([]);
    expect(conversation.world.server.heard).toHaveLength(1);
    expect(conversation.lastDenial().code).toBe('CANCELLED');
  });

  it('are bounded: one more than allowed is refused, and there is room again afterwards', async () => {
    const conversation = await hanging();
    const running = Array.from({ length: CALLS_IN_FLIGHT_PER_SESSION_MAX }, (_, id) =>
      conversation.begin(toolCall('write_file', id)),
    );
    await settled();
    expect(await conversation.call('write_file', 'more')).toMatchObject([{ error: { code: 40_308 } }]);
    expect(conversation.lastDenial().code).toBe('OVERLOADED');
    for (const heard of conversation.world.server.heard) heard.answer(resultOf('done'));
    await Promise.all(running.map(({ done }) => done));
    conversation.world.server.respond = () => resultOf('done');
    expect(await conversation.call('write_file', 'more')).toMatchObject([{ result: {} }]);
  });

  it('end when the client goes away, each with its record, and nothing begins afterwards', async () => {
    const conversation = await hanging();
    const running = [1, 2, 3].map((id) => conversation.begin(toolCall('write_file', id)));
    await settled();
    await conversation.session.close('client');
    await Promise.all(running.map(({ done }) => done));
    const endings = conversation.world.entries().filter(({ type }) => type === 'call.ending');
    expect(endings).toHaveLength(3);
    expect(await conversation.call('write_file', 4)).toMatchObject([{ error: { code: 40_308 } }]);
    expect(conversation.world.server.heard).toHaveLength(3);
  });

  proves('G6', 'a ledger that cannot be written denies, and the conversation goes on until it can be', async () => {
    let broken = false;
    const faults = ({ operation }: { operation: string }) => (broken && operation === 'sync' ? 'fails' : 'succeeds');
    const conversation = await Conversation.begin(ONE, '2025-11-25', { faults });
    broken = true;
    for (const id of [1, 2]) {
      const [answer] = await conversation.call('write_file', id);
      expect(JSON.stringify(answer)).toContain('GOV_LEDGER_UNWRITABLE');
    }
    expect(await conversation.say('nonsense')).toMatchObject([{ error: { code: -32700 } }]);
    expect(await conversation.alive()).toBe(true);
    expect(conversation.world.server.heard).toEqual([]);
    broken = false;
    conversation.world.clock.advance(500);
    await settled();
    expect(conversation.world.governance.reason).toBeUndefined();
    expect(await conversation.call('write_file', 3)).toMatchObject([{ result: { content: [{ text: 'done' }] } }]);
  });
});
