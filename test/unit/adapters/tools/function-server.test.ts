import { afterEach, describe, expect, it, vi } from 'vitest';
import { FunctionServer } from '../../../../adapters/tools/function-server.ts';
import type { AnyToolFunction, CallContext } from '../../../../adapters/tools/tool-function.ts';
import { mintLineageToken } from '../../../../control-plane/lineage/token.ts';
import { rootLineage } from '../../../../domain/lineage.ts';
import { type Dispatch, PLAIN_MANNER } from '../../../../proxy/tool-server.ts';

const CALL = '01M7ZQTHBB8JGDK19VX188S6YT';
const DIGEST = `sha256:${'A'.repeat(43)}` as const;
const { root, node, depth } = rootLineage(CALL as never);
/** What the gate hands over with a call. Whose signature it has is of no interest here. */
const TOKEN = mintLineageToken(
  {
    iss: 'portcullis:test',
    sub: 'planner',
    aud: ['portcullis:test'],
    iat: 1,
    exp: 2,
    jti: CALL,
    lin: { root, node, depth, chain: DIGEST, servers: ['notes'], agents: ['planner'] },
    scp: [],
    cnf: { conn: DIGEST },
  },
  { kid: 'A'.repeat(43), sign: () => new Uint8Array(64), sha256: () => new Uint8Array(32) },
)!.token;

function callOf(name: string, method = 'tools/call'): Dispatch {
  const meta = { 'dev.portcullis/lineage': TOKEN };
  return { method, meta, body: JSON.stringify({ arguments: {}, name }), outputBytesMax: 1_000, manner: PLAIN_MANNER };
}

function serverOf(execute: (args: never, context: CallContext) => unknown): FunctionServer {
  const server = new FunctionServer('notes');
  const tool: AnyToolFunction = { description: 'x', inputSchema: { type: 'object' }, execute };
  server.provide({
    agent: 'planner',
    functions: new Map([['do', tool]]),
    definitions: [{ name: 'do', raw: { name: 'do' } }],
    within: (call, work) => work({ ...call, agent: undefined as never }),
  });
  return server;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a server of functions', () => {
  it('is not there before it has been given any, and no longer when it was stopped', async () => {
    const server = new FunctionServer('notes');
    expect(server.description).toBeUndefined();
    expect(await server.dispatch(callOf('do')).answer).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
    const starting = server.start();
    await server.stop();
    await expect(starting).rejects.toThrow('stopped before it had functions');
    const given = serverOf(() => 1);
    await expect(given.start()).resolves.toMatchObject({ name: 'notes', tools: [{ name: 'do' }] });
    await given.stop();
    expect(given.description).toBeUndefined();
    expect(await given.dispatch(callOf('do')).answer).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
  });

  it('answers whoever waits for its start as soon as it has them', async () => {
    const server = new FunctionServer('notes');
    const starting = server.start();
    server.provide({ agent: 'a', functions: new Map(), definitions: [], within: (_, work) => work({} as never) });
    await expect(starting).resolves.toMatchObject({ name: 'notes', tools: [] });
    expect(server.agent).toBe('a');
  });

  it('has tools and nothing else', async () => {
    const server = serverOf(() => 1);
    expect(await server.dispatch(callOf('do', 'prompts/get')).answer).toMatchObject({
      kind: 'error',
      error: { code: -32601 },
    });
    expect(await server.dispatch(callOf('other')).answer).toMatchObject({ kind: 'result', result: { isError: true } });
    expect(await server.list()).toEqual([]);
  });

  it('begins a function behind the tick of its call, and not at all when the call was stopped in it', async () => {
    const ran: string[] = [];
    const server = serverOf((_, { call }) => ran.push(call));
    const stopped = server.dispatch(callOf('do'));
    stopped.cancel('CANCELLED');
    const begun = server.dispatch(callOf('do'));
    expect(ran).toEqual([]);
    expect(await stopped.answer).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
    expect(await begun.answer).toMatchObject({ kind: 'result' });
    expect(ran).toEqual([CALL]);
  });

  it('takes an answer that still comes soon after it was told to stop, and then no more', async () => {
    vi.useFakeTimers();
    const answers: ((value: string) => void)[] = [];
    const server = serverOf(() => new Promise((answer) => answers.push(answer)));
    const runs = [server.dispatch(callOf('do')), server.dispatch(callOf('do'))] as const;
    await vi.advanceTimersByTimeAsync(0);
    for (const run of runs) run.cancel('REVOKED_NODE');
    await vi.advanceTimersByTimeAsync(499);
    answers[0]?.('soon');
    await vi.advanceTimersByTimeAsync(1);
    answers[1]?.('later');
    expect(await runs[0].answer).toMatchObject({ kind: 'result', result: { content: [{ text: 'soon' }] } });
    expect(await runs[1].answer).toMatchObject({ kind: 'lost', detail: 'told to stop: REVOKED_NODE' });
  });

  it('tells a function once why it is to stop, and loses everything when it is stopped itself', async () => {
    vi.useFakeTimers();
    const told: string[] = [];
    const server = serverOf((_, { signal }) => {
      signal.addEventListener('abort', () => told.push((signal.reason as Error).message));
      return new Promise(() => {});
    });
    const run = server.dispatch(callOf('do'));
    await vi.advanceTimersByTimeAsync(0);
    run.cancel('DEADLINE_EXCEEDED');
    run.cancel('CANCELLED');
    const other = server.dispatch(callOf('do'));
    await vi.advanceTimersByTimeAsync(0);
    await server.stop();
    expect(told).toEqual(['DEADLINE_EXCEEDED', 'shutdown']);
    await vi.advanceTimersByTimeAsync(500);
    expect((await other.answer).kind).toBe('lost');
  });

  it('takes no more calls than have room while functions never end, and goes on when they have', async () => {
    vi.useFakeTimers();
    const answers: ((value: number) => void)[] = [];
    const server = serverOf(() => new Promise((answer) => answers.push(answer)));
    for (let n = 0; n < 1_024; n += 1) void server.dispatch(callOf('do')).answer;
    await vi.advanceTimersByTimeAsync(0);
    expect(await server.dispatch(callOf('do')).answer).toMatchObject({ kind: 'refused', code: 'OVERLOADED' });
    for (const answer of answers) answer(1);
    await vi.advanceTimersByTimeAsync(0);
    const again = server.dispatch(callOf('do'));
    await vi.advanceTimersByTimeAsync(0);
    answers.at(-1)?.(2);
    expect(await again.answer).toMatchObject({ kind: 'result' });
  });
});
