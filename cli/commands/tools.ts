// portcullis tools: what the servers of a manifest say that they are, shown whole; approved by a person, or taken back.

import { userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import type { Means } from '../../adapters/integrity/environment-of.ts';
import { changesBetween, definitionDigest, type ServerDefinition } from '../../control-plane/integrity/definition.ts';
import type { EnvironmentDifference } from '../../control-plane/integrity/environment.ts';
import { lookAlikes, type NamedServer } from '../../control-plane/integrity/look-alikes.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { visibleText } from '../../domain/visible-text.ts';
import type { ServerDescription } from '../../proxy/tool-server.ts';
import { allowOf } from '../allowing.ts';
import { type Approval, Approvals, approvalFor } from '../approvals.ts';
import { confirmed, mayAsk } from '../asking.ts';
import { measuringMeans } from '../attestations.ts';
import { personsEnvironment } from '../client-variables.ts';
import { type Configuration, STARTER_HINTS } from '../configuration.ts';
import { existingCredentials } from '../credentials.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome, gateFolder, type Home } from '../home.ts';
import { registerKeys } from '../key-registry.ts';
import { openKeys } from '../ledger.ts';
import { readDefinition } from '../live-definition.ts';
import { differencesSince, type MeasuredLaunch, measureForApproval } from '../measured-launch.ts';
import { loadConfiguration } from '../open-gate.ts';
import { tellGates } from '../operated-gates.ts';
import { CommandError, type Output, reasonOf } from '../output.ts';
import { RememberedDescriptions } from '../remembered-descriptions.ts';
import { reviewSandbox } from '../review-sandbox.ts';
import { changeLines, definitionLines, lookAlikeLine, marksOf } from '../review-text.ts';
import { launchOf, type ServerLaunch } from '../servers.ts';
import { type ShownKeys, shownKeyLines, shownKeys } from '../shown-keys.ts';
import { type Allowing, chosenTools } from '../starter-rules.ts';

export interface ToolsOptions {
  readonly config?: string;
  /** Where servers are started that the manifest starts nowhere in particular. */
  readonly cwd?: string;
}

export interface ApproveOptions extends ToolsOptions, Allowing {
  readonly digest?: readonly string[];
}

type State = 'approved' | 'unapproved' | 'changed' | 'unreachable';

/** A server as it is now, beside what was approved of it. */
export interface Reviewed {
  readonly launch: ServerLaunch;
  readonly state: State;
  readonly live: ServerDefinition | undefined;
  /** How it introduced itself; undefined for one that was not asked. */
  readonly introduction?: ServerDescription | undefined;
  readonly digest: string | undefined;
  /** For this way to it; or, where there is none, for the last other one. */
  readonly approval: Approval | undefined;
  readonly approved: ServerDefinition | undefined;
  readonly problem: string | undefined;
  /** What it runs, as it was just before it was asked; undefined for one that is no process. */
  readonly measured?: MeasuredLaunch | undefined;
  /** How that differs from what was approved. */
  readonly ran?: readonly EnvironmentDifference[];
  /** Null for one that showed no key. */
  readonly tls?: ShownKeys | null;
}

export async function toolsReview(servers: readonly string[], options: ToolsOptions, out: Output): Promise<number> {
  const { all, chosen } = await lookAt(servers, options, out);
  for (const one of chosen) tell(one, all, out, true);
  out.answer({ servers: chosen.map((one) => reviewJson(one, all)) });
  return chosen.some(({ state }) => state === 'unreachable') ? EXIT.error : EXIT.ok;
}

export async function toolsDiff(servers: readonly string[], options: ToolsOptions, out: Output): Promise<number> {
  const { approvals, all, chosen } = await lookAt(servers, options, out);
  const answers: object[] = [];
  for (const one of chosen) {
    const seen = one.approval?.drift ? await approvals.definition(one.approval.drift.definition) : undefined;
    out.line(headOf(one, out));
    if (one.problem !== undefined) out.line(`    ${one.problem}`);
    if (one.approved === undefined) out.line('    nothing is approved that it could be compared with');
    else {
      if (one.live !== undefined) for (const line of changeLines(one.approved, one.live, out.style)) out.line(line);
      tellRan(one, out);
      if (seen !== undefined && one.approval?.drift) {
        out.line(`    what a gate saw at ${new Date(one.approval.drift.at).toISOString()}:`);
        for (const line of changeLines(one.approved, seen, out.style)) out.line(line);
      }
    }
    const changes = one.approved && one.live ? changesBetween(one.approved, one.live) : undefined;
    const saw = one.approved && seen ? changesBetween(one.approved, seen) : undefined;
    answers.push({
      ...reviewJson(one, all),
      approved: one.approved ?? null,
      changes: changes ?? null,
      ran: one.ran ?? [],
      saw: saw ?? null,
    });
  }
  out.answer({ servers: answers });
  return chosen.every(({ state }) => state === 'approved') ? EXIT.ok : EXIT.error;
}

export async function toolsApprove(servers: readonly string[], options: ApproveOptions, out: Output): Promise<number> {
  const { digest: digests = [] } = options;
  const interactive = mayAsk(out);
  const isAsked = options.allow !== undefined || options.allowReadOnly === true;
  if (digests.length === 0 && !interactive && !isAsked) {
    throw new CommandError('nobody can be asked here, so say which definition is approved', EXIT.usage, [
      'look at it: portcullis tools review',
      'then: portcullis tools approve SERVER --digest sha256:...',
    ]);
  }
  const looked = await lookAt(servers, options, out);
  const waiting = servers.length > 0 ? looked.chosen : looked.chosen.filter(({ state }) => state !== 'approved');
  if (waiting.length === 0) out.line('nothing waits for approval');
  // Before anything is approved: a name that is wrong is one of another server, perhaps.
  for (const { launch, live } of waiting) if (live !== undefined) chosenTools(launch.name, live, options);
  const done: object[] = [];
  let failed = 0;
  for (const one of waiting) {
    const { launch, live } = one;
    const { name } = launch;
    // What is approved already is not asked for once more where only rules are wanted.
    const isDone = one.state === 'approved' && isAsked && digests.length === 0;
    const outcome = isDone ? { approved: true } : await approveOne(one, looked, { digests, interactive, out });
    if (outcome.approved === false) failed += 1;
    const allowed = outcome.approved ? await allowOf(name, live, options, interactive, out) : {};
    done.push({ server: name, digest: one.digest ?? null, tls: one.tls ?? null, ...outcome, ...allowed });
  }
  await tellGates(looked.home, (text) => out.note(text));
  out.answer({ servers: done });
  return failed === 0 ? EXIT.ok : EXIT.error;
}

export async function toolsRevoke(servers: readonly string[], out: Output): Promise<number> {
  const home = findHome();
  const approvals = await openApprovals(home);
  const done: object[] = [];
  let none = 0;
  for (const server of servers) {
    const revoked = await approvals.revoke(server);
    if (revoked.length === 0) none += 1;
    done.push({ server, revoked: revoked.length });
    const name = visibleText(server, 80);
    out.line(revoked.length === 0 ? `${name}  was not approved` : `${name}  is not approved any more`);
  }
  await tellGates(home, (text) => out.note(text));
  out.answer({ servers: done });
  return none === 0 ? EXIT.ok : EXIT.error;
}

interface Looked {
  readonly means: Means;
  readonly home: Home;
  readonly configuration: Configuration;
  readonly approvals: Approvals;
  readonly all: readonly Reviewed[];
  readonly chosen: readonly Reviewed[];
}

async function lookAt(servers: readonly string[], { config, cwd }: ToolsOptions, out: Output): Promise<Looked> {
  const home = findHome();
  const configuration = loadConfiguration(home, config);
  if (configuration === undefined) {
    throw new CommandError(`there is no ${home.config}/portcullis.yaml`, EXIT.usage, [
      'name one with --config FILE',
      ...STARTER_HINTS,
    ]);
  }
  const { manifest, file } = configuration;
  for (const name of servers) {
    if (!Object.hasOwn(manifest.servers, name)) {
      throw new CommandError(`${file} lists no server "${visibleText(name, 80)}"`, EXIT.usage, [
        `servers: ${Object.keys(manifest.servers).join(', ')}`,
      ]);
    }
  }
  const approvals = await openApprovals(home);
  const folder = cwd === undefined ? process.cwd() : resolve(cwd);
  const environment = personsEnvironment(home);
  const launches = await Promise.all(
    Object.entries(manifest.servers)
      .filter(([, { inProcess }]) => inProcess === undefined)
      .map(([name, server]) => launchOf(name, server, dirname(file), folder, environment(name))),
  );
  // Those that nobody asked for are looked at as they were approved: names are compared with theirs.
  const isChosen = ({ name }: ServerLaunch): boolean => servers.length === 0 || servers.includes(name);
  const { approvals: known } = await approvals.read();
  const means = measuringMeans(home.state, vaultKey(home));
  const all = await Promise.all(
    launches.map((launch) =>
      reviewed(launch, { approvals, known, home, configuration, means, out, isChosen: isChosen(launch) }),
    ),
  );
  return { means, home, configuration, approvals, all, chosen: all.filter(({ launch }) => isChosen(launch)) };
}

async function reviewed(
  launch: ServerLaunch,
  {
    approvals,
    known,
    home,
    configuration,
    means,
    out,
    isChosen,
  }: {
    approvals: Approvals;
    known: readonly Approval[];
    home: Home;
    configuration: Configuration;
    means: Means;
    out: Output;
    isChosen: boolean;
  },
): Promise<Reviewed> {
  const approval =
    approvalFor(known, launch.name, launch.description) ??
    known.filter(({ server }) => server === launch.name).sort((a, b) => b.number - a.number)[0];
  const approved = approval === undefined ? undefined : await approvals.definition(approval.definition);
  const common = { launch, approval, approved };
  if (!isChosen)
    return { ...common, state: 'approved', live: approved, digest: approval?.definition, problem: undefined };
  out.note(`starting ${launch.name} to read what it is`);
  try {
    const measured = await measuredNow(launch, home, means);
    if (measured?.installed !== undefined)
      out.note(`installed ${measured.installed.name} ${measured.installed.version}: that copy is what runs`);
    let tls: ShownKeys | null = null;
    let introduction: ServerDescription | undefined;
    const live = await readHere(launch, measured, home, configuration, out, ({ tlsKeys = [], description }) => {
      tls = shownKeys(launch.description, tlsKeys);
      introduction = description;
    });
    const digest = definitionDigest(sha256, live);
    const ran = approval === undefined ? [] : (differencesSince(approval.environment, measured?.record) ?? []);
    const wasMeasured = measured === undefined || approval?.environment !== null;
    const isSame = approval?.definition === digest && approval.drift === null && ran.length === 0 && wasMeasured;
    return {
      ...common,
      state: approval === undefined ? 'unapproved' : isSame ? 'approved' : 'changed',
      live,
      introduction,
      digest,
      measured,
      ran,
      tls,
      problem: undefined,
    };
  } catch (error) {
    return { ...common, state: 'unreachable', live: undefined, digest: undefined, problem: reasonOf(error) };
  }
}

function measuredNow(launch: ServerLaunch, home: Home, means: Means): Promise<MeasuredLaunch | undefined> {
  return measureForApproval(launch, home.state, means);
}

function vaultKey(home: Home): Uint8Array {
  return openKeys(gateFolder(home, 'any').keys).vault;
}

/** In the sandbox that the manifest demands, and with the token that was consented to. */
async function readHere(
  launch: ServerLaunch,
  measured: MeasuredLaunch | undefined,
  home: Home,
  configuration: Configuration,
  out: Output,
  onRead?: Parameters<typeof readDefinition>[2],
): Promise<ServerDefinition> {
  const { maker: sandbox, close } = await reviewSandbox(launch, home, configuration, (text) => out.note(text));
  try {
    const { guard } = measured ?? {};
    return await readDefinition(launch, { credentials: existingCredentials(home), sandbox, guard }, onRead);
  } finally {
    await close();
  }
}

async function approveOne(
  one: Reviewed,
  { all, approvals, home, configuration, means }: Looked,
  { digests, interactive, out }: { digests: readonly string[]; interactive: boolean; out: Output },
): Promise<{ approved: boolean; problem?: string }> {
  const { launch, live, digest } = one;
  const refused = (problem: string): { approved: false; problem: string } => {
    out.note(`server ${launch.name}: ${problem}`);
    return { approved: false, problem };
  };
  if (live === undefined || digest === undefined) return refused(one.problem ?? 'it could not be asked');
  const isNamed = digests.includes(digest);
  if (!isNamed && !interactive && digests.length > 0) return refused(`it is ${digest}, and that was not approved`);
  if (!isNamed && !interactive) {
    const look = `look at it: portcullis tools review ${launch.name}; then approve exactly that with --digest ${digest}`;
    return refused(`it is not approved, and nobody can be asked here; ${look}`);
  }
  if (!isNamed) {
    tell(one, all, out, one.approved === undefined);
    if (one.approved !== undefined) for (const line of changeLines(one.approved, live, out.style)) out.line(line);
    tellRan(one, out);
    if (!(await confirmed(`approve ${launch.name} as ${digest}? [y/N] `))) return refused('not approved');
  }
  // What was shown is what is approved: a server that says something else by now is not.
  const now = isNamed ? live : await readHere(launch, one.measured, home, configuration, out).catch(() => undefined);
  if (now === undefined || definitionDigest(sha256, now) !== digest)
    return refused('it is not what was shown any more, and was not approved');
  const measured = await measuredNow(launch, home, means).catch(() => undefined);
  if (canonicalJson(measured?.record ?? null) !== canonicalJson(one.measured?.record ?? null))
    return refused('its files are not what they were when it was asked, and it was not approved');
  await approvals.approve(launch.name, live, { by: userName(), environment: measured?.record ?? null });
  if (one.introduction !== undefined) {
    const { approvals: standing } = await approvals.read();
    const approval = () => approvalFor(standing, launch.name, launch.description);
    new RememberedDescriptions(home.state, vaultKey(home), approvals, approval).put(launch, one.introduction);
  }
  out.line(`${launch.name}  approved as ${digest}`);
  if (isNamed && one.tls) for (const line of shownKeyLines(one.tls)) out.line(line);
  return { approved: true };
}

function tell(one: Reviewed, all: readonly Reviewed[], out: Output, isWhole: boolean): void {
  out.line(headOf(one, out));
  if (one.problem !== undefined) out.line(`    ${one.problem}`);
  if (one.live === undefined) return;
  out.line(`    digest ${one.digest}`);
  if (one.tls) for (const line of shownKeyLines(one.tls)) out.line(line);
  const marks = marksOf(one.live);
  if (marks.length > 0) {
    const kinds = [...new Set(marks.map(({ kind }) => kind))].sort().join(', ');
    out.line(
      out.style('red', `    ${marks.length} character(s) that deceive or cannot be seen, marked below: ${kinds}`),
    );
  }
  for (const alike of alikeIn(one, all)) out.line(out.style('yellow', `    ${lookAlikeLine(alike)}`));
  if (isWhole) for (const line of definitionLines(one.live)) out.line(line);
}

/** Whatever it says of itself: what runs is not what ran. */
function tellRan({ launch, ran = [] }: Reviewed, out: Output): void {
  for (const { item, what } of ran)
    out.line(out.style('red', `    what it runs: ${visibleText(item, 400)}: ${visibleText(what, 400)}`));
  if (ran.length > 0) out.line(`    file by file: portcullis integrity ${launch.name}`);
}

function headOf({ launch, state, approval }: Reviewed, out: Output): string {
  const since =
    approval === undefined
      ? ''
      : `, approved ${new Date(approval.at).toISOString()} by ${visibleText(approval.by, 80)}`;
  const drifted = approval?.drift ? ', set aside' : '';
  return out.style('bold', `server ${launch.name}: ${state}${drifted}${since}`);
}

function alikeIn(one: Reviewed, all: readonly Reviewed[]) {
  const named = all.flatMap(({ launch, live }): NamedServer[] =>
    live === undefined ? [] : [{ server: launch.name, definition: live }],
  );
  const self = named.find(({ server }) => server === one.launch.name);
  return self === undefined ? [] : lookAlikes(self, named);
}

function reviewJson(one: Reviewed, all: readonly Reviewed[]): object {
  const { launch, state, live, digest, approval, problem, tls = null } = one;
  return {
    server: launch.name,
    state,
    digest: digest ?? null,
    definition: live ?? null,
    marks: live === undefined ? [] : marksOf(live),
    lookAlikes: alikeIn(one, all),
    approval: approval ?? null,
    tls,
    ...(problem === undefined ? {} : { problem }),
  };
}

async function openApprovals(home: Home): Promise<Approvals> {
  const keys = openKeys(gateFolder(home, 'any').keys);
  await registerKeys(home, keys);
  return new Approvals(home.state, keys.vault);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
