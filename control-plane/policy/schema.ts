// The engine's schema, generated from the definitions that the servers really gave: one action per tool, and one per server and governed
// method, in its groups, with its typed context. The tools of a server are a group of their own. Rules are checked strictly against it, so a rule about a tool or an argument that does not
// exist is refused.

import { actionId, parseActionId, TOOL_METHOD, toolsOf } from '../../domain/action.ts';
import type { JsonObject } from '../../domain/json.ts';
import { type FactPlan, factType, planFacts } from './facts.ts';
import { inputShape, type RecordShape, type ScalarKind, type Shape } from './input-shape.ts';
import type { Manifest } from './manifest.ts';
import { METHOD_INPUTS } from './methods.ts';
import { nearest } from './nearest.ts';
import type { Problem, ServerTools } from './source.ts';
import type { YamlDocument } from './yaml-document.ts';

/** Everything the deciding side knows about one tool of a server, or about one other governed method of it. */
export interface ActionModel {
  readonly method: string;
  readonly server: string;
  /** The name of the tool; the method itself where it is another. */
  readonly tool: string;
  /** Its id: `actionId(...)`. */
  readonly action: string;
  readonly groups: readonly string[];
  readonly input: RecordShape;
  readonly facts: readonly FactPlan[];
  /** The engine's type of its context. */
  readonly context: JsonObject;
}

export interface SchemaModel {
  readonly namespace: string;
  /** By id. */
  readonly actions: ReadonlyMap<string, ActionModel>;
  readonly groups: readonly string[];
  /** The whole schema in the engine's JSON form. */
  readonly schema: JsonObject;
}

export type SchemaResult =
  | { readonly ok: true; readonly model: SchemaModel }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Builds the schema. Refuses when the manifest speaks about tools or methods that do not exist. */
export function buildSchema(manifest: Manifest, document: YamlDocument, servers: readonly ServerTools[]): SchemaResult {
  const problems: Problem[] = [];
  const actions = new Map<string, ActionModel>();
  const { namespace } = manifest;
  const groupsOf = groupsByMember(manifest);
  const add = (method: string, server: string, tool: string, input: RecordShape, facts: readonly FactPlan[]): void => {
    const action = actionId(method, server, tool);
    const own = groupsOf.get(action) ?? [];
    const groups = method === TOOL_METHOD ? [...own, toolsOf(server)] : own;
    const context = contextType(namespace, input, facts, manifest.history !== undefined);
    actions.set(action, { method, server, tool, action, groups, input, facts, context });
  };
  for (const definitions of servers) {
    const { server } = definitions;
    if (!Object.hasOwn(manifest.servers, server)) {
      problems.push(
        document.problem(['servers'], `tools were given for "${server}", which the manifest does not name`),
      );
      continue;
    }
    const planned = planFacts(manifest, document, definitions);
    problems.push(...planned.problems.map((problem) => ({ ...problem, server })));
    for (const { name, inputSchema } of definitions.tools) {
      if (actions.has(actionId(TOOL_METHOD, server, name)))
        problems.push({ ...document.problem(['servers', server], `the server has two tools "${name}"`), server });
      add(TOOL_METHOD, server, name, inputShape(inputSchema), planned.plans.get(name) ?? []);
    }
    for (const [method, { shape }] of METHOD_INPUTS)
      add(method, server, method, shape, planned.methods.get(method) ?? []);
  }
  problems.push(...unknownMembers(manifest, document, servers, actions));
  if (problems.length > 0) return { ok: false, problems };
  const groups = [...Object.keys(manifest.groups), ...servers.map(({ server }) => toolsOf(server))].sort();
  const schema = schemaOf(namespace, groups, [...actions.values()]);
  return { ok: true, model: { namespace, actions, groups, schema } };
}

function groupsByMember(manifest: Manifest): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [group, members] of Object.entries(manifest.groups)) {
    for (const member of new Set(members)) groups.set(member, [...(groups.get(member) ?? []), group]);
  }
  return groups;
}

/** The part of the schema that concerns one action, with a context of the given type. */
export function schemaOfAction(model: SchemaModel, action: ActionModel, context: JsonObject): JsonObject {
  return schemaOf(model.namespace, action.groups, [{ ...action, context }]);
}

/** Members of groups whose server answered but has no such tool. A server that could not be asked makes no claim about its tools. */
function unknownMembers(
  manifest: Manifest,
  document: YamlDocument,
  servers: readonly ServerTools[],
  actions: ReadonlyMap<string, ActionModel>,
): Problem[] {
  const problems: Problem[] = [];
  const asked = new Set(servers.map(({ server }) => server));
  for (const [group, members] of Object.entries(manifest.groups)) {
    for (const [index, member] of members.entries()) {
      const named = parseActionId(member);
      if (named === undefined || !asked.has(named.server) || actions.has(member)) continue;
      const own = [...actions.values()].filter(({ server }) => server === named.server).map(({ action }) => action);
      const message = `the server "${named.server}" has no tool "${named.tool}"`;
      const problem = document.problem(['groups', group, index], message, { suggestion: nearest(member, own) });
      problems.push({ ...problem, server: named.server });
    }
  }
  return problems;
}

function schemaOf(namespace: string, groups: readonly string[], models: readonly ActionModel[]): JsonObject {
  const actions: Record<string, JsonObject> = {};
  for (const group of groups) actions[group] = {};
  for (const model of models) {
    actions[model.action] = {
      memberOf: model.groups.map((id) => ({ id })),
      appliesTo: { principalTypes: ['Agent'], resourceTypes: ['Server'], context: model.context },
    };
  }
  return {
    [namespace]: {
      entityTypes: { Agent: { memberOfTypes: ['Role'] }, Role: {}, Server: {} },
      actions,
    },
  };
}

const SCALAR_TYPE: Record<ScalarKind, JsonObject> = {
  string: { type: 'String' },
  long: { type: 'Long' },
  bool: { type: 'Boolean' },
};

/** Manifests that do not ask for history have the schema that they always had, and its digest. */
function contextType(
  namespace: string,
  input: RecordShape,
  plans: readonly FactPlan[],
  hasHistory: boolean,
): JsonObject {
  const agent: JsonObject = { type: 'Entity', name: `${namespace}::Agent` };
  const facts: Record<string, JsonObject> = {};
  for (const { name, spec, always } of plans) facts[name] = { ...factType(spec.kind), required: always };
  return record({
    input: shapeType(input) ?? record({}),
    facts: record(facts),
    lineage: record({
      depth: SCALAR_TYPE.long,
      rootAgent: agent,
      path: { type: 'Set', element: agent },
    }),
    approvals: { type: 'Set', element: SCALAR_TYPE.string },
    governance: record({ state: SCALAR_TYPE.string, epoch: SCALAR_TYPE.long }),
    ...(hasHistory ? { history: HISTORY_TYPE } : {}),
  });
}

function record(attributes: JsonObject): JsonObject {
  return { type: 'Record', attributes };
}

const GROUPS: JsonObject = { type: 'Set', element: SCALAR_TYPE.string };
const HISTORY_TYPE = record({
  firstUse: SCALAR_TYPE.bool,
  newShape: SCALAR_TYPE.bool,
  rate: SCALAR_TYPE.long,
  burst: SCALAR_TYPE.long,
  agentUsed: GROUPS,
  chainUsed: GROUPS,
});

/** The engine's type of a shape; undefined for what is hidden. */
function shapeType(shape: Shape): JsonObject | undefined {
  switch (shape.kind) {
    case 'string':
    case 'long':
    case 'bool':
      return SCALAR_TYPE[shape.kind];
    case 'set':
      return { type: 'Set', element: SCALAR_TYPE[shape.of] };
    case 'record': {
      const attributes: Record<string, JsonObject> = {};
      for (const [name, field] of shape.fields) {
        const type = shapeType(field.shape);
        if (type !== undefined) attributes[name] = { ...type, required: field.required };
      }
      return record(attributes);
    }
    case 'hidden':
      return undefined;
  }
}
