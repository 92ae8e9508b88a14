// The example of three agents, attacked: by those in it, by whoever gets hold of what they were given, and by time. What is proven at the end is
// read from the ledgers alone.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { readLineageToken } from '../../domain/lineage-token.ts';
import type { GateClient } from '../../examples/agents/gate-client.ts';
import { portcullis } from '../../examples/agents/gate-process.ts';
import { Office } from '../../examples/agents/office.ts';
import { forChecking, planner } from '../../examples/agents/planner.ts';
import { type Seen, work } from '../../examples/agents/scripted-model.ts';
import { proves } from '../guarantees.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
let office: Office;
let asPlanner: GateClient;
let asReviewer: GateClient;
let asWorker: GateClient;
/** The roots of the chains, in the order in which they ran. */
const roots: string[] = [];

beforeAll(async () => {
  office = await Office.open();
  asPlanner = await office.client('planner');
  asReviewer = await office.client('reviewer');
  asWorker = await office.client('worker');
}, 90_000);

afterAll(async () => {
  await office?.close();
}, 60_000);

const rootOf = (token: string): string => readLineageToken(token).payload().claims?.lin.root ?? '';
const lastToken = (): string => office.worker.tokens.at(-1) ?? '';
const check = (path: string, handOn?: ReturnType<typeof forChecking>): Promise<Seen> =>
  asPlanner.call({ tool: 'review__check', args: { path }, ...(handOn === undefined ? {} : { handOn }) });
const checked = async (): Promise<string> => (await check(join(office.reports, 'q1.md'))).text;
const draft = (): string => join(office.workspace, 'drafts', 'q3.md');
const counting = { tool: 'db__count_rows', args: { table: 'orders', column: 'quarter', equals: 'Q1' } };
const workersCalls = async (): Promise<readonly (string | undefined)[][]> =>
  (await office.worker.take()).flatMap(({ seen }) => (seen === undefined ? [] : [[seen.use.tool, seen.denied]]));

describe('a chain of three agents', () => {
  proves('G11', 'has less authority with every step, whatever the rules of those below allow', async () => {
    const path = join(office.reports, 'q2.md');
    const narrow = await check(path, forChecking(office.reports));
    expect(narrow).toMatchObject({ text: 'wrong: q2.md says 5, there are 4', denied: undefined });
    expect(await workersCalls()).toEqual([
      ['db__count_rows', undefined],
      ['fs__read_text_file', 'LINEAGE_SCOPE'],
    ]);
    roots.push(rootOf(lastToken()));
    // The same chain without a limit: the worker's own rule lets it read that file.
    expect(await check(path)).toMatchObject({ denied: undefined });
    expect(await workersCalls()).toEqual([
      ['db__count_rows', undefined],
      ['fs__read_text_file', undefined],
    ]);
    roots.push(rootOf(lastToken()));
  });

  proves('G11', 'stops at the agent in between, where that was handed too little', async () => {
    const path = join(office.reports, 'q1.md');
    const checked = await check(path, [{ server: 'work', actions: ['*'] }]);
    expect(checked.text).toBe('not checked: LINEAGE_SCOPE');
    expect(await workersCalls()).toEqual([]);
  });

  it('does its work', async () => {
    const answer = await work(planner(office.reports), (use) => asPlanner.call(use));
    expect(answer).toContain('2 reports checked, 1 corrected');
    expect(readdirSync(office.reports)).toEqual(['q1.md', 'q2.corrected.md', 'q2.md']);
  });
});

describe('a token', () => {
  proves(
    'G11',
    'left out, stolen, altered, kept too long or shown again is denied for what it is',
    async () => {
      const before = lastToken();
      expect(await asWorker.call(counting, before)).toMatchObject({ denied: 'LINEAGE_PARENT_NOT_EXECUTING' });

      const waiting = check(draft(), forChecking(office.workspace));
      await office.database('waiting', 1);
      const token = lastToken();
      expect(await asWorker.call(counting)).toMatchObject({ denied: 'LINEAGE_MISSING' });
      const listing = { tool: 'fs__list_directory', args: { path: office.reports } };
      const reading = { tool: 'fs__read_text_file', args: { path: join(office.reports, 'q1.md') } };
      expect(await asPlanner.call(listing, token)).toMatchObject({ denied: 'LINEAGE_BEARER' });
      expect(await asReviewer.call(reading, token)).toMatchObject({ denied: 'LINEAGE_BEARER' });
      const [head, claims, signature] = token.split('.');
      const wider = Buffer.from(
        JSON.stringify({ ...(JSON.parse(Buffer.from(claims ?? '', 'base64url').toString()) as JsonObject), scp: [] }),
      ).toString('base64url');
      expect(await asWorker.call(counting, `${head}.${wider}.${signature}`)).toMatchObject({ denied: 'LINEAGE_TOKEN' });
      expect(await asWorker.call(counting, token)).toMatchObject({ text: '3 rows', denied: undefined });

      // The time of the worker's call runs out, and with it that of the call under it, which would have had more.
      expect((await waiting).text).toMatch(/^not checked: /);
      await office.database('cancelled', 1);
      roots.push(rootOf(token));
      expect(await asWorker.call(counting, token)).toMatchObject({ denied: 'LINEAGE_PARENT_NOT_EXECUTING' });
      const stale = office.reviewer.tokens.at(-1);
      await expect
        .poll(async () => (await asReviewer.call(reading, stale)).denied, { timeout: 15_000, interval: 500 })
        .toBe('LINEAGE_EXPIRED');
    },
    60_000,
  );
});

describe('a root that is revoked', () => {
  proves(
    'G12',
    'takes everything under it along while it runs, and what still comes of it is withheld',
    async () => {
      // The database went on with a call that was cancelled, and is started again.
      await expect.poll(checked, { timeout: 20_000, interval: 500 }).toBe('right: q1.md');
      await office.worker.take();
      const open = check(draft(), forChecking(office.workspace));
      await office.database('waiting', 2);
      const token = lastToken();
      roots.push(rootOf(token));
      const revoked = await office.run('revoke', 'root', rootOf(token), '--json');
      expect(JSON.parse(revoked.stdout)).toMatchObject({ gates: [{ gate: 'office', running: true }], failed: [] });
      await office.database('cancelled', 2);
      const heard = await open;
      expect(heard.denied).toBe('LINEAGE_REVOKED');
      expect(heard.text).not.toContain('rows');
      expect(await asWorker.call(counting, token)).toMatchObject({ denied: 'LINEAGE_PARENT_NOT_EXECUTING' });
      const reading = { tool: 'fs__read_text_file', args: { path: join(office.reports, 'q1.md') } };
      const ours = office.reviewer.tokens.at(-1);
      expect(await asReviewer.call(reading, ours)).toMatchObject({ denied: 'LINEAGE_REVOKED' });
      await expect.poll(checked, { timeout: 20_000, interval: 500 }).toBe('right: q1.md');
    },
    60_000,
  );
});

describe('when all of it is gone', () => {
  proves(
    'G10',
    'the ledgers alone prove every tree',
    async () => {
      const stopped = office.ledgers;
      await office.stop();
      const elsewhere = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
      for (const ledger of stopped) {
        const { stdout } = await office.runAt(ledger, 'replay', '--json');
        expect(JSON.parse(stdout)).toMatchObject({ ok: true, decisionsNotReplayable: 0 });
      }
      try {
        const copies = stopped.map((ledger, at) => {
          cpSync(dirname(ledger), join(elsewhere, `gate-${at}`), { recursive: true });
          return join(elsewhere, `gate-${at}`, 'ledger');
        });
        rmSync(office.folder, { recursive: true, force: true });
        const empty = join(elsewhere, 'home');
        for (const copy of copies) {
          expect(await portcullis(empty, ['verify', copy])).toMatchObject({ code: 0 });
          const replayed = await portcullis(empty, ['replay', copy, '--json']);
          expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true });
        }
        const together = await portcullis(empty, ['verify', ...copies, '--json']);
        const { links } = JSON.parse(together.stdout) as { links: { checked: number; bothWays: number } };
        expect(links).toMatchObject({ elsewhere: 0, findings: [] });
        expect(links.bothWays).toBeGreaterThan(0);
        expect(links.checked).toBe(2 * links.bothWays);
        const treeOf = async (root: string) =>
          JSON.parse(
            (await portcullis(empty, ['lineage', root, '--json', ...copies.flatMap((copy) => ['--ledger', copy])]))
              .stdout,
          ) as Tree;
        const [narrow = '', whole = '', late = '', revoked = ''] = roots;
        expect(linesOf(await treeOf(narrow))).toEqual([
          'planner review/check completed, 0 scopes',
          '  reviewer fs/read_text_file completed, 1 scopes',
          '  reviewer work/look_into completed, 1 scopes',
          '    worker db/count_rows completed, 1 scopes',
          '    worker fs/read_text_file denied LINEAGE_SCOPE, 0 scopes',
        ]);
        expect(linesOf(await treeOf(whole))).toEqual([
          'planner review/check completed, 0 scopes',
          '  reviewer fs/read_text_file completed, 0 scopes',
          '  reviewer work/look_into completed, 0 scopes',
          '    worker db/count_rows completed, 0 scopes',
          '    worker fs/read_text_file completed, 0 scopes',
        ]);
        const shown = linesOf(await treeOf(late));
        expect(shown).toContain('    worker db/count_rows completed, 1 scopes');
        expect(shown.find((line) => line.includes('wait_for_rows'))).not.toContain('completed');
        expect(linesOf(await treeOf(revoked))).toEqual([
          'planner review/check aborted LINEAGE_REVOKED, 0 scopes',
          '  reviewer fs/read_text_file completed, 1 scopes',
          '  reviewer work/look_into aborted LINEAGE_REVOKED, 1 scopes',
          '    worker db/wait_for_rows aborted LINEAGE_REVOKED, 1 scopes',
          '    worker db/count_rows denied LINEAGE_PARENT_NOT_EXECUTING, 0 scopes',
          '  reviewer fs/read_text_file denied LINEAGE_REVOKED, 0 scopes',
        ]);
      } finally {
        rmSync(elsewhere, { recursive: true, force: true });
      }
    },
    60_000,
  );
});

it('the example runs by itself, checks itself, and leaves nothing', () => {
  const temporary = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
  try {
    const env = { PATH: process.env.PATH ?? '', TMPDIR: temporary };
    const ran = spawnSync(process.execPath, [join(ROOT, 'dist/examples/agents/main.js')], { encoding: 'utf8', env });
    expect(ran.stderr).toBe('');
    expect(ran.status).toBe(0);
    expect(ran.stdout).toContain('three agents, all stopped');
    expect(readdirSync(temporary)).toEqual([]);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}, 90_000);

interface Tree {
  readonly agent: string;
  readonly target: string;
  readonly outcome: string;
  readonly scopes: readonly unknown[];
  readonly children: readonly Tree[];
}

function linesOf({ agent, target, outcome, scopes, children }: Tree, indent = ''): string[] {
  return [
    `${indent}${agent} ${target} ${outcome}, ${scopes.length} scopes`,
    ...children.flatMap((child) => linesOf(child, `${indent}  `)),
  ];
}
