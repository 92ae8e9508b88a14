// Cedar behind the two ports of the policy. Cedar skips a rule that errors, skips validation when a name is missing, and is poisoned by a
// trap; so here errors are reported with every answer, names are looked up in our own register, and whatever it throws goes through to
// the caller, who must replace the whole engine.

import './late-optimisation.ts';
import './no-inlined-wasm.ts';
import cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { Bundle } from '../../control-plane/policy/bundle.ts';
import type { PolicyJson } from '../../control-plane/policy/policy-json.ts';
import type {
  EngineAnswer,
  EngineProblem,
  EngineQuestion,
  PolicyEngine,
  PolicyLanguage,
} from '../../control-plane/policy/ports.ts';
import type { Slice } from '../../control-plane/policy/slice.ts';
import { Defect } from '../../domain/defect.ts';
import type { JsonObject } from '../../domain/json.ts';

export const cedarLanguage: PolicyLanguage = {
  parse(text) {
    const answer = cedar.policyToJson(text);
    // The JSON form is read as far as PolicyJson describes it; the rest of a condition stays opaque.
    if (answer.type === 'success') return { ok: true, json: answer.json as unknown as PolicyJson };
    return { ok: false, problem: problemOf(answer.errors[0]) };
  },

  validate(policies, schema) {
    const answer = cedar.validate({
      validationSettings: { mode: 'strict' },
      schema: schemaJson(schema),
      policies: { staticPolicies: Object.fromEntries(policies) },
    });
    if (answer.type !== 'success') return answer.errors.map(problemOf);
    const { validationErrors, validationWarnings, otherWarnings } = answer;
    const named = [...validationErrors, ...validationWarnings];
    return [
      ...named.map(({ policyId, error }) => ({ id: policyId, ...problemOf(error) })),
      ...otherWarnings.map(problemOf),
    ];
  },

  text(policy) {
    const answer = cedar.policyToText(policyJson(policy));
    return answer.type === 'success' ? answer.text : '';
  },

  evaluateAlone(policies, schema, question) {
    const staticPolicies = Object.fromEntries([...policies].map(([id, json]) => [id, policyJson(json)]));
    const answer = cedar.isAuthorized({
      ...callOf(question),
      schema: schemaJson(schema),
      validateRequest: true,
      policies: { staticPolicies },
    });
    return answerOf(answer);
  },
};

/** A bundle in the engine, cut into one slice per action. A slice is loaded when it is first asked for. */
export class CedarEngine implements PolicyEngine {
  readonly #bundle: Bundle;
  /** What is loaded in the engine, by action. Only names from here are ever given to it. */
  readonly #loaded = new Map<string, { readonly name: string; readonly slice: Slice }>();

  constructor(bundle: Bundle) {
    this.#bundle = bundle;
  }

  evaluate(question: EngineQuestion): EngineAnswer {
    const loaded = this.#loaded.get(question.action.id) ?? this.#load(question.action.id);
    if (loaded === undefined) return { ok: false, message: 'the action is not in the schema' };
    return askCedar(loaded.name, { ...question, context: loaded.slice.project(question.context) });
  }

  #load(action: string): { readonly name: string; readonly slice: Slice } | undefined {
    const slice = this.#bundle.slices.get(action);
    if (slice === undefined) return undefined;
    const name = `${this.#bundle.digest}:${action}`;
    preparse(name, slice.schema, new Map(slice.rules.map(({ id, text }) => [id, text])));
    const loaded = { name, slice };
    this.#loaded.set(action, loaded);
    return loaded;
  }
}

/** Loads a schema and rules under one name. They were validated before, so a failure is a mistake of ours. */
export function preparse(name: string, schema: JsonObject, policies: ReadonlyMap<string, string>): void {
  const schemaAnswer = cedar.preparseSchema(name, schemaJson(schema));
  const policyAnswer = cedar.preparsePolicySet(name, { staticPolicies: Object.fromEntries(policies) });
  for (const answer of [schemaAnswer, policyAnswer]) {
    if (answer.type !== 'success') throw new Defect(`the engine refused a slice: ${answer.errors[0]?.message ?? ''}`);
  }
}

/** Asks about what was loaded under a name. Both the schema's name and `validateRequest` always go along. */
export function askCedar(name: string, question: EngineQuestion): EngineAnswer {
  return answerOf(
    cedar.statefulIsAuthorized({
      ...callOf(question),
      preparsedSchemaName: name,
      validateRequest: true,
      preparsedPolicySetId: name,
    }),
  );
}

function callOf(
  question: EngineQuestion,
): Pick<cedar.AuthorizationCall, 'principal' | 'action' | 'resource' | 'context' | 'entities'> {
  return {
    principal: question.principal,
    action: question.action,
    resource: question.resource,
    // Our JSON is their JSON; theirs is only typed mutable.
    context: question.context as cedar.Context,
    entities: question.entities.map(({ uid, parents }) => ({ uid, attrs: {}, parents: [...parents] })),
  };
}

function answerOf(answer: cedar.AuthorizationAnswer): EngineAnswer {
  if (answer.type !== 'success') return { ok: false, message: answer.errors[0]?.message ?? 'the request is not valid' };
  const { decision, diagnostics } = answer.response;
  const errors = diagnostics.errors.map(({ policyId, error }) => ({ id: policyId, message: error.message }));
  return {
    ok: true,
    allow: decision === 'allow' && errors.length === 0 && diagnostics.reason.length > 0,
    // The engine gives them in no particular order.
    reasons: [...diagnostics.reason].sort(),
    errors,
  };
}

function problemOf(error: cedar.DetailedError | undefined): EngineProblem {
  const span = error?.sourceLocations?.[0];
  return {
    message: error?.message ?? 'the rule cannot be read',
    ...(error?.help == null ? {} : { help: error.help }),
    ...(span === undefined ? {} : { span: { start: span.start, end: span.end } }),
  };
}

function schemaJson(schema: JsonObject): cedar.Schema {
  // Built by control-plane/policy/schema.ts in the engine's own form.
  return schema as unknown as cedar.Schema;
}

function policyJson(policy: PolicyJson): cedar.PolicyJson {
  // It came from the engine, or was taken apart and put together from what did.
  return policy as unknown as cedar.PolicyJson;
}
