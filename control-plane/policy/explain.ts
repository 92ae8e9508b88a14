// Why a request was decided as it was, and what would have to change: every rule that could concern it, with the parts of its scope and
// each of its conditions tested on their own. For people; it decides nothing.

import { TOOL_METHOD } from '../../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { AuthorizationRequest } from '../authorization.ts';
import type { Bundle } from './bundle.ts';
import { type Decision, decide, pose } from './decide.ts';
import type { Rule } from './lint.ts';
import type { ConditionJson, PolicyJson, ScopeJson } from './policy-json.ts';
import { actionMatches, entityRef } from './policy-json.ts';
import type { EngineAnswer, EngineQuestion, PathResolver, PolicyEngine, PolicyLanguage } from './ports.ts';
import type { ActionModel } from './schema.ts';
import { scopeMatches } from './visible.ts';

export interface ConditionExplanation {
  readonly kind: 'when' | 'unless';
  /** One conjunct of a `when`, one alternative of an `unless`. */
  readonly text: string;
  /** Whether it speaks for the rule; undefined where it cannot be evaluated on its own, because what it reads is absent. */
  readonly met: boolean | undefined;
}

export interface RuleExplanation {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly reason: string;
  readonly file: string;
  readonly line: number;
  readonly applies: boolean;
  /** Parts of the scope that do not fit the request. */
  readonly scope: readonly string[];
  readonly conditions: readonly ConditionExplanation[];
}

export interface Explanation {
  readonly decision: Decision;
  /** What rules saw beyond the arguments: facts, lineage, governance. */
  readonly seen: JsonObject | undefined;
  /** Rules about this tool or method; those that apply first, then the nearest to applying. */
  readonly rules: readonly RuleExplanation[];
  /** What would have to change for the request to be allowed, as sentences. */
  readonly changes: readonly string[];
}

/** An engine that gives every question all rules and the whole schema: slow, and independent of how bundles are sliced. */
export function wholeEngine(bundle: Bundle, language: PolicyLanguage): PolicyEngine {
  const rules = new Map([...bundle.rules].map(([id, { json }]) => [id, json]));
  return { evaluate: (question) => language.evaluateAlone(rules, bundle.model.schema, question) };
}

/** Explains one request. May throw what the engine throws. */
export function explain(
  bundle: Bundle,
  request: AuthorizationRequest,
  language: PolicyLanguage,
  resolver: PathResolver,
): Explanation {
  const decision = decide(bundle, request, wholeEngine(bundle, language), resolver);
  const posed = pose(bundle, request, resolver);
  if (!posed.ok) {
    const changes = decision.decision === 'deny' ? [refusalChange(decision, request)] : [];
    return { decision, seen: undefined, rules: [], changes };
  }
  const { tool, question, inputJson } = posed;
  const ask = (json: PolicyJson): EngineAnswer =>
    language.evaluateAlone(new Map([['alone', json]]), bundle.model.schema, question);
  const rules = (bundle.slices.get(tool.action)?.rules ?? [])
    .map((rule) => explainRule(bundle, rule, tool, question, ask, language))
    .sort((a, b) => Number(b.applies) - Number(a.applies) || unmet(a) - unmet(b));
  const seen = JSON.parse(inputJson) as JsonObject; // written by pose() from an object
  return { decision, seen, rules, changes: changesOf(bundle, decision, rules, tool, request) };
}

function unmet(rule: RuleExplanation): number {
  return rule.scope.length * 10 + rule.conditions.filter(({ met }) => met !== true).length;
}

function explainRule(
  bundle: Bundle,
  rule: Rule,
  tool: ActionModel,
  question: EngineQuestion,
  ask: (json: PolicyJson) => EngineAnswer,
  language: PolicyLanguage,
): RuleExplanation {
  const { json } = rule;
  const alone = ask({ ...json, effect: 'permit' });
  return {
    id: rule.id,
    effect: json.effect,
    reason: rule.reason,
    file: rule.file,
    line: rule.line,
    applies: alone.ok && alone.allow,
    scope: scopeMisses(bundle, json, tool, question),
    conditions: json.conditions.flatMap((condition) => explainCondition(condition, ask, language)),
  };
}

function explainCondition(
  { kind, body }: ConditionJson,
  ask: (json: PolicyJson) => EngineAnswer,
  language: PolicyLanguage,
): ConditionExplanation[] {
  return parts(body, kind === 'when' ? '&&' : '||').map((part) => {
    const variant: PolicyJson = {
      effect: 'permit',
      principal: { op: 'All' },
      action: { op: 'All' },
      resource: { op: 'All' },
      conditions: [{ kind, body: part }],
    };
    const answer = ask(variant);
    const met = answer.ok && answer.errors.length === 0 ? answer.allow : undefined;
    return { kind, text: conditionText(language.text(variant)), met };
  });
}

/** The operands of a chain of one operator. */
function parts(body: Json, operator: '&&' | '||'): Json[] {
  const operands = isJsonObject(body) ? body[operator] : undefined;
  if (!isJsonObject(operands)) return [body];
  return [...parts(operands.left ?? null, operator), ...parts(operands.right ?? null, operator)];
}

/** The inside of the braces of a rule that is nothing but one condition. */
function conditionText(text: string): string {
  const start = text.indexOf('{');
  const end = text.lastIndexOf('}');
  return text
    .slice(start + 1, end)
    .replace(/\s+/g, ' ')
    .trim();
}

function scopeMisses(bundle: Bundle, json: PolicyJson, tool: ActionModel, question: EngineQuestion): string[] {
  const misses: string[] = [];
  const roles = question.entities.find(({ uid }) => uid.id === question.principal.id)?.parents ?? [];
  if (!scopeMatches(json.principal, question.principal, roles)) misses.push(scopeText('principal', json.principal));
  if (!actionMatches(json.action, bundle.model.namespace, tool)) misses.push('action');
  if (!scopeMatches(json.resource, question.resource, [])) misses.push(scopeText('resource', json.resource));
  return misses;
}

function scopeText(variable: string, scope: ScopeJson): string {
  const name = (entity: { type: string; id: string }): string => `${entity.type}::${JSON.stringify(entity.id)}`;
  switch (scope.op) {
    case 'All':
      return variable;
    case '==':
    case 'in':
      return `${variable} ${scope.op} ${name(entityRef(scope.entity))}`;
    case 'is': {
      const parent = scope.in === undefined ? '' : ` in ${name(entityRef(scope.in.entity))}`;
      return `${variable} is ${scope.entity_type}${parent}`;
    }
  }
}

function refusalChange(decision: Extract<Decision, { decision: 'deny' }>, request: AuthorizationRequest): string {
  const detail = decision.detail === undefined ? '' : `: ${decision.detail}`;
  switch (decision.code) {
    case 'TOOL_UNKNOWN':
      return request.method === TOOL_METHOD
        ? `the server "${request.server}" would have to offer the tool "${request.tool}"`
        : `the server "${request.server}" would have to be there, and "${request.method}" a governed method`;
    case 'POLICY_NO_PERMIT':
      return `the agent "${request.principal.agent}" would have to be in the manifest`;
    default:
      return `the request is refused before any rule is asked${detail}`;
  }
}

function changesOf(
  bundle: Bundle,
  decision: Decision,
  rules: readonly RuleExplanation[],
  tool: ActionModel,
  request: AuthorizationRequest,
): string[] {
  if (decision.decision === 'allow') return [];
  const changes: string[] = [];
  for (const rule of rules) {
    if (rule.effect !== 'forbid' || !rule.applies) continue;
    const conditions = rule.conditions.map(({ kind, text }) => `${kind} ${text}`);
    const why = conditions.length === 0 ? 'it forbids this always' : `it forbids ${conditions.join(' and ')}`;
    changes.push(`the rule ${rule.id} (${rule.file}:${rule.line}) would have to stop applying: ${why}`);
  }
  const permits = rules.filter(({ effect }) => effect === 'permit');
  if (!permits.some(({ applies }) => applies)) {
    for (const rule of permits.slice(0, 3)) changes.push(permitChange(rule));
    if (permits.length === 0) changes.push(newRule(bundle, tool, request));
  }
  return changes;
}

function permitChange(rule: RuleExplanation): string {
  const wanted = [
    ...rule.scope,
    ...rule.conditions
      .filter(({ met }) => met !== true)
      .map(({ kind, text }) => (kind === 'when' ? text : `not (${text})`)),
  ];
  return `the rule ${rule.id} (${rule.file}:${rule.line}) would permit it if: ${wanted.join('; ')}`;
}

/** A rule that would allow it: the smallest one, for somebody to narrow down. */
function newRule(bundle: Bundle, tool: ActionModel, request: AuthorizationRequest): string {
  const { namespace } = bundle.model;
  const role = bundle.manifest.agents[request.principal.agent]?.roles[0];
  const principal =
    role === undefined
      ? `principal == ${namespace}::Agent::${JSON.stringify(request.principal.agent)}`
      : `principal in ${namespace}::Role::${JSON.stringify(role)}`;
  return [
    `no permit speaks about ${tool.action}; this one would allow it:`,
    `@id(${JSON.stringify(`allow-${tool.action.replaceAll(/[^A-Za-z0-9_.-]/g, '-')}`)})`,
    '@reason("say why")',
    `permit (${principal}, action == ${namespace}::Action::${JSON.stringify(tool.action)}, ` +
      `resource == ${namespace}::Server::${JSON.stringify(tool.server)});`,
  ].join('\n');
}

/** The explanation as a person reads it, one line a fact. */
export function explanationText({ decision, seen, rules, changes }: Explanation): string {
  const lines: string[] = [];
  if (decision.decision === 'allow') lines.push(`allowed by ${decision.by.join(', ')}`);
  else {
    const by = decision.by.length === 0 ? '' : ` by ${decision.by.join(', ')}`;
    lines.push(`denied: ${decision.code}${by}${decision.detail === undefined ? '' : ` (${decision.detail})`}`);
  }
  if (seen !== undefined) lines.push(`facts: ${JSON.stringify(seen.facts)}`);
  if (seen?.history !== undefined) lines.push(`history: ${JSON.stringify(seen.history)}`);
  for (const rule of rules) {
    lines.push(`${rule.applies ? 'applies' : 'does not apply'}: ${rule.effect} ${rule.id} (${rule.file}:${rule.line})`);
    for (const miss of rule.scope) lines.push(`  no   ${miss}`);
    for (const { kind, text, met } of rule.conditions) {
      lines.push(`  ${met === undefined ? '?  ' : met ? 'yes' : 'no '}  ${kind} ${text}`);
    }
  }
  return [...lines, ...changes].join('\n');
}
