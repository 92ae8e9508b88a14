// Servers of 2026-07-28: the fixture of the conformance runs over HTTP and as a process, spoken to in its own era and as found out.

import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type EraChoice, inEra } from '../../adapters/upstream/era-choice.ts';
import { httpLinks } from '../../adapters/upstream/http/http-tool-server.ts';
import { stdioToolServer } from '../../adapters/upstream/stdio/stdio-tool-server.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Dispatch, Manner, Notice, ToolServer } from '../../proxy/tool-server.ts';
import type { Eras } from '../conformance/fixture/eras.ts';
import { Fixture } from '../conformance/fixture/fixture.ts';
import { listen } from '../conformance/fixture/http.ts';
import { hooks, QUIET } from '../support/hooks.ts';
import { textOf } from './tool-server.contract.ts';

const MAIN = fileURLToPath(new URL('../conformance/fixture/main.ts', import.meta.url));
const HOOKS = fileURLToPath(new URL('../support/typescript.mjs', import.meta.url));
const SURROUNDINGS = { clientInfo: { name: 'portcullis', version: '0' } };
const MODERN: Manner = { era: 'modern', capabilities: { elicitation: {}, sampling: {}, roots: {} } };
const TASKS: Manner = { era: 'modern', capabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } };

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function overHttp(eras: Eras, choice: EraChoice): Promise<ToolServer> {
  const listening = await listen(new Fixture(), eras);
  const server = inEra(
    'fixture',
    choice,
    'modern-first',
    httpLinks({ name: 'fixture', url: listening.url }, SURROUNDINGS),
  );
  closers.push(
    () => listening.close(),
    () => server.stop(),
  );
  return server;
}

async function asProcess(eras: Eras, choice: EraChoice): Promise<ToolServer> {
  const config = {
    name: 'fixture',
    command: process.execPath,
    args: ['--import', HOOKS, MAIN, '--stdio', '--eras', eras],
  };
  const server = inEra('fixture', choice, 'legacy-first', (era) => stdioToolServer(config, SURROUNDINGS, era));
  closers.push(() => server.stop());
  return server;
}

function request(method: string, params: JsonObject, manner: Manner = MODERN): Dispatch {
  return { method, meta: {}, body: canonicalJson(params), outputBytesMax: 1_000_000, manner };
}

const call = (name: string, args: JsonObject = {}, manner?: Manner, more: JsonObject = {}) =>
  request('tools/call', { name, arguments: args, ...more }, manner);

for (const [where, open] of [
  ['over HTTP', overHttp],
  ['as a process', asProcess],
] as const) {
  describe(`a server of 2026-07-28 ${where}`, () => {
    it('is found out, described, and called', async () => {
      const server = await open('2026', 'auto');
      const { protocolVersion, tools, capabilities } = await server.start();
      expect(protocolVersion).toBe('2026-07-28');
      expect(capabilities).toMatchObject({ resources: { subscribe: true } });
      expect(tools.map(({ name }) => name)).toContain('test_simple_text');
      const answer = await server.dispatch(call('test_simple_text'), QUIET).answer;
      expect(answer).toMatchObject({ kind: 'result', type: 'complete', result: { content: [{ type: 'text' }] } });
      expect(answer).not.toHaveProperty('result.resultType');
      expect(answer).not.toHaveProperty('result._meta');
    });

    it('lists what it offers besides tools', async () => {
      const server = await open('2026', 'modern');
      await server.start();
      expect((await server.list('prompts')).length).toBeGreaterThan(0);
      expect((await server.list('resources')).length).toBeGreaterThan(0);
      expect((await server.list('resourceTemplates')).length).toBeGreaterThan(0);
    });

    it('tells of progress, and of logs only to who named a level', async () => {
      const server = await open('2026', 'modern');
      await server.start();
      const heard: JsonObject[] = [];
      const listening = hooks({ onProgress: (said) => heard.push(said), onLog: (said) => heard.push(said) });
      await server.dispatch(call('test_tool_with_progress'), listening).answer;
      expect(heard.map(({ progress }) => progress)).toEqual([0, 50, 100]);
      heard.length = 0;
      await server.dispatch(call('test_tool_with_logging'), listening).answer;
      expect(heard).toEqual([]);
      await server.dispatch(call('test_tool_with_logging', {}, { ...MODERN, logLevel: 'info' }), listening).answer;
      expect(heard.length).toBeGreaterThan(0);
      expect(heard[0]).toMatchObject({ level: 'info' });
    });

    it('answers that it needs input, and goes on when it has it', async () => {
      const server = await open('2026', 'modern');
      await server.start();
      const first = await server.dispatch(call('test_input_required_result_elicitation'), QUIET).answer;
      expect(first).toMatchObject({ kind: 'result', type: 'input_required' });
      if (first.kind !== 'result') return;
      const [key = ''] = Object.keys(first.result.inputRequests as JsonObject);
      const inputResponses = { [key]: { action: 'accept', content: { name: 'Ada' } } };
      const again = call('test_input_required_result_elicitation', {}, MODERN, { inputResponses });
      const second = await server.dispatch(again, QUIET).answer;
      expect(second).toMatchObject({ kind: 'result', type: 'complete' });
    });

    it('makes tasks for those who take them, and tells of them', async () => {
      const server = await open('2026', 'modern');
      const notices: Notice[] = [];
      server.onNotice((notice) => notices.push(notice));
      await server.start();
      const refused = await server.dispatch(call('failing_job', {}, MODERN), QUIET).answer;
      expect(refused).toMatchObject({ kind: 'error', error: { code: -32021 } });
      const made = await server.dispatch(call('failing_job', {}, TASKS), QUIET).answer;
      expect(made).toMatchObject({ kind: 'result', type: 'task', result: { status: 'working' } });
      if (made.kind !== 'result') return;
      const { taskId } = made.result;
      await vi.waitFor(
        () => expect(notices).toContainEqual(expect.objectContaining({ method: 'notifications/tasks' })),
        5_000,
      );
      expect(notices[0]!.params).toMatchObject({ taskId, status: 'completed' });
      expect(notices[0]!.params).not.toHaveProperty('_meta');
      const got = await server.dispatch(request('tasks/get', { taskId: taskId ?? '' }, TASKS), QUIET).answer;
      expect(got).toMatchObject({ kind: 'result', type: 'complete', result: { status: 'completed' } });
    });

    it('subscribes to a resource once it has agreed', async () => {
      const server = await open('2026', 'modern');
      await server.start();
      const params = { uri: 'test://static-text' };
      expect(await server.dispatch(request('resources/subscribe', params), QUIET).answer).toMatchObject({
        kind: 'result',
        result: {},
      });
      expect(await server.dispatch(request('resources/unsubscribe', params), QUIET).answer).toMatchObject({
        kind: 'result',
        result: {},
      });
    });

    it('loses a cancelled call and no other', async () => {
      const server = await open('2026', 'modern');
      await server.start();
      const slow = server.dispatch(call('slow_compute', { seconds: 30 }), QUIET);
      slow.cancel('enough', true);
      expect(await slow.answer).toMatchObject({ kind: 'lost' });
      expect(textOf(await server.dispatch(call('test_simple_text'), QUIET).answer)).not.toBe('');
    });
  });

  describe(`a server up to 2025-11-25 ${where}`, () => {
    it('is found out', async () => {
      const server = await open('2025', 'auto');
      expect(await server.start()).toMatchObject({ protocolVersion: '2025-11-25' });
    });

    it('is not started in the other era', async () => {
      const server = await open('2025', 'modern');
      await expect(server.start()).rejects.toThrow(/server\/discover/);
    });
  });
}

describe('a server of both eras', () => {
  it('is spoken to over HTTP in the era of the client', async () => {
    const server = await overHttp('both', 'auto');
    expect(await server.start()).toMatchObject({ protocolVersion: '2026-07-28' });
    await server.meet?.('legacy');
    const asked = call('test_input_required_result_elicitation');
    expect(await server.dispatch(asked, QUIET).answer).toMatchObject({ kind: 'result', type: 'input_required' });
    const older = await server.dispatch(call('test_simple_text', {}, { era: 'legacy', capabilities: {} }), QUIET)
      .answer;
    expect(older).not.toHaveProperty('type');
  });

  it('is one process as found out, and two where that is said', async () => {
    const one = await asProcess('both', 'auto');
    await one.start();
    const asked = () => call('test_input_required_result_elicitation');
    expect(one).toMatchObject({ spoken: ['legacy'] });
    const two = await asProcess('both', 'both');
    await two.start();
    expect(two).toMatchObject({ spoken: ['legacy', 'modern'] });
    expect(await two.dispatch(asked(), QUIET).answer).toMatchObject({ kind: 'result', type: 'input_required' });
  });
});
