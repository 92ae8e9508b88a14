// What the gate may expect of every connection to a tool server, whatever carries it. Each transport runs this suite against the counter.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Connection, ConnectionListener } from '../../adapters/upstream/connection.ts';
import type { UpstreamLimits } from '../../adapters/upstream/limits.ts';
import type { RefusedRequest } from '../../adapters/upstream/ports.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Dispatch, ServerChange, ToolAnswer } from '../../proxy/tool-server.ts';
import { PLAIN_MANNER } from '../../proxy/tool-server.ts';
import { proves } from '../guarantees.ts';
import { hooks, QUIET } from '../support/hooks.ts';

export interface Subject {
  readonly server: Connection;
  /** Brings back a server that died and that start() does not start. */
  revive?(): Promise<void>;
  /** Ends whatever is not ended by stop(). */
  release(): Promise<void>;
}

export interface SubjectOptions {
  /** Where the counter writes what it heard. */
  readonly file: string;
  readonly revision?: string;
  readonly pages?: number;
  /** How it lists what it offers besides tools; it has no such lists where this is absent. */
  readonly offers?: 'pages' | 'endless' | 'bad' | 'none' | 'mute';
  readonly listener: ConnectionListener;
  readonly limits?: Partial<UpstreamLimits>;
}

export interface TransportUnderTest {
  readonly name: string;
  open(options: SubjectOptions): Promise<Subject>;
  /** Whether the tool hears a call although our event loop does not run again after dispatch(). */
  readonly writesInTheTick: boolean;
  /** Whether a server can say on behalf of which call it speaks. */
  readonly tellsWhose?: true;
}

export function callOf(name: string, args: JsonObject, outputBytesMax = 1_000_000, meta: JsonObject = {}): Dispatch {
  return {
    method: 'tools/call',
    meta,
    body: canonicalJson({ arguments: args, name }),
    outputBytesMax,
    manner: PLAIN_MANNER,
  };
}

export function textOf(answer: ToolAnswer): string {
  if (answer.kind !== 'result') throw new Error(`expected a result: ${JSON.stringify(answer)}`);
  return (answer.result as { content: { text: string }[] }).content[0]!.text;
}

export function toolServerContract(transport: TransportUnderTest): void {
  describe(`a tool server over ${transport.name}`, () => {
    let folder = '';
    let file = '';
    let subjects: Subject[] = [];
    let refused: RefusedRequest[] = [];

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
      file = join(folder, 'heard');
      writeFileSync(file, '');
      subjects = [];
      refused = [];
    });

    afterEach(async () => {
      for (const subject of subjects) {
        await subject.server.stop();
        await subject.release();
      }
      rmSync(folder, { recursive: true, force: true });
    });

    async function open(options: Partial<SubjectOptions> = {}): Promise<Connection> {
      const listener = { onRefusedRequest: (request: RefusedRequest) => refused.push(request) };
      const subject = await transport.open({ file, listener, ...options });
      subjects.push(subject);
      return subject.server;
    }

    async function ask(server: Connection, name: string, args: JsonObject, bytes?: number): Promise<ToolAnswer> {
      return server.dispatch(callOf(name, args, bytes), QUIET).answer;
    }

    async function heardBy(server: Connection): Promise<string[]> {
      return JSON.parse(textOf(await ask(server, 'heard', {})));
    }

    it('refuses a call before it was started, and sends nothing', async () => {
      const server = await open();
      expect(server.description).toBeUndefined();
      expect(await ask(server, 'count', {})).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
      await server.start();
      expect(readFileSync(file, 'utf8')).toBe('');
    });

    for (const revision of ['1999-01-01', '2026-07-28', '']) {
      it(`refuses a server that insists on revision "${revision}"`, async () => {
        const server = await open({ revision });
        await expect(server.start()).rejects.toThrow(/unknown revision/);
        expect(server.description).toBeUndefined();
      });
    }

    for (const revision of ['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
      it(`speaks ${revision}`, async () => {
        const server = await open({ revision });
        const description = await server.start();
        expect(description).toMatchObject({
          protocolVersion: revision,
          serverInfo: { name: 'counter' },
          instructions: 'Count.',
        });
        expect(textOf(await ask(server, 'echo', { text: 'hello' }))).toBe('hello');
      });
    }

    it('reads a list of tools that comes in pages', async () => {
      const server = await open({ pages: 4 });
      const { tools } = await server.start();
      expect(tools.map((tool) => tool.name)).toContain('heard');
      expect(tools).toHaveLength(9);
      expect(tools[0]!.raw).toMatchObject({ name: 'count', inputSchema: { type: 'object' } });
    });

    it('refuses a list of more pages or tools than it was told to read', async () => {
      await expect((await open({ pages: 4, limits: { listPagesMax: 3 } })).start()).rejects.toThrow(
        /more than 3 pages/,
      );
      await expect((await open({ limits: { listToolsMax: 8 } })).start()).rejects.toThrow(/more than 8 tools/);
      await expect((await open({ limits: { listBytesMax: 200 } })).start()).rejects.toThrow(/larger than 200 bytes/);
      await expect((await open({ limits: { toolBytesMax: 100 } })).start()).rejects.toThrow(
        /definition of its tool "count" is larger than 100 bytes/,
      );
    });

    proves(
      'G2',
      `${transport.name} carries the body of a call byte for byte, with our id and our progress token`,
      async () => {
        const server = await open();
        await server.start();
        const body = '{"arguments":{"by":1,"text":"a\\u2028\\"é"},"name":"count"}';
        const dispatch: Dispatch = {
          method: 'tools/call',
          meta: { 'a.example/b': 1, progressToken: 'theirs' },
          body,
          outputBytesMax: 10_000,
          manner: PLAIN_MANNER,
        };
        await server.dispatch(dispatch, QUIET).answer;
        const line = (await heardBy(server)).find((heard) => heard.includes('"count"')) ?? '';
        expect(line).toMatch(
          /^\{"id":\d+,"jsonrpc":"2\.0","method":"tools\/call","params":\{"_meta":\{"a\.example\/b":1,"progressToken":"[-0-9a-f]{36}"\},/,
        );
        expect(line.endsWith(`${body.slice(1)}}`)).toBe(true);
      },
    );

    it('answers a call with the result or the error of the server', async () => {
      const server = await open();
      await server.start();
      expect(await ask(server, 'count', { by: 2 })).toMatchObject({
        kind: 'result',
        result: { content: [{ type: 'text', text: '1' }] },
      });
      expect(readFileSync(file, 'utf8')).toBe('{"by":2}\n');
      const error = { code: -32050, message: 'it failed', data: { why: 'asked to' } };
      expect(await ask(server, 'fail', {})).toMatchObject({ kind: 'error', error });
      expect(await ask(server, 'fail', { how: 'tool' })).toMatchObject({ kind: 'result', result: { isError: true } });
    });

    it('gives each of many calls in flight its own answer, in whatever order they come', async () => {
      const server = await open();
      await server.start();
      const slow = ask(server, 'sleep', { ms: 150 });
      const echoes = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(server, 'echo', { text: `n${i}` })));
      expect(echoes.map(textOf)).toEqual(Array.from({ length: 50 }, (_, i) => `n${i}`));
      expect(textOf(await slow)).toBe('slept');
    });

    it('forwards progress in order, without the token', async () => {
      const server = await open();
      await server.start();
      const seen: JsonObject[] = [];
      const run = server.dispatch(
        callOf('progress', { steps: 3 }),
        hooks({ onProgress: (params) => seen.push(params) }),
      );
      expect(textOf(await run.answer)).toBe('done');
      expect(seen).toEqual([1, 2, 3].map((step) => ({ progress: step, total: 3, message: `step ${step}` })));
    });

    it('forwards no more progress a second than its limit', async () => {
      const server = await open({ limits: { progressPerSecondMax: 5 } });
      await server.start();
      const seen: JsonObject[] = [];
      await server.dispatch(callOf('progress', { steps: 40 }), hooks({ onProgress: (params) => seen.push(params) }))
        .answer;
      expect(seen.length).toBeGreaterThanOrEqual(5);
      expect(seen.length).toBeLessThan(40);
    });

    it('tells the server of a cancelled call, and loses it when no answer comes', async () => {
      const server = await open({ limits: { cancelGraceMs: 50 } });
      await server.start();
      const run = server.dispatch(callOf('sleep', { ms: 60_000 }), QUIET);
      run.cancel('no longer needed');
      run.cancel('twice is once');
      expect(await run.answer).toMatchObject({ kind: 'lost', detail: expect.stringContaining('cancelled') });
      const cancelled = (await heardBy(server)).filter((line) => line.includes('notifications/cancelled'));
      expect(cancelled).toHaveLength(1);
      expect(cancelled[0]).toContain('no longer needed');
      run.cancel('after the end');
      expect(textOf(await ask(server, 'echo', { text: 'alive' }))).toBe('alive');
    });

    it('takes an answer that comes within the grace after cancel', async () => {
      const server = await open({ limits: { cancelGraceMs: 10_000 } });
      await server.start();
      const run = server.dispatch(callOf('echo', { text: 'too late to stop' }), QUIET);
      run.cancel('changed my mind');
      expect(textOf(await run.answer)).toBe('too late to stop');
    });

    for (const [size, expected] of [
      [99_999, 'result'],
      [100_000, 'result'],
      [100_001, 'refused'],
      [5_000_000, 'refused'],
    ] as const) {
      it(`answers ${size} bytes with a ${expected} when 100000 are allowed`, async () => {
        const server = await open();
        await server.start();
        const answer = await ask(server, 'big', { bytes: size }, 100_000);
        expect(answer.kind).toBe(expected);
        if (expected === 'result') expect(answer).toMatchObject({ bytes: size });
        else expect(answer).toMatchObject({ code: 'OUTPUT_TOO_LARGE' });
        expect(textOf(await ask(server, 'echo', { text: 'next' }))).toBe('next');
      });
    }

    it('refuses only the answer that is too large when several are on their way', async () => {
      const server = await open();
      await server.start();
      const answers = await Promise.all([
        ask(server, 'big', { bytes: 3_000_000 }, 100_000),
        ask(server, 'big', { bytes: 90_000 }, 100_000),
        ask(server, 'big', { bytes: 3_000_000 }, 2_000_000),
        ask(server, 'big', { bytes: 1_900_000 }, 2_000_000),
        ask(server, 'echo', { text: 'x' }),
      ]);
      expect(answers.map((answer) => answer.kind)).toEqual(['refused', 'result', 'refused', 'result', 'result']);
    });

    if (transport.writesInTheTick) {
      proves('G1', `${transport.name} hands a call over in the tick in which it is dispatched`, async () => {
        const server = await open();
        await server.start();
        const run = server.dispatch(callOf('count', { by: 9 }), QUIET);
        // Our event loop stands still from here until the tool has written what it heard.
        const still = new Int32Array(new SharedArrayBuffer(4));
        for (let i = 0; i < 500 && readFileSync(file, 'utf8') === ''; i++) Atomics.wait(still, 0, 0, 20);
        expect(readFileSync(file, 'utf8')).toBe('{"by":9}\n');
        expect(textOf(await run.answer)).toBe('1');
      });
    }

    it('loses the calls in flight when the server dies, says so once, and starts anew without repeating a call', async () => {
      const server = await open();
      const changes: ServerChange[] = [];
      server.onChange((change) => changes.push(change));
      await server.start();
      await ask(server, 'count', { by: 1 });
      const sleeping = ask(server, 'sleep', { ms: 60_000 });
      expect(await ask(server, 'die', {})).toMatchObject({ kind: 'lost' });
      expect(await sleeping).toMatchObject({ kind: 'lost' });
      await vi.waitFor(() => expect(server.description).toBeUndefined());
      expect(await ask(server, 'count', { by: 2 })).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
      expect(changes).toEqual(['up', 'down']);
      await subjects[0]!.revive?.();
      await server.start();
      expect(textOf(await ask(server, 'count', { by: 3 }))).toBe('1');
      expect(readFileSync(file, 'utf8')).toBe('{"by":1}\n{"by":3}\n');
      expect(changes).toEqual(['up', 'down', 'up']);
    });

    it('starts once for everybody who asks at the same time', async () => {
      const server = await open();
      const [one, two] = await Promise.all([server.start(), server.start()]);
      expect(one).toBe(two);
      expect(await server.start()).toBe(one);
    });

    it('loses the calls in flight when it is stopped, and can be started again', async () => {
      const server = await open();
      await server.start();
      const run = server.dispatch(callOf('sleep', { ms: 60_000 }), QUIET);
      await server.stop();
      expect(await run.answer).toMatchObject({ kind: 'lost' });
      expect(server.description).toBeUndefined();
      await server.start();
      expect(textOf(await ask(server, 'echo', { text: 'again' }))).toBe('again');
    });

    for (const method of ['tasks/get', 'tasks/list', 'tasks/result', 'tasks/cancel', 'tools/call', 'vendor/anything']) {
      proves(
        'G8',
        `a server that asks for ${method} over ${transport.name} is refused, and that is reported`,
        async () => {
          const server = await open();
          await server.start();
          const told = JSON.parse(textOf(await ask(server, 'ask', { method })));
          expect(told).toMatchObject({ error: { code: -32601 } });
          expect(refused.map((request) => request.method)).toEqual([method]);
        },
      );
    }

    it('answers a ping of the server', async () => {
      const server = await open();
      await server.start();
      expect(JSON.parse(textOf(await ask(server, 'ask', { method: 'ping' })))).toMatchObject({ result: {} });
      expect(refused).toEqual([]);
    });

    it('refuses a call beyond the number that may be in flight', async () => {
      const server = await open({ limits: { callsInFlightMax: 1, cancelGraceMs: 1 } });
      await server.start();
      const run = server.dispatch(callOf('sleep', { ms: 60_000 }), QUIET);
      expect(await ask(server, 'count', {})).toMatchObject({ kind: 'refused', code: 'OVERLOADED' });
      run.cancel('enough');
      await run.answer;
      expect(textOf(await ask(server, 'count', {}))).toBe('1');
    });
  });
}
