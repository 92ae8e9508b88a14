// A table of expectations about a policy: calls and the decisions they must get. It tests rules on the real deciding code without running
// any tool.

import { z } from 'zod';
import { actionId, parseActionId, TOOL_METHOD } from '../../domain/action.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { DENIALS } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import { ulid } from '../../domain/ids.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { rootLineage } from '../../domain/lineage.ts';
import type { AuthorizationRequest } from '../authorization.ts';
import type { Bundle } from './bundle.ts';
import { type Decision, decide } from './decide.ts';
import type { Manifest } from './manifest.ts';
import { issueProblems } from './manifest-problems.ts';
import { nearest } from './nearest.ts';
import type { PathResolver, PolicyEngine } from './ports.ts';
import { historyWith, STATED_HISTORY, type StatedHistory } from './recorded-history.ts';
import type { Problem } from './source.ts';
import { readYaml } from './yaml-document.ts';

const text = z.string().min(1).max(4096);

const TABLE = z
  .array(
    z.strictObject({
      name: text,
      agent: text,
      /** `server/tool` or `server:method`. */
      action: text.optional(),
      /** The other way to name a tool; `tool` is the name of the tool. */
      server: text.optional(),
      tool: text.optional(),
      /** The arguments of the tool, or the params of the method without `_meta`. */
      arguments: z.record(z.string(), z.json()).default({}),
      /** What was done before; where the manifest asks for it and nothing is said, the agent does what it always does. */
      history: STATED_HISTORY.optional(),
      /** `allow`, `deny`, or the code of a denial. */
      expect: text,
      /** The rule that must have decided. */
      by: text.optional(),
    }),
  )
  .min(1);

type Row = z.output<typeof TABLE>[number];

export interface Expectation extends HypotheticalCall {
  readonly name: string;
  readonly expect: string;
  readonly by?: string | undefined;
}

/** A call that nobody makes. */
export interface HypotheticalCall {
  readonly agent: string;
  /** `tools/call` where none is named. */
  readonly method?: string;
  readonly server: string;
  readonly tool: string;
  readonly arguments: { [key: string]: Json };
  readonly history?: StatedHistory | undefined;
}

export type ExpectationsResult =
  | { readonly ok: true; readonly expectations: readonly Expectation[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Parses a table. An expectation about an agent, tool, rule or code that does not exist is a problem, not a pass. */
export function parseExpectations(source: string, fileName: string, bundle: Bundle): ExpectationsResult {
  const read = readYaml(source, fileName);
  if (!read.ok) return read;
  const parsed = TABLE.safeParse(read.document.value);
  if (!parsed.success) return { ok: false, problems: issueProblems(parsed.error.issues, TABLE, read.document) };
  const problems: Problem[] = [];
  const expectations: Expectation[] = [];
  const known = (path: (string | number)[], what: string, word: string, words: Iterable<string>): void => {
    const all = [...words];
    if (all.includes(word)) return;
    problems.push(read.document.problem(path, `there is no ${what} "${word}"`, { suggestion: nearest(word, all) }));
  };
  for (const [index, one] of parsed.data.entries()) {
    known([index, 'agent'], 'agent', one.agent, Object.keys(bundle.manifest.agents));
    known([index, 'expect'], 'outcome', one.expect, ['allow', 'deny', ...Object.keys(DENIALS)]);
    const target = targetOf(one);
    if (target === undefined) {
      const message = 'what is called is named in one way: action (server/tool or server:method), or server and tool';
      problems.push(read.document.problem([index], message));
      continue;
    }
    if (one.expect !== 'TOOL_UNKNOWN') {
      const what = target.method === TOOL_METHOD ? 'tool' : 'method';
      const id = actionId(target.method, target.server, target.tool);
      known([index, one.action === undefined ? 'tool' : 'action'], what, id, bundle.model.actions.keys());
    }
    const { name, agent, arguments: args, history, expect, by } = one;
    expectations.push({ name, agent, ...target, arguments: args, history, expect, by });
    const { history: asked } = bundle.manifest;
    if (history !== undefined && asked === undefined)
      problems.push(read.document.problem([index, 'history'], 'the manifest does not ask for history'));
    for (const fact of ['agentUsed', 'chainUsed'] as const)
      for (const [at, group] of (history?.[fact] ?? []).entries())
        known([index, 'history', fact, at], 'group that is asked about', group, Object.keys(asked?.used ?? {}));
    if (one.by !== undefined) known([index, 'by'], 'rule', one.by, bundle.rules.keys());
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, expectations };
}

/** What a row is about; undefined where it does not say, or says it twice. */
function targetOf({ action, server, tool }: Row): ReturnType<typeof parseActionId> {
  if (action !== undefined) return server === undefined && tool === undefined ? parseActionId(action) : undefined;
  return server === undefined || tool === undefined ? undefined : { method: TOOL_METHOD, server, tool };
}

export interface ExpectationOutcome {
  readonly expectation: Expectation;
  readonly decision: Decision;
  readonly passed: boolean;
  /** What came instead: `allow by x`, `POLICY_NO_PERMIT`. */
  readonly got: string;
}

/** Decides every call of the table. May throw what the engine throws. */
export function runExpectations(
  bundle: Bundle,
  expectations: readonly Expectation[],
  engine: PolicyEngine,
  resolver: PathResolver,
): ExpectationOutcome[] {
  return expectations.map((expectation) => {
    const decision = decide(bundle, hypotheticalRequest(bundle.manifest, expectation), engine, resolver);
    const outcome = decision.decision === 'allow' ? 'allow' : decision.code;
    const expected = expectation.expect === outcome || expectation.expect === decision.decision;
    const ruled = expectation.by === undefined || decision.by.includes(expectation.by);
    const by = decision.by.length === 0 ? '' : ` by ${decision.by.join(', ')}`;
    return { expectation, decision, passed: expected && ruled, got: `${outcome}${by}` };
  });
}

const NOTHING: Digest = `sha256:${'A'.repeat(43)}`;

/** A call that nobody makes: what an agent of the manifest would ask, to be decided but never executed. */
export function hypotheticalRequest(manifest: Manifest, call: HypotheticalCall): AuthorizationRequest {
  const agent = Object.hasOwn(manifest.agents, call.agent) ? manifest.agents[call.agent] : undefined;
  const server = Object.hasOwn(manifest.servers, call.server) ? manifest.servers[call.server] : undefined;
  const id = ulid(0, new Uint8Array(10));
  const args: JsonObject = call.arguments;
  return {
    call: id,
    at: 0,
    principal: {
      agent: call.agent,
      roles: agent?.roles ?? [],
      root: agent?.root ?? true,
      authentication: 'local',
      connection: NOTHING,
    },
    method: call.method ?? TOOL_METHOD,
    server: call.server,
    tool: call.tool,
    argumentsJson: canonicalJson(args),
    args: NOTHING,
    req: NOTHING,
    definition: NOTHING,
    attestation: NOTHING,
    lineage: rootLineage(id),
    governance: { state: 'normal', epoch: 1, revocation: 0, boot: id },
    limits: {
      timeoutMs: server?.limits.timeoutMs ?? 1,
      outputBytes: server?.limits.outputBytes ?? 1,
    },
    ...(manifest.history === undefined ? {} : { history: historyWith(call.history) }),
  };
}
