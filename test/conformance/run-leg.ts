// Runs one leg: starts what lies behind the suite, runs the scenarios, ends what was started.

import { fileURLToPath } from 'node:url';
import { type Leg, nameOf, type ServerLeg } from './legs.ts';
import { fixtureCommand, program, type Started, startFixture, startGate } from './processes.ts';
import { requiredScenarios, runScenario, runServer, type ScenarioResult } from './suite.ts';

const CLIENT = fileURLToPath(new URL('client/main.ts', import.meta.url));
const THROUGH_GATE = fileURLToPath(new URL('client-through-gate.ts', import.meta.url));

export interface LegOptions {
  readonly scenarios?: readonly string[] | undefined;
  /** How the gate reaches the fixture. */
  readonly upstream: 'http' | 'stdio';
  /** The program of another fixture than ours. */
  readonly fixture?: string | undefined;
  readonly jobs: number;
  readonly keep: ((folder: string) => void) | undefined;
  readonly progress: (leg: string, result: ScenarioResult, done: number, of: number) => void;
}

export async function runLeg(leg: Leg, options: LegOptions): Promise<ScenarioResult[]> {
  const { scored, all } = requiredScenarios(leg.revision, leg.side);
  const wanted = all.filter((scenario) => options.scenarios?.includes(scenario) ?? true);
  if (wanted.length === 0) return [];
  const started: Started[] = [];
  try {
    const target = leg.side === 'server' ? await serverUrl(leg, options, started) : clientCommand(leg);
    const run = { side: leg.side, revision: leg.revision, target };
    let done = 0;
    const report = (found: Omit<ScenarioResult, 'scored'>): ScenarioResult => {
      const result = { ...found, scored: scored.includes(found.scenario) };
      done += 1;
      options.progress(nameOf(leg), result, done, wanted.length);
      return result;
    };
    if (leg.side === 'server' && wanted.length === all.length) {
      const results = await runServer(run, all, report);
      return results.map((found) => ({ ...found, scored: scored.includes(found.scenario) }));
    }
    // The scenarios of a server share it, and some of them listen to everybody's changes: one after the other.
    const jobs = leg.side === 'server' ? 1 : options.jobs;
    return await inTurns(wanted, jobs, async (scenario) => report(await runScenario(run, scenario)));
  } finally {
    for (const one of started.reverse()) await one.close();
  }
}

async function serverUrl(leg: ServerLeg, options: LegOptions, started: Started[]): Promise<string> {
  const keep = options.keep ? { keep: options.keep } : {};
  if (leg.via === 'portcullis' && options.upstream === 'stdio') {
    const command = fixtureCommand(['--stdio', '--eras', leg.eras], options.fixture);
    const gate = await startGate(leg.eras === 'both' ? { command, era: 'both' } : { command }, keep);
    started.push(gate);
    return gate.url;
  }
  const fixture = await startFixture(leg.eras, options.fixture);
  started.push(fixture);
  if (leg.via === 'direct') return fixture.url;
  const gate = await startGate({ http: { url: fixture.url } }, keep);
  started.push(gate);
  return gate.url;
}

function clientCommand(leg: Leg): string {
  return program(leg.via === 'direct' ? CLIENT : THROUGH_GATE).join(' ');
}

async function inTurns<In, Out>(
  inputs: readonly In[],
  jobs: number,
  work: (input: In) => Promise<Out>,
): Promise<Out[]> {
  const outputs: Out[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      while (next < inputs.length) {
        const at = next;
        next += 1;
        const input = inputs[at];
        if (input !== undefined) outputs[at] = await work(input);
      }
    }),
  );
  return outputs;
}
