// Rules as a bundle may contain them: each with a unique id and a reason, no templates, no arithmetic, known obligations only, and
// strictly valid against the schema. One error or warning anywhere refuses all of them.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { CALL_OUTPUT_BYTES_MAX, CALL_TIMEOUT_MS_MAX, POLICIES_BYTES_MAX, POLICY_WILDCARDS_MAX } from './limits.ts';
import { nearest } from './nearest.ts';
import type { PolicyJson } from './policy-json.ts';
import type { EngineProblem, PolicyLanguage } from './ports.ts';
import { type Presence, restrictRule } from './restrict.ts';
import { type RuleText, splitRules } from './rule-text.ts';
import type { Problem, SourceText } from './source.ts';

export interface Obligations {
  readonly timeoutMs?: number;
  readonly outputBytes?: number;
}

/** One rule of a bundle. */
export interface Rule {
  readonly id: string;
  readonly reason: string;
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly json: PolicyJson;
  readonly obligations: Obligations;
}

export type LintResult =
  | {
      readonly ok: true;
      readonly rules: ReadonlyMap<string, Rule>;
      /** All of them as they were written, also those that cannot concern this gate. */
      readonly written: readonly PolicyJson[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const ANNOTATIONS = ['id', 'reason', 'obligation'];
const RULE_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const ARITHMETIC = ['+', '-', '*', 'neg'];

const OBLIGATION_MAX: Record<keyof Obligations, number> = {
  timeoutMs: CALL_TIMEOUT_MS_MAX,
  outputBytes: CALL_OUTPUT_BYTES_MAX,
};

/**
 * Reads and checks all rules, and keeps those that can concern the gate. The engine sees a text only after it was measured. May throw what the
 * engine throws.
 */
export function lintRules(
  sources: readonly SourceText[],
  schema: JsonObject,
  language: PolicyLanguage,
  presence?: Presence,
): LintResult {
  const problems: Problem[] = [];
  const texts: RuleText[] = [];
  const size = sources.reduce((sum, { text }) => sum + text.length, 0);
  if (size > POLICIES_BYTES_MAX) {
    const file = sources[0]?.file ?? '';
    return {
      ok: false,
      problems: [{ file, line: 1, column: 1, path: '', message: 'the rules together are too large' }],
    };
  }
  for (const source of sources) {
    const split = splitRules(source);
    if (split.ok) texts.push(...split.rules);
    else problems.push(...split.problems);
  }
  if (problems.length > 0) return { ok: false, problems };

  const rules = new Map<string, Rule>();
  const places = new Map<string, RuleText>();
  for (const text of texts) {
    const parsed = language.parse(text.text);
    if (!parsed.ok) {
      const { message, help, span } = parsed.problem;
      problems.push(text.problem(span?.start ?? 0, '', withHelp(message, help)));
      continue;
    }
    const { rule, problems: own } = readRule(text, parsed.json);
    problems.push(...own);
    if (rule === undefined) continue;
    const twin = rules.get(rule.id);
    if (twin !== undefined) {
      const message = `the id "${rule.id}" is used twice: first in ${twin.file}:${twin.line}`;
      problems.push(text.problem(0, rule.id, message));
      continue;
    }
    rules.set(rule.id, rule);
    places.set(rule.id, text);
  }
  if (problems.length > 0) return { ok: false, problems };
  const written = [...rules.values()].map(({ json }) => json);
  if (presence !== undefined) restrictRules(rules, presence, language);

  const policies = new Map([...rules].map(([id, { text }]) => [id, text]));
  for (const { id, message, help, span, others } of oncePerPlace(language.validate(policies, schema))) {
    const place = id === undefined ? undefined : places.get(id);
    const text = `${withHelp(message, help)}${others === 0 ? '' : `; and the same for ${others} other actions`}`;
    problems.push(
      place === undefined
        ? { file: sources[0]?.file ?? '', line: 1, column: 1, path: '', message: text }
        : place.problem(span?.start ?? 0, id ?? '', text),
    );
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, rules, written };
}

type Finding = EngineProblem & { readonly id?: string };

/** A rule about many actions is wrong in one place once for each of them: the first, and how many others. */
function oncePerPlace(findings: readonly Finding[]): (Finding & { readonly others: number })[] {
  const places = new Map<string, Finding & { others: number }>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.id, finding.span?.start, finding.message.replace(/Action::"[^"]*".*/, '')]);
    const known = places.get(key);
    // The engine gives them in no particular order.
    const first = known === undefined || finding.message < known.message ? finding : known;
    places.set(key, { ...first, others: known === undefined ? 0 : known.others + 1 });
  }
  return [...places.values()];
}

function restrictRules(rules: Map<string, Rule>, presence: Presence, language: PolicyLanguage): void {
  for (const [id, rule] of rules) {
    const json = restrictRule(rule.json, presence);
    if (json === undefined) rules.delete(id);
    else if (json !== rule.json) rules.set(id, { ...rule, json, text: language.text(json) });
  }
}

function readRule(text: RuleText, json: PolicyJson): { rule?: Rule; problems: Problem[] } {
  const annotations = json.annotations ?? {};
  const id = annotations.id ?? '';
  const problems: Problem[] = [];
  const fail = (message: string, suggestion?: string): void => {
    problems.push(text.problem(0, id, message, suggestion));
  };
  if (annotations.id === undefined) fail('a rule has no @id("...")');
  else if (!RULE_ID.test(id)) fail('the @id of a rule has 1 to 64 letters, digits, "_", "-" or "."');
  if ((annotations.reason ?? '').trim() === '') fail('a rule has no @reason("...") that says what it is for');
  for (const name of Object.keys(annotations)) {
    if (!ANNOTATIONS.includes(name)) {
      const suggestion = nearest(name, ANNOTATIONS);
      fail(`unknown annotation @${name}`, suggestion === undefined ? undefined : `@${suggestion}`);
    }
  }
  const arithmetic = json.conditions.map(({ body }) => firstArithmetic(body)).find((found) => found !== undefined);
  if (arithmetic !== undefined) {
    fail(`arithmetic ("${arithmetic}") is not allowed: an overflow would skip the rule`);
  }
  if (json.conditions.some(({ body }) => hasManyWildcards(body))) {
    fail(`a pattern of "like" has more than ${POLICY_WILDCARDS_MAX} "*"`);
  }
  const obligations = readObligations(annotations.obligation, fail);
  if (annotations.obligation !== undefined && json.effect === 'forbid') fail('only a permit can have an @obligation');
  if (problems.length > 0) return { problems };
  const { file } = text;
  const { line } = text.problem(0, id, '');
  return { rule: { id, reason: annotations.reason ?? '', file, line, text: text.text, json, obligations }, problems };
}

function readObligations(
  annotation: string | undefined,
  fail: (message: string, suggestion?: string) => void,
): Obligations {
  const obligations: { timeoutMs?: number; outputBytes?: number } = {};
  if (annotation === undefined) return obligations;
  for (const part of annotation.split(';')) {
    const [, key = '', digits = ''] = /^\s*([A-Za-z]+)\s*=\s*([1-9][0-9]{0,9})\s*$/.exec(part) ?? [];
    if (key !== 'timeoutMs' && key !== 'outputBytes') {
      fail(`unknown obligation "${part.trim()}": write "timeoutMs=5000" or "outputBytes=65536"`);
    } else if (obligations[key] !== undefined) {
      fail(`the obligation "${key}" is named twice`);
    } else if (Number(digits) > OBLIGATION_MAX[key]) {
      fail(`the obligation "${key}" is at most ${OBLIGATION_MAX[key]}`);
    } else {
      obligations[key] = Number(digits);
    }
  }
  return obligations;
}

/** The first arithmetic operator in an expression's tree. Comparisons with a negative literal are none. */
function firstArithmetic(expression: Json): string | undefined {
  if (Array.isArray(expression)) {
    for (const item of expression as readonly Json[]) {
      const found = firstArithmetic(item);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isJsonObject(expression)) return undefined;
  for (const [operator, operand] of Object.entries(expression)) {
    if (operator === 'Value') continue;
    // The names of a record's members are data, not operators.
    const inner = operator === 'Record' && isJsonObject(operand) ? Object.values(operand) : operand;
    if (ARITHMETIC.includes(operator)) return operator === 'neg' ? '-' : operator;
    const found = firstArithmetic(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}

function hasManyWildcards(expression: Json): boolean {
  if (Array.isArray(expression)) {
    const items = expression as readonly Json[];
    return items.filter((item) => item === 'Wildcard').length > POLICY_WILDCARDS_MAX || items.some(hasManyWildcards);
  }
  return isJsonObject(expression) && Object.values(expression).some(hasManyWildcards);
}

function withHelp(message: string, help: string | undefined): string {
  return help === undefined ? message : `${message} (${help})`;
}
