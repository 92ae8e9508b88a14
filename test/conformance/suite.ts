// The public conformance suite, at exact versions, in a folder of its own below the temporary files. It needs a newer Node than we do, and gets it from the
// same registry.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Revision } from './legs.ts';

const PACKAGES = { '@modelcontextprotocol/conformance': '0.2.0-alpha.12', node: '22.23.3' };
const CACHE = join(tmpdir(), `portcullis-conformance-${Object.values(PACKAGES).join('-')}`);
const SUITE = join(CACHE, 'node_modules', '@modelcontextprotocol', 'conformance');
const SCENARIO_MS = '60000';

export interface Check {
  readonly id: string;
  readonly status: string;
  readonly name: string;
  readonly errorMessage?: string;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly scored: boolean;
  readonly passed: boolean;
  readonly checks: readonly Check[];
  /** What is wrong, when it did not pass. */
  readonly faults: readonly string[];
}

/** Installs the suite where it is not yet. */
export async function installSuite(note: (text: string) => void): Promise<void> {
  if (existsSync(join(CACHE, 'installed'))) return;
  note(`installing the suite into ${CACHE}`);
  const fresh = mkdtempSync(join(tmpdir(), 'portcullis-conformance-new-'));
  writeFileSync(join(fresh, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }));
  const { code, output } = await run('npm', ['install', '--no-audit', '--no-fund', '--no-save'], { cwd: fresh });
  if (code !== 0) throw new Error(`npm could not install the suite:\n${output}`);
  writeFileSync(join(fresh, 'installed'), '');
  rmSync(CACHE, { recursive: true, force: true });
  renameSync(fresh, CACHE);
}

export interface Required {
  readonly scored: readonly string[];
  readonly all: readonly string[];
}

/** The scenarios of a revision, those that are scored first. */
export function requiredScenarios(revision: Revision, side: 'server' | 'client'): Required {
  const text = readFileSync(join(SUITE, 'requirements', `${revision}.yaml`), 'utf8');
  const set = parse(text) as Record<'server' | 'client', string[]> & {
    not_scored: { scenario: string; leg: string }[];
  };
  const rest = set.not_scored.filter(({ leg }) => leg === side).map(({ scenario }) => scenario);
  return { scored: set[side], all: [...set[side], ...rest] };
}

export interface SuiteRun {
  readonly side: 'server' | 'client';
  readonly revision: Revision;
  /** `--url` of the server or `--command` of the client. */
  readonly target: string;
}

type Found = Omit<ScenarioResult, 'scored'>;

/** Runs one scenario and reads what it found. */
export function runScenario(one: SuiteRun, scenario: string): Promise<Found> {
  const args = ['--scenario', scenario, '--spec-version', one.revision, '--force'];
  return inSuite(one, args, (results, said) => found(one, scenario, results, said));
}

/** Runs all scenarios of a revision against a server, one after the other in one process: much faster than one process each. */
export function runServer(
  one: SuiteRun,
  scenarios: readonly string[],
  progress: (result: Found) => void,
): Promise<Found[]> {
  const started: string[] = [];
  const reported = new Map<string, Found>();
  const report = (scenario: string, results: string, said: string): void => {
    const result = found(one, scenario, join(results, folderOf(results, scenario)), said);
    reported.set(scenario, result);
    progress(result);
  };
  return inSuite(
    one,
    ['--requirements', one.revision],
    (results, said) => {
      for (const scenario of scenarios) if (!reported.has(scenario)) report(scenario, results, said);
      return scenarios.flatMap((scenario) => reported.get(scenario) ?? []);
    },
    (part, results) => {
      for (const [, scenario] of part.matchAll(/=== Running scenario: (\S+) ===/g)) {
        const before = started.at(-1);
        if (before !== undefined) report(before, results, '');
        if (scenario !== undefined) started.push(scenario);
      }
    },
  );
}

/** Runs the suite with a folder for its results, which is removed when they were read. */
async function inSuite<T>(
  one: SuiteRun,
  args: readonly string[],
  read: (results: string, said: string) => T,
  heard: (part: string, results: string) => void = () => undefined,
): Promise<T> {
  const results = mkdtempSync(join(tmpdir(), 'portcullis-conformance-run-'));
  try {
    const target = one.side === 'server' ? ['--url', one.target] : ['--command', one.target];
    const { output, code } = await run(
      join(CACHE, 'node_modules', '.bin', 'node'),
      [
        join(SUITE, 'dist', 'index.js'),
        one.side,
        ...target,
        ...args,
        '--timeout',
        SCENARIO_MS,
        '--output-dir',
        results,
      ],
      { cwd: results, heard: (part) => heard(part, results) },
    );
    return read(results, `exit ${code}: ${output.slice(-2000)}`);
  } finally {
    rmSync(results, { recursive: true, force: true });
  }
}

function found({ side }: SuiteRun, scenario: string, folder: string, said: string): Found {
  const checks = checksBelow(folder);
  const wrong = checks.filter(({ status }) => status === 'FAILURE' || (side === 'client' && status === 'WARNING'));
  const faults = wrong.map(({ id, errorMessage, name }) => `${id}: ${errorMessage ?? name}`);
  if (checks.length === 0) faults.push(`no checks were made; ${said}`);
  if (faults.length > 0 && side === 'client') faults.push(clientOutput(folder));
  return { scenario, passed: faults.length === 0, checks, faults };
}

/** The folder the suite made for a scenario of a server. */
function folderOf(results: string, scenario: string): string {
  return (
    readdirSync(results).find((name) => name.replace(/-\d{4}-\d\d-\d\dT[-\d]+Z$/, '') === `server-${scenario}`) ??
    'none'
  );
}

function checksBelow(folder: string): Check[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('checks.json'))
    .flatMap((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Check[]);
}

function clientOutput(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('stderr.txt'))
    .map((name) => readFileSync(join(folder, name), 'utf8').trim().slice(-1500))
    .join('\n');
}

function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly heard?: (part: string) => void },
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    let output = '';
    child.stdout.on('data', (part: Buffer) => {
      output += part.toString();
      options.heard?.(part.toString());
    });
    child.stderr.on('data', (part: Buffer) => {
      output += part.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => {
      process.removeListener('exit', kill);
      resolve({ code, output });
    });
  });
}
