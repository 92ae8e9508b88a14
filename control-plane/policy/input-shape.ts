// One description of a tool's input: which arguments rules can see and as what. The schema that rules are checked against and the values
// they see are both made from it, so they cannot disagree. What has no exact counterpart in the rule language is hidden.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { SHAPE_DEPTH_MAX, SHAPE_FIELDS_MAX } from './limits.ts';

export type ScalarKind = 'string' | 'long' | 'bool';

export type Shape =
  | { readonly kind: ScalarKind }
  | { readonly kind: 'set'; readonly of: ScalarKind }
  | RecordShape
  | { readonly kind: 'hidden' };

export interface RecordShape {
  readonly kind: 'record';
  readonly fields: ReadonlyMap<string, { readonly shape: Shape; readonly required: boolean }>;
  /** Whether a value may have members that have no field here. They are hidden. Absent for tools, where they are refused. */
  readonly open?: true;
}

/** Names with a meaning in JavaScript or in the engine's JSON form. Arguments with such a name are refused anywhere. */
export const RESERVED_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  '__entity',
  '__extn',
  '__expr',
];

const HIDDEN: Shape = { kind: 'hidden' };

/** The shape of a tool's arguments. Properties that the schema does not name do not exist, whatever it says about others. */
export function inputShape(inputSchema: JsonObject): RecordShape {
  return recordShape(inputSchema, 0, false);
}

/** The shape of an object of which only a part is described, at every depth. */
export function openShape(schema: JsonObject): RecordShape {
  return recordShape(schema, 0, true);
}

/** The part of a value that a shape does not hide: all of it for the arguments of a tool, which may hide nothing from the checks. */
export function shownPart(shape: RecordShape, value: JsonObject): JsonObject {
  if (shape.open === undefined) return value;
  const shown: Record<string, Json> = {};
  for (const [name, { shape: inner }] of shape.fields) {
    const member = Object.hasOwn(value, name) ? value[name] : undefined;
    if (member === undefined || inner.kind === 'hidden') continue;
    shown[name] = inner.kind === 'record' && isJsonObject(member) ? shownPart(inner, member) : member;
  }
  return shown;
}

function recordShape(schema: JsonObject, depth: number, open: boolean): RecordShape {
  const properties: Json = schema.properties ?? {};
  const required: Json = schema.required ?? [];
  const fields = new Map<string, { shape: Shape; required: boolean }>();
  if (isJsonObject(properties)) {
    for (const [index, name] of Object.keys(properties).sort().entries()) {
      if (RESERVED_NAMES.includes(name)) continue;
      const shape = index < SHAPE_FIELDS_MAX ? shapeOf(properties[name], depth + 1, open) : HIDDEN;
      fields.set(name, { shape, required: Array.isArray(required) && required.includes(name) });
    }
  }
  return open ? { kind: 'record', fields, open } : { kind: 'record', fields };
}

function shapeOf(schema: Json | undefined, depth: number, open: boolean): Shape {
  if (!isJsonObject(schema) || depth > SHAPE_DEPTH_MAX) return HIDDEN;
  const scalar = scalarKind(schema);
  if (scalar !== undefined) return { kind: scalar };
  if (schema.type === 'array') {
    const element = isJsonObject(schema.items) ? scalarKind(schema.items) : undefined;
    return element === undefined ? HIDDEN : { kind: 'set', of: element };
  }
  const closed = schema.additionalProperties === undefined || schema.additionalProperties === false;
  if (schema.type === 'object' && isJsonObject(schema.properties) && closed && schema.patternProperties === undefined) {
    return recordShape(schema, depth, open);
  }
  return HIDDEN;
}

function scalarKind(schema: JsonObject): ScalarKind | undefined {
  switch (schema.type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'long';
    case 'boolean':
      return 'bool';
    case undefined: {
      const values = Array.isArray(schema.enum) ? schema.enum : schema.const === undefined ? [] : [schema.const];
      const kinds = new Set(values.map((value: Json) => typeof value));
      return kinds.size === 1 && kinds.has('string') ? 'string' : undefined;
    }
    default:
      return undefined;
  }
}
