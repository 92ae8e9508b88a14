// What is known to fail, leg by leg, each with its reason. A failure that is not listed fails the run, and so does a listed one that passes.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ScenarioResult } from './suite.ts';

const FILE = fileURLToPath(new URL('expected-failures.json', import.meta.url));
export const UNEXPLAINED = 'not explained yet';

/** leg → scenario → reason */
export type ExpectedFailures = { readonly [leg: string]: { readonly [scenario: string]: string } };

export function readExpected(): ExpectedFailures {
  return JSON.parse(readFileSync(FILE, 'utf8')) as ExpectedFailures;
}

export interface Verdict {
  readonly unexpected: readonly string[];
  readonly stale: readonly string[];
}

/** Compares the results of one leg with what is listed for it. Scenarios that did not run are not judged. */
export function judge(expected: ExpectedFailures, leg: string, results: readonly ScenarioResult[]): Verdict {
  const listed = expected[leg] ?? {};
  return {
    unexpected: results
      .filter(({ passed, scenario }) => !passed && !(scenario in listed))
      .map(({ scenario }) => scenario),
    stale: results.filter(({ passed, scenario }) => passed && scenario in listed).map(({ scenario }) => scenario),
  };
}

/** What would be listed after these results: reasons that still apply are kept. */
export function updated(expected: ExpectedFailures, leg: string, results: readonly ScenarioResult[]): ExpectedFailures {
  const listed = expected[leg] ?? {};
  const ran = new Set(results.map(({ scenario }) => scenario));
  const kept = Object.entries(listed).filter(([scenario]) => !ran.has(scenario));
  const failed = results
    .filter(({ passed }) => !passed)
    .map(({ scenario }): [string, string] => [scenario, listed[scenario] ?? UNEXPLAINED]);
  const { [leg]: _before, ...others } = expected;
  const entries = [...kept, ...failed];
  const all = entries.length > 0 ? { ...others, [leg]: Object.fromEntries(entries.sort(byName)) } : others;
  return Object.fromEntries(Object.entries(all).sort(byName));
}

export function writeExpected(expected: ExpectedFailures): void {
  writeFileSync(FILE, `${JSON.stringify(expected, null, 2)}\n`);
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
