// Approves the servers of a gate that is about to start, as a person would with `portcullis tools approve`: with the product's own code, for the very launch
// that the gate will ask for. Loaded before the command line in the gate's own process (`node --import`), or run as a program with the same arguments.
// What a server of the tests says that it is is read once for each build and kept: most of them are started hundreds of times.

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

const DIST = new URL('../../dist/', import.meta.url);
const STAMP = fileURLToPath(new URL('.built-for-tests', DIST));
/** Beside the temporary folders of the tests and not in the tree, which is part of what is measured. Removed when the tests end. */
export const KEPT = join(tmpdir(), `portcullis-kept-${createHash('sha256').update(STAMP).digest('hex').slice(0, 16)}`);
const TEMPORARY = new RegExp(`${tmpdir()}/portcullis-\\w+`, 'g');
/** `fresh`: read now, and not from what was kept. `no`: nothing is approved. */
const MODE = process.env.PORTCULLIS_TEST_APPROVE ?? 'kept';
const READ_WITHIN_MS = 6_000;

const bundled = (name) => import(new URL(`bundle/${name}`, DIST).href);
const inside = () => bundled('inside.js');

/** Approves whatever is not approved for its launch; what cannot be asked stays as it is. */
export async function approveLaunches(state, secret, launches, { mode = MODE, credentials, readers = launches } = {}) {
  const { Approvals, approvalFor } = await inside();
  const approvals = new Approvals(state, secret);
  const known = await approvals.read();
  for (const [at, launch] of launches.entries()) {
    if (launch.ownProgram === true || approvalFor(known.approvals, launch.name, launch.description)) continue;
    const definition = await definitionOf(readers[at], mode, credentials);
    if (definition === undefined) continue;
    const environment = await environmentFor(launch, state, secret);
    await approvals.approve(
      launch.name,
      { ...definition, launch: launch.description },
      { by: 'the tests', environment },
    );
  }
}

async function definitionOf(launch, mode, credentials) {
  const file = mode === 'fresh' || launch.description.stdio === undefined ? undefined : keptFile(launch);
  if (file !== undefined && existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const { readDefinition, reviewSandbox, findHome } = await inside();
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, READ_WITHIN_MS);
  });
  const reading = (async () => {
    const { maker: sandbox, close } = await reviewSandbox(launch, findHome(), undefined, () => {});
    return readDefinition(launch, { credentials: await credentials?.(), sandbox }).finally(close);
  })().catch(() => undefined);
  const definition = await Promise.race([reading, late]);
  clearTimeout(timer);
  if (definition === undefined || file === undefined) return definition;
  keep(file, definition);
  return definition;
}

/** What the server runs, measured in this thread. Where its files are what they were, their contents are known: to the gate as well. */
async function environmentFor(launch, state, secret) {
  const line = launch.line?.();
  const { packageRunner } = await inside();
  if (line === undefined || packageRunner(line.command, line.args) !== undefined) return null;
  const { measuringMeans, sandboxOf, environmentOf, lineOf, FileDigests, isMeasurement, measure } = await inside();
  const means = measuringMeans(state, secret);
  const file = join(
    KEPT,
    `${named([line.command, line.args.slice(0, 1).map(withoutTemporary), withoutTemporary(line.cwd)])}.files.json`,
  );
  if (existsSync(file))
    means.known.put({ ...lineOf(line), store: means.store }, JSON.parse(readFileSync(file, 'utf8')));
  const ask = async (asked, known) => {
    const found = measure(asked, new FileDigests(), known);
    if (isMeasurement(found)) keep(file, found);
    return found;
  };
  const sandbox = sandboxOf(launch.description);
  return (await environmentOf({ ...line, sandbox }, { ...means, thread: { ask } })).record;
}

/** Named by what decides what the server says: its command line without temporary folders, the files in it, and the build. */
function keptFile({ description: { stdio } }) {
  const line = [stdio.command, ...stdio.args].map(withoutTemporary);
  const times = [STAMP, ...stdio.args].map((one) => statSync(one, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return join(KEPT, `${named([line, times.slice(0, 2), stdio.set, stdio.inherit])}.json`);
}

function withoutTemporary(text) {
  return text.replace(TEMPORARY, 'tmp');
}

function named(what) {
  return createHash('sha256').update(JSON.stringify(what)).digest('hex');
}

function keep(file, what) {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  writeFileSync(temporary, JSON.stringify(what));
  renameSync(temporary, file);
}

/** The server without what keeps it from saying what it is, and without what it writes down: see the fixture of the neighbours. */
function asItWouldSay(server) {
  if (server.stdio === undefined) return server;
  const args = server.stdio.args.filter((one) => !/^--(late|silent|log|changes)\b/.test(one));
  return { ...server, stdio: { ...server.stdio, args } };
}

/** The launches of a `wrap` or a `serve`, and where what is approved lies. */
async function planOf([command, ...args]) {
  const options = {};
  let line = [];
  for (let at = 0; at < args.length; at++) {
    if (args[at] === '--') {
      line = args.slice(at + 1);
      break;
    }
    if (['--config', '--name', '--agent', '--http'].includes(args[at])) options[args[at].slice(2)] = args[++at];
    else if (!args[at].startsWith('-')) {
      line = args.slice(at);
      break;
    }
  }
  const { findHome, gateFolder, loadConfiguration, launchOf, unlistedServer } = await inside();
  const home = findHome();
  const configuration = loadConfiguration(home, options.config);
  const base = configuration?.file.replace(/[^/\\]*$/, '') ?? '.';
  const { openKeys } = await inside();
  const keys = openKeys(gateFolder(home, 'any').keys);
  const servers = configuration?.manifest.servers ?? {};
  const launches = [];
  const readers = [];
  const add = async (name, server) => {
    launches.push(await launchOf(name, server, base));
    readers.push(await launchOf(name, asItWouldSay(server), base));
  };
  if (command === 'serve' || command === 'gate') {
    for (const [name, server] of Object.entries(servers)) if (server.inProcess === undefined) await add(name, server);
  } else {
    const { serverName } = await inside();
    const own = { command: line[0], args: line.slice(1) };
    const name = serverName(options.name, own, configuration);
    await add(name, servers[name] ?? unlistedServer(own));
  }
  const credentials = async () => {
    const { CredentialStore, credentialsFile } = await inside();
    return new CredentialStore(credentialsFile(gateFolder(home, options.name ?? 'serve')), keys.vault);
  };
  return { state: home.state, secret: keys.vault, launches, readers, credentials };
}

// The gate's own thread of decisions loads meanwhile, as it would without us.
// Who joins the gate that all share is no gate.
const opensOne =
  process.argv[2] === 'wrap' ? process.argv.includes('--alone') : ['serve', 'gate'].includes(process.argv[2] ?? '');
if (isMainThread && MODE !== 'no' && opensOne) {
  await bundled('deciding-ahead.js');
  // A start that will be refused is refused by the command itself.
  const plan = await planOf(process.argv.slice(2)).catch(() => undefined);
  if (plan !== undefined) await approveLaunches(plan.state, plan.secret, plan.launches, plan).catch(() => undefined);
}
