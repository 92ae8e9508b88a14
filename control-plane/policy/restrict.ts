// One manifest may describe many servers while a gate serves only some of them. A rule that names only the others can match no call here and is
// left out; of a rule that names both, the part about the others is left out. Nothing that could match a call here is ever dropped.

import { serverOfAction } from '../../domain/action.ts';
import { type ActionScopeJson, type EntityRef, entityRef, type PolicyJson, type ScopeJson } from './policy-json.ts';

export interface Presence {
  readonly namespace: string;
  /** Servers of the manifest that this gate does not serve. */
  readonly absent: ReadonlySet<string>;
  /** Actions by their group. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

/** The rule as far as it can concern this gate; undefined when it cannot. The same object when nothing was left out. */
export function restrictRule(rule: PolicyJson, presence: Presence): PolicyJson | undefined {
  if (presence.absent.size === 0) return rule;
  if (namesAbsentServer(rule.resource, presence)) return undefined;
  const action = restrictAction(rule.action, presence);
  if (action === undefined) return undefined;
  return action === rule.action ? rule : { ...rule, action };
}

function namesAbsentServer(scope: ScopeJson, { namespace, absent }: Presence): boolean {
  if (scope.op !== '==' && scope.op !== 'in') return false;
  const { type, id } = entityRef(scope.entity);
  return type === `${namespace}::Server` && absent.has(id);
}

function restrictAction(scope: ActionScopeJson, presence: Presence): ActionScopeJson | undefined {
  if (scope.op === 'All') return scope;
  if (!('entities' in scope)) return isElsewhere(entityRef(scope.entity), presence) ? undefined : scope;
  const here = scope.entities.filter((entity) => !isElsewhere(entityRef(entity), presence));
  if (here.length === scope.entities.length) return scope;
  return here.length === 0 ? undefined : { op: 'in', entities: here };
}

/** Whether an action, or every member of a group, belongs to a server that is not here. */
function isElsewhere({ type, id }: EntityRef, { namespace, absent, groups }: Presence): boolean {
  if (type !== `${namespace}::Action`) return false;
  const members = Object.hasOwn(groups, id) ? (groups[id] ?? []) : undefined;
  const actions = members ?? [id];
  return actions.length > 0 && actions.every((action) => absent.has(serverOfAction(action) ?? ''));
}
