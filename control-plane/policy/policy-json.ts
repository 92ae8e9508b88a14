// The JSON form of one Cedar rule, as far as we read it.

import type { Json } from '../../domain/json.ts';

/** An entity by its type and id. */
export interface EntityRef {
  readonly type: string;
  readonly id: string;
}

type EntityJson = EntityRef | { readonly __entity: EntityRef };

export type ScopeJson =
  | { readonly op: 'All' }
  | { readonly op: '=='; readonly entity: EntityJson }
  | { readonly op: 'in'; readonly entity: EntityJson }
  | { readonly op: 'is'; readonly entity_type: string; readonly in?: { readonly entity: EntityJson } };

export type ActionScopeJson =
  | { readonly op: 'All' }
  | { readonly op: '=='; readonly entity: EntityJson }
  | { readonly op: 'in'; readonly entity: EntityJson }
  | { readonly op: 'in'; readonly entities: readonly EntityJson[] };

export interface ConditionJson {
  readonly kind: 'when' | 'unless';
  readonly body: Json;
}

export interface PolicyJson {
  readonly effect: 'permit' | 'forbid';
  readonly principal: ScopeJson;
  readonly action: ActionScopeJson;
  readonly resource: ScopeJson;
  readonly conditions: readonly ConditionJson[];
  readonly annotations?: { readonly [name: string]: string };
}

/** The plain reference in either of the two spellings of the JSON form. */
export function entityRef(entity: EntityJson): EntityRef {
  return '__entity' in entity ? entity.__entity : entity;
}

/** Whether the action of a rule can be this one: any, this one, or one of its groups. */
export function actionMatches(
  scope: ActionScopeJson,
  namespace: string,
  tool: { readonly action: string; readonly groups: readonly string[] },
): boolean {
  if (scope.op === 'All') return true;
  const type = `${namespace}::Action`;
  const named = 'entities' in scope ? scope.entities.map(entityRef) : [entityRef(scope.entity)];
  const ids = named.filter((entity) => entity.type === type).map(({ id }) => id);
  if (scope.op === '==') return ids.includes(tool.action);
  return ids.some((id) => id === tool.action || tool.groups.includes(id));
}
