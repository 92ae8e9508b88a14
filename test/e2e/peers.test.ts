// A chain over two gates as a user runs them: two processes, each with keys, rules and a ledger of its own.

import { afterAll, beforeAll, describe, expect } from 'vitest';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { denialOf, type RawHttp, RawStdio, textOf } from '../support/raw-mcp.ts';
import type { AgentCall } from '../support/scripted-agent.ts';
import { TwoGates } from '../support/two-gates.ts';

const KEY = 'dev.portcullis/lineage';

let gates: TwoGates;
let planner: RawStdio;
let worker: RawHttp;

const tokenOf = (call: AgentCall | undefined): string => String(call?.meta[KEY]);
const count = (token?: string, by = 1) =>
  worker.ask('tools/call', {
    name: 'counter__count',
    arguments: { by },
    ...(token === undefined ? {} : { _meta: { [KEY]: token } }),
  });

beforeAll(async () => {
  gates = await TwoGates.open();
  await gates.start();
  planner = new RawStdio(gates.running('first'));
  await planner.initialize();
  worker = await gates.atSecond();
}, 60_000);

afterAll(async () => {
  await gates?.close();
  await closeInstallations();
});

describe('an agent behind one gate', () => {
  proves('G11', 'calls at another for what it was called for, and not otherwise', async () => {
    expect(denialOf(await count())).toBe('LINEAGE_MISSING');
    let replies: (string | undefined)[] = [];
    gates.agent.work = async (call) => {
      const own = await count(tokenOf(call), 7);
      replies = [denialOf(own), textOf(own)];
      return 'worked';
    };
    expect(textOf(await planner.call('work__work', {}))).toBe('worked');
    expect(replies).toEqual([undefined, '1']);
    expect(denialOf(await count(tokenOf(gates.agent.calls.at(-1))))).toBe('LINEAGE_PARENT_NOT_EXECUTING');
  });
});
