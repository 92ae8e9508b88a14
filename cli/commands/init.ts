// portcullis init: puts the servers of the clients on this machine behind the gate, in place. It starts none of them, and writes nothing before it has
// shown what, and was told to.

import { dirname, join } from 'node:path';
import type { Outcome, PlannedChange } from '../../adapters/clients/backups.ts';
import type { Machine } from '../../adapters/clients/client-paths.ts';
import { editText, parseText, textOf } from '../../adapters/clients/edit-text.ts';
import { type FoundFile, foundFiles, type UnreadFile } from '../../adapters/clients/found-files.ts';
import { KNOWN_CLIENTS } from '../../adapters/clients/known-clients.ts';
import { type SeenFile, seeFile, whyUnwritable } from '../../adapters/clients/safe-file.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { answerTo, confirmed, mayAsk } from '../asking.ts';
import { clientVariables } from '../client-variables.ts';
import { EXIT } from '../exit-codes.ts';
import { gateAddresses } from '../gate-addresses.ts';
import { findHome, type Home, MANIFEST_NAME } from '../home.ts';
import { backupsOf, thisMachine, whileWriting } from '../onboarding/client-files.ts';
import { type Added, manifestWith, STARTER_RULES } from '../onboarding/manifest-text.ts';
import { isInPassingCache, ownProgram, schemaAddress } from '../onboarding/own-program.ts';
import { isUnderstood, type Plan, type PlannedServer, planOf } from '../onboarding/plan.ts';
import { changeJson, changeLines, foundLines, masked, placeText, problemText } from '../onboarding/plan-text.ts';
import { ServerNames } from '../onboarding/server-names.ts';
import { loadConfiguration } from '../open-gate.ts';
import { CommandError, type Output } from '../output.ts';

export interface InitOptions {
  readonly client?: readonly string[];
  readonly server?: readonly string[];
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

interface Looked {
  readonly home: Home;
  readonly files: readonly FoundFile[];
  readonly unread: readonly UnreadFile[];
  readonly plan: Plan;
}

/** Where it looks and what it writes for; this machine and its installation where it is not said. */
export interface InitPlaces {
  readonly home?: Home;
  readonly machine?: Machine;
}

export async function init(
  options: InitOptions,
  out: Output,
  { home = findHome(), machine = thisMachine() }: InitPlaces = {},
): Promise<number> {
  for (const id of options.client ?? []) {
    if (KNOWN_CLIENTS.some((client) => client.id === id)) continue;
    throw new CommandError(`no client is called "${visibleText(id, 80)}"`, EXIT.usage, [
      `clients: ${KNOWN_CLIENTS.map((client) => client.id).join(', ')}`,
    ]);
  }
  const asks = mayAsk(out) && options.yes !== true;
  const isDry = options.dryRun === true || (options.yes !== true && !asks);
  // Two of them at once: the second sees what the first one wrote.
  if (!isDry && !asks) return whileWriting(home, out, async () => apply(lookAt(home, machine, options), options, out));
  const looked = lookAt(home, machine, options);
  if (isDry) return tellDry(looked, options, out);
  tell(looked, looked.plan.planned, out);
  const chosen = await chosenOf(looked.plan.planned);
  if (chosen.length === 0) {
    out.line(looked.plan.planned.length === 0 ? 'nothing is to do' : 'nothing was written');
    return EXIT.ok;
  }
  return whileWriting(home, out, async () => write(looked, chosen, out));
}

/** Finds everything, and writes nothing. */
function lookAt(home: Home, machine: Machine, { client, server }: InitOptions): Looked {
  const { files, unread } = foundFiles(machine);
  const configuration = loadConfiguration(home, undefined);
  const values = clientVariables(backupsOf(home));
  const names = new ServerNames(configuration?.manifest, (name) => values.get(name));
  const gate = { node: process.execPath, program: ownProgram(), home: machine.home, addresses: gateAddresses(home) };
  const choice = {
    ...(client === undefined ? {} : { clients: client }),
    ...(server === undefined ? {} : { servers: server }),
  };
  const isChosen = ({ client: { id } }: { client: { id: string } }): boolean => client?.includes(id) ?? true;
  const plan = planOf(files, gate, names, choice);
  const strange = plan.planned.find((one) => !isUnderstood(one));
  if (strange !== undefined) throw new Error(`what would be written for ${strange.server} is not understood again`);
  return { home, files: files.filter(isChosen), unread: unread.filter(isChosen), plan };
}

function apply(looked: Looked, options: InitOptions, out: Output): number {
  const named = options.client ?? [];
  // What others get too is written only where its user said so.
  const chosen = looked.plan.planned.filter(({ shared, client }) => !shared || named.includes(client.id));
  tell(looked, chosen, out);
  for (const one of looked.plan.planned.filter((planned) => !chosen.includes(planned)))
    out.note(
      `${placeText(one.file.file)} is under version control and was left as it is; to write it: portcullis init --client ${one.client.id} --yes`,
    );
  return write(looked, chosen, out);
}

function tellDry(looked: Looked, options: InitOptions, out: Output): number {
  const { planned } = looked.plan;
  tell(looked, planned, out);
  if (planned.length === 0) out.line('nothing is to do');
  else {
    out.line('');
    out.line(`nothing was written; to do it: portcullis init --yes${wordsOf(options)}`);
  }
  out.answer(answerOf(looked, planned, [], true));
  return EXIT.ok;
}

function wordsOf({ client = [], server = [] }: InitOptions): string {
  const quoted = (text: string): string => (/^[A-Za-z0-9._-]+$/.test(text) ? text : JSON.stringify(text));
  return [...client.map((id) => ` --client ${id}`), ...server.map((name) => ` --server ${quoted(name)}`)].join('');
}

function tell({ home, files, unread, plan }: Looked, chosen: readonly PlannedServer[], out: Output): void {
  for (const line of foundLines(files, unread, plan)) out.line(line);
  if (files.length === 0 && unread.length === 0) out.line('no client was found');
  if (chosen.length === 0) return;
  for (const [file, ones] of byFile(chosen)) {
    out.line('');
    const shared = ones.some((one) => one.shared) ? ', under version control' : '';
    out.line(out.style('bold', `${placeText(file)} (${visibleText(ones[0]?.client.title ?? '', 40)}${shared})`));
    for (const one of ones) {
      if (one.shadows !== undefined)
        out.line(`  ${placeText(one.shadows)} is under version control and stays; an entry of yours stands before its`);
      for (const line of changeLines(one)) out.line(line);
    }
  }
  const file = join(home.config, MANIFEST_NAME);
  const added = manifestWith(undefined, file, chosen.map(masked), undefined);
  out.line('');
  out.line(out.style('bold', `${placeText(file)} (what is not there yet of this)`));
  for (const line of added?.text.trimEnd().split('\n') ?? []) out.line(`    + ${visibleText(line, 2_000)}`);
  out.line('');
}

function byFile(planned: readonly PlannedServer[]): Map<string, PlannedServer[]> {
  const files = new Map<string, PlannedServer[]>();
  for (const one of planned) files.set(one.file.file, [...(files.get(one.file.file) ?? []), one]);
  return files;
}

async function chosenOf(planned: readonly PlannedServer[]): Promise<readonly PlannedServer[]> {
  if (planned.length === 0) return [];
  const answer = await answerTo(`put ${planned.length} server(s) behind the gate? [a]pply, [c]hoose, [q]uit: `);
  if (/^c(hoose)?$/i.test(answer)) {
    const chosen: PlannedServer[] = [];
    for (const one of planned) if (await confirmed(`${nameOf(one)}? [y/N] `)) chosen.push(one);
    return chosen;
  }
  if (!/^(a|apply|y|yes)$/i.test(answer)) return [];
  const chosen: PlannedServer[] = [];
  for (const one of planned) {
    const asked = `${nameOf(one)} is in a file under version control, which others get too. Write it? [y/N] `;
    if (!one.shared || (await confirmed(asked))) chosen.push(one);
  }
  return chosen;
}

function nameOf({ client, name, file }: PlannedServer): string {
  return `${client.title}, ${visibleText(name, 60)} in ${placeText(file.file)}`;
}

/** The manifest first: a client that is sent to the gate finds its server there. */
function write(looked: Looked, chosen: readonly PlannedServer[], out: Output): number {
  const { home } = looked;
  if (chosen.length === 0) {
    out.line('nothing is to do');
    out.answer(answerOf(looked, [], [], false));
    return EXIT.ok;
  }
  const refused: Outcome[] = [];
  const clientFiles: PlannedChange[] = [];
  for (const [file, ones] of byFile(chosen)) {
    const change = changeOfFile(ones);
    if (typeof change === 'string')
      refused.push({
        file,
        state: 'unwritten',
        problem: { text: `${file}: ${change}`, hint: 'it was left as it was' },
      });
    else clientFiles.push(change);
  }
  const writable = chosen.filter((one) => clientFiles.some(({ file }) => file === one.file.file));
  const own = writable.length === 0 ? [] : ownFiles(home, writable);
  const outcomes = [
    ...(writable.length === 0 ? [] : backupsOf(home).apply('init', [...own, ...clientFiles])),
    ...refused,
  ];
  const written = chosen.filter((one) =>
    outcomes.some(({ file, state }) => file === one.file.file && state === 'written'),
  );
  tellOutcomes(outcomes, out);
  if (written.length > 0) tellNext(home, written, out);
  out.answer(answerOf(looked, chosen, outcomes, false));
  return outcomes.every(({ state }) => state === 'written') ? EXIT.ok : EXIT.error;
}

function changeOfFile(ones: readonly PlannedServer[]): PlannedChange | string {
  const [first] = ones;
  if (first === undefined) return 'nothing is to be written';
  const { file, format, text, client } = first.file;
  let before: SeenFile | undefined;
  try {
    before = seeFile(file);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  if (before === undefined || !Buffer.from(text).equals(before.bytes))
    return 'was changed by another program since it was shown: close the client that uses it, and run init again';
  const why = whyUnwritable(before);
  if (why !== undefined) return why;
  const edits = ones.flatMap((one) => one.edits.map(({ path, value }) => ({ path: [...one.at, ...path], value })));
  const edited = editText(format, text, edits);
  if (!edited.ok) return `cannot be edited${problemText(edited)}`;
  return {
    file,
    client: client.id,
    format,
    before,
    after: Buffer.from(edited.text),
    entries: ones.map(({ server, name, at, place, edits: own }) => ({
      server,
      name,
      at,
      shape: place.shape,
      edits: own,
    })),
    broken: (bytes) => {
      const read = textOf(bytes);
      const parsed = read === undefined ? undefined : parseText(format, read);
      return parsed === undefined ? 'it is not UTF-8 text' : parsed.ok ? undefined : parsed.problem.reason;
    },
  };
}

/** The manifest and, where there are no rules yet, a file that explains them. */
function ownFiles(home: Home, planned: readonly PlannedServer[]): PlannedChange[] {
  const file = join(home.config, MANIFEST_NAME);
  // Looked at before it is read: what is written to it between the two is found when it is replaced.
  const before = seeFile(file);
  const existing = loadConfiguration(home, undefined);
  const added: Added | undefined = manifestWith(existing, file, planned, schemaAddress());
  const rules = join(dirname(file), 'policy', 'starter.cedar');
  const isThere = existing !== undefined || seeFile(rules) !== undefined;
  return [
    ...(isThere ? [] : [{ file: rules, before: undefined, after: Buffer.from(STARTER_RULES), first: true }]),
    ...(added === undefined ? [] : [{ file, before, after: Buffer.from(added.text), first: true }]),
  ];
}

function tellOutcomes(outcomes: readonly Outcome[], out: Output): void {
  for (const { file, state, problem } of outcomes) {
    if (state === 'written') out.line(`wrote ${placeText(file)}`);
    else if (problem === undefined) out.note(`${visibleText(file)} was not written, because of what came before it`);
    if (problem !== undefined) out.note(visibleText(problem.text));
    if (problem?.hint !== undefined) out.note(`hint: ${problem.hint}`);
  }
}

function tellNext(home: Home, written: readonly PlannedServer[], out: Output): void {
  out.line('');
  out.line('Nothing is allowed yet. For each server, look at what it offers, approve it, and say what is allowed:');
  const shown = new Set<string>();
  for (const { server, entry, cwd, headers } of written) {
    if (shown.has(server)) continue;
    shown.add(server);
    // Without a credential of its own a remote server asks for one.
    if (entry.kind === 'remote' && Object.keys(headers).length === 0)
      out.line(`  portcullis login ${server}        where it wants a login`);
    const where = entry.kind === 'stdio' && cwd === undefined ? ' --cwd FOLDER' : '';
    out.line(`  portcullis tools approve ${server}${where} --allow-read-only`);
  }
  if (written.some(({ entry, cwd }) => entry.kind === 'stdio' && cwd === undefined))
    out.line('  (FOLDER: where you start the client; this folder when it is left out)');
  out.line('');
  out.line('Then, so that it takes effect:');
  for (const { title, reload } of new Map(written.map(({ client }) => [client.id, client])).values())
    out.line(`  ${title}: ${reload}`);
  out.line('');
  out.line(`Backups: ${placeText(backupsOf(home).folder)}   To go back: portcullis restore --all`);
  if (process.env.PORTCULLIS_HOME !== undefined)
    out.note('PORTCULLIS_HOME is set here: clients find this installation only where it is set for them too');
  if (isInPassingCache(ownProgram()))
    out.note(
      `clients were sent to ${ownProgram()}, which a package runner may clear away: install portcullis, and run init again from there`,
    );
}

function answerOf(looked: Looked, planned: readonly PlannedServer[], outcomes: readonly Outcome[], dryRun: boolean) {
  const { files, unread, plan } = looked;
  return {
    dryRun,
    found: files.map(({ client, file, servers, problems }) => ({
      client: client.id,
      file,
      servers: servers.map(({ name }) => name),
      problems,
    })),
    unread: unread.map(({ client, file, problem }) => ({ client: client.id, file, problem })),
    changes: planned.map(changeJson),
    left: plan.left.map(({ client, file, name, state, why, hint }) => ({
      client: client.id,
      file,
      name,
      state,
      why,
      hint,
    })),
    files: outcomes.map(({ file, state, problem }) => ({ file, state, problem: problem?.text ?? null })),
    ungoverned: Object.fromEntries(files.map(({ client }) => [client.id, client.ungoverned])),
  };
}
