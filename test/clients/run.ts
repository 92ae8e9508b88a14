// `npm run clients`: real clients from npm make real tool calls through the gate, with a scripted model on loopback in place of an account.
// `npm run clients -- --help` says how to run less.

import { parseArgs } from 'node:util';
import { setup } from '../support/built.ts';
import { accept, type Step } from './acceptance.ts';
import { defaultCache, installClient } from './installed.ts';
import { REAL_CLIENTS } from './known.ts';
import type { RealClient } from './real-client.ts';
import { type SeenRow, writeSeen } from './seen-table.ts';
import { ClientWorld } from './world.ts';

const HELP = `npm run clients -- [options] [CLIENT...]
  CLIENT        ${REAL_CLIENTS.map(({ id }) => id).join(', ')}; all of them without
  --cache DIR   where clients are installed and kept (${defaultCache()})
  --write       write what was seen into docs/clients.md, one row for each client that passed
  --keep        keep the homes and say where they are
  --no-build    take dist/ as it is
  --install     only install
  --json        results as JSON on the standard output
`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string', default: defaultCache() },
    write: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    'no-build': { type: 'boolean', default: false },
    install: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

interface Result {
  readonly client: string;
  readonly version?: string;
  readonly passed: boolean;
  readonly steps: readonly Step[];
  readonly row?: SeenRow;
}

if (options.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const unknown = positionals.filter((name) => REAL_CLIENTS.every(({ id }) => id !== name));
if (unknown.length > 0) {
  note(`no client is called ${unknown.join(', ')}\n${HELP}`);
  process.exit(2);
}
const chosen = REAL_CLIENTS.filter(({ id }) => positionals.length === 0 || positionals.includes(id));
const open = new Set<ClientWorld>();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(
    signal,
    () => void Promise.all([...open].map((world) => world.close(false))).finally(() => process.exit(130)),
  );

if (!options['no-build'] && !options.install) setup();
const results: Result[] = [];
for (const client of chosen) results.push(await resultOf(client));

note('');
for (const { client, version, passed, steps } of results) {
  const share = `${steps.filter((step) => step.passed).length}/${steps.length}`;
  (options.json ? note : print)(
    `${client.padEnd(14)} ${(version ?? '').padEnd(10)} ${share.padStart(6)}  ${passed ? 'passed' : 'FAILED'}`,
  );
}
if (options.json) print(JSON.stringify(results, null, 2));
if (options.write) writeSeen(results.flatMap(({ row, passed }) => (row === undefined || !passed ? [] : [row])));
if (results.some(({ passed }) => !passed)) process.exitCode = 1;

async function resultOf(client: RealClient): Promise<Result> {
  const began = Date.now();
  const steps: Step[] = [];
  const onStep = (step: Step): void => {
    steps.push(step);
    const seconds = `${(step.ms / 1000).toFixed(1)} s`.padStart(8);
    note(`${client.id} ${step.passed ? 'ok  ' : 'FAIL'}${seconds}  ${step.name}: ${step.detail}`);
  };
  const failed = (name: string, error: unknown): Result => {
    onStep({
      name,
      passed: false,
      detail: error instanceof Error ? error.message : String(error),
      ms: Date.now() - began,
    });
    return { client: client.id, passed: false, steps };
  };
  let world: ClientWorld;
  try {
    const installed = await installClient(client.package, client.bin, options.cache);
    const nearest = installed.version === client.package.version ? '' : `, the nearest to ${client.package.version}`;
    const took = installed.took === undefined ? 'was there' : `installed in ${installed.took.toFixed(0)} s`;
    note(`${client.id}: ${client.package.name} ${installed.version}${nearest}, ${took}`);
    if (options.install) return { client: client.id, version: installed.version, passed: true, steps };
    world = await ClientWorld.open(client, installed);
    open.add(world);
  } catch (error) {
    return failed('install', error);
  }
  try {
    const { observed } = await accept(world, onStep);
    const { version } = world.installed;
    const passed = steps.every((step) => step.passed);
    return { client: client.id, version, passed, steps, row: { client: client.id, version, ...observed } };
  } catch (error) {
    return failed('to the end', error);
  } finally {
    await world.close(options.keep);
    open.delete(world);
    if (options.keep) note(`${client.id}: kept ${world.folder}`);
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
