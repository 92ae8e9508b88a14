// A real server that is killed in the middle of calls, behind each transport: what it had is recorded as unknown and never sent again, nobody
// waits for it, the other servers notice nothing, and it is served again when it is back.

import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { type HttpCounter, startHttpCounter } from '../fixtures/servers/http-counter.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { type CallEvidence, callsOf, heardIn } from '../support/evidence.ts';
import { processesNaming } from '../support/processes.ts';
import { denialOf, RawHttp, type RawReply, textOf } from '../support/raw-mcp.ts';
import { RawModern } from '../support/raw-modern.ts';

const RULES = `@id("all") @reason("counting is harmless")
permit (principal, action, resource);
`;

/** How each server is started on a port, where it is not a process of the gate's own. */
const FILES = { http: 'http-counter.mjs', sse: 'sse-counter.mjs', ws: 'ws-counter.mjs' } as const;
type Remote = keyof typeof FILES;

let at: Installation;
let gate: RunningCommand;
let url: string;
const counters = new Map<Remote, HttpCounter>();

async function start(name: Remote, port = 0): Promise<HttpCounter> {
  const env = { COUNTER_FILE: at.path(`${name}.jsonl`), COUNTER_PORT: String(port) };
  const counter = await startHttpCounter(env, FILES[name]);
  counters.set(name, counter);
  return counter;
}

beforeAll(async () => {
  at = installation();
  const [http, sse, ws] = [await start('http'), await start('sse'), await start('ws')].map(({ port }) => port);
  at.configure(
    {
      agents: { me: { roles: [], auth: 'local' } },
      servers: {
        stdio: { stdio: { command: process.execPath, args: [fixtureServer('counter.mjs'), at.path('stdio.jsonl')] } },
        http: { http: { url: `http://127.0.0.1:${http}/mcp` } },
        sse: { sse: { url: `http://127.0.0.1:${sse}/sse` } },
        ws: { ws: { url: `ws://127.0.0.1:${ws}/mcp` } },
        newer: {
          stdio: {
            command: process.execPath,
            args: [fixtureServer('neighbour.mjs'), 'newer', `--log=${at.path('newer.jsonl')}`, '--modern'],
          },
        },
        asks: { stdio: { command: process.execPath, args: [fixtureServer('neighbour.mjs'), 'asks', at.path('asks')] } },
      },
    },
    RULES,
  );
  gate = at.start(['serve', '--name', 'all', '--http', '127.0.0.1:0']);
  url = await urlOf(gate);
  // Some may come when the gate is open already.
  await gate.until(({ stderr }) => {
    const open = /open: \d+ server\(s\)(?:; not there: (.*))?/.exec(stderr);
    return open !== null && (open[1]?.split(', ') ?? []).every((name) => stderr.includes(`server ${name} has come`));
  });
}, 60_000);

afterEach(() => {
  expect(gate.over).toBe(false);
});

afterAll(async () => {
  expect((await gate.stop()).code).toBe(0);
  expect(await at.audit(['verify', at.ledger('all')])).toMatchObject({ code: 0 });
  for (const counter of counters.values()) await counter.stop();
  await closeInstallations();
}, 60_000);

/** Kills the server; the returned function brings it back where it was. */
async function kill(name: Remote | 'stdio'): Promise<() => Promise<unknown>> {
  if (name === 'stdio') {
    const [running] = processesNaming(at.path('stdio.jsonl'));
    process.kill(running?.pid ?? 0, 'SIGKILL');
    return async () => undefined;
  }
  const counter = counters.get(name) as HttpCounter;
  await counter.kill();
  return () => start(name, counter.port);
}

const numberIn = (args: unknown): number => Number((args as JsonObject | undefined)?.by);

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 25_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it does not happen: ${gate.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe.each(['stdio', 'http', 'sse', 'ws'] as const)('a server behind %s that is killed', (name) => {
  proves(
    'G6',
    'ends every call that it had as unknown and none twice, holds up no other, and is called again when it is back',
    async () => {
      const client = new RawHttp(url);
      await client.initialize();
      const neighbour = name === 'stdio' ? 'ws' : 'stdio';
      const before = (await callsOf(at, 'all')).length;
      const sleeping = [1, 2, 3, 4].map((by) => client.call(`${name}__sleep`, { ms: 60_000 + by }));
      const here = async (): Promise<readonly CallEvidence[]> => (await callsOf(at, 'all')).slice(before);
      await until(async () => (await here()).filter(({ tool, intent }) => tool === 'sleep' && intent).length === 4);
      expect(textOf(await client.call(`${name}__echo`, { text: 'they are there' }))).toBe('they are there');

      // And calls that come without a pause before, while and after it dies.
      let stop = false;
      const replies = new Map<number, RawReply>();
      let next = 1_000;
      const stream = async (): Promise<void> => {
        while (!stop) {
          const by = next++;
          replies.set(by, await client.call(`${name}__count`, { by }));
        }
      };
      const streams = [stream(), stream(), stream()];
      await until(() => replies.size > 20);
      const revive = await kill(name);
      const lost = await Promise.all(sleeping);
      expect(lost.map(denialOf)).toEqual(lost.map(() => 'TOOL_LOST'));
      expect(textOf(await client.call(`${neighbour}__echo`, { text: 'well' }))).toBe('well');
      await revive();
      const dead = next;
      await until(() => [...replies].some(([by, reply]) => by > dead && textOf(reply) !== '' && !denialOf(reply)));
      stop = true;
      await Promise.all(streams);

      const heard = heardIn(at.path(`${name}.jsonl`)).map(numberIn);
      expect(heard.length).toBe(new Set(heard).size);
      const counted = (await here()).filter(({ tool }) => tool === 'count');
      expect(counted).toHaveLength(replies.size);
      for (const { args, status, code, intent, endings } of counted) {
        const by = numberIn(args);
        expect(endings).toHaveLength(1);
        if (status === 'completed') expect(heard).toContain(by);
        else if (intent === undefined) {
          expect(code).toBe('SERVER_UNAVAILABLE');
          expect(heard).not.toContain(by);
        } else expect(['TOOL_LOST', 'SERVER_UNAVAILABLE']).toContain(code);
        // "It did not run" is only said of what was not heard.
        if (code === 'SERVER_UNAVAILABLE') expect(heard).not.toContain(by);
      }
      const slept = (await here()).filter(({ tool }) => tool === 'sleep');
      expect(slept.map(({ status }) => status)).toEqual(slept.map(() => 'unknown'));
    },
    90_000,
  );
});

describe('a server that is killed while it waits for its client', () => {
  proves(
    'G6',
    'ends the call that asked as unknown, and whoever brings the answer is told that nobody waits for it',
    async () => {
      const client = new RawModern(url);
      const can = { capabilities: { elicitation: {} } };
      const { result } = await client.call('asks__ask', {}, can);
      const { requestState, inputRequests } = result as { requestState: string; inputRequests: JsonObject };
      const asked = async () => (await callsOf(at, 'all')).filter(({ tool }) => tool === 'ask');
      expect(await asked()).toMatchObject([{ endings: [] }]);
      const [running] = processesNaming(at.path('asks'));
      process.kill(running?.pid ?? 0, 'SIGKILL');
      await until(async () => (await asked())[0]?.status === 'unknown');
      const inputResponses = { [Object.keys(inputRequests)[0] ?? '']: { action: 'accept', content: {} } };
      const params = { name: 'asks__ask', arguments: {}, requestState, inputResponses };
      expect(denialOf(await client.ask('tools/call', params, can))).toBe('REQUEST_STATE_INVALID');
      await until(async () => textOf(await client.call('asks__echo', { text: 'back' })) === 'asks: back');
      expect(await asked()).toHaveLength(1);
    },
    90_000,
  );
});

describe('a server of 2026-07-28 that is killed', () => {
  proves(
    'G6',
    'ends every call that it had as unknown, for clients of both eras, and is called again when it is back',
    async () => {
      const [modern, legacy] = [new RawModern(url), new RawHttp(url)];
      await legacy.initialize();
      const calls = ['a', 'b'].flatMap((text) => [
        modern.call('newer__wait', { text: `modern ${text}` }),
        legacy.call('newer__wait', { text: `legacy ${text}` }),
      ]);
      const waits = () =>
        heardIn(at.path('newer.jsonl')).filter(
          ({ method, params }) => method === 'tools/call' && (params as JsonObject).name === 'wait',
        );
      await until(() => waits().length === 4);
      const [running] = processesNaming(at.path('newer.jsonl'));
      process.kill(running?.pid ?? 0, 'SIGKILL');
      const lost = await Promise.all(calls);
      expect(lost.map(denialOf)).toEqual(lost.map(() => 'TOOL_LOST'));
      for (const client of [modern, legacy])
        await until(async () => textOf(await client.call('newer__echo', { text: 'back' })) === 'newer: back');
      expect(waits()).toHaveLength(4);
      const recorded = (await callsOf(at, 'all')).filter(({ tool }) => tool === 'wait');
      expect(recorded.map(({ status, endings }) => [status, endings.length])).toEqual(lost.map(() => ['unknown', 1]));
    },
    90_000,
  );
});
