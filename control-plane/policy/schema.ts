// The engine's schema, generated from the definitions that the servers really gave: one action per tool, in its groups, with the typed
// context of that tool. Rules are checked strictly against it, so a rule about a tool or an argument that does not exist is refused.

import type { JsonObject } from '../../domain/json.ts';
import { type FactPlan, factType, planFacts } from './facts.ts';
import { inputShape, type RecordShape, type ScalarKind, type Shape } from './input-shape.ts';
import type { Manifest } from './manifest.ts';
import { nearest } from './nearest.ts';
import type { Problem, ServerTools } from './source.ts';
import type { YamlDocument } from './yaml-document.ts';

/** Everything the deciding side knows about one tool. */
export interface ToolModel {
  readonly server: string;
  readonly tool: string;
  /** The id of its action: `server/tool`. */
  readonly action: string;
  readonly groups: readonly string[];
  readonly input: RecordShape;
  readonly facts: readonly FactPlan[];
  /** The engine's type of its context. */
  readonly context: JsonObject;
}

export interface SchemaModel {
  readonly namespace: string;
  readonly tools: ReadonlyMap<string, ToolModel>;
  readonly groups: readonly string[];
  /** The whole schema in the engine's JSON form. */
  readonly schema: JsonObject;
}

export type SchemaResult =
  | { readonly ok: true; readonly model: SchemaModel }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export function actionId(server: string, tool: string): string {
  return `${server}/${tool}`;
}

/** Builds the schema. Refuses when the manifest speaks about tools that do not exist. */
export function buildSchema(manifest: Manifest, document: YamlDocument, servers: readonly ServerTools[]): SchemaResult {
  const problems: Problem[] = [];
  const tools = new Map<string, ToolModel>();
  for (const definitions of servers) {
    const { server } = definitions;
    if (!Object.hasOwn(manifest.servers, server)) {
      problems.push(
        document.problem(['servers'], `tools were given for "${server}", which the manifest does not name`),
      );
      continue;
    }
    const { plans, problems: factProblems } = planFacts(manifest, document, definitions);
    problems.push(...factProblems);
    for (const { name, inputSchema } of definitions.tools) {
      const action = actionId(server, name);
      if (tools.has(action)) problems.push(document.problem(['servers', server], `the server has two tools "${name}"`));
      const groups = Object.keys(manifest.groups).filter((group) => manifest.groups[group]?.includes(action));
      const facts = plans.get(name) ?? [];
      const input = inputShape(inputSchema);
      const context = contextType(manifest.namespace, input, facts);
      tools.set(action, { server, tool: name, action, groups, input, facts, context });
    }
  }
  problems.push(...unknownMembers(manifest, document, servers, tools));
  if (problems.length > 0) return { ok: false, problems };
  const groups = Object.keys(manifest.groups).sort();
  const schema = schemaOf(manifest.namespace, groups, [...tools.values()]);
  return { ok: true, model: { namespace: manifest.namespace, tools, groups, schema } };
}

/** The part of the schema that concerns one tool, with a context of the given type. */
export function schemaOfTool(model: SchemaModel, tool: ToolModel, context: JsonObject): JsonObject {
  return schemaOf(model.namespace, tool.groups, [{ ...tool, context }]);
}

/** Members of groups whose server answered but has no such tool. A server that could not be asked makes no claim about its tools. */
function unknownMembers(
  manifest: Manifest,
  document: YamlDocument,
  servers: readonly ServerTools[],
  tools: ReadonlyMap<string, ToolModel>,
): Problem[] {
  const problems: Problem[] = [];
  const asked = new Set(servers.map(({ server }) => server));
  for (const [group, members] of Object.entries(manifest.groups)) {
    for (const [index, member] of members.entries()) {
      const server = member.slice(0, member.indexOf('/'));
      if (asked.has(server) && !tools.has(member)) {
        const own = [...tools.values()].filter((tool) => tool.server === server).map(({ action }) => action);
        const message = `the server "${server}" has no tool "${member.slice(server.length + 1)}"`;
        problems.push(document.problem(['groups', group, index], message, { suggestion: nearest(member, own) }));
      }
    }
  }
  return problems;
}

function schemaOf(namespace: string, groups: readonly string[], tools: readonly ToolModel[]): JsonObject {
  const actions: Record<string, JsonObject> = {};
  for (const group of groups) actions[group] = {};
  for (const tool of tools) {
    actions[tool.action] = {
      memberOf: tool.groups.map((id) => ({ id })),
      appliesTo: { principalTypes: ['Agent'], resourceTypes: ['Server'], context: tool.context },
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

function contextType(namespace: string, input: RecordShape, plans: readonly FactPlan[]): JsonObject {
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
  });
}

function record(attributes: JsonObject): JsonObject {
  return { type: 'Record', attributes };
}

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
