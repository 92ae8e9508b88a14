// `npm run clients`: real clients from npm make real tool calls through the gate, with a scripted model on loopback in place of an account.
// `npm run clients -- --help` says how to run less.

import { parseArgs } from 'node:util';
import { setup } from '../support/built.ts';
import { accept } from './acceptance.ts';
import { acceptElsewhere } from './elsewhere.ts';
import { acceptInspector, INSPECTOR } from './inspector.ts';
import { type InspectedRow, writeInspected } from './inspector-table.ts';
import { defaultCache, type InstalledClient, installClient } from './installed.ts';
import type { Step } from './judging.ts';
import { REAL_CLIENTS } from './known.ts';
import type { RealClient } from './real-client.ts';
import { type SeenRow, writeSeen } from './seen-table.ts';
import { acceptTogether } from './together.ts';
import { UserHome } from './user-home.ts';
import { ClientWorld } from './world.ts';

const LEGS = ['each', 'together', 'elsewhere', 'inspector'] as const;
const HELP = `npm run clients -- [options] [CLIENT...]
  CLIENT        ${REAL_CLIENTS.map(({ id }) => id).join(', ')}; all of them without
  --cache DIR   where clients are installed and kept (${defaultCache()})
  --leg LEG     each: every client by itself; together: all of them in one home, with kills; elsewhere: their servers are remote or
                in files of a project; inspector: the protocol in both eras. All of them without, but for the Inspector where clients are named
  --write       write what was seen into docs/clients.md, of those that passed
  --at-once N   so many homes at once (1)
  --keep        keep the homes and say where they are
  --no-build    take dist/ as it is
  --install     only install
  --json        results as JSON on the standard output
`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'at-once': { type: 'string', default: '1' },
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
  readonly inspected?: readonly InspectedRow[];
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
const legs = LEGS.filter((leg) =>
  options.leg === '' ? leg !== 'inspector' || positionals.length === 0 : leg === options.leg,
);
if (legs.length === 0) {
  note(`no leg is called ${options.leg}\n${HELP}`);
  process.exit(2);
}
if (!/^[1-9]$/.test(options['at-once'])) {
  note(`--at-once is a number from 1 to 9\n${HELP}`);
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
for (const client of legs.some((leg) => leg !== 'inspector') ? chosen : []) {
  const installed = await installedOf(client);
  if (installed !== undefined) clients.push({ client, installed });
}
const inspector = legs.includes('inspector') ? await installedOf({ id: 'inspector', ...INSPECTOR }) : undefined;
const homes: (() => Promise<Result>)[] = [
  ...(legs.includes('each') ? clients.map((one) => () => alone(one)) : []),
  ...(legs.includes('together') && clients.length > 1 ? [together] : []),
  ...(legs.includes('elsewhere') ? [elsewhere] : []),
  ...(inspector === undefined ? [] : [() => inspected(inspector)]),
];
if (!options.install) results.push(...(await atOnce(Number(options['at-once']), homes)));

note('');
for (const { client, version, passed, steps } of results) {
  const share = `${steps.filter((step) => step.passed).length}/${steps.length}`;
  (options.json ? note : print)(
    `${client.padEnd(14)} ${(version ?? '').padEnd(10)} ${share.padStart(6)}  ${passed ? 'passed' : 'FAILED'}`,
  );
}
if (options.json) print(JSON.stringify(results, null, 2));
if (options.write) {
  const seen = results.filter(({ passed }) => passed);
  writeSeen(seen.flatMap(({ row }) => row ?? []));
  for (const { inspected } of seen) if (inspected !== undefined) writeInspected(inspected);
}
if (results.length === 0 || results.some(({ passed }) => !passed)) process.exitCode = 1;

/** The results of all, in their order. */
async function atOnce(most: number, works: readonly (() => Promise<Result>)[]): Promise<Result[]> {
  const done: Result[] = [];
  const left = works.map((work, index) => ({ work, index }));
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) done[next.index] = await next.work();
  };
  await Promise.all(Array.from({ length: most }, worker));
  return done;
}

/** Undefined where it cannot be installed, which is a result, as everything is when no more was asked for. */
async function installedOf({
  id,
  package: wanted,
  bin,
}: Pick<RealClient, 'id' | 'package' | 'bin'>): Promise<InstalledClient | undefined> {
  try {
    const installed = await installClient(wanted, bin, options.cache);
    const nearest = installed.version === wanted.version ? '' : `, the nearest to ${wanted.version}`;
    const took = installed.took === undefined ? 'was there' : `installed in ${installed.took.toFixed(0)} s`;
    note(`${id}: ${wanted.name} ${installed.version}${nearest}, ${took}`);
    if (options.install) results.push({ client: id, version: installed.version, passed: true, steps: [] });
    return installed;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    noteStep(id, { name: 'install', passed: false, detail, ms: 0 });
    results.push({ client: id, passed: false, steps: [] });
    return undefined;
  }
}

async function alone({ client, installed }: (typeof clients)[number]): Promise<Result> {
  const { version } = installed;
  return inHome(client.id, installed.path, [{ client, installed }], async (_user, [world], onStep) => {
    if (world === undefined) return {};
    const { observed } = await accept(world, onStep);
    return { version, row: { client: client.id, version, ...observed } };
  });
}

function together(): Promise<Result> {
  return inHome('together', clients[0]?.installed.path ?? '', clients, async (user, worlds, onStep) => {
    await acceptTogether(user, worlds, onStep);
    return {};
  });
}

function elsewhere(): Promise<Result> {
  return inHome('elsewhere', clients[0]?.installed.path ?? '', [], async (user, _worlds, onStep) => {
    await acceptElsewhere(user, clients, onStep);
    return {};
  });
}

function inspected(installed: InstalledClient): Promise<Result> {
  return inHome('inspector', installed.path, [], async (user, _worlds, onStep) => {
    const rows = await acceptInspector(user, installed, onStep);
    return { version: installed.version, inspected: rows };
  });
}

/** A home of its own with these clients in it, closed whatever happens. */
async function inHome(
  name: string,
  path: string,
  of: typeof clients,
  work: (user: UserHome, worlds: ClientWorld[], onStep: (step: Step) => void) => Promise<Partial<Result>>,
): Promise<Result> {
  const steps: Step[] = [];
  const onStep = (step: Step): void => {
    steps.push(step);
    noteStep(name, step);
  };
  const user = await UserHome.open(path);
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
