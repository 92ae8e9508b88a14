// Which tools and methods an agent could ever be allowed, by the scopes of the rules alone. Used to hide what is out of reach, never to allow.

import { serverOfAction, toolsOf } from '../../domain/action.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Bundle } from './bundle.ts';
import {
  type ActionScopeJson,
  actionMatches,
  type EntityRef,
  entityRef,
  type PolicyJson,
  type ScopeJson,
} from './policy-json.ts';
import type { ActionModel } from './schema.ts';

/**
 * The ids of the actions that some permit speaks about and no forbid without conditions takes away; and `toolsOf(server)` for each server that
 * is not there, if some permit could be about it for this agent and no forbid without conditions is about all of it. Sorted.
 */
export function visibleActions(bundle: Bundle, principal: Principal): string[] {
  const { namespace } = bundle.model;
  const agent = Object.hasOwn(bundle.manifest.agents, principal.agent)
    ? bundle.manifest.agents[principal.agent]
    : undefined;
  if (agent === undefined) return [];
  const self = { type: `${namespace}::Agent`, id: principal.agent };
  const roles = agent.roles.map((role) => ({ type: `${namespace}::Role`, id: role }));
  const concerns = ({ principal: who, action, resource }: PolicyJson, tool: ActionModel): boolean =>
    scopeMatches(who, self, roles) &&
    actionMatches(action, namespace, tool) &&
    scopeMatches(resource, { type: `${namespace}::Server`, id: tool.server }, []);
  const rules = [...bundle.rules.values()].map(({ json }) => json);
  const isFor = ({ principal: who, resource }: PolicyJson, server: string): boolean =>
    scopeMatches(who, self, roles) && scopeMatches(resource, { type: `${namespace}::Server`, id: server }, []);
  const awaited = [...bundle.absent].filter(
    (server) =>
      bundle.written.some(
        (rule) => rule.effect === 'permit' && isFor(rule, server) && isAbout(rule.action, server, bundle),
      ) &&
      !bundle.written.some(
        (rule) =>
          rule.effect === 'forbid' && rule.conditions.length === 0 && rule.action.op === 'All' && isFor(rule, server),
      ),
  );
  const actions = [...bundle.model.actions.values()]
    .filter(
      (tool) =>
        rules.some((rule) => rule.effect === 'permit' && concerns(rule, tool)) &&
        !rules.some((rule) => rule.effect === 'forbid' && rule.conditions.length === 0 && concerns(rule, tool)),
    )
    .map(({ action }) => action);
  return [...actions, ...awaited.map(toolsOf)].sort();
}

/** Whether an action scope names anything of a server, directly or in a group. */
function isAbout(scope: ActionScopeJson, server: string, { manifest, model }: Bundle): boolean {
  if (scope.op === 'All') return true;
  const named = 'entities' in scope ? scope.entities.map(entityRef) : [entityRef(scope.entity)];
  return named
    .filter(({ type }) => type === `${model.namespace}::Action`)
    .flatMap(({ id }) => (Object.hasOwn(manifest.groups, id) ? (manifest.groups[id] ?? []) : [id]))
    .some((id) => serverOfAction(id) === server);
}

export function scopeMatches(scope: ScopeJson, self: EntityRef, parents: readonly EntityRef[]): boolean {
  const isIn = (entity: EntityRef): boolean =>
    [self, ...parents].some((one) => one.type === entity.type && one.id === entity.id);
  switch (scope.op) {
    case 'All':
      return true;
    case '==': {
      const entity = entityRef(scope.entity);
      return entity.type === self.type && entity.id === self.id;
    }
    case 'in':
      return isIn(entityRef(scope.entity));
    case 'is':
      return scope.entity_type === self.type && (scope.in === undefined || isIn(entityRef(scope.in.entity)));
  }
}
