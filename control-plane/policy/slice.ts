// The part of a bundle that one action needs: its rules, and of the context only what those rules read. The engine's time goes into what
// it is handed, so a slice hands it little. Deciding by slices is the same as deciding by the whole: a rule that is left out cannot match,
// and what a rule does not read cannot change it.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { Rule } from './lint.ts';
import { actionMatches } from './policy-json.ts';
import { type ActionModel, type SchemaModel, schemaOfAction } from './schema.ts';

export interface Slice {
  readonly rules: readonly Rule[];
  readonly schema: JsonObject;
  /** The parts of a context that these rules read. */
  project(context: JsonObject): JsonObject;
  /** Whether these rules read this argument of the tool. */
  readsInput(argument: string): boolean;
}

export function sliceFor(model: SchemaModel, rules: Iterable<Rule>, tool: ActionModel): Slice {
  const own = [...rules].filter(({ json }) => actionMatches(json.action, model.namespace, tool));
  const usage = newUsage();
  for (const { json } of own) for (const { body } of json.conditions) visit(body, usage);
  const type = narrow(tool.context, usage);
  return {
    rules: own,
    schema: schemaOfAction(model, tool, type),
    project: (context) => {
      const projected = project(context, type);
      return isJsonObject(projected) ? projected : {};
    },
    readsInput: (argument) => {
      const attributes = isJsonObject(type.attributes) ? type.attributes : {};
      const input = isJsonObject(attributes.input) ? attributes.input.attributes : undefined;
      return isJsonObject(input) && Object.hasOwn(input, argument);
    },
  };
}

/** What is read of a record: all of it, or some members, each again in whole or in part. */
interface Usage {
  all: boolean;
  readonly members: Map<string, Usage>;
}

function newUsage(): Usage {
  return { all: false, members: new Map() };
}

function member(usage: Usage, name: string): Usage {
  const found = usage.members.get(name);
  if (found !== undefined) return found;
  const fresh = newUsage();
  usage.members.set(name, fresh);
  return fresh;
}

/** Notes what an expression reads of the context. An operator that is not known here counts as reading all that is in its operands. */
function visit(expression: Json, context: Usage): void {
  if (!isJsonObject(expression)) return;
  for (const [operator, operand] of Object.entries(expression)) {
    switch (operator) {
      case 'Value':
      case 'Slot':
        break;
      case 'Var':
        if (operand === 'context') context.all = true;
        break;
      case '.': {
        const read = usageOf(expression, context);
        if (read !== undefined) read.all = true;
        else visitOperands(operand, context);
        break;
      }
      case 'has': {
        const left = isJsonObject(operand) ? usageOf(operand.left, context) : undefined;
        const attr = isJsonObject(operand) ? operand.attr : undefined;
        if (left === undefined) visitOperands(operand, context);
        else if (typeof attr === 'string') member(left, attr);
        else if (Array.isArray(attr)) attr.reduce<Usage>((usage, name: Json) => member(usage, String(name)), left);
        else left.all = true;
        break;
      }
      default:
        visitOperands(operand, context);
    }
  }
}

function visitOperands(operand: Json, context: Usage): void {
  if (Array.isArray(operand)) for (const item of operand as readonly Json[]) visit(item, context);
  else if (isJsonObject(operand)) for (const item of Object.values(operand)) visitAny(item, context);
}

function visitAny(item: Json, context: Usage): void {
  if (Array.isArray(item)) visitOperands(item, context);
  else visit(item, context);
}

/** The usage of a chain of members that begins at the context; undefined for any other expression. */
function usageOf(expression: Json | undefined, context: Usage): Usage | undefined {
  if (!isJsonObject(expression)) return undefined;
  if (expression.Var === 'context') return context;
  const access = expression['.'];
  if (!isJsonObject(access) || typeof access.attr !== 'string') return undefined;
  const left = usageOf(access.left, context);
  return left === undefined ? undefined : member(left, access.attr);
}

/** A record type without the members that are not read. */
function narrow(type: JsonObject, usage: Usage): JsonObject {
  if (usage.all || type.type !== 'Record' || !isJsonObject(type.attributes)) return type;
  const attributes: Record<string, Json> = {};
  for (const [name, attribute] of Object.entries(type.attributes)) {
    const read = usage.members.get(name);
    if (read !== undefined && isJsonObject(attribute)) attributes[name] = narrow(attribute, read);
  }
  return { ...type, attributes };
}

/** A value without the members that its type does not have. */
function project(value: Json, type: Json | undefined): Json {
  if (!isJsonObject(type) || type.type !== 'Record' || !isJsonObject(type.attributes) || !isJsonObject(value))
    return value;
  const projected: Record<string, Json> = {};
  for (const name in type.attributes) {
    const inner = value[name];
    if (inner !== undefined && Object.hasOwn(value, name)) projected[name] = project(inner, type.attributes[name]);
  }
  return projected;
}
