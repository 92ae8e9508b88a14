// Governed functions that call: each call belongs to the one it is made for, however many run at once, has no more authority than that, and ends with it.

import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Denied } from '../../adapters/tools/denied.ts';
import { agentOf, type Governed, govern } from '../../adapters/tools/govern.ts';
import type { GovernedAgent } from '../../adapters/tools/governed-agent.ts';
import { openAiTools } from '../../adapters/tools/openai.ts';
import { type CallContext, tool } from '../../adapters/tools/tool-function.ts';
import { replayLedger } from '../../cli/commands/replay.ts';
import { verify } from '../../cli/commands/verify.ts';
import { EXIT } from '../../cli/exit-codes.ts';
import { output } from '../../cli/output.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Lineage } from '../../domain/lineage.ts';
import { readLineageToken } from '../../domain/lineage-token.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { entriesOf } from '../support/evidence.ts';
import { closePrograms, type OpenedProgram, openProgram } from '../support/program-gate.ts';
import { ScriptedAgent } from '../support/scripted-agent.ts';

const RULES = `@id("planner") @reason("the planner may use everything")
permit (principal == Portcullis::Agent::"planner", action, resource);
@id("reviewer") @reason("the reviewer may look and count for the planner")
permit (
  principal == Portcullis::Agent::"reviewer",
  action in [Portcullis::Action::"notes/look", Portcullis::Action::"counter/count", Portcullis::Action::"counter/sleep"],
  resource
) when { context.lineage.rootAgent == Portcullis::Agent::"planner" };
`;
const NUMBER = z.object({ n: z.number().int() });
type Work = (n: number, context: CallContext) => unknown;

/** What the functions do next. */
let looks: Work = (n) => n;
let reviews: Work = (n) => n;
const notes = {
  look: tool({ description: 'looks', inputSchema: NUMBER, execute: ({ n }, context) => looks(n, context) }),
  leaf: tool({ description: 'ends a chain', inputSchema: NUMBER, execute: ({ n }) => ran.push(`leaf ${n}`) }),
};
const review = {
  review: tool({ description: 'reviews', inputSchema: NUMBER, execute: ({ n }, context) => reviews(n, context) }),
};
const ran: string[] = [];
const remote = new ScriptedAgent('legacy');
let program: OpenedProgram;
let planner: Governed<typeof notes>;
let reviewer: Governed<typeof review>;
let narrow: GovernedAgent;

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof Denied ? error.code : `${String(error)}`),
  );
}

/** Where each call of the ledger stands. */
async function places(): Promise<ReadonlyMap<string, Lineage & { readonly agent: string; readonly tool: string }>> {
  const found = new Map<string, Lineage & { readonly agent: string; readonly tool: string }>();
  for (const entry of await entriesOf(program.gate.ledger)) {
    const [first] = (entry.events ?? []) as readonly JsonObject[];
    if (first?.type !== 'call.requested') continue;
    const { lineage, principal, tool } = first as unknown as {
      lineage: Lineage;
      principal: { agent: string };
      tool: string;
    };
    found.set(String(entry.call), { ...lineage, agent: principal.agent, tool });
  }
  return found;
}

beforeAll(async () => {
  const command = { command: process.execPath, args: [fixtureServer('counter.mjs')] };
  program = await openProgram({
    manifest: {
      agents: {
        planner: { auth: 'local' },
        narrow: {
          auth: 'local',
          scope: [
            { server: 'review', actions: ['*'] },
            { server: 'notes', actions: ['leaf'] },
          ],
        },
        reviewer: { root: false, auth: 'local' },
        faraway: { root: false, auth: { apiKey: `sha256:${'A'.repeat(43)}` } },
      },
      servers: {
        notes: { inProcess: {} },
        review: { inProcess: {}, agent: 'reviewer' },
        counter: { stdio: command },
        far: { ...(await remote.listen()), agent: 'faraway' },
        short: { inProcess: {}, limits: { timeoutMs: 700 } },
      },
    },
    rules: `${RULES}@id("narrow") @reason("as far as its scope goes")
permit (principal == Portcullis::Agent::"narrow", action, resource);`,
  });
  const { gate } = program;
  planner = govern(notes, gate, { agent: 'planner', server: 'notes' });
  reviewer = govern(review, gate, { agent: 'planner', server: 'review' });
  narrow = govern(
    {
      brief: tool({
        description: 'has little time',
        inputSchema: NUMBER,
        execute: ({ n }, context) => looks(n, context),
      }),
    },
    gate,
    { agent: 'narrow', server: 'short' },
  ).agent;
  await gate.ready();
});

beforeEach(() => {
  ran.length = 0;
  looks = (n) => n;
  reviews = (n) => n;
});

afterAll(async () => {
  await remote.close();
  await closePrograms();
});

describe('a governed function that calls', () => {
  proves('G11', 'begins no chain of its own: what it calls outside of its context is denied', async () => {
    const outside: Record<string, () => Promise<unknown>> = {
      'the governed functions': () => planner.tools.leaf({ n: 1 }),
      'the agent of the program': () => planner.agent.call('notes__leaf', { n: 2 }),
      'another agent of the program': () => narrow.call('notes__leaf', { n: 3 }),
      'after a while': async () => {
        await sleep(5);
        return planner.tools.leaf({ n: 4 });
      },
      'from a timer': () =>
        new Promise((resolve, reject) => setTimeout(() => planner.tools.leaf({ n: 5 }).then(resolve, reject), 1)),
      'for a model': async () => {
        const { answer } = await openAiTools(planner.agent);
        const call = { id: 'a', type: 'function', function: { name: 'notes__leaf', arguments: '{"n":6}' } };
        const [said] = await answer({ tool_calls: [call] });
        return Promise.reject(new Error(said?.content));
      },
    };
    looks = async () => {
      const codes: Record<string, string> = {};
      for (const [how, call] of Object.entries(outside)) codes[how] = await codeOf(call());
      return codes;
    };
    const codes = (await planner.tools.look({ n: 1 })) as Record<string, string>;
    for (const how of Object.keys(outside)) expect(codes[how], how).toContain('LINEAGE_MISSING');
    expect(ran).toEqual([]);
  });

  proves('G11', 'calls for its call and no other, with many at once and everything they share', async () => {
    /** One queue for all calls: whoever fills it empties it for everybody, in whatever context that is. */
    const queue: { n: number; context: CallContext; done: (value: unknown) => void }[] = [];
    const empty = async (): Promise<void> => {
      await sleep(2);
      for (const { n, context, done } of queue.splice(0).reverse())
        done(await context.agent.call('notes__leaf', { n: 1_000 + n }).then(({ call }) => call));
    };
    looks = async (n, context) => {
      await sleep((n * 7) % 5);
      const direct = await context.agent.call('notes__leaf', { n });
      const queued = new Promise((done) => queue.push({ n, context, done }));
      if (queue.length === 1) void empty();
      return { self: context.call, under: [direct.call, await queued] };
    };
    const seen = (await Promise.all(Array.from({ length: 40 }, (_, n) => planner.tools.look({ n })))) as readonly {
      self: string;
      under: readonly string[];
    }[];
    const at = await places();
    for (const { self, under } of seen) {
      expect(at.get(self)).toMatchObject({ root: self, parent: null, depth: 0 });
      for (const call of under)
        expect(at.get(call)).toMatchObject({ root: self, parent: self, depth: 1, origin: 'token', agent: 'planner' });
    }
    expect(new Set(seen.flatMap(({ self, under }) => [self, ...under])).size).toBe(120);
    expect(ran).toHaveLength(80);
  });

  interface Plan {
    /** Milliseconds before it calls what is under it, all at once. */
    readonly after: number;
    readonly under: readonly Plan[];
  }
  const plan = (levels: number): fc.Arbitrary<Plan> =>
    fc.record({
      after: fc.integer({ min: 0, max: 6 }),
      under: levels === 0 ? fc.constant([]) : fc.array(plan(levels - 1), { maxLength: 3 }),
    });

  it('stands in the ledger where it was called from, however trees of calls grow side by side', async () => {
    let numbers = 100_000;
    const plans = new Map<number, Plan>();
    const numbered = (one: Plan): number => {
      numbers += 1;
      plans.set(numbers, one);
      return numbers;
    };
    looks = async (n, { agent, call }) => {
      const { after, under } = plans.get(n)!;
      await sleep(after);
      const calls = under.map(async (one) => (await agent.call('notes__look', { n: numbered(one) })).value);
      return { call, under: await Promise.all(calls) };
    };
    interface Grown {
      readonly call: string;
      readonly under: readonly Grown[];
    }
    await fc.assert(
      fc.asyncProperty(fc.array(plan(2), { minLength: 2, maxLength: 8 }), async (trees) => {
        const roots = (await Promise.all(
          trees.map((tree) => planner.tools.look({ n: numbered(tree) })),
        )) as unknown as readonly Grown[];
        const at = await places();
        const check = ({ call, under }: Grown, root: string, parent: string | null, depth: number): void => {
          expect(at.get(call)).toMatchObject({ root, parent, depth, node: call });
          for (const one of under) check(one, root, call, depth + 1);
        };
        for (const root of roots) check(root, root.call, null, 0);
      }),
      { numRuns: 6 },
    );
  });

  proves('G11', 'calls nothing any more once its own call has ended', async () => {
    let kept: CallContext | undefined;
    looks = (_, context) => {
      kept = context;
      return 'done';
    };
    await planner.tools.look({ n: 2 });
    expect(await codeOf(kept!.agent.call('notes__leaf', { n: 1 }))).toMatch(/LINEAGE_(UNKNOWN_PARENT|PARENT_ENDED)/);
    expect(Object.isFrozen(kept)).toBe(true);
    expect(ran).toEqual([]);
  });

  proves('G11', 'acts as the agent that its server is, which starts nothing by itself', async () => {
    reviews = async (n, { agent }) => {
      const forbidden = await codeOf(agent.call('notes__leaf', { n }));
      const { value, call } = await agent.call('notes__look', { n });
      return { name: agent.name, forbidden, value, call };
    };
    const { value, call } = await planner.agent.call('review__review', { n: 3 });
    const said = value as JsonObject;
    expect(said).toMatchObject({ name: 'reviewer', forbidden: 'TOOL_UNKNOWN', value: 3 });
    const at = await places();
    expect(at.get(String(said.call))).toMatchObject({ parent: call, agent: 'reviewer', agents: ['planner'] });
    expect(() => govern(review, program.gate, { agent: 'reviewer', server: 'review' })).toThrow('functions already');
    // Of what the reviewer could call for itself there is nothing.
    const alone = await openProgram({
      manifest: {
        agents: { reviewer: { root: false, auth: 'local' }, planner: { auth: 'local' } },
        servers: { notes: { inProcess: {} }, counter: { inProcess: {} } },
      },
      rules: RULES.replace(/"counter[^\]]*/, '"counter/leaf"'),
      name: 'alone',
    });
    govern(notes, alone.gate, { agent: 'planner', server: 'counter' });
    const own = govern(notes, alone.gate, { agent: 'reviewer', server: 'notes' });
    await alone.gate.ready();
    expect(await codeOf(own.tools.look({ n: 1 }))).toBe('LINEAGE_MISSING');
  });

  proves('G11', 'has no more authority than every call above it', async () => {
    reviews = async (n, { agent }) => [
      await codeOf(agent.call('counter__count', { by: n })),
      await codeOf(agent.call('notes__look', { n })),
    ];
    // The rules allow the reviewer both for the planner; the scope of this chain has neither.
    const { value: within } = await planner.agent.call(
      'review__review',
      { n: 4 },
      {
        scope: [{ server: 'counter', actions: ['sleep'] }],
      },
    );
    expect(within).toEqual(['LINEAGE_SCOPE', 'LINEAGE_SCOPE']);
    const { value: free } = await planner.agent.call('review__review', { n: 5 });
    expect(free).toEqual(['none', 'none']);
    expect(await codeOf(narrow.call('counter__count', { by: 1 }))).toBe('LINEAGE_SCOPE');
    expect(await codeOf(narrow.call('notes__leaf', { n: 1 }, { scope: [{ server: 'counter', actions: ['*'] }] }))).toBe(
      'LINEAGE_SCOPE_WIDENING',
    );
    expect(await codeOf(planner.agent.call('notes__leaf', { n: 1 }, { scope: 'everything' as never }))).toBe(
      'MESSAGE_MALFORMED',
    );
    expect(ran).toEqual([]);
  });

  it('comes to no end by calling itself', async () => {
    looks = (n, { agent }) => codeOf(agent.call('notes__look', { n }));
    expect(await planner.tools.look({ n: 6 })).toBe('LINEAGE_CYCLE');
    const deep: string[] = [];
    looks = async (n, { agent }) => {
      deep.push(await codeOf(agent.call('notes__look', { n: n + 1 })));
      return deep.length;
    };
    await planner.tools.look({ n: 10 });
    expect(deep).toEqual(['LINEAGE_CYCLE', 'none', 'none']);
  });
});

describe('what ends', () => {
  /** Runs until it is stopped, and says when it was. */
  const untilStopped = (name: string, started?: () => void): Work => {
    return (_, { signal }) =>
      new Promise((resolve) => {
        started?.();
        signal.addEventListener('abort', () => {
          ran.push(`${name}: ${(signal.reason as Error).message}`);
          resolve(name);
        });
      });
  };

  proves('G11', 'ends with everything that it began and did not wait for', async () => {
    let started: () => void = () => {};
    const began = new Promise<void>((resolve) => {
      started = resolve;
    });
    looks = untilStopped('look', () => started());
    let left: Promise<string> | undefined;
    reviews = async (n, { agent }) => {
      left = codeOf(agent.call('notes__look', { n }));
      await began;
      return 'reviewed';
    };
    await expect(reviewer.tools.review({ n: 7 })).resolves.toBe('reviewed');
    expect(ran).toEqual(['look: LINEAGE_PARENT_ENDED']);
    expect(await left).toBe('LINEAGE_PARENT_ENDED');
  });

  proves('G12', 'stops by a revocation of the root, down to what a server elsewhere works on', async () => {
    const codes: string[] = [];
    let sleeping: () => void = () => {};
    const asleep = new Promise<void>((resolve) => {
      sleeping = resolve;
    });
    looks = untilStopped('look');
    reviews = async (n, { agent }) => {
      const under = [agent.call('notes__look', { n }), agent.call('counter__sleep', { ms: 20_000 })].map(codeOf);
      await sleep(50);
      sleeping();
      codes.push(...(await Promise.all(under)));
      return 'too late';
    };
    const waiting = codeOf(reviewer.tools.review({ n: 8 }));
    await asleep;
    const [root] = [...(await places())]
      .filter(([, place]) => place.tool === 'review')
      .map(([call]) => call)
      .slice(-1);
    await expect(program.gate.revoke('root', root ?? '')).resolves.toBe(3);
    expect(await waiting).toBe('LINEAGE_REVOKED');
    expect(ran).toEqual(['look: LINEAGE_REVOKED']);
    await expect.poll(() => codes).toEqual(['LINEAGE_REVOKED', 'LINEAGE_REVOKED']);
    const under = [...(await places())].filter(([, place]) => place.parent === root).map(([call]) => call);
    expect(under).toHaveLength(2);
    for (const call of [root ?? '', ...under])
      expect(await program.callOf(call)).toMatchObject({ code: 'LINEAGE_REVOKED', status: 'aborted' });
  });

  it('leaves no more time to what is under it than it has itself', async () => {
    reviews = () => new Promise(() => {});
    const brief = new Promise<string>((resolve) => {
      looks = async (n, { agent }) => {
        resolve(await codeOf(agent.call('review__review', { n })));
      };
    });
    const outer = codeOf(planner.agent.call('short__brief', { n: 9 }));
    // Below a call of 700 ms one with 30 s of its own is over first.
    expect(await brief).toMatch(/DEADLINE_EXCEEDED|LINEAGE_PARENT_ENDED/);
    expect(await outer).toMatch(/none|DEADLINE_EXCEEDED/);
  });
});

describe('servers elsewhere', () => {
  it('are called by the same agent, and the call stands in the same chain', async () => {
    looks = async (n, { agent }) => (await agent.call('counter__count', { by: n })).call;
    const { value, call } = await planner.agent.call('notes__look', { n: 20 });
    expect((await places()).get(String(value))).toMatchObject({ root: call, parent: call, depth: 1, tool: 'count' });
  });

  it('that are agents get a token of their own for that very call', async () => {
    let shown: unknown;
    remote.work = async ({ meta }) => {
      shown = meta['dev.portcullis/lineage'];
      return 'far away';
    };
    let own = '';
    looks = async (n, { agent, lineage }) => {
      own = lineage;
      const { value, call } = await agent.call('far__work', { n });
      return { value, call };
    };
    const { value, call } = await planner.agent.call('notes__look', { n: 21 });
    const said = value as JsonObject;
    expect(said.value).toBe('far away');
    const { claims } = readLineageToken(String(shown)).payload();
    expect(claims).toMatchObject({ sub: 'faraway', lin: { root: call, node: said.call, depth: 1 } });
    expect(shown).not.toBe(own);
  });

  it('are there for an agent that has no functions of its own, as far as the rules go', async () => {
    const alone = agentOf(program.gate, 'planner');
    await expect(alone.call('counter__echo', { text: 'hi' })).resolves.toMatchObject({ value: 'hi' });
    expect((await agentOf(program.gate, 'reviewer').definitions()).map(({ name }) => name)).toEqual([
      'notes__look',
      'counter__count',
      'counter__sleep',
    ]);
    expect(await codeOf(agentOf(program.gate, 'reviewer').call('counter__count', {}))).toBe('LINEAGE_MISSING');
    expect(() => agentOf(program.gate, 'nobody')).toThrow('no agent "nobody"');
    expect(() => agentOf(program.gate, 'faraway')).toThrow('no agent "faraway"');
  });

  it('give their text and their structure, and say what failed', async () => {
    await expect(planner.agent.call('counter__echo', { text: 'hi' })).resolves.toMatchObject({
      value: 'hi',
      text: 'hi',
    });
    await expect(planner.agent.call('counter__fail', { how: 'tool' })).rejects.toThrow(/./);
    await expect(planner.agent.call('counter__fail', { how: 'rpc' })).rejects.toMatchObject({ name: 'ToolFailed' });
    expect(await codeOf(planner.agent.call('counter__die', {}))).toBe('TOOL_LOST');
  });
});

describe('the ledger of chains', () => {
  proves('G5', 'verifies and replays', async () => {
    const out = output(false, { stdout: { write: () => true }, stderr: { write: () => true } });
    await program.gate.close();
    expect(await verify(program.gate.ledger, {}, out)).toBe(EXIT.ok);
    expect(await replayLedger(program.gate.ledger, {}, out)).toBe(EXIT.ok);
  });
});
