// One decision: facts, context, engine, answer. A pure function of the request, the bundle and what the file system said about paths.
// It allows only when a rule permits, none forbids and none failed; everything else is a denial with its own code.

import { actionId } from '../../domain/action.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { DenialCode } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Authorization, AuthorizationRequest, CallLimits } from '../authorization.ts';
import { permits } from '../lineage/scope.ts';
import { readArguments } from './arguments.ts';
import type { Bundle } from './bundle.ts';
import { agentRef, encodeContext } from './context.ts';
import { extractFacts } from './facts.ts';
import { CONTEXT_BYTES_MAX } from './limits.ts';
import type { Obligations } from './lint.ts';
import type { EngineAnswer, EngineEntity, EngineQuestion, PathResolver, PolicyEngine } from './ports.ts';
import type { ActionModel } from './schema.ts';

/** An authorization before its permit is signed. */
export type Decision = Omit<Extract<Authorization, { decision: 'allow' }>, 'permit'> | Denied;
export type Denied = Extract<Authorization, { decision: 'deny' }>;

/** A request as the engine will be asked about it. */
export type Posed =
  | { readonly ok: true; readonly tool: ActionModel; readonly question: EngineQuestion; readonly inputJson: string }
  | { readonly ok: false; readonly denied: Denied };

/** Decides one request. Throws only what the engine throws; then the engine must be replaced and the request denied. */
export function decide(
  bundle: Bundle,
  request: AuthorizationRequest,
  engine: PolicyEngine,
  resolver: PathResolver,
): Decision {
  const posed = pose(bundle, request, resolver);
  return posed.ok ? conclude(bundle, request, posed.inputJson, engine.evaluate(posed.question)) : posed.denied;
}

/** Turns a request into a question, or refuses it before the engine is asked. */
export function pose(bundle: Bundle, request: AuthorizationRequest, resolver: PathResolver): Posed {
  const { manifest, model } = bundle;
  const refuse = (code: DenialCode, detail?: string): Posed => ({
    ok: false,
    denied: denied(code, bundle.digest, detail),
  });
  const { agent: name } = request.principal;
  const agent = Object.hasOwn(manifest.agents, name) ? manifest.agents[name] : undefined;
  if (agent === undefined) return refuse('POLICY_NO_PERMIT', 'the manifest has no such agent');
  const roles = [...agent.roles].sort();
  if (
    canonicalJson(roles) !== canonicalJson([...request.principal.roles].sort()) ||
    agent.root !== request.principal.root
  ) {
    // The connection was established under an older manifest.
    return refuse('GOV_EPOCH_MISMATCH', 'the agent has other roles now');
  }
  const { lineage } = request;
  const { agents: above = [], scopes = [] } = lineage;
  if ((lineage.parent === null) !== (above.length === 0) || (lineage.parent === null) !== (lineage.depth === 0)) {
    return refuse('LINEAGE_CONTINUITY', 'the agents of this chain are not known');
  }
  if (lineage.parent === null && !agent.root) return refuse('LINEAGE_NOT_ROOT');
  const tool = model.actions.get(actionId(request.method, request.server, request.tool));
  // A method that is asked under another name is none of ours.
  if (tool === undefined || tool.tool !== request.tool) return refuse('TOOL_UNKNOWN');
  const args = readArguments(request.argumentsJson, tool.input);
  if (!args.ok) return refuse(args.denial.code, args.denial.detail);
  const { server, method } = request;
  // The registry looked at the spelling of paths; here is seen where they lead.
  if (!scopes.every((scope) => permits(scope, { server, method, tool: request.tool, args: args.args }, resolver)))
    return refuse('LINEAGE_SCOPE');
  const facts = extractFacts(tool.facts, args.args, resolver);
  if (!facts.ok) return refuse(facts.denial.code, facts.denial.detail);
  if (manifest.history !== undefined && request.history === undefined)
    return refuse('FACT_UNAVAILABLE', 'what was done before is not known');
  const circumstances = {
    facts: facts.facts,
    depth: lineage.depth,
    rootAgent: above[0] ?? name,
    path: [...above, name],
    approvals: [],
    state: request.governance.state,
    epoch: request.governance.epoch,
    history: manifest.history === undefined ? undefined : request.history,
  };
  const encoded = encodeContext(model.namespace, tool.input, args.args, circumstances, argumentReader(bundle, tool));
  if (!encoded.ok) return refuse(encoded.denial.code, encoded.denial.detail);
  if (isTooLarge(bundle, tool, request.argumentsJson, encoded.context)) {
    return refuse('ARG_INVALID', 'what the rules read of the arguments is too large');
  }
  const { input: _input, ...seen } = encoded.context;
  return {
    ok: true,
    tool,
    question: questionOf(bundle, tool, { agent: name, roles }, above, encoded.context),
    inputJson: canonicalJson({ ...seen, principal: { agent: name, roles } }),
  };
}

/** Which arguments of a tool the rules that can concern it read. */
export function argumentReader(bundle: Bundle, tool: ActionModel): (argument: string) => boolean {
  const slice = bundle.slices.get(tool.action);
  return (argument) => slice === undefined || slice.readsInput(argument);
}

/** Only what rules read counts: a rule about the size of a text need not read the text. Small arguments are not measured twice. */
function isTooLarge(bundle: Bundle, tool: ActionModel, argumentsJson: string, context: JsonObject): boolean {
  if (argumentsJson.length <= CONTEXT_BYTES_MAX / 4) return false;
  const read = bundle.slices.get(tool.action)?.project(context) ?? context;
  return canonicalJson(read).length > CONTEXT_BYTES_MAX;
}

/** The question about one call, with every entity that a rule can reach. `above`: the agents of the chain. */
export function questionOf(
  { model: { namespace }, manifest }: Bundle,
  tool: ActionModel,
  caller: { readonly agent: string; readonly roles: readonly string[] },
  above: readonly string[],
  context: JsonObject,
): EngineQuestion {
  const principal = agentRef(namespace, caller.agent);
  const resource = { type: `${namespace}::Server`, id: tool.server };
  const entity = (agent: string, roles: readonly string[]): EngineEntity => ({
    uid: agentRef(namespace, agent),
    parents: roles.map((role) => ({ type: `${namespace}::Role`, id: role })),
  });
  // An agent of another gate has no roles here.
  const rolesOf = (agent: string): readonly string[] =>
    Object.hasOwn(manifest.agents, agent) ? (manifest.agents[agent]?.roles ?? []) : [];
  const others = [...new Set(above)].filter((agent) => agent !== caller.agent);
  return {
    principal,
    action: { type: `${namespace}::Action`, id: tool.action },
    resource,
    context,
    // Roles and servers have neither attributes nor parents, so leaving them out changes nothing and cannot fail.
    entities: [entity(caller.agent, caller.roles), ...others.map((agent) => entity(agent, rolesOf(agent)))],
  };
}

/** What an engine's answer means. */
export function conclude(
  bundle: Bundle,
  request: Pick<AuthorizationRequest, 'limits'>,
  inputJson: string,
  answer: EngineAnswer,
): Decision {
  if (!answer.ok) return { ...denied('POLICY_ERROR', bundle.digest, answer.message), inputJson };
  const by = [...answer.reasons].sort();
  if (answer.errors.length > 0) {
    const failed = answer.errors.map(({ id }) => id).sort();
    const message = answer.errors[0]?.message ?? '';
    return { decision: 'deny', code: 'POLICY_ERROR', by: failed, detail: message, policy: bundle.digest, inputJson };
  }
  if (!answer.allow) {
    const code = by.length > 0 ? 'POLICY_FORBID' : 'POLICY_NO_PERMIT';
    return { decision: 'deny', code, by, policy: bundle.digest, inputJson };
  }
  const rules = by.map((id) => bundle.rules.get(id));
  // An allow without a rule of this bundle behind it is not an allow.
  if (rules.length === 0 || rules.some((rule) => rule?.json.effect !== 'permit')) {
    return { ...denied('POLICY_ERROR', bundle.digest, 'the engine named no permit of this bundle'), inputJson };
  }
  const obligations = rules.map((rule) => rule?.obligations ?? {});
  return {
    decision: 'allow',
    policy: bundle.digest,
    by,
    obligations: obligationTexts(obligations),
    limits: limitsUnder(request.limits, obligations),
    inputJson,
  };
}

function denied(code: DenialCode, policy: Digest, detail?: string): Denied {
  return { decision: 'deny', code, by: [], policy, ...(detail === undefined ? {} : { detail }) };
}

function obligationTexts(all: readonly Obligations[]): string[] {
  const texts = all.flatMap((obligations) => Object.entries(obligations).map(([key, value]) => `${key}=${value}`));
  return [...new Set(texts)].sort();
}

/** Every deciding rule binds: the smallest number wins. */
function limitsUnder(limits: CallLimits, all: readonly Obligations[]): CallLimits {
  return {
    timeoutMs: Math.min(limits.timeoutMs, ...all.map(({ timeoutMs }) => timeoutMs ?? limits.timeoutMs)),
    outputBytes: Math.min(limits.outputBytes, ...all.map(({ outputBytes }) => outputBytes ?? limits.outputBytes)),
  };
}
