// What a server may say and ask of its own accord, whatever carries it: to whom it gets, and what is refused. Each transport runs this suite
// against the counter; the fine points that no transport changes are in test/unit/adapters/upstream/legacy/.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import type { RefusedRequest } from '../../adapters/upstream/ports.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { CallHooks, Dispatch, Notice, Question, QuestionAnswer, ToolAnswer } from '../../proxy/tool-server.ts';
import { proves } from '../guarantees.ts';
import { hooks, QUIET } from '../support/hooks.ts';
import { callOf, type Subject, type SubjectOptions, type TransportUnderTest, textOf } from './tool-server.contract.ts';

const QUESTIONS = ['sampling/createMessage', 'elicitation/create', 'roots/list'] as const;

export function speakingServerContract(transport: TransportUnderTest): void {
  describe(`what a tool server says over ${transport.name}`, () => {
    let folder = '';
    let subjects: Subject[] = [];
    let refused: RefusedRequest[] = [];
    let notices: Notice[] = [];

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
      subjects = [];
      refused = [];
      notices = [];
    });

    afterEach(async () => {
      for (const subject of subjects) {
        await subject.server.stop();
        await subject.release();
      }
      rmSync(folder, { recursive: true, force: true });
    });

    async function started(options: Partial<SubjectOptions> = {}): Promise<Connection> {
      const listener = { onRefusedRequest: (request: RefusedRequest) => refused.push(request) };
      const subject = await transport.open({ file: join(folder, 'heard'), listener, ...options });
      subjects.push(subject);
      subject.server.onNotice((notice) => notices.push(notice));
      await subject.server.start();
      return subject.server;
    }

    function call(server: Connection, name: string, args: JsonObject, some: Partial<CallHooks> = {}, sender?: object) {
      const dispatch: Dispatch = callOf(name, args);
      const manner = sender === undefined ? dispatch.manner : { ...dispatch.manner, sender };
      return server.dispatch({ ...dispatch, manner }, hooks(some));
    }

    /** Answers that the server got to its requests. */
    async function answersHeard(server: Connection): Promise<JsonObject[]> {
      const answer: ToolAnswer = await server.dispatch(callOf('heard', {}), QUIET).answer;
      const lines = JSON.parse(textOf(answer)) as string[];
      return lines.map((line) => JSON.parse(line) as JsonObject).filter(({ method }) => method === undefined);
    }

    describe('questions', () => {
      proves('G8', `${transport.name}: one that belongs to no call is refused, and that is reported`, async () => {
        const server = await started();
        const asked = vi.fn(QUIET.ask);
        await call(server, 'ask', { method: 'sampling/createMessage', alone: true }, { ask: asked }).answer;
        await vi.waitFor(() => expect(refused).toHaveLength(1));
        expect(refused[0]).toMatchObject({ method: 'sampling/createMessage' });
        await vi.waitFor(async () =>
          expect(await answersHeard(server)).toMatchObject([{ id: 'ask-1', error: { code: -32601 } }]),
        );
        expect(asked).not.toHaveBeenCalled();
      });

      proves('G9', `${transport.name}: of two clients only the one that is meant is asked, or nobody`, async () => {
        const server = await started({ limits: { cancelGraceMs: 10 } });
        const [mine, theirs] = [vi.fn(QUIET.ask), vi.fn(QUIET.ask)];
        const other = call(server, 'sleep', { ms: 60_000 }, { ask: theirs }, { name: 'theirs' });
        const told = textOf(
          await call(server, 'ask', { method: 'roots/list' }, { ask: mine }, { name: 'mine' }).answer,
        );
        expect(theirs).not.toHaveBeenCalled();
        expect(mine).toHaveBeenCalledTimes(transport.tellsWhose ? 1 : 0);
        expect(JSON.parse(told)).toMatchObject({ error: { code: transport.tellsWhose ? 40_364 : -32601 } });
        expect(refused).toHaveLength(transport.tellsWhose ? 0 : 1);
        // The server goes on with what was given up, as far as anybody can tell.
        other.cancel('enough');
        await other.answer;
        await call(server, 'ask', { method: 'roots/list' }, { ask: mine }, { name: 'mine' }).answer;
        expect(mine).toHaveBeenCalledTimes(transport.tellsWhose ? 2 : 0);
      });

      it('are put to the one client whose calls are in flight', async () => {
        const server = await started({ limits: { cancelGraceMs: 10 } });
        const [first, second] = [vi.fn(QUIET.ask), vi.fn(QUIET.ask)];
        const sender = {};
        const other = call(server, 'sleep', { ms: 60_000 }, { ask: first }, sender);
        await call(server, 'ask', { method: 'roots/list' }, { ask: second }, sender).answer;
        expect([first.mock.calls.length, second.mock.calls.length]).toEqual([0, 1]);
        other.cancel('enough');
        await other.answer;
      });

      it.each(QUESTIONS)('%s reaches the client of the call as it is, and the answer the server', async (method) => {
        const server = await started();
        const seen: Question[] = [];
        const result = { 'x.example/new': [1], _meta: { a: null } };
        const error = { code: -1, message: 'the user said no', data: { why: '€' } };
        const answers: QuestionAnswer[] = [
          { kind: 'result', result },
          { kind: 'error', error },
        ];
        const ask: CallHooks['ask'] = (question) => {
          seen.push(question);
          return { answer: Promise.resolve(answers[seen.length - 1]!), cancel: () => {} };
        };
        const params = { 'x.example/old': { y: [] }, message: 'é', _meta: { 'x.example/z': 1 } };
        const told = [
          textOf(await call(server, 'ask', { method, params, id: 'one' }, { ask }).answer),
          textOf(await call(server, 'ask', { method, params, id: 2 }, { ask }).answer),
        ];
        expect(seen).toMatchObject([
          { method, params },
          { method, params },
        ]);
        expect(told.map((text) => JSON.parse(text))).toEqual([
          { jsonrpc: '2.0', id: 'one', result },
          { jsonrpc: '2.0', id: 2, error },
        ]);
        expect(refused).toEqual([]);
      });

      it('tell the server how far the client has come, under its own token', async () => {
        const server = await started();
        const ask: CallHooks['ask'] = ({ onProgress }) => {
          onProgress?.({ progress: 1, total: 2 });
          onProgress?.({ progress: 1 });
          return { answer: Promise.resolve({ kind: 'result', result: {} }), cancel: () => {} };
        };
        const params = { _meta: { progressToken: 'theirs' } };
        await call(server, 'ask', { method: 'roots/list', params }, { ask }).answer;
        const heard = JSON.parse(textOf(await server.dispatch(callOf('heard', {}), QUIET).answer)) as string[];
        const progress = heard.map((line) => JSON.parse(line)).filter(({ method }) => /progress/.test(method));
        expect(progress.map(({ params: said }) => said)).toEqual([{ progress: 1, total: 2, progressToken: 'theirs' }]);
      });

      it.each([
        ['withdrawn', 'no need', []],
        ['left', 'the call has ended', [{ id: 'ask-1', error: { code: -32600, message: 'the call has ended' } }]],
      ] as const)('that are %s are not put any longer', async (how, reason, answers) => {
        const server = await started();
        const cancelled = vi.fn();
        const ask: CallHooks['ask'] = () => ({ answer: new Promise(() => {}), cancel: cancelled });
        const args = { method: 'elicitation/create', [how]: true };
        expect(textOf(await call(server, 'ask', args, { ask }).answer)).toBe('did not wait');
        expect(cancelled.mock.calls).toEqual([[reason]]);
        await vi.waitFor(async () => expect(await answersHeard(server)).toMatchObject(answers));
        expect(refused).toEqual([]);
      });

      it('end when the server dies', async () => {
        const server = await started();
        const cancelled = vi.fn();
        const ask = vi.fn(() => ({ answer: new Promise<never>(() => {}), cancel: cancelled }));
        const asking = call(server, 'ask', { method: 'roots/list' }, { ask });
        await vi.waitFor(() => expect(ask).toHaveBeenCalledTimes(1));
        await call(server, 'die', {}).answer;
        expect(await asking.answer).toMatchObject({ kind: 'lost' });
        expect(cancelled).toHaveBeenCalledTimes(1);
      });
    });

    describe('logs and notices', () => {
      const log = { level: 'info', logger: 'x', data: { é: [1] }, 'x.example/new': true };

      it('are dropped when they are unknown, too large or not well formed, and harm nothing', async () => {
        const server = await started({ limits: { noticeBytesMax: 300, logBytesMax: 300 } });
        const onLog = vi.fn();
        const long = 'x'.repeat(300);
        for (const [method, params] of [
          ['notifications/vendor', {}],
          ['notifications/message', { data: 'no level' }],
          ['notifications/message', { level: 'info', data: long }],
          ['notifications/resources/updated', { uri: 7 }],
          ['notifications/resources/updated', { uri: long }],
          ['notifications/tasks/status', {}],
          ['notifications/elicitation/complete', { elicitationId: null }],
          ['notifications/subscriptions/acknowledged', { uri: 'x' }],
        ] as const)
          await call(server, 'say', { method, params }, { onLog }).answer;
        expect(onLog).not.toHaveBeenCalled();
        expect(notices).toEqual([]);
        expect(server.dropped?.notifications).toBe(8);
        expect(textOf(await call(server, 'echo', { text: 'alive' }).answer)).toBe('alive');
      });

      it('a log message goes to the client of its call, whole, and not more of them than anybody can read', async () => {
        const server = await started({ limits: { logsPerSecondMax: 3 } });
        const onLog = vi.fn();
        await call(server, 'say', { method: 'notifications/message', params: log }, { onLog }).answer;
        expect(onLog.mock.calls).toEqual([[log]]);
        const many = vi.fn();
        await call(server, 'say', { method: 'notifications/message', params: log, times: 50 }, { onLog: many }).answer;
        expect(many.mock.calls.length).toBeGreaterThanOrEqual(3);
        expect(many.mock.calls.length).toBeLessThan(50);
        expect(notices).toEqual([]);
      });

      it('a log message that belongs to no call is told to whoever listens, and of two clients to neither', async () => {
        const server = await started({ limits: { cancelGraceMs: 10 } });
        const onLog = vi.fn();
        const say = { method: 'notifications/message', params: log, later: true };
        await call(server, 'say', say, { onLog }).answer;
        await vi.waitFor(() => expect(notices).toEqual([{ method: 'notifications/message', params: log }]));
        const sleeping = [{}, {}].map((sender) => call(server, 'sleep', { ms: 60_000 }, { onLog }, sender));
        await call(server, 'say', say, { onLog }).answer;
        await vi.waitFor(() => expect(notices).toHaveLength(2));
        expect(onLog).not.toHaveBeenCalled();
        for (const one of sleeping) one.cancel('enough');
        await Promise.all(sleeping.map((one) => one.answer));
      });

      it.each([
        ['notifications/resources/updated', { uri: 'count://1', 'x.example/new': 1 }],
        ['notifications/tasks/status', { taskId: 't', status: 'working' }],
        ['notifications/elicitation/complete', { elicitationId: 'e' }],
      ] as const)('%s is told to whoever listens', async (method, params) => {
        const server = await started();
        await call(server, 'say', { method, params }).answer;
        expect(notices).toEqual([{ method, params }]);
      });

      it.each(['notifications/prompts/list_changed', 'notifications/resources/list_changed'])(
        '%s is told at once, and of many changes the last',
        async (method) => {
          const server = await started({ limits: { listIntervalMs: 100 } });
          await call(server, 'say', { method, times: 20 }).answer;
          expect(notices).toEqual([{ method, params: {} }]);
          await vi.waitFor(() => expect(notices).toHaveLength(2));
          await new Promise((resolve) => setTimeout(resolve, 250));
          expect(notices).toHaveLength(2);
        },
      );
    });

    describe('lists besides tools', () => {
      const KINDS = ['prompts', 'resources', 'resourceTemplates'] as const;

      it('are refused when they have no end, and the server lives on', async () => {
        const server = await started({ offers: 'endless', limits: { listPagesMax: 5 } });
        for (const kind of KINDS) await expect(server.list(kind)).rejects.toThrow(/more than 5 pages/);
        expect(textOf(await call(server, 'echo', { text: 'alive' }).answer)).toBe('alive');
      });

      it('are refused when they do not come', async () => {
        const server = await started({ offers: 'mute', limits: { listTimeoutMs: 50, cancelGraceMs: 10 } });
        await expect(server.list('resources')).rejects.toThrow(/was not read within 50 ms/);
      });

      it('are empty where the server has none, and are not even asked for where it says so', async () => {
        const silent = await started();
        for (const kind of KINDS) expect(await silent.list(kind)).toEqual([]);
        const heard = textOf(await call(silent, 'heard', {}).answer);
        expect(heard).not.toContain('prompts/list');
        const half = await started({ offers: 'none' });
        for (const kind of KINDS) expect(await half.list(kind)).toEqual([]);
      });

      it('come with all pages, without what is no item', async () => {
        const paged = await started({ offers: 'pages' });
        expect(await paged.list('prompts')).toEqual([0, 1, 2].map((n) => ({ name: `prompt-${n}` })));
        expect((await paged.list('resources')).map(({ uri }) => uri)).toEqual([0, 1, 2].map((n) => `count://${n}`));
        const bad = await started({ offers: 'bad' });
        for (const kind of KINDS) expect(await bad.list(kind)).toHaveLength(1);
      });
    });
  });
}
