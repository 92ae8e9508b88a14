// A chain of three agents, from nothing: a planner has reports checked by a reviewer, who has things looked into by a worker, who asks a database. Each
// step shows what happened and checks it; the run fails when anything happened that was denied. `npm run example:agents` runs it.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../../cli/exit-codes.ts';
import { output } from '../../cli/output.ts';
import { readLineageToken } from '../../domain/lineage-token.ts';
import type { AgentEvent } from './agent-at-work.ts';
import type { GateClient } from './gate-client.ts';
import type { Ran } from './gate-process.ts';
import { Office } from './office.ts';
import { forChecking, planner } from './planner.ts';
import { type Seen, type ToolUse, work } from './scripted-model.ts';

const out = output(false);
const steps = { shown: 0 };

function show(title: string): void {
  steps.shown += 1;
  out.line(`\n${out.style('bold', `${steps.shown}. ${title}`)}`);
}

function must(truth: boolean, what: string): void {
  if (!truth) throw new Error(`this should not be: ${what}`);
  out.line(`   ${out.style('green', 'ok')}  ${what}`);
}

const now = (): number => performance.timeOrigin + performance.now();

/** What all agents did, as it happened. */
class Story {
  readonly #office: Office;
  #own: AgentEvent[] = [];

  constructor(office: Office) {
    this.#office = office;
  }

  /** The planner's calls: made with its client, and remembered. */
  plans(client: GateClient): (use: ToolUse) => Promise<Seen> {
    return async (use) => {
      this.#own.push({ at: now(), use });
      const seen = await client.call(use);
      this.#own.push({ at: now(), seen });
      return seen;
    };
  }

  async tell(): Promise<readonly Seen[]> {
    const { reviewer, worker, workspace } = this.#office;
    const all = [
      ...this.#own.splice(0).map((event) => ({ who: 'planner', indent: '', event })),
      ...(await reviewer.take()).map((event) => ({ who: 'reviewer', indent: '  ', event })),
      ...(await worker.take()).map((event) => ({ who: 'worker', indent: '    ', event })),
    ].sort((a, b) => a.event.at - b.event.at);
    const short = (text: string): string => text.replaceAll(`${workspace}/`, '').replaceAll('\n', ' ').slice(0, 110);
    for (const { who, indent, event } of all) {
      const { use, seen } = event;
      if (use !== undefined) {
        const { path, task, ...rest } = use.args;
        const what = String(path ?? task ?? Object.values(rest).join(' '));
        const handed = use.handOn === undefined ? '' : out.style('dim', '  (hands on no more than checking needs)');
        out.line(`   ${who.padEnd(9)} ${indent}${use.tool}  ${short(what)}${handed}`);
      }
      if (seen !== undefined) {
        const text = seen.denied === undefined ? short(seen.text) : `denied ${short(seen.text)}`;
        out.line(
          `   ${' '.repeat(9)} ${indent}${out.style(seen.denied === undefined ? 'cyan' : 'yellow', `→ ${text}`)}`,
        );
      }
    }
    return all.flatMap(({ event }) => event.seen ?? []);
  }
}

async function main(): Promise<void> {
  out.line('Starting two gates, an agent that reviews, an agent that works, servers for files and a PostgreSQL ...');
  const office = await Office.open();
  try {
    out.line(`All of it is in ${office.folder}`);
    await chain(office);
  } finally {
    await office.close();
  }
  out.line(`
The files of this example:   examples/agents, first of all planner.ts, reviewer.ts, worker.ts and rules/
What an agent has to do:     docs/agents.md
The tests of all of this:    test/e2e/example-agents.test.ts`);
}

async function chain(office: Office): Promise<void> {
  const { reports, workspace } = office;
  const asPlanner = await office.client('planner');
  const story = new Story(office);
  const plan = story.plans(asPlanner);

  show('The planner has the reports checked; a report asks for more, and nobody who read it can give it');
  const answer = await work(planner(reports), plan);
  const did = await story.tell();
  const checked = rootOf(office.worker.tokens.at(-1) ?? '');
  out.line(`   the planner says: ${answer}`);
  must(existsSync(join(reports, 'q2.corrected.md')), 'three agents worked together: the wrong report was corrected');
  const outside = did.filter(({ denied }) => denied !== undefined);
  must(
    outside.length === 1 && outside[0]?.denied === 'LINEAGE_SCOPE',
    'the worker was denied what the planner had not handed on',
  );

  show('The same, when the planner hands on all that it may: the rule of the worker alone would have allowed it');
  const path = join(reports, 'q2.md');
  await plan({ tool: 'review__check', args: { path } });
  const whole = await story.tell();
  must(
    whole.some(({ text, denied }) => denied === undefined && text.includes('salary')),
    'so it was the planner who kept it in bounds',
  );

  show('What the worker was given is of no use to anybody else, nor later, nor left out');
  const [token = ''] = office.worker.tokens;
  const asWorker = await office.client('worker');
  const asReviewer = await office.client('reviewer');
  const counting = { tool: 'db__count_rows', args: { table: 'orders', column: 'quarter', equals: 'Q1' } };
  const reading = { tool: 'fs__read_text_file', args: { path } };
  const refused = async (what: string, by: GateClient, use: ToolUse, shown: string | undefined, code: string) => {
    const { denied } = await by.call(use, shown);
    must(denied === code, `${what.padEnd(46)} ${denied}`);
  };
  await refused('the worker leaves its token out', asWorker, counting, undefined, 'LINEAGE_MISSING');
  await refused('the reviewer shows the token of the worker', asReviewer, reading, token, 'LINEAGE_BEARER');
  await refused(
    'the worker shows it after its call has ended',
    asWorker,
    counting,
    token,
    'LINEAGE_PARENT_NOT_EXECUTING',
  );
  const altered = `${token.slice(0, -8)}AAAAAAAA`;
  await refused('the worker shows one that it altered', asWorker, counting, altered, 'LINEAGE_TOKEN');

  show('Everything that the planner began is stopped while it runs');
  const draft = join(workspace, 'drafts', 'q3.md');
  const open = plan({ tool: 'review__check', args: { path: draft }, handOn: forChecking(workspace) });
  await office.database('waiting', 1);
  await story.tell();
  const root = rootOf(office.worker.tokens.at(-1) ?? '');
  out.line(`   ... and there it waits.  portcullis revoke root ${root}`);
  const before = performance.now();
  const revoked = office.run('revoke', 'root', root);
  await office.database('cancelled', 1);
  const took = Math.round(performance.now() - before);
  const { denied } = await open;
  out.line(`   ${(await revoked).stdout.trim()}`);
  await story.tell();
  must(denied === 'LINEAGE_REVOKED', 'everybody heard that, and nobody what might still have come of it');
  out.line(`       ${took} ms from the start of the command to the end in the database`);

  await office.stop();
  show('The agents and the gates are gone: the ledgers tell it');
  const ledgers = office.ledgers.flatMap((ledger) => ['--ledger', ledger]);
  for (const call of [checked, root]) {
    out.line(`   portcullis lineage ${[call, ...ledgers].join(' ').replaceAll(office.folder, '…')}`);
    const tree = await office.run('lineage', call, ...ledgers);
    for (const line of tree.stdout.trimEnd().split('\n')) out.line(`   ${line.replaceAll(office.folder, '…')}`);
    const stopped = tree.stdout.split('aborted LINEAGE_REVOKED').length - 1;
    const isWhole = call === checked ? tree.stdout.includes('denied LINEAGE_SCOPE') : stopped === 3;
    must(
      tree.code === 0 && isWhole,
      call === checked ? 'who asked for what, for whom, inside which bounds' : 'three agents, all stopped',
    );
  }
  const short = (text: string): string => text.replaceAll(office.folder, '…');
  const checks = async (ran: Ran, command: string): Promise<void> => {
    out.line(`   portcullis ${short(command)}`);
    if (ran.code !== 0) out.line(ran.stdout);
    must(
      ran.code === 0,
      ran.stdout
        .trim()
        .split('\n')
        .filter((line) => /^(verified|replayed)/.test(line))
        .join('; ')
        .replaceAll(/ +/g, ' '),
    );
  };
  for (const ledger of office.ledgers) {
    const denied = await office.runAt(ledger, 'log', '--denied');
    out.line(`   portcullis log --denied ${short(ledger)}`);
    for (const line of denied.stdout.trimEnd().split('\n')) out.line(`   ${line}`);
    await checks(await office.runAt(ledger, 'replay'), `replay ${ledger}`);
  }
  await checks(await office.run('verify', ...office.ledgers), `verify ${office.ledgers.join(' ')}`);
  must(readdirSync(workspace).length === 3, 'and nothing lies in the workspace that was denied');
}

function rootOf(token: string): string {
  return readLineageToken(token).payload().claims?.lin.root ?? '';
}

main().then(
  () => {
    process.exitCode = EXIT.ok;
  },
  (error: unknown) => {
    out.error(error instanceof Error ? error.message : String(error));
    process.exitCode = EXIT.error;
  },
);
