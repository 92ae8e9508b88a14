// Which of two connections a call goes to, and what becomes of one when the other ends.

import { describe, expect, it, vi } from 'vitest';
import { DualServer, type Probing } from '../../../../adapters/upstream/dual-server.ts';
import { OtherEra } from '../../../../adapters/upstream/other-era.ts';
import { canonicalJson } from '../../../../domain/canonical-json.ts';
import type { JsonObject } from '../../../../domain/json.ts';
import type {
  Dispatch,
  Era,
  Notice,
  ServerChange,
  ServerDescription,
  ToolServer,
} from '../../../../proxy/tool-server.ts';
import { QUIET } from '../../../support/hooks.ts';

const tool = (name: string, inputSchema: JsonObject = { type: 'object' }, more: JsonObject = {}) => ({
  name,
  raw: { name, inputSchema, ...more },
});

class Link implements ToolServer {
  readonly name = 'x';
  readonly era: Era;
  tools = [tool('alike')];
  capabilities: JsonObject = {};
  description: ServerDescription | undefined;
  failure: Error | undefined;
  starts = 0;
  readonly calls: Dispatch[] = [];
  #change: (change: ServerChange) => void = () => {};
  notice: (notice: Notice) => void = () => {};

  constructor(era: Era) {
    this.era = era;
  }

  async start(): Promise<ServerDescription> {
    this.starts += 1;
    if (this.failure !== undefined) throw this.failure;
    if (this.description !== undefined) return this.description;
    this.description = {
      name: 'x',
      protocolVersion: this.era,
      serverInfo: {},
      capabilities: this.capabilities,
      tools: this.tools,
    };
    this.#change('up');
    return this.description;
  }

  end(): void {
    this.description = undefined;
    this.#change('down');
  }

  async stop(): Promise<void> {
    this.description = undefined;
  }

  async list(): Promise<readonly JsonObject[]> {
    return [{ name: this.era }];
  }

  dispatch(dispatch: Dispatch): ReturnType<ToolServer['dispatch']> {
    this.calls.push(dispatch);
    return { answer: Promise.resolve({ kind: 'lost', detail: this.era }), cancel: () => {} };
  }

  onChange(listener: (change: ServerChange) => void): void {
    this.#change = listener;
  }

  onNotice(listener: (notice: Notice) => void): void {
    this.notice = listener;
  }
}

const TIMES = { secondMs: 20, againFirstMs: 1, againMaxMs: 1 };

function dual(probing: Probing = 'both') {
  const links = { legacy: new Link('legacy'), modern: new Link('modern') };
  const server = new DualServer({ name: 'x', links, probing, times: TIMES });
  const changes: ServerChange[] = [];
  server.onChange((change) => changes.push(change));
  return { ...links, server, changes };
}

async function takes(server: ToolServer, era: Era, method: string, params: JsonObject): Promise<string> {
  const manner = { era, capabilities: {} };
  const run = server.dispatch({ method, meta: {}, body: canonicalJson(params), outputBytesMax: 1, manner }, QUIET);
  return ((await run.answer) as { detail: string }).detail;
}

const call = (server: ToolServer, era: Era, name: string, more: JsonObject = {}) =>
  takes(server, era, 'tools/call', { name, arguments: {}, ...more });

describe('the eras of a server', () => {
  for (const [probing, legacy, modern, expected] of [
    ['legacy-first', undefined, undefined, 'legacy'],
    ['legacy-first', 'other', undefined, 'modern'],
    ['legacy-first', 'failure', undefined, 'none'],
    ['legacy-first', 'other', 'failure', 'none'],
    ['modern-first', undefined, undefined, 'modern'],
    ['modern-first', 'other', undefined, 'modern'],
    ['modern-first', 'failure', undefined, 'modern'],
    ['modern-first', undefined, 'other', 'legacy'],
    ['modern-first', undefined, 'failure', 'none'],
    ['both', undefined, undefined, 'legacy,modern'],
    ['both', 'other', undefined, 'modern'],
    ['both', undefined, 'other', 'legacy'],
    ['both', 'other', 'other', 'none'],
    ['both', 'failure', 'other', 'none'],
  ] as readonly [Probing, string | undefined, string | undefined, string][]) {
    it(`${probing}, legacy ${legacy ?? 'spoken'}, modern ${modern ?? 'spoken'}: ${expected}`, async () => {
      const { server, ...links } = dual(probing);
      for (const [era, how] of [
        ['legacy', legacy],
        ['modern', modern],
      ] as const)
        if (how !== undefined) links[era].failure = how === 'other' ? new OtherEra('not this') : new Error('gone');
      if (expected === 'none') await expect(server.start()).rejects.toThrow();
      else await server.start();
      expect(server.spoken.join()).toBe(expected === 'none' ? '' : expected);
    });
  }

  it('of which the older one is looked for when a client of it comes, and once only', async () => {
    for (const [failure, expected] of [
      [undefined, ['modern', 'legacy']],
      [new OtherEra('not this'), ['modern']],
      [new Error('gone'), ['modern']],
    ] as const) {
      const { server, legacy } = dual('modern-first');
      legacy.failure = failure;
      await server.start();
      await server.meet('modern');
      expect(legacy.starts).toBe(0);
      await Promise.all([server.meet('legacy'), server.meet('legacy')]);
      await server.meet('legacy');
      expect(legacy.starts).toBe(1);
      expect(server.spoken).toEqual(expected);
      expect(server.description).toMatchObject({ protocolVersion: 'modern' });
    }
  });

  it('of which the older one is had again after both ended, where a client of it has come', async () => {
    const { server, legacy, modern } = dual('modern-first');
    await server.start();
    await server.meet('legacy');
    expect(await call(server, 'legacy', 'alike')).toBe('legacy');
    expect(await call(server, 'modern', 'alike')).toBe('modern');
    legacy.end();
    modern.end();
    await server.start();
    expect(server.spoken).toEqual(['modern', 'legacy']);
    await server.stop();
  });

  it('with a failure of one of both: the other works, and that one is tried again', async () => {
    const { server, legacy } = dual();
    legacy.failure = new Error('gone');
    await server.start();
    expect(server.spoken).toEqual(['modern']);
    legacy.failure = undefined;
    await vi.waitFor(() => expect(server.spoken).toEqual(['legacy', 'modern']));
    await server.stop();
  });
});

it('tasks are told as each era tells them, and nothing else is taken from the second', async () => {
  const { server, legacy, modern } = dual();
  legacy.capabilities = { tasks: { list: {} }, tools: {} };
  modern.capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} }, prompts: {} };
  const { capabilities } = await server.start();
  expect(capabilities).toEqual({ ...legacy.capabilities, extensions: modern.capabilities.extensions });
});

describe('a call of a server of both eras', () => {
  it('goes where its client is at home, unless the tool is only or differently in the other', async () => {
    const { server, legacy, modern } = dual();
    const older = tool('differs', { type: 'object', required: ['a'] });
    legacy.tools = [tool('alike', undefined, { title: 'A' }), tool('only-legacy'), older];
    modern.tools = [tool('only-modern'), tool('differs'), tool('alike')];
    const { tools, protocolVersion } = await server.start();
    expect(protocolVersion).toBe('legacy');
    expect(tools.map(({ name }) => name)).toEqual(['alike', 'only-legacy', 'differs', 'only-modern']);
    expect(tools[2]).toBe(older);
    for (const era of ['legacy', 'modern'] as const) {
      expect(await call(server, era, 'alike')).toBe(era);
      expect(await call(server, era, 'only-legacy')).toBe('legacy');
      expect(await call(server, era, 'differs')).toBe('legacy');
      expect(await call(server, era, 'only-modern')).toBe('modern');
      expect(await takes(server, era, 'tasks/get', { taskId: 't' })).toBe(era);
      expect(await takes(server, era, 'tasks/update', { taskId: 't' })).toBe('modern');
      expect(await takes(server, era, 'tasks/result', { taskId: 't' })).toBe('legacy');
    }
    expect(await call(server, 'legacy', 'alike', { requestState: 's' })).toBe('modern');
    expect(await call(server, 'legacy', 'alike', { inputResponses: {} })).toBe('modern');
    expect(legacy.calls.length + modern.calls.length).toBe(16);
  });

  it('goes to the connection that is there, unless it belongs to the other', async () => {
    const { server, legacy, modern, changes } = dual();
    legacy.tools = [tool('alike'), tool('only-legacy')];
    await server.start();
    const before = server.description;
    legacy.failure = new Error('gone');
    legacy.end();
    expect(server.description).toEqual(before);
    expect(await call(server, 'legacy', 'alike')).toBe('modern');
    expect(await call(server, 'legacy', 'only-legacy')).toBe('legacy');
    expect(await takes(server, 'legacy', 'tasks/get', { taskId: 't' })).toBe('legacy');
    expect(await server.list('prompts')).toEqual([{ name: 'modern' }]);
    expect(changes).toEqual(['up']);
    legacy.failure = undefined;
    await vi.waitFor(() => expect(server.spoken).toEqual(['legacy', 'modern']));
    expect(await call(server, 'legacy', 'alike')).toBe('legacy');
    legacy.end();
    modern.end();
    expect(server.description).toBeUndefined();
    expect(changes.at(-1)).toBe('down');
    await server.stop();
  });
});

describe('what a server of both eras says unasked', () => {
  it('is heard once where both say it', async () => {
    const { server, legacy, modern } = dual();
    const heard: string[] = [];
    server.onNotice(({ method }) => heard.push(method));
    await server.start();
    for (const link of [legacy, modern]) link.notice({ method: 'notifications/prompts/list_changed', params: {} });
    modern.notice({ method: 'notifications/tasks', params: {} });
    expect(heard).toEqual(['notifications/prompts/list_changed', 'notifications/tasks']);
  });
});
