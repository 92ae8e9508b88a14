// What rules see of a call: the arguments in the shape of the tool or method, the facts, and the place of the call in its chain. Made from the
// same shape as the schema. An argument that a tool does not declare denies, whether or not rules could see it.

import { type Denial, deny } from '../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { HistoryFacts } from '../authorization.ts';
import type { RecordShape, ScalarKind, Shape } from './input-shape.ts';
import type { EntityRef } from './policy-json.ts';

export interface Circumstances {
  readonly facts: JsonObject;
  readonly depth: number;
  readonly rootAgent: string;
  /** The agents on the way from the root to this call. */
  readonly path: readonly string[];
  readonly approvals: readonly string[];
  readonly state: string;
  readonly epoch: number;
  /** Undefined where the manifest does not ask for it. */
  readonly history?: HistoryFacts | undefined;
}

export type ContextResult =
  | { readonly ok: true; readonly context: JsonObject }
  | { readonly ok: false; readonly denial: Denial };

/** The context of one call. Refuses what has no exact counterpart in the rule language. */
export function encodeContext(
  namespace: string,
  shape: RecordShape,
  args: JsonObject,
  circumstances: Circumstances,
  /** Whether any rule that can concern the call reads this argument. */
  reads: (argument: string) => boolean = () => true,
): ContextResult {
  const input = encodeRecord(shape, args, '', reads);
  if (!input.ok) return input;
  const { facts, depth, rootAgent, path, approvals, state, epoch, history } = circumstances;
  const context: JsonObject = {
    input: input.value,
    facts,
    lineage: {
      depth,
      rootAgent: entityJson(agentRef(namespace, rootAgent)),
      path: path.map((agent) => entityJson(agentRef(namespace, agent))),
    },
    approvals,
    governance: { state, epoch },
    ...(history === undefined ? {} : { history: { ...history } }),
  };
  return { ok: true, context };
}

export function agentRef(namespace: string, id: string): EntityRef {
  return { type: `${namespace}::Agent`, id };
}

function entityJson({ type, id }: EntityRef): JsonObject {
  return { __entity: { type, id } };
}

type Encoded = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly denial: Denial };

function invalid(path: string, detail: string): Encoded {
  return { ok: false, denial: deny('ARG_INVALID', `${path === '' ? '/' : path}: ${detail}`) };
}

function encode(shape: Exclude<Shape, { kind: 'hidden' }>, value: Json, path: string): Encoded {
  switch (shape.kind) {
    case 'string':
    case 'long':
    case 'bool':
      return encodeScalar(shape.kind, value, path);
    case 'set': {
      if (!Array.isArray(value)) return invalid(path, 'not an array');
      const items: Json[] = [];
      for (const [index, item] of (value as readonly Json[]).entries()) {
        const encoded = encodeScalar(shape.of, item, `${path}/${index}`);
        if (!encoded.ok) return encoded;
        items.push(encoded.value);
      }
      return { ok: true, value: items };
    }
    case 'record':
      return isJsonObject(value) ? encodeRecord(shape, value, path) : invalid(path, 'not an object');
  }
}

function encodeScalar(kind: ScalarKind, value: Json, path: string): Encoded {
  switch (kind) {
    case 'string':
      return typeof value === 'string' ? { ok: true, value } : invalid(path, 'not a string');
    case 'bool':
      return typeof value === 'boolean' ? { ok: true, value } : invalid(path, 'not a boolean');
    case 'long':
      if (typeof value !== 'number') return invalid(path, 'not a number');
      if (!Number.isSafeInteger(value)) {
        return { ok: false, denial: deny('ARG_NOT_REPRESENTABLE', `${path}: not an exact integer`) };
      }
      return { ok: true, value };
  }
}

/** What stands for an argument that no rule reads and the rule language cannot express, such as a fraction: it changes no decision. */
function standIn(shape: Shape): Json | undefined {
  if (shape.kind === 'long') return 0;
  return shape.kind === 'set' ? [] : undefined;
}

function encodeRecord(
  shape: RecordShape,
  value: JsonObject,
  path: string,
  reads: (member: string) => boolean = () => true,
): Encoded {
  const record: Record<string, Json> = {};
  for (const name of Object.keys(value)) {
    const field = shape.fields.get(name);
    const at = `${path}/${name}`;
    if (field === undefined) {
      if (shape.open === true) continue;
      return invalid(at, 'the tool has no such argument');
    }
    // An optional argument that is null was left out.
    if (field.shape.kind === 'hidden' || (value[name] === null && !field.required)) continue;
    const encoded = encode(field.shape, value[name] ?? null, at);
    if (encoded.ok) {
      record[name] = encoded.value;
      continue;
    }
    const unread = encoded.denial.code === 'ARG_NOT_REPRESENTABLE' && !reads(name) ? standIn(field.shape) : undefined;
    if (unread === undefined) return encoded;
    record[name] = unread;
  }
  for (const [name, field] of shape.fields) {
    if (field.required && !Object.hasOwn(value, name)) return invalid(`${path}/${name}`, 'missing');
  }
  return { ok: true, value: record };
}
