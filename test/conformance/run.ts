// `npm run conformance`: runs the public suite on both sides, directly and through Portcullis, and compares what fails with what is known to fail.
// `npm run conformance -- --help` says how to run less.

import { parseArgs } from 'node:util';
import { setup } from '../support/built.ts';
import { judge, readExpected, UNEXPLAINED, updated, writeExpected } from './expected-failures.ts';
import { LEGS, nameOf } from './legs.ts';
import { runLeg } from './run-leg.ts';
import { installSuite, type ScenarioResult } from './suite.ts';

const HELP = `npm run conformance -- [options]
  --leg TEXT         only legs whose name has TEXT in it (repeatable; all must match): server, client, 2026-07-28, portcullis, ...
  --era ERA          only fixtures of ERA: both, 2025, 2026
  --scenario NAME    only this scenario (repeatable); its faults are shown in full
  --upstream KIND    how the gate reaches the fixture: http (default) or stdio
  --fixture FILE     another fixture: a program that takes the options of fixture/main.ts and says its address
  --jobs N           client scenarios at once (2)
  --update           write what fails now into expected-failures.json
  --keep             keep the installations of the gates and say where they are
  --no-build         take dist/ as it is
  --list             list the legs
  --json             results as JSON on the standard output
`;

const { values: options } = parseArgs({
  options: {
    leg: { type: 'string', multiple: true },
    era: { type: 'string' },
    scenario: { type: 'string', multiple: true },
    upstream: { type: 'string', default: 'http' },
    fixture: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    update: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    'no-build': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

const chosen = LEGS.filter((leg) => {
  const parts = nameOf(leg).split('/');
  if (options.era !== undefined && (leg.side !== 'server' || leg.eras !== options.era)) return false;
  return (options.leg ?? []).every((text) => nameOf(leg).includes(text) || parts.includes(text));
});

if (options.help || options.list) {
  process.stdout.write(options.help ? HELP : `${chosen.map(nameOf).join('\n')}\n`);
  process.exit(0);
}
if (chosen.length === 0) {
  note('no leg matches');
  process.exit(2);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

await installSuite(note);
if (!options['no-build'] && chosen.some(({ via }) => via === 'portcullis')) setup();

const verbose = options.scenario !== undefined;
const outcomes = new Map<string, readonly ScenarioResult[]>();
for (const leg of chosen) {
  const name = nameOf(leg);
  try {
    const results = await runLeg(leg, {
      scenarios: options.scenario,
      upstream: options.upstream === 'stdio' ? 'stdio' : 'http',
      fixture: options.fixture,
      jobs: Number(options.jobs),
      keep: options.keep ? (folder) => note(`${name}: kept ${folder}`) : undefined,
      progress: (at, result, done, of) => {
        const count = `${String(done).padStart(2)}/${of}`;
        note(
          `${at} ${count} ${result.passed ? 'ok  ' : 'FAIL'} ${result.scenario}${result.scored ? '' : ' (not scored)'}`,
        );
        if (!result.passed) for (const fault of result.faults) note(indented(verbose ? fault : fault.slice(0, 300)));
      },
    });
    outcomes.set(name, results);
  } catch (error) {
    note(`${name} could not run: ${error instanceof Error ? error.message : String(error)}`);
    outcomes.set(name, []);
    process.exitCode = 1;
  }
}

let expected = readExpected();
const rows: string[] = [];
const wrong: string[] = [];
for (const [leg, results] of outcomes) {
  const scored = results.filter((result) => result.scored);
  const others = results.filter((result) => !result.scored);
  const verdict = judge(expected, leg, results);
  const state = verdict.unexpected.length + verdict.stale.length === 0 ? 'as expected' : 'NOT as expected';
  rows.push(`${leg.padEnd(34)} ${share(scored).padStart(7)} scored  ${share(others).padStart(7)} others   ${state}`);
  for (const scenario of verdict.unexpected)
    wrong.push(`${leg}: ${scenario} fails and is not in expected-failures.json`);
  for (const scenario of verdict.stale) wrong.push(`${leg}: ${scenario} passes; take it out of expected-failures.json`);
  if (options.update) expected = updated(expected, leg, results);
}
if (options.update) {
  writeExpected(expected);
  const open = Object.values(expected)
    .flatMap((reasons) => Object.values(reasons))
    .filter((why) => why === UNEXPLAINED);
  note(`expected-failures.json is written; ${open.length} reason(s) are to be filled in`);
} else if (wrong.length > 0) process.exitCode = 1;
note('');
for (const row of rows) (options.json ? note : print)(row);
for (const fault of wrong) note(fault);
if (options.json) print(JSON.stringify(Object.fromEntries(outcomes), null, 2));

function share(results: readonly ScenarioResult[]): string {
  return `${results.filter(({ passed }) => passed).length}/${results.length}`;
}

function indented(text: string): string {
  return text.replace(/^/gm, '      ');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
