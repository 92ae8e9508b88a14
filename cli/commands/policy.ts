// portcullis policy check, explain, test: the deciding code itself, on the servers' real tools. Nothing is executed.

import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import { cedarLanguage } from '../../adapters/policy-engine/cedar.ts';
import { fileSystemPaths } from '../../adapters/policy-engine/path-resolver.ts';
import { assembleBundle } from '../../control-plane/policy/assemble-bundle.ts';
import { type Bundle, digestWith } from '../../control-plane/policy/bundle.ts';
import { hypotheticalRequest, parseExpectations, runExpectations } from '../../control-plane/policy/expectations.ts';
import { explain, explanationText, wholeEngine } from '../../control-plane/policy/explain.ts';
import { readHistory, STATED_HISTORY, type StatedHistory } from '../../control-plane/policy/recorded-history.ts';
import { problemText } from '../../control-plane/policy/source.ts';
import { actionId, parseActionId, TOOL_METHOD } from '../../domain/action.ts';
import type { Digest } from '../../domain/digest.ts';
import { isUlid } from '../../domain/ids.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { visibleText } from '../../domain/visible-text.ts';
import type { Payload } from '../../ledger/vault.ts';
import { DEFAULT_JSON_LIMITS } from '../../proxy/limits.ts';
import type { CallRequested, DecisionAllowed, DecisionDenied } from '../../state-machines/execution-events.ts';
import { personsEnvironment } from '../client-variables.ts';
import { type Configuration, invalid, STARTER_HINTS } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome } from '../home.ts';
import { entriesOf, findLedger, ownLedgers } from '../ledger-folder.ts';
import { loadConfiguration } from '../open-gate.ts';
import { CommandError, type Output } from '../output.ts';
import { openPayloads } from '../payloads.ts';
import { launchOf } from '../servers.ts';
import { readTools } from '../tool-definitions.ts';

export interface PolicyOptions {
  readonly config?: string;
  readonly ledger?: string;
}

interface Checked {
  readonly configuration: Configuration;
  readonly bundle: Bundle;
}

export async function policyCheck(options: PolicyOptions, out: Output): Promise<number> {
  const { configuration, bundle } = await load(options, out);
  const { file, manifest } = configuration;
  const tools = [...bundle.model.actions.values()].filter(({ method }) => method === TOOL_METHOD).length;
  const rules = [...bundle.rules.values()].map(({ id, reason, json }) => ({ id, effect: json.effect, reason }));
  out.answer({
    ok: true,
    file,
    digest: bundle.digest,
    servers: Object.keys(manifest.servers),
    tools,
    rules,
  });
  out.line(`${out.style('green', 'valid')}  ${file}: ${rules.length} rules about ${tools} tools`);
  for (const { id, effect, reason } of rules) out.line(`  ${effect.padEnd(6)}  ${id}  ${visibleText(reason, 120)}`);
  // Rules that name functions of a program alone are not among these.
  const all = Object.values(manifest.servers).every(({ inProcess }) => inProcess === undefined);
  if (all && !rules.some(({ effect }) => effect === 'permit'))
    out.note('no rule permits anything, so every call is denied');
  return EXIT.ok;
}

export async function policyTest(table: string, options: PolicyOptions, out: Output): Promise<number> {
  const { bundle } = await load(options, out);
  if (!existsSync(table)) throw new CommandError(`there is no ${table}`, EXIT.usage);
  const parsed = parseExpectations(readFileSync(table, 'utf8'), table, bundle);
  if (!parsed.ok) throw invalid(table, parsed.problems);
  const outcomes = runExpectations(bundle, parsed.expectations, wholeEngine(bundle, cedarLanguage), fileSystemPaths);
  for (const { expectation, passed, got } of outcomes) {
    const mark = passed ? out.style('green', 'pass') : out.style('red', 'FAIL');
    out.line(
      `${mark}  ${visibleText(expectation.name)}${passed ? '' : `: expected ${expectation.expect}, got ${got}`}`,
    );
  }
  const failed = outcomes.filter(({ passed }) => !passed).length;
  out.answer({
    passed: outcomes.length - failed,
    failed,
    outcomes: outcomes.map(({ expectation, passed, got }) => ({ name: expectation.name, passed, got })),
  });
  out.line(`${outcomes.length - failed} passed, ${failed} failed`);
  return failed === 0 ? EXIT.ok : EXIT.error;
}

export async function policyExplain(call: string | undefined, options: PolicyOptions, out: Output): Promise<number> {
  const home = findHome();
  if (loadConfiguration(home, options.config) === undefined) {
    throw new CommandError('no policy is installed, so every call is denied', EXIT.denied, [
      ...STARTER_HINTS,
      `it goes to ${home.config}/portcullis.yaml and ${home.config}/policy/; edit the rules there`,
    ]);
  }
  let asked =
    call === undefined ? await newestDenied(options) : isUlid(call) ? await recorded(call, options) : fromFile(call);
  const { configuration, bundle } = await load(options, out);
  const stand = standInAgent(configuration, asked.agent);
  if (stand !== undefined) {
    out.note(`the agent ${visibleText(asked.agent)} is not in the manifest; explained for ${visibleText(stand)}`);
    asked = { ...asked, agent: stand };
  }
  const request = hypotheticalRequest(configuration.manifest, asked);
  const explanation = explain(bundle, request, cedarLanguage, fileSystemPaths);
  out.answer({ call: asked, ...explanation });
  out.line(
    `${visibleText(asked.agent)} calls ${visibleText(actionId(asked.method, asked.server, asked.tool))} ${visibleText(JSON.stringify(asked.arguments), 400)}`,
  );
  for (const line of explanationText(explanation).split('\n')) out.line(visibleText(line));
  out.note('this is what the rules say now, for the files as they are now');
  return explanation.decision.decision === 'allow' ? EXIT.ok : EXIT.denied;
}

/** Manifest and rules against the tools that the servers really have. Throws a CommandError with every problem. */
async function load(options: PolicyOptions, out: Output): Promise<Checked> {
  const home = findHome();
  const configuration = loadConfiguration(home, options.config);
  if (configuration === undefined) {
    throw new CommandError(`there is no ${home.config}/portcullis.yaml`, EXIT.error, STARTER_HINTS);
  }
  const { manifest, file, source, policies } = configuration;
  const environment = personsEnvironment(home);
  const launches = await Promise.all(
    Object.entries(manifest.servers)
      .filter(([, { inProcess }]) => inProcess === undefined)
      .map(([name, server]) => launchOf(name, server, dirname(file), process.cwd(), environment(name))),
  );
  // What a program serves is there when it runs: until then rules about it are read, and their names are not looked up.
  for (const [name, { inProcess }] of Object.entries(manifest.servers))
    if (inProcess !== undefined) out.note(`the tools of ${name} are functions of a program and are not looked at here`);
  const tools = await readTools(launches, home, configuration, out);
  const assembled = assembleBundle({ manifest: source, policies, tools }, cedarLanguage, digestWith(sha256));
  if (!assembled.ok) {
    out.answer({ ok: false, problems: assembled.problems });
    if (out.json) return Promise.reject(new CommandError(assembled.problems.map(problemText).join('; ')));
    throw invalid(file, assembled.problems);
  }
  return { configuration, bundle: assembled.bundle };
}

/** A call of a first run was made before there were agents: the only local one is who would make it now. */
function standInAgent({ manifest }: Configuration, agent: string): string | undefined {
  if (Object.hasOwn(manifest.agents, agent)) return undefined;
  const local = Object.entries(manifest.agents).filter(([, { auth }]) => auth === 'local');
  return local.length === 1 ? local[0]?.[0] : undefined;
}

interface AskedCall {
  readonly agent: string;
  readonly method: string;
  readonly server: string;
  readonly tool: string;
  readonly arguments: { [key: string]: Json };
  /** What was done before. */
  readonly history?: StatedHistory | undefined;
}

function fromFile(file: string): AskedCall {
  if (!existsSync(file))
    throw new CommandError(`"${visibleText(file)}" is neither the id of a call nor a file`, EXIT.usage, [
      'portcullis log shows the ids',
    ]);
  const parsed = parseStrictJson(readFileSync(file), DEFAULT_JSON_LIMITS);
  if (!parsed.ok) throw new CommandError(`${file}: ${parsed.reason} at byte ${parsed.offset}`, EXIT.usage);
  const { value } = parsed;
  const call: JsonObject = isJsonObject(value) ? value : {};
  const { agent, action, server, tool, arguments: args = {} } = call;
  const history = STATED_HISTORY.safeParse(call.history ?? {});
  const named = { method: TOOL_METHOD, server, tool };
  const target = typeof action === 'string' ? parseActionId(action) : named;
  if (
    typeof agent !== 'string' ||
    typeof target?.server !== 'string' ||
    typeof target.tool !== 'string' ||
    !isJsonObject(args) ||
    !history.success
  ) {
    throw new CommandError(`${file} is not a call`, EXIT.usage, [
      'write {"agent": "...", "server": "...", "tool": "...", "arguments": {...}}',
      'or name a method of a server: {"agent": "...", "action": "server:resources/read", "arguments": {...}}',
    ]);
  }
  const { method, server: callee, tool: called } = target;
  const stated = call.history === undefined ? {} : { history: history.data };
  return { agent, method, server: callee, tool: called, arguments: { ...args }, ...stated };
}

async function recorded(call: string, options: PolicyOptions): Promise<AskedCall> {
  const ledgers = options.ledger === undefined ? ownLedgers() : [findLedger(options.ledger)];
  for (const ledger of ledgers) {
    const entry = (await entriesOf(ledger)).find((one) => one.call === call);
    if (entry === undefined) continue;
    const [requested, decided] = (entry.events ?? []) as unknown as (
      | CallRequested
      | DecisionAllowed
      | DecisionDenied
    )[];
    if (requested?.type !== 'call.requested' || requested.args === null) {
      throw new CommandError(`${call} was refused before it was a call of a tool: no rule was asked`, EXIT.error, [
        `portcullis log --call ${call}`,
      ]);
    }
    const payloads = await openPayloads(ledger, entry);
    const payload = payloads?.get(requested.args.commitment);
    if (payload === undefined) throw new CommandError('the arguments of that call are not in the vault', EXIT.error);
    const args = JSON.parse(Buffer.from(payload.bytes).toString()) as JsonObject;
    return {
      agent: requested.principal.agent,
      method: requested.method,
      server: requested.server ?? '',
      tool: requested.tool ?? '',
      arguments: { ...args },
      ...historyIn(decided, payloads),
    };
  }
  throw new CommandError(`no ledger here has the call ${call}`, EXIT.error, [
    'name the ledger: --ledger DIR',
    'portcullis log shows the ids',
  ]);
}

/** What was known of earlier calls when it was decided. */
function historyIn(
  decided: CallRequested | DecisionAllowed | DecisionDenied | undefined,
  payloads: ReadonlyMap<Digest, Payload> | undefined,
): Pick<AskedCall, 'history'> {
  const isDecision = decided?.type === 'decision.allowed' || decided?.type === 'decision.denied';
  const payload = isDecision && decided.input !== undefined ? payloads?.get(decided.input.commitment) : undefined;
  if (payload === undefined) return {};
  const history = readHistory((JSON.parse(Buffer.from(payload.bytes).toString()) as JsonObject).history);
  return history === undefined
    ? {}
    : { history: { ...history, agentUsed: [...history.agentUsed], chainUsed: [...history.chainUsed] } };
}

/** Without a call: the last one that was denied, which is what a user asks about most. */
async function newestDenied(options: PolicyOptions): Promise<AskedCall> {
  const ledgers = options.ledger === undefined ? ownLedgers() : [findLedger(options.ledger)];
  for (const ledger of ledgers) {
    const denied = (await entriesOf(ledger)).filter((entry) => {
      const [first] = (entry.events ?? []) as unknown as CallRequested[];
      return entry.type === 'call.denial' && first?.type === 'call.requested' && first.args !== null;
    });
    const call = denied.at(-1)?.call;
    if (typeof call === 'string') return recorded(call, options);
  }
  throw new CommandError('no call was denied yet', EXIT.usage, ['name a call: portcullis policy explain CALL-ID']);
}
