// A chain over two gates as a user runs them: two processes, each with keys, rules and a ledger of its own.

import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { callsOf } from '../support/evidence.ts';
import { denialOf, type RawHttp, type RawReply, RawStdio, textOf } from '../support/raw-mcp.ts';
import type { AgentCall } from '../support/scripted-agent.ts';
import type { TcpLine } from '../support/tcp-line.ts';
import { TwoGates } from '../support/two-gates.ts';

const KEY = 'dev.portcullis/lineage';

/** Both gates with their clients: the planner at the first, the worker, which is the agent behind it, at the second. */
class Chain {
  readonly gates: TwoGates;
  readonly planner: RawStdio;
  readonly worker: RawHttp;

  private constructor(gates: TwoGates, planner: RawStdio, worker: RawHttp) {
    this.gates = gates;
    this.planner = planner;
    this.worker = worker;
  }

  static async open(): Promise<Chain> {
    const gates = await TwoGates.open();
    opened.push(gates);
    await gates.start();
    const planner = new RawStdio(gates.running('first'));
    await planner.initialize();
    return new Chain(gates, planner, await gates.atSecond());
  }

  call(name: string, args: object, token?: string, client = this.worker): Promise<RawReply> {
    const meta = token === undefined ? {} : { _meta: { [KEY]: token } };
    return client.ask('tools/call', { name: `counter__${name}`, arguments: args as JsonObject, ...meta });
  }

  count(token?: string): Promise<RawReply> {
    return this.call('count', { by: 1 }, token);
  }

  /** The planner asks for work, during which the worker's call at the second gate is slow. Resolves when both run there. */
  async sleeping(ms = 30_000) {
    let asleep: Promise<RawReply | undefined> = Promise.resolve(undefined);
    this.gates.agent.work = async (call) => {
      asleep = this.call('sleep', { ms }, tokenOf(call)).catch(() => undefined);
      return denialOf(await asleep) ?? 'slept';
    };
    const working = this.planner.call('work__work', {});
    await until(async () => (await callsOf(this.gates.other, 'second')).some(({ tool }) => tool === 'sleep'));
    // Its intent is there: a moment later the tool has it.
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { working, asleep: () => asleep };
  }

  /** How the last call of a tool ended. */
  async ending(at: 'first' | 'second', tool: string) {
    const [home, gate] =
      at === 'first' ? ([this.gates.one, 'first'] as const) : ([this.gates.other, 'second'] as const);
    return (await callsOf(home, gate)).findLast((call) => call.tool === tool);
  }

  async entries(at: 'first' | 'second', type: string) {
    return (await this.gates.entriesOf(at)).filter((entry) => entry.type === type);
  }
}

const tokenOf = (call: AgentCall | undefined): string => String(call?.meta[KEY]);
const opened: TwoGates[] = [];

async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 300; turn += 1) {
    if (await happened()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it does not happen');
}

async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((gates) => gates.close()));
  await closeInstallations();
}

describe('an agent behind one gate', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.open();
  }, 60_000);
  afterAll(closeAll);

  proves('G11', 'calls at another for what it was called for, and not otherwise', async () => {
    expect(denialOf(await chain.count())).toBe('LINEAGE_MISSING');
    expect(denialOf(await chain.count('not.a.token'))).toBe('LINEAGE_TOKEN');
    let replies: (string | undefined)[] = [];
    chain.gates.agent.work = async (call) => {
      const own = await chain.count(tokenOf(call));
      const [head = '', body = '', tail = ''] = tokenOf(call).split('.');
      const altered = `${head}.${body}.${tail.startsWith('A') ? 'B' : 'A'}${tail.slice(1)}`;
      replies = [denialOf(own), textOf(own), denialOf(await chain.count(altered))];
      return 'worked';
    };
    expect(textOf(await chain.planner.call('work__work', {}))).toBe('worked');
    expect(replies).toEqual([undefined, '1', 'LINEAGE_TOKEN']);
    expect(denialOf(await chain.count(tokenOf(chain.gates.agent.calls.at(-1))))).toBe('LINEAGE_PARENT_NOT_EXECUTING');
  });

  proves('G11', 'has there what was handed on to it, and no more', async () => {
    const replies: (string | undefined)[] = [];
    chain.gates.agent.work = async (call) => {
      replies.push(denialOf(await chain.count(tokenOf(call))));
      replies.push(denialOf(await chain.call('sleep', { ms: 1 }, tokenOf(call))));
      return 'worked';
    };
    const scope = [{ server: 'counter', actions: ['count'] }];
    await chain.planner.call('work__work', {}, { 'dev.portcullis/scope': scope });
    expect(replies).toEqual([undefined, 'LINEAGE_SCOPE']);
    const all: (string | undefined)[] = [];
    chain.gates.agent.work = async (call) => {
      all.push(denialOf(await chain.call('sleep', { ms: 1 }, tokenOf(call))));
      return 'worked';
    };
    await chain.planner.call('work__work', {});
    expect(all).toEqual([undefined]);
  });

  proves('G11', 'leaves entries in both ledgers that name each other', async () => {
    chain.gates.agent.work = async (call) => textOf(await chain.count(tokenOf(call)));
    await chain.planner.call('work__work', {});
    const [one, other] = [await chain.gates.entriesOf('first'), await chain.gates.entriesOf('second')];
    const above = one.findLast(({ type }) => type === 'call.intent');
    const below = other.findLast(({ type }) => type === 'call.intent');
    const joined = one.findLast(({ type }) => type === 'peer.joined');
    const position = (entry: typeof above, entries: typeof one) => ({
      log: entry?.log,
      seq: entry?.seq,
      // Each entry names the leaf hash of the one before it.
      leaf: entries.find(({ seq }) => seq === Number(entry?.seq) + 1)?.prev,
    });
    const [requested] = (below?.events ?? []) as unknown as readonly { lineage: JsonObject }[];
    const [requestedAbove] = (above?.events ?? []) as unknown as readonly { lineage: JsonObject }[];
    expect(requested?.lineage).toMatchObject({
      root: requestedAbove?.lineage.root,
      parent: above?.call,
      depth: 1,
      origin: 'peer',
      agents: ['planner'],
      entry: position(above, one),
    });
    expect(joined).toMatchObject({
      peer: 'second',
      node: above?.call,
      child: below?.call,
      entry: position(below, other),
    });
    expect(other.find(({ type }) => type === 'peer.connected')).toMatchObject({ peer: 'first' });
    expect(requested?.lineage.issuer).toBe(other.find(({ type }) => type === 'peer.connected')?.issuer);
  });

  proves('G12', 'stops there when the chain is revoked where it began', async () => {
    const { working, asleep } = await chain.sleeping();
    const root = (await chain.ending('first', 'work'))?.call ?? '';
    expect(await chain.gates.one.run(['revoke', 'root', root])).toMatchObject({ code: 0 });
    expect(denialOf(await working)).toBe('LINEAGE_REVOKED');
    expect(denialOf(await asleep())).toBe('LINEAGE_REVOKED');
    expect(await chain.ending('first', 'work')).toMatchObject({ code: 'LINEAGE_REVOKED' });
    expect(await chain.ending('second', 'sleep')).toMatchObject({ code: 'LINEAGE_REVOKED' });
  });

  proves('G12', 'stops here when the chain is revoked there', async () => {
    const { working, asleep } = await chain.sleeping();
    const root = (await chain.ending('first', 'work'))?.call ?? '';
    expect(await chain.gates.other.run(['revoke', 'root', root])).toMatchObject({ code: 0 });
    expect(denialOf(await working)).toBe('LINEAGE_REVOKED');
    expect(denialOf(await asleep())).toBe('LINEAGE_REVOKED');
    expect(await chain.ending('first', 'work')).toMatchObject({ code: 'LINEAGE_REVOKED' });
    expect(await chain.entries('first', 'peer.stopped')).toMatchObject([{ peer: 'second', kind: 'root', id: root }]);
  });

  proves('G11', 'has nothing running there once its answer is released', async () => {
    let asleep: Promise<RawReply> | undefined;
    chain.gates.agent.work = async (call) => {
      asleep = chain.call('sleep', { ms: 30_000 }, tokenOf(call));
      await until(async () => (await chain.ending('second', 'sleep'))?.endings.length === 0);
      return 'done without it';
    };
    expect(textOf(await chain.planner.call('work__work', {}))).toBe('done without it');
    expect(await chain.ending('second', 'sleep')).toMatchObject({ code: 'LINEAGE_PARENT_ENDED' });
    expect(denialOf(await asleep)).toBe('LINEAGE_PARENT_ENDED');
  });

  proves('G5', 'leaves ledgers that are verified and replayed each by itself', async () => {
    for (const [at, gate] of [
      [chain.gates.one, 'first'],
      [chain.gates.other, 'second'],
    ] as const) {
      const verified = await at.audit(['verify', at.ledger(gate)]);
      expect(verified.code, verified.stderr + verified.stdout).toBe(0);
      const replayed = await at.audit(['replay', at.ledger(gate), '--json']);
      expect(JSON.parse(replayed.stdout), replayed.stdout).toMatchObject({ ok: true });
    }
  });
});

describe('a chain whose gates cannot hear each other any more', () => {
  afterEach(closeAll);

  for (const [what, how] of [
    ['the line is cut', (line) => line.cut()],
    ['all that is said is held up', (line) => line.hold()],
  ] as [string, (line: TcpLine) => void][]) {
    proves(
      'G11',
      `is stopped at the second gate, and its result withheld at the first, when ${what}`,
      async () => {
        const chain = await Chain.open();
        const { line } = chain.gates;
        const { working, asleep } = await chain.sleeping();
        const token = tokenOf(chain.gates.agent.calls.at(-1));
        how(line);
        expect(denialOf(await asleep())).toBe('LINEAGE_PEER_STALE');
        expect(denialOf(await chain.count(token))).toBe('LINEAGE_PEER_STALE');
        expect(denialOf(await working)).toBe('LINEAGE_PEER_STALE');
        expect(await chain.ending('second', 'sleep')).toMatchObject({ code: 'LINEAGE_PEER_STALE' });
        expect(await chain.ending('first', 'work')).toMatchObject({ code: 'LINEAGE_PEER_STALE', status: 'withheld' });
        expect(await chain.entries('first', 'peer.stale')).toHaveLength(1);
        expect(await chain.entries('second', 'peer.stale')).toHaveLength(1);
        line.mend();
        await until(async () => (await chain.entries('second', 'peer.connected')).length === 2);
        chain.gates.agent.work = async (call) => textOf(await chain.count(tokenOf(call)));
        // The process that went on with what was stopped is ended meanwhile; a call on its way to it in that moment is denied, and may come again.
        await expect
          .poll(async () => textOf(await chain.planner.call('work__work', {})), { timeout: 20_000 })
          .toBe('1');
      },
      60_000,
    );
  }

  proves(
    'G11',
    'is withheld at the first when the second is killed',
    async () => {
      const chain = await Chain.open();
      const { working } = await chain.sleeping();
      await chain.gates.running('second').kill();
      expect(denialOf(await working)).toBe('LINEAGE_PEER_STALE');
      expect(await chain.ending('first', 'work')).toMatchObject({ code: 'LINEAGE_PEER_STALE', status: 'withheld' });
      // Without the other, what needs nothing of it goes on.
      chain.gates.agent.work = async () => 'alone';
      expect(textOf(await chain.planner.call('work__work', {}))).toBe('alone');
    },
    60_000,
  );

  proves(
    'G11',
    'is stopped at the second when the first is killed',
    async () => {
      const chain = await Chain.open();
      const { asleep } = await chain.sleeping();
      await chain.gates.running('first').kill();
      expect(denialOf(await asleep())).toBe('LINEAGE_PEER_STALE');
      expect(await chain.ending('second', 'sleep')).toMatchObject({ code: 'LINEAGE_PEER_STALE' });
    },
    60_000,
  );
});
