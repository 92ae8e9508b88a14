import { afterEach, describe, expect, it } from 'vitest';
import { LINEAGE_LIMITS } from '../../../control-plane/lineage/limits.ts';
import type { Principal } from '../../../domain/principal.ts';
import type { Scope } from '../../../domain/scope.ts';
import { Conversation } from '../../../proxy/conversation.ts';
import type { Callee } from '../../../proxy/lineage-tokens.ts';
import { LINEAGE_KEY } from '../../../proxy/own-name.ts';
import type { RunningCall } from '../../../proxy/running-call.ts';
import { type Peer, PLAIN_MANNER } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { chainFindings } from '../../support/audited.ts';
import { commitmentOf } from '../../support/commitments.ts';
import { LIMITS, PRINCIPAL, resultOf, World, type WorldOptions } from '../../support/gate-world.ts';
import { until } from '../../support/legacy-client.ts';
import { type Calling, startCall } from '../../support/placed-call.ts';

const REVIEWER: Principal = {
  agent: 'reviewer',
  roles: [],
  root: false,
  authentication: 'api_key',
  connection: commitmentOf('reviewer'),
};
const CALLEE: Callee = { agent: 'reviewer', cnf: { conn: REVIEWER.connection } };

const opened: World[] = [];
afterEach(() => {
  for (const world of opened.splice(0)) expect(chainFindings(world.entries())).toEqual([]);
});

/** A world whose one server is an agent that calls tools of itself, and answers when it is told to. */
class Chain {
  readonly world: World;

  private constructor(world: World) {
    this.world = world;
    world.server.respond = () => undefined;
  }

  static async open(options: WorldOptions = {}): Promise<Chain> {
    const chain = new Chain(await World.open({ callee: () => CALLEE, ...options }));
    opened.push(chain.world);
    return chain;
  }

  start(calling: Calling = {}): RunningCall {
    return startCall(this.world, calling);
  }

  /** Starts a call and waits until the server has it. */
  async running(calling: Calling = {}) {
    const { heard } = this.world.server;
    const before = heard.length;
    const call = this.start(calling);
    await until(() => heard.length > before);
    const at = heard[before] as (typeof heard)[number];
    return { call, token: String(at.dispatch.meta[LINEAGE_KEY]), heard: at };
  }

  /** Each entry about a call: its type, and which of these calls it is about. */
  story(...calls: readonly RunningCall[]): string[] {
    return this.world
      .entries(true)
      .filter(({ type }) => type.startsWith('call.'))
      .map((entry) => `${entry.type} ${calls.findIndex(({ call }) => 'call' in entry && entry.call === call)}`);
  }
}

it('a call that hands on more than an entry holds is denied, and the gate stays open', async () => {
  const chain = await Chain.open();
  const actions = Array.from({ length: 100 }, (_, nth) => `${nth}`.padEnd(100, 'é'));
  expect(await chain.start({ narrowing: [{ server: 'fs', actions }] }).end).toMatchObject({
    code: 'LINEAGE_SCOPE_WIDENING',
    recorded: true,
  });
  expect(chain.world.governance.reason).toBeUndefined();
});

proves('G11', 'who is called below a root is asked where its call stands, and only within it', async () => {
  const chain = await Chain.open();
  const { world } = chain;
  const root = await chain.running();
  const conversation = new Conversation(world.enforcement, {
    principal: REVIEWER,
    view: { kind: 'server', server: 'fs' },
    onNotice: () => {},
  });
  const client: Peer = {
    dispatch: () => ({
      answer: Promise.resolve({ kind: 'result', result: { roots: [] }, bytes: 1 }),
      cancel: () => {},
    }),
  };
  const running = conversation.begin(
    {
      method: 'tools/call',
      server: 'fs',
      tool: 'write_file',
      arguments: { path: '/w/b' },
      rest: {},
      meta: {},
      manner: { ...PLAIN_MANNER, capabilities: { roots: {} } },
      token: root.token,
    },
    { onProgress: () => {}, onLog: () => {}, client },
  );
  await until(() => world.server.heard.length === 2);
  const child = world.server.heard[1];
  const { answer } = child?.hooks.ask({ method: 'roots/list', params: {} }) ?? {};
  expect(await answer).toMatchObject({ kind: 'result' });
  child?.answer(resultOf('done'));
  await running.end;
  const lineages = world.entries().flatMap(({ type, events }) => {
    const [requested] = (events ?? []) as unknown as { method: string; lineage: object }[];
    return type === 'call.intent' && requested !== undefined ? [requested.lineage] : [];
  });
  expect(lineages).toHaveLength(3);
  expect(lineages[2]).toEqual({ ...lineages[1], node: expect.any(String) });
  expect(lineages[2]).toMatchObject({
    root: root.call.call,
    parent: root.call.call,
    depth: 1,
    agents: [PRINCIPAL.agent],
  });
});

describe('a call with a token', () => {
  proves('G11', 'is denied for anybody but whom it was given to, and once its call has ended', async () => {
    const chain = await Chain.open();
    const root = await chain.running();
    const code = async (calling: Calling) => chain.start(calling).end;
    expect(await code({ by: { ...REVIEWER, agent: 'other' }, token: root.token })).toMatchObject({
      code: 'LINEAGE_BEARER',
    });
    expect(await code({ by: { ...REVIEWER, connection: commitmentOf('x') }, token: root.token })).toMatchObject({
      code: 'LINEAGE_BEARER',
    });
    expect(await code({ by: REVIEWER })).toMatchObject({ code: 'LINEAGE_MISSING' });
    expect(await code({ by: REVIEWER, token: `${root.token}A` })).toMatchObject({ code: 'LINEAGE_TOKEN' });
    root.heard.answer(resultOf('done'));
    await root.call.end;
    expect(await code({ by: REVIEWER, token: root.token })).toMatchObject({ code: 'LINEAGE_UNKNOWN_PARENT' });
    expect(chain.world.server.heard).toHaveLength(1);
    expect(chain.world.registry.size).toBe(0);
  });

  it('is recorded under the call that it belongs to, and the token is nowhere in the ledger', async () => {
    const chain = await Chain.open();
    const root = await chain.running();
    const child = await chain.running({ by: REVIEWER, path: '/w/b', token: root.token });
    child.heard.answer(resultOf('done'));
    expect(await child.call.end).toMatchObject({ kind: 'result' });
    root.heard.answer(resultOf('done'));
    expect(await root.call.end).toMatchObject({ kind: 'result' });
    const entries = chain.world.entries(true);
    const intents = entries.filter(({ type }) => type === 'call.intent');
    expect(JSON.stringify(intents[1])).toContain(`"parent":"${root.call.call}"`);
    expect(JSON.stringify(intents[1])).toContain(`"root":"${root.call.call}"`);
    expect(JSON.stringify(entries)).not.toContain(root.token);
    expect(chain.world.defects).toEqual([]);
  });

  proves('G11', 'may do what everything above it may, and no more', async () => {
    const chain = await Chain.open();
    const narrowing: Scope = [{ server: 'fs', actions: ['write_file'], under: { '/path': ['/w'] } }];
    const root = await chain.running({ narrowing });
    expect(await chain.start({ by: REVIEWER, path: '/x', token: root.token }).end).toMatchObject({
      code: 'LINEAGE_SCOPE',
    });
    // It stands nowhere, and what it was refused under is recorded.
    const { call } = root.call;
    expect(JSON.stringify(chain.world.entries(true).at(-1))).toContain(`"shown":{"node":"${call}","root":"${call}"}`);
    const child = await chain.running({ by: REVIEWER, path: '/w/b', token: root.token });
    const wider: Scope = [{ server: 'fs', actions: ['*'] }];
    const widening = chain.start({ by: REVIEWER, path: '/w/c', token: child.token, narrowing: wider });
    expect(await widening.end).toMatchObject({ code: 'LINEAGE_SCOPE_WIDENING', executed: 'no' });
    expect(chain.world.server.heard).toHaveLength(2);
  });

  proves('G11', 'has no more time than what it belongs to', async () => {
    const chain = await Chain.open();
    const root = await chain.running();
    chain.world.clock.advance(LIMITS.timeoutMs - LINEAGE_LIMITS.marginMs - 1);
    const { call } = await chain.running({ by: REVIEWER, path: '/w/b', token: root.token });
    chain.world.clock.advance(1);
    expect(await call.end).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});

describe('when a call ends', () => {
  proves('G11', 'by its answer, what it left running ends first, and is recorded before it', async () => {
    const chain = await Chain.open();
    const root = await chain.running();
    const child = await chain.running({ by: REVIEWER, path: '/w/b', token: root.token });
    const grandchild = await chain.running({ by: REVIEWER, path: '/w/c', token: child.token });
    root.heard.answer(resultOf('done'));
    expect(await root.call.end).toMatchObject({ kind: 'result' });
    for (const { heard } of [child, grandchild]) expect(heard.cancelled).toBe('LINEAGE_PARENT_ENDED');
    expect(await child.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_PARENT_ENDED' });
    expect(await grandchild.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_PARENT_ENDED' });
    const story = chain.story(root.call, child.call, grandchild.call);
    expect(story.at(-1)).toBe('call.ending 0');
    expect(story.slice(-3, -1).sort()).toEqual(['call.ending 1', 'call.ending 2']);
  });

  proves('G11', 'by a cancellation, so does everything under it', async () => {
    const chain = await Chain.open();
    const root = await chain.running();
    const child = await chain.running({ by: REVIEWER, path: '/w/b', token: root.token });
    root.call.stop({ type: 'call.cancelled', by: 'client' });
    root.heard.answer(resultOf('late'));
    await until(() => child.heard.cancelled !== undefined);
    child.heard.answer(resultOf('late'));
    expect(await child.call.end).toMatchObject({ code: 'LINEAGE_PARENT_ENDED' });
    expect(await root.call.end).toMatchObject({ code: 'CANCELLED' });
    expect(chain.world.registry.size).toBe(0);
  });

  proves('G11', 'while a child is over and not recorded yet, it waits for that', async () => {
    const chain = await Chain.open();
    const root = await chain.running();
    const child = await chain.running({ by: REVIEWER, path: '/w/b', token: root.token });
    // The first thing that an ending does. What is under it at another gate may keep the rest waiting.
    chain.world.registry.end(child.call.call);
    root.heard.answer(resultOf('done'));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    child.heard.answer(resultOf('done'));
    await Promise.all([root.call.end, child.call.end]);
    expect(chain.story(root.call, child.call).slice(-2)).toEqual(['call.ending 1', 'call.ending 0']);
    expect(chain.world.defects).toEqual([]);
  });

  proves('G11', 'while a child is being decided, that is never executed', async () => {
    const chain = await Chain.open();
    const root = await chain.running();
    let decide: () => void = () => {};
    const waiting = new Promise<void>((resolve) => {
      decide = resolve;
    });
    let asked = false;
    chain.world.authority.decide = async (request) => {
      asked = true;
      await waiting;
      return chain.world.allow(request);
    };
    const child = chain.start({ by: REVIEWER, path: '/w/b', token: root.token });
    await until(() => asked);
    root.heard.answer(resultOf('done'));
    expect(await root.call.end).toMatchObject({ kind: 'result' });
    decide();
    expect(await child.end).toMatchObject({ code: 'LINEAGE_PARENT_ENDED', executed: 'no' });
    expect(chain.world.server.heard).toHaveLength(1);
  });
});

describe('a revocation of the root', () => {
  it('stops everything under it, keeps back late results, and lets nothing join any more', async () => {
    const chain = await Chain.open();
    const root = await chain.running();
    const child = await chain.running({ by: REVIEWER, path: '/w/b', token: root.token });
    const other = await chain.running({ path: '/w/o' });
    chain.world.revocations.apply({ number: 1, kind: 'root', id: root.call.call, at: 0 });
    const revoked = chain.world.enforcement.revoke('root', root.call.call);
    const late = chain.start({ by: REVIEWER, path: '/w/d', token: child.token });
    expect(await late.end).toMatchObject({ code: 'LINEAGE_REVOKED' });
    for (const { heard } of [root, child]) heard.answer(resultOf('late'));
    expect(await revoked).toBe(2);
    expect(await root.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_REVOKED' });
    expect(await child.call.end).toMatchObject({ kind: 'denied', code: 'LINEAGE_REVOKED' });
    expect(other.heard.cancelled).toBeUndefined();
    other.heard.answer(resultOf('done'));
    expect(await other.call.end).toMatchObject({ kind: 'result' });
    expect(chain.world.defects).toEqual([]);
  });
});
