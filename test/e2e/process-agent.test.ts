// Agents that are processes of the gate: what they call over the connection they were started with, in both eras of the protocol.

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation } from '../support/cli.ts';
import { callsOf } from '../support/evidence.ts';
import { goneWithin, processesNaming } from '../support/processes.ts';
import { denialOf, RawStdio, textOf } from '../support/raw-mcp.ts';

const RULES = `@id("all") @reason("who calls whom is not the question here")
permit (principal, action, resource);
`;

interface Terms {
  readonly withoutToken?: 'infer';
  readonly isolation?: 'per-session' | 'per-root';
  readonly fixture?: string;
}

class House {
  readonly at: Installation;
  readonly planner: RawStdio;

  constructor(era: string, { withoutToken, isolation, fixture = 'calling-agent.mjs' }: Terms = {}) {
    this.at = installation();
    const args = [fixtureServer(fixture), `--era=${era}`, this.at.path('agent')];
    this.at.configure(
      {
        agents: {
          planner: { auth: 'local' },
          worker: { root: false, auth: 'process', ...(withoutToken === undefined ? {} : { withoutToken }) },
        },
        servers: {
          worker: {
            stdio: { command: process.execPath, args },
            agent: 'worker',
            ...(isolation === undefined ? {} : { isolation }),
          },
          counter: {
            stdio: { command: process.execPath, args: [fixtureServer('counter.mjs'), this.at.path('heard.jsonl')] },
          },
        },
      },
      RULES,
    );
    this.planner = new RawStdio(this.at.start(['serve', '--name', 'house', '--stdio']));
  }

  async open(): Promise<this> {
    await this.planner.initialize();
    // A busy machine starts one long after the other.
    await until(async () => {
      const { result } = (await this.planner.ask('tools/list')) ?? {};
      const listed = JSON.stringify(result);
      return listed.includes('worker__') && listed.includes('counter__');
    });
    return this;
  }

  /** What came of each step that the worker took. */
  async work(...steps: JsonObject[]): Promise<string[]> {
    const reply = await this.planner.call('worker__work', { steps });
    const denied = denialOf(reply);
    if (denied !== undefined) throw new Error(denied);
    return JSON.parse(textOf(reply)) as string[];
  }

  get heard(): string {
    const file = this.at.path('heard.jsonl');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** The ledger is whole, and every decision in it is made again. */
  async holds(): Promise<void> {
    this.planner.running.child.stdin.end();
    expect(await this.planner.running.ended).toMatchObject({ code: 0 });
    expect(await this.at.audit(['verify', this.at.ledger('house')])).toMatchObject({ code: 0 });
    const replayed = await this.at.audit(['replay', this.at.ledger('house'), '--json']);
    expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true, decisionsNotReplayable: 0, open: 0 });
  }
}

const count = (more: JsonObject = {}): JsonObject => ({ call: 'counter__count', args: { by: 1 }, ...more });
const sleep = (ms: number, more: JsonObject = {}): JsonObject => ({ call: 'counter__sleep', args: { ms }, ...more });

afterEach(closeInstallations);
afterAll(closeInstallations);

describe.each(['legacy', 'modern'])('an agent that the gate started, in the %s era', (era) => {
  proves(
    'G11',
    'calls for what it was called for, and not without saying so',
    async () => {
      const house = await new House(era).open();
      const forged = 'eyJhbGciOiJFZDI1NTE5In0.e30.AAAA';
      expect(await house.work(count({ token: 'none' }), count({ token: forged }))).toEqual([
        'LINEAGE_MISSING',
        'LINEAGE_TOKEN',
      ]);
      expect(house.heard).toBe('');
      expect(await house.work(count())).toEqual(['1']);
      const calls = await callsOf(house.at, 'house');
      const done = calls.find(({ tool, status }) => tool === 'count' && status === 'completed');
      const { principal, lineage, claimed } = requestedOf(done?.intent);
      // What it says of itself is written down, and makes it nobody else.
      expect(claimed).toEqual({ name: 'planner', version: '1' });
      expect(principal).toMatchObject({ agent: 'worker', authentication: 'process', root: false });
      expect(principal.process).toMatch(/^\d+:\d+$/);
      expect(lineage).toMatchObject({ depth: 1, origin: 'token', agents: ['planner'] });
      await house.holds();
    },
    60_000,
  );

  proves(
    'G11',
    'cannot use what another process of the same agent was given',
    async () => {
      const house = await new House(era, { isolation: 'per-session' }).open();
      // The worker calls the worker: that is served by a process of its own, which is given a token of its own.
      const other = (token: string): JsonObject => ({ call: 'worker__work', args: { steps: [count({ token })] } });
      expect(await house.work(other('$own'), other('own'))).toEqual(['["LINEAGE_BEARER"]', '["1"]']);
      await house.holds();
    },
    60_000,
  );

  proves(
    'G11',
    'is held to the narrowest of what its process works on',
    async () => {
      const house = await new House(era).open();
      const [begun, end] = [house.at.path('begun'), house.at.path('end')];
      const inner = { call: 'worker__work', args: { steps: [{ touch: begun }, { until: end }] }, aside: true };
      const scope = [{ server: 'worker', actions: ['*'] }];
      const meanwhile = [{ until: begun }, count(), { touch: end }, { join: true }];
      expect(await house.work({ ...inner, scope }, ...meanwhile, count())).toEqual(['LINEAGE_SCOPE', '[]', '1']);
      await house.holds();
    },
    60_000,
  );

  proves(
    'G11',
    'calls nothing while its process works for two that have nothing to do with each other',
    async () => {
      const house = await new House(era).open();
      const [begun, end] = [house.at.path('begun'), house.at.path('end')];
      const one = house.work({ touch: begun }, { until: end }, count());
      expect(await house.work({ until: begun }, count())).toEqual(['LINEAGE_MIXED_ROOTS']);
      expect(house.heard).toBe('');
      house.at.write('end', '');
      expect(await one).toEqual(['1']);
      await house.holds();
    },
    60_000,
  );

  proves(
    'G11',
    'calls for each of them where each chain has a process of its own',
    async () => {
      const house = await new House(era, { isolation: 'per-root' }).open();
      const [begun, end] = [house.at.path('begun'), house.at.path('end')];
      const one = house.work({ touch: begun }, { until: end }, count());
      expect(await house.work({ until: begun }, count(), { touch: end })).toEqual(['1']);
      expect(await one).toEqual(['2']);
      const calls = (await callsOf(house.at, 'house')).filter(({ tool }) => tool === 'count');
      const callers = calls.map(({ intent }) => requestedOf(intent).principal.process);
      expect(new Set(callers).size).toBe(2);
      await until(async () => processesNaming(house.at.path('agent')).length === 0);
      await house.holds();
    },
    60_000,
  );

  proves(
    'G11',
    'is found to call for the one call that its process works on, where that is plain',
    async () => {
      const house = await new House(era, { withoutToken: 'infer' }).open();
      const [begun, end, file] = [house.at.path('begun'), house.at.path('end'), house.at.path('later.json')];
      const unsaid = count({ token: 'none' });
      await house.planner.call('worker__later', { until: house.at.path('over'), file, steps: [unsaid] });
      house.at.write('over', '');
      await until(async () => existsSync(file) && readFileSync(file, 'utf8') === '["LINEAGE_MISSING"]');
      const other = house.work({ touch: begun }, { until: end });
      expect(await house.work({ until: begun }, unsaid)).toEqual(['LINEAGE_AMBIGUOUS']);
      house.at.write('end', '');
      await other;
      expect(house.heard).toBe('');
      expect(await house.work(unsaid)).toEqual(['1']);
      const calls = await callsOf(house.at, 'house');
      const done = calls.find(({ tool, status }) => tool === 'count' && status === 'completed');
      expect(requestedOf(done?.intent).lineage).toMatchObject({ depth: 1, origin: 'inferred', agents: ['planner'] });
      await house.holds();
    },
    60_000,
  );

  proves(
    'G12',
    'is ended, and everything that it called with it',
    async () => {
      const house = await new House(era).open();
      // Somebody else holds its connection, in a session of its own.
      const left = house.at.path('left');
      const working = house.planner.call('worker__work', { steps: [{ leave: left }, sleep(30_000)] });
      await until(async () => (await callsOf(house.at, 'house')).some(({ tool }) => tool === 'sleep'));
      const [process] = processesNaming(house.at.path('agent'));
      expect(processesNaming(left).length).toBe(1);
      kill(process?.pid);
      expect(denialOf(await working)).toBe('TOOL_LOST');
      const slept = (await callsOf(house.at, 'house')).find(({ tool }) => tool === 'sleep');
      expect(['LINEAGE_PARENT_ENDED', 'CANCELLED']).toContain(slept?.code);
      expect(await goneWithin(left, 5_000)).toEqual([]);
      // The next one is another process with a conversation of its own.
      await until(async () => denialOf(await house.planner.call('worker__token', {})) === undefined);
      // The counter ignored that its call was cancelled, and may just be ended for that: then this is denied, and not executed.
      await until(async () => (await house.work(count()))[0] === '1');
      await house.holds();
    },
    60_000,
  );
});

proves(
  'G8',
  'what an agent of ours says that is no message is refused as its own, and hurts nobody',
  async () => {
    const house = await new House('legacy').open();
    const steps = [
      { raw: 'no json' },
      { raw: 'x', times: 9 * 1024 * 1024 },
      { raw: '[]' },
      { raw: '{"jsonrpc":"2.0","id":"a","method":"x/y"}' },
    ];
    expect(await house.work(...steps, count())).toEqual(['1']);
    const refused = (await callsOf(house.at, 'house')).filter(
      ({ agent, code }) => agent === 'worker' && code !== undefined,
    );
    expect(refused.map(({ code }) => code)).toEqual([
      'MESSAGE_MALFORMED',
      'MESSAGE_TOO_LARGE',
      'MESSAGE_BATCH',
      'METHOD_UNKNOWN',
    ]);
    await house.holds();
  },
  60_000,
);

it('an agent of the SDK is a server on its pipes and a client on its connection', async () => {
  const house = await new House('legacy', { fixture: 'sdk-agent.mjs' }).open();
  expect(textOf(await house.planner.call('worker__count', { by: 3 }))).toBe('1');
  expect(house.heard).toBe('{"by":3}\n');
  await house.holds();
}, 60_000);

describe('the connection of an agent that the gate started', () => {
  it('is open in that process alone, and named in its environment alone', async () => {
    const house = await new House('legacy').open();
    const seen = JSON.parse(textOf(await house.planner.call('worker__look', {}))) as JsonObject;
    expect(seen).toMatchObject({ fd: '3', own: ['0', '1', '2', '3'] });
    // What the agent starts does not have it, unless the agent hands it over.
    expect(seen.child).toBe('1');
    const [counter] = processesNaming(house.at.path('heard.jsonl')).filter(({ command }) =>
      command.includes('counter.mjs'),
    );
    expect(socketsOf(counter?.pid)).toEqual(['0', '1', '2']);
    expect(readFileSync(`/proc/${counter?.pid}/environ`, 'utf8')).not.toContain('PORTCULLIS_FD');
    const again = JSON.parse(textOf(await house.planner.call('worker__look', {}))) as JsonObject;
    expect(again).toMatchObject({ pid: seen.pid });
  }, 60_000);

  it('is refused beside a listener that lets in whoever is on this machine', async () => {
    const house = new House('legacy');
    const refused = await house.at.run(['serve', '--name', 'open', '--http', '127.0.0.1:0']);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain('the agents that this gate starts could come in as the local agent');
  }, 60_000);
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  await expect.poll(holds, { timeout: 20_000, interval: 100 }).toBe(true);
}

function kill(pid: number | undefined): void {
  if (pid === undefined) throw new Error('there is no such process');
  process.kill(pid, 'SIGKILL');
}

function socketsOf(pid: number | undefined): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  });
}

function requestedOf(intent: unknown): Readonly<Record<'principal' | 'lineage' | 'claimed', JsonObject>> {
  return (intent as { events: object[] }).events[0] as never;
}
