// Three questions with known answers, asked of the engine after every load: one it must allow, one it must deny, one in which a rule
// fails. An engine that answers any of them wrongly decides nothing else.

import type { EngineAnswer, EngineQuestion } from '../../control-plane/policy/ports.ts';
import type { JsonObject } from '../../domain/json.ts';
import { askCedar, preparse } from './cedar.ts';

const NAME = 'canary';

const SCHEMA: JsonObject = {
  Canary: {
    entityTypes: { Bird: {}, Mine: {} },
    actions: {
      sing: {
        appliesTo: {
          principalTypes: ['Bird'],
          resourceTypes: ['Mine'],
          context: { type: 'Record', attributes: { air: { type: 'Long' } } },
        },
      },
    },
  },
};

const RULES = new Map([
  ['sings', 'permit (principal, action, resource) when { context.air >= 1 };'],
  ['silent', 'forbid (principal, action, resource) when { context.air == 2 };'],
  // Overflows for air above 3: the engine skips this rule and would allow.
  ['chokes', 'forbid (principal, action, resource) when { context.air > 2 && context.air * 9223372036854775807 > 0 };'],
]);

type Ask = (question: EngineQuestion) => EngineAnswer;

export function loadCanaries(): Ask {
  preparse(NAME, SCHEMA, RULES);
  return (question) => askCedar(NAME, question);
}

/** What went wrong, or undefined when all answers are right. */
export function canaryProblem(ask: Ask): string | undefined {
  const allowed = ask(canary(1));
  if (!allowed.ok || !allowed.allow || allowed.reasons.join() !== 'sings') return 'the canary that must sing is silent';
  const denied = ask(canary(2));
  if (!denied.ok || denied.allow || denied.reasons.join() !== 'silent') return 'the canary that must be silent sings';
  const failed = ask(canary(4));
  if (!failed.ok || failed.allow || failed.errors.length !== 1) return 'a failing rule went unnoticed';
  const invalid = ask({ ...canary(1), context: { air: 1, fire: 1 } });
  return invalid.ok ? 'an invalid request went unnoticed' : undefined;
}

function canary(air: number): EngineQuestion {
  const principal = { type: 'Canary::Bird', id: 'canary' };
  const resource = { type: 'Canary::Mine', id: 'mine' };
  return {
    principal,
    action: { type: 'Canary::Action', id: 'sing' },
    resource,
    context: { air },
    entities: [
      { uid: principal, parents: [] },
      { uid: resource, parents: [] },
    ],
  };
}
