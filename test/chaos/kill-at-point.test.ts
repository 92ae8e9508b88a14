// A gate is killed at every point of a call where something is promised: decided, verified, intended, dispatched, answered, recorded, released, denied,
// and while it recovers from that. Over standard input and output, and before servers that outlive it. kill-at-syscall.test.ts kills it at its
// writes, whatever they are of. CHAOS_KILLS=100 tries every point on every way instead of a sample.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { readPermitText } from '../../domain/permit-text.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, installation, type StartOptions } from '../support/cli.ts';
import { type CounterGate, counterGate, urlOf } from '../support/counter-gate.ts';
import { type CallEvidence, callsOf, entriesOf, heardIn } from '../support/evidence.ts';
import { goneWithin } from '../support/processes.ts';
import { denialOf, RawHttp, type RawReply, RawStdio } from '../support/raw-mcp.ts';

const EVERY = Number(process.env.CHAOS_KILLS ?? 0) > 25;
const HOOK = new URL('../support/kill-at.mjs', import.meta.url).href;

interface Point {
  readonly at: string;
  /** Whether the tool has heard of the call; undefined where that is chance. */
  readonly heard?: boolean;
  /** What the ledger says of the call after the next start. */
  readonly becomes: 'nothing' | 'unknown' | 'completed' | 'denied';
  /** Whether a short run goes here too. */
  readonly short?: true;
}

const POINTS: readonly Point[] = [
  { at: 'before the permit is verified', heard: false, becomes: 'nothing' },
  { at: 'after the permit is verified', heard: false, becomes: 'nothing' },
  { at: 'before the intent is written', heard: false, becomes: 'nothing' },
  { at: 'while the intent is queued', heard: false, becomes: 'nothing' },
  { at: 'when the intent is durable', heard: false, becomes: 'unknown', short: true },
  { at: 'before the bytes leave', heard: false, becomes: 'unknown' },
  { at: 'in the tick in which the bytes leave', becomes: 'unknown', short: true },
  { at: 'while the tool works', becomes: 'unknown' },
  { at: 'when the tool has answered', heard: true, becomes: 'unknown', short: true },
  { at: 'before the ending is written', heard: true, becomes: 'unknown' },
  { at: 'while the ending is queued', heard: true, becomes: 'unknown' },
  { at: 'when the ending is durable', heard: true, becomes: 'completed', short: true },
  { at: 'when the client has its answer', heard: true, becomes: 'completed' },
  { at: 'before a denial is written', heard: false, becomes: 'nothing' },
  { at: 'when a denial is durable', heard: false, becomes: 'denied', short: true },
];
const RECOVERY = ['before recovery writes', 'when recovery has written'];

/** One way from a client to a tool. */
interface Way {
  readonly counter: CounterGate;
  /** Starts a gate; undefined where it dies before it is there. */
  start(options?: StartOptions): Promise<Started | undefined>;
  close(): Promise<void>;
}

interface Started {
  call(name: string, args: JsonObject): Promise<RawReply | undefined>;
  kill(): Promise<unknown>;
  readonly died: Promise<{ readonly signal: NodeJS.Signals | null }>;
}

afterAll(closeInstallations);

async function overStdio(): Promise<Way> {
  const counter = counterGate();
  return {
    counter,
    start: async (options) => {
      const client = new RawStdio(counter.wrap(options));
      if ((await client.initialize())?.result === undefined) return undefined;
      return {
        call: (name, args) => client.call(name, args),
        kill: () => client.running.kill(),
        died: client.running.ended,
      };
    },
    close: () => counter.at.close(),
  };
}

const REMOTE = {
  http: ['http-counter.mjs', (port: string) => ({ http: { url: `http://127.0.0.1:${port}/mcp` } })],
  ws: ['ws-counter.mjs', (port: string) => ({ ws: { url: `ws://127.0.0.1:${port}/` } })],
  sse: ['sse-counter.mjs', (port: string) => ({ sse: { url: `http://127.0.0.1:${port}/sse` } })],
} as const;

/** The server is nobody's child: it goes on when the gate dies. */
const over = (way: keyof typeof REMOTE) => async (): Promise<Way> => {
  const [fixture, at] = REMOTE[way];
  const heard = counterGate().heard;
  const server = spawn(process.execPath, [fixtureServer(fixture)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, COUNTER_FILE: heard },
  });
  const [printed] = (await once(server.stdout, 'data')) as [Buffer];
  const port = /\d+(?=\D*$)/.exec(printed.toString().trim())?.[0] ?? '';
  const counter = { ...counterGate({ server: { stdio: undefined, ...at(port) } }), heard };
  return {
    counter,
    start: async (options) => {
      const gate = counter.serve(options);
      const client = await urlOf(gate, 'counter').then(
        (at) => new RawHttp(at),
        () => undefined,
      );
      if (client === undefined) return undefined;
      await client.initialize();
      return {
        call: (name, args) => client.call(name, args).catch(() => undefined),
        kill: () => gate.kill(),
        died: gate.ended,
      };
    },
    close: async () => {
      server.kill('SIGKILL');
      await once(server, 'exit');
      await counter.at.close();
    },
  };
};

const rootOf = ({ intent }: CallEvidence): unknown =>
  ((intent?.events as readonly JsonObject[] | undefined)?.[0]?.lineage as JsonObject | undefined)?.root;
const eventsOf = ({ intent }: CallEvidence): readonly JsonObject[] => (intent?.events ?? []) as readonly JsonObject[];

/** What is called at a point: with `n` in its arguments, so that it is told from every other. */
function callAt({ at }: Point, n: number): readonly [tool: string, args: JsonObject] {
  if (at.includes('denial')) return ['no such tool', { by: n }];
  return at === 'while the tool works' ? ['sleep', { ms: n }] : ['count', { by: n }];
}

/** Kills a gate at each point in turn; each start recovers what the one before left. Returns how many died where they should. */
async function killAtEach(way: Way, points: readonly Point[]): Promise<number> {
  const { counter } = way;
  const timesHeard = (n: number): number => heardIn(counter.heard).filter(({ by }) => by === n).length;
  let killed = 0;
  for (const [index, point] of points.entries()) {
    const n = 60_000 + index;
    const [tool, args] = callAt(point, n);
    const marked = JSON.stringify(args).slice(1, -1);
    const env = { NODE_OPTIONS: `--import ${HOOK}`, KILL_AT: point.at, KILL_ARGUMENTS: marked };
    const gate = await way.start({ env });
    const answer = await gate?.call(tool, args);
    const answered = answer !== undefined;
    const alive = new Promise<undefined>((resolve) => setTimeout(resolve, 30_000, undefined).unref());
    expect((await Promise.race([gate?.died, alive]))?.signal, point.at).toBe('SIGKILL');
    killed += 1;
    expect(answered, point.at).toBe(point.at === 'when the client has its answer');
    if (way.counter.line.length > 0 && !point.at.includes('denial'))
      expect(await leftOf(way), `${point.at}: processes left`).toEqual([]);
    if (point.heard !== undefined) expect(timesHeard(n), point.at).toBe(point.heard ? 1 : 0);

    if (point.at === 'when the intent is durable')
      for (const at of RECOVERY) {
        const dying = await way.start({ env: { ...env, KILL_AT: at } });
        expect(dying, at).toBeUndefined();
        killed += 1;
      }

    const next = await way.start();
    if (next === undefined) throw new Error(`${point.at}: it does not start again`);
    const recorded = (await callsOf(counter.at, 'counter')).filter(
      (call) => call.args !== undefined && JSON.stringify(call.args).includes(marked),
    );
    const became = recorded.map(({ endings, status, code }) => [endings.length, status ?? code]);
    const expected = {
      nothing: [],
      unknown: [[1, 'unknown']],
      completed: [[1, 'completed']],
      denied: [[1, 'TOOL_UNKNOWN']],
    }[point.becomes];
    expect(became, point.at).toEqual(expected);

    const before = timesHeard(n);
    const again = await (tool === 'sleep' && point.becomes !== 'unknown' ? undefined : next.call(tool, args));
    const retried = point.becomes === 'unknown' ? 'RETRY_OF_UNKNOWN' : undefined;
    if (tool === 'no such tool') expect(again?.error, `${point.at}: again`).toBeDefined();
    else expect(denialOf(again), `${point.at}: again`).toBe(retried);
    expect(timesHeard(n), `${point.at}: again`).toBe(before + (tool === 'count' && retried === undefined ? 1 : 0));
    await next.kill();
  }
  return killed;
}

/** Processes of the gate's that are there still. A server over HTTP is not the gate's. */
async function leftOf({ counter }: Way): Promise<readonly unknown[]> {
  return counter.at.home === '' ? [] : await goneWithin(counter.at.home, 5_000);
}

async function checkLedger({ counter }: Way): Promise<void> {
  const last = counter.at.ledger('counter');
  const calls = await callsOf(counter.at, 'counter');
  const entries = await entriesOf(last);
  const unknown = calls.filter(({ status }) => status === 'unknown');
  expect(unknown.length).toBeGreaterThan(0);
  expect(calls.filter(({ intent, endings }) => intent !== undefined && endings.length !== 1)).toEqual([]);
  // A chain that was cut off does not go on; every other one may.
  const revoked = entries
    .filter(({ type, kind }) => type === 'revocation.added' && kind === 'root')
    .map(({ id }) => id);
  expect([...new Set(revoked)].sort()).toEqual([...new Set(unknown.map(rootOf))].sort());
  // Each permit was for one start of the gate, and that is over.
  const boots = entries.filter(({ type }) => type === 'policy.installed').map(({ boot }) => String(boot));
  for (const call of unknown) {
    const permit = eventsOf(call).find(({ type }) => type === 'decision.allowed')?.permit;
    const { claims } = readPermitText(String(permit)).payload();
    expect(JSON.stringify(claims)).not.toContain(boots.at(-1));
    expect(boots.some((boot) => JSON.stringify(claims).includes(boot))).toBe(true);
  }
  const [verified, replayed] = await Promise.all([
    counter.at.audit(['verify', last]),
    counter.at.audit(['replay', last]),
  ]);
  expect({ ...verified }).toMatchObject({ code: 0 });
  expect({ ...replayed }).toMatchObject({ code: 0 });
}

describe('killed at a point of a call', () => {
  const short = POINTS.filter((point) => point.short === true);
  for (const [name, open, sample] of [
    ['over standard input and output', overStdio, short],
    ['over HTTP', over('http'), short.slice(1, 2)],
    // What a socket was given nobody takes back: whether it was heard is chance.
    ['over WebSocket', over('ws'), short.slice(1, 2)],
    ['over HTTP+SSE', over('sse'), []],
  ] as const) {
    const points = EVERY ? POINTS : sample;
    if (points.length === 0) continue;
    proves(
      'G6',
      `${name}: what was begun ends once, its chain is over, and it is not made again before a person has looked`,
      async () => {
        const way = await open();
        const killed = await killAtEach(way, points);
        await checkLedger(way);
        await way.close();
        process.stderr.write(`chaos: ${killed} kills at points of a call ${name}\n`);
      },
      EVERY ? 600_000 : 120_000,
    );
  }

  proves(
    'G11',
    'with an agent behind it, when its tool has answered it: both calls are unknown, their chain is over, and neither is made again',
    async () => {
      const at = installation();
      const heard = at.path('heard.jsonl');
      const stdio = (...args: readonly string[]) => ({ stdio: { command: process.execPath, args } });
      const worker = stdio(fixtureServer('calling-agent.mjs'), '--era=legacy', at.path('agent'));
      const counter = stdio(fixtureServer('counter.mjs'), heard);
      at.configure(
        {
          agents: { planner: { auth: 'local' }, worker: { root: false, auth: 'process' } },
          servers: { worker: { ...worker, agent: 'worker' }, counter },
        },
        '@id("all") @reason("who calls whom is not the question here") permit (principal, action, resource);\n',
      );
      const open = async (env: Record<string, string> = {}) => {
        const planner = new RawStdio(at.start(['serve', '--name', 'house', '--stdio'], { env }));
        await planner.initialize();
        for (let turn = 0, listed = ''; turn < 600 && !(/worker__/.test(listed) && /counter__/.test(listed)); turn++) {
          await new Promise((resolve) => setTimeout(resolve, 25));
          listed = JSON.stringify((await planner.ask('tools/list'))?.result);
        }
        return planner;
      };
      const call = ['worker__work', { steps: [{ call: 'counter__count', args: { by: 70_000 } }] }] as const;
      const kill = { KILL_AT: 'when the tool has answered', KILL_ARGUMENTS: '"by":70000' };
      const planner = await open({ NODE_OPTIONS: `--import ${HOOK}`, ...kill });
      expect(await planner.call(...call)).toBeUndefined();
      expect((await planner.running.ended).signal).toBe('SIGKILL');
      expect(await goneWithin(at.home, 5_000)).toEqual([]);

      const next = await open();
      const cut = await callsOf(at, 'house');
      expect(cut.map(({ tool, status, endings }) => [tool, status, endings.length])).toEqual([
        ['work', 'unknown', 1],
        ['count', 'unknown', 1],
      ]);
      expect(new Set(cut.map(rootOf)).size).toBe(1);
      expect(denialOf(await next.call(...call))).toBe('RETRY_OF_UNKNOWN');
      expect(heardIn(heard).filter(({ by }) => by === 70_000)).toHaveLength(1);
      await next.running.kill();
      const revoked = (await entriesOf(at.ledger('house'))).filter(({ type }) => type === 'revocation.added');
      expect(revoked.map(({ kind, id }) => [kind, id])).toEqual([['root', rootOf(cut[0] as CallEvidence)]]);
      expect({ ...(await at.audit(['verify', at.ledger('house')])) }).toMatchObject({ code: 0 });
    },
    120_000,
  );

  it('every point is one of a call that the hook knows', async () => {
    const { readFile } = await import('node:fs/promises');
    const hook = await readFile(new URL('../support/kill-at.mjs', import.meta.url), 'utf8');
    for (const at of [...POINTS.map((point) => point.at), ...RECOVERY]) expect(hook).toContain(at);
  });
});
