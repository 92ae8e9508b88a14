// A chain over two gates, told and proven from their two ledgers alone.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { callsOf } from '../support/evidence.ts';
import { RawStdio, textOf } from '../support/raw-mcp.ts';
import { TwoGates } from '../support/two-gates.ts';

const KEY = 'dev.portcullis/lineage';
const SCOPE = [{ server: 'counter', actions: ['count'] }];
let gates: TwoGates;
let one: string;
let two: string;
let root: string;
let child: string;

beforeAll(async () => {
  gates = await TwoGates.open();
  await gates.start();
  const planner = new RawStdio(gates.running('first'));
  await planner.initialize();
  const worker = await gates.atSecond();
  gates.agent.work = async ({ meta }) =>
    textOf(
      await worker.ask('tools/call', {
        name: 'counter__count',
        arguments: { by: 1 },
        _meta: { [KEY]: String(meta[KEY]) },
      }),
    );
  expect(textOf(await planner.call('work__work', {}, { 'dev.portcullis/scope': SCOPE }))).toBe('1');
  await Promise.all([gates.first?.stop(), gates.second?.stop()]);
  one = gates.one.ledger('first');
  two = gates.other.ledger('second');
  root = (await callsOf(gates.one, 'first')).find(({ tool }) => tool === 'work')?.call ?? '';
  child = (await callsOf(gates.other, 'second')).find(({ tool }) => tool === 'count')?.call ?? '';
}, 90_000);

afterAll(async () => {
  await gates?.close();
  await closeInstallations();
});

it('is one tree, with what was narrowed, and who says so', async () => {
  const shown = await gates.one.run(['lineage', root, '--ledger', one, '--ledger', two]);
  expect(shown.stderr + shown.stdout).toContain(root);
  const lines = shown.stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(new RegExp(`^${root} {2}planner {2}work/work {2}completed after \\d+ ms {2}at first$`));
  expect(lines[1]).toBe(
    `   hands on at most ${JSON.stringify(SCOPE.map(({ actions, server }) => ({ actions, server })))}`,
  );
  expect(lines[2]).toMatch(
    new RegExp(`^└─ ${child} {2}worker {2}counter/count {2}completed after \\d+ ms {2}at second, linked both ways$`),
  );
  expect(shown.code).toBe(0);
  const tree = JSON.parse((await gates.one.run(['lineage', child, '--ledger', two, '--ledger', one, '--json'])).stdout);
  expect(tree).toMatchObject({
    call: root,
    gate: 'first',
    children: [{ call: child, gate: 'second', across: 'both ways' }],
  });
  const dot = (await gates.one.run(['lineage', child, '--ledger', one, '--ledger', two, '--dot'])).stdout;
  expect(dot).toContain(`"${root}" -> "${child}" [label="calls, both ways"];`);
  const alone = await gates.one.run(['lineage', root, '--ledger', one]);
  expect(alone.stdout).toMatch(new RegExp(`└─ ${child} {2}\\? {2}at the peer second {2}in another ledger`));
});

proves('G11', 'a chain over two gates is proven from their ledgers', async () => {
  const verified = await gates.one.run(['verify', one, two]);
  expect(verified.stdout).toContain('linked  2 links between these ledgers, 1 calls that both tell of; 0 into others');
  expect(verified.code).toBe(0);
  const { links } = JSON.parse((await gates.one.run(['verify', two, one, '--json'])).stdout) as { links: JsonObject };
  expect(links).toEqual({ checked: 2, bothWays: 1, elsewhere: 0, findings: [] });
});

proves('G5', 'the arguments of the call below are held against its scopes again', async () => {
  const replayed = await gates.other.run(['replay', two, '--json']);
  expect(JSON.parse(replayed.stdout)).toMatchObject({
    ok: true,
    authorityMatch: 1,
    authorityNotReplayable: 0,
    chains: [],
  });
});

proves('G7', 'a ledger that was changed is not believed about the other', async () => {
  const copy = join(gates.one.path('copy'));
  cpSync(join(two, '..'), copy, { recursive: true });
  const segment = join(copy, 'ledger', 'seg', '000000000000.jsonl');
  const text = readFileSync(segment, 'utf8');
  const another = root.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
  writeFileSync(segment, text.replace(`"parent":"${root}"`, `"parent":"${another}"`));
  const shown = await gates.one.run(['lineage', root, '--ledger', one, '--ledger', copy]);
  expect(shown.stdout).not.toContain('linked both ways');
  expect((await gates.one.run(['verify', one, copy])).code).toBe(5);
});
