// `npm run clients`: real clients from npm make real tool calls through the gate, with a scripted model on loopback in place of an account.
// `npm run clients -- --help` says how to run less.

import { parseArgs } from 'node:util';
import { setup } from '../support/built.ts';
import { accept } from './acceptance.ts';
import { defaultCache, type InstalledClient, installClient } from './installed.ts';
import type { Step } from './judging.ts';
import { REAL_CLIENTS } from './known.ts';
import type { RealClient } from './real-client.ts';
import { type SeenRow, writeSeen } from './seen-table.ts';
import { acceptTogether } from './together.ts';
import { UserHome } from './user-home.ts';
import { ClientWorld } from './world.ts';

const LEGS = ['each', 'together'] as const;
const HELP = `npm run clients -- [options] [CLIENT...]
  CLIENT        ${REAL_CLIENTS.map(({ id }) => id).join(', ')}; all of them without
  --cache DIR   where clients are installed and kept (${defaultCache()})
  --leg LEG     each: every client by itself; together: all of them in one home; both without
  --write       write what was seen into docs/clients.md, one row for each client that passed
  --keep        keep the homes and say where they are
  --no-build    take dist/ as it is
  --install     only install
  --json        results as JSON on the standard output
`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    leg: { type: 'string', default: '' },
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
const legs = options.leg === '' ? LEGS : LEGS.filter((leg) => leg === options.leg);
if (legs.length === 0) {
  note(`no leg is called ${options.leg}\n${HELP}`);
  process.exit(2);
}
const open = new Set<UserHome>();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(
    signal,
    () => void Promise.all([...open].map((user) => user.close(false))).finally(() => process.exit(130)),
  );

if (!options['no-build'] && !options.install) setup();
const results: Result[] = [];
const clients: { client: RealClient; installed: InstalledClient }[] = [];
for (const client of chosen) {
  const result = await installed(client);
  if (options.install || !result.passed) results.push(result);
}
if (!options.install && legs.includes('each')) for (const one of clients) results.push(await alone(one));
if (!options.install && legs.includes('together') && clients.length > 1) results.push(await together());

note('');
for (const { client, version, passed, steps } of results) {
  const share = `${steps.filter((step) => step.passed).length}/${steps.length}`;
  (options.json ? note : print)(
    `${client.padEnd(14)} ${(version ?? '').padEnd(10)} ${share.padStart(6)}  ${passed ? 'passed' : 'FAILED'}`,
  );
}
if (options.json) print(JSON.stringify(results, null, 2));
if (options.write) writeSeen(results.flatMap(({ row, passed }) => (row === undefined || !passed ? [] : [row])));
if (results.length === 0 || results.some(({ passed }) => !passed)) process.exitCode = 1;

async function installed(client: RealClient): Promise<Result> {
  const steps: Step[] = [];
  try {
    const installed = await installClient(client.package, client.bin, options.cache);
    clients.push({ client, installed });
    const nearest = installed.version === client.package.version ? '' : `, the nearest to ${client.package.version}`;
    const took = installed.took === undefined ? 'was there' : `installed in ${installed.took.toFixed(0)} s`;
    note(`${client.id}: ${client.package.name} ${installed.version}${nearest}, ${took}`);
    return { client: client.id, version: installed.version, passed: true, steps };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    noteStep(client.id, { name: 'install', passed: false, detail, ms: 0 });
    return { client: client.id, passed: false, steps };
  }
}

async function alone({ client, installed }: (typeof clients)[number]): Promise<Result> {
  const { version } = installed;
  return inHome(client.id, [{ client, installed }], async (_user, [world], onStep) => {
    if (world === undefined) return {};
    const { observed } = await accept(world, onStep);
    return { version, row: { client: client.id, version, ...observed } };
  });
}

function together(): Promise<Result> {
  return inHome('together', clients, async (user, worlds, onStep) => {
    await acceptTogether(user, worlds, onStep);
    return {};
  });
}

/** A home of its own with these clients in it, closed whatever happens. */
async function inHome(
  name: string,
  of: typeof clients,
  work: (user: UserHome, worlds: ClientWorld[], onStep: (step: Step) => void) => Promise<Partial<Result>>,
): Promise<Result> {
  const steps: Step[] = [];
  const onStep = (step: Step): void => {
    steps.push(step);
    noteStep(name, step);
  };
  const user = await UserHome.open(of[0]?.installed.path ?? '');
  open.add(user);
  try {
    const worlds: ClientWorld[] = [];
    for (const { client, installed } of of) worlds.push(await ClientWorld.open(user, client, installed));
    const more = await work(user, worlds, onStep);
    return { client: name, passed: steps.every((step) => step.passed), steps, ...more };
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    onStep({ name: 'to the end', passed: false, detail, ms: 0, evidence: user.evidence() });
    return { client: name, passed: false, steps };
  } finally {
    await user.close(options.keep);
    open.delete(user);
    if (options.keep) note(`${name}: kept ${user.folder}`);
  }
}

function noteStep(of: string, { name, passed, detail, ms, evidence }: Step): void {
  const seconds = `${(ms / 1000).toFixed(1)} s`.padStart(8);
  note(`${of} ${passed ? 'ok  ' : 'FAIL'}${seconds}  ${name}: ${detail}`);
  if (evidence !== undefined) note(evidence.replaceAll(/^/gm, '    | '));
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
