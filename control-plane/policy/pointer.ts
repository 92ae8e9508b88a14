// JSON pointers (RFC 6901) with `*` for every element of an array: which values of the arguments a fact speaks about.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { FACT_VALUES_MAX } from './limits.ts';

export type Selection =
  | { readonly ok: true; readonly values: readonly Json[] }
  | { readonly ok: false; readonly reason: string };

// `/files/(star)/path` as its parts.
export function pointerParts(pointer: string): readonly string[] {
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/**
 * All values at a pointer. A missing member selects nothing. Refuses when the way leads through something of another kind: then what the
 * pointer was written for is somewhere else.
 */
export function select(value: Json, pointer: string): Selection {
  let current: Json[] = [value];
  for (const part of pointerParts(pointer)) {
    const next: Json[] = [];
    for (const container of current) {
      if (part === '*') {
        if (!Array.isArray(container)) return { ok: false, reason: `${pointer}: not an array` };
        next.push(...(container as readonly Json[]));
      } else {
        if (!isJsonObject(container)) return { ok: false, reason: `${pointer}: not an object` };
        const member = Object.hasOwn(container, part) ? container[part] : undefined;
        if (member !== undefined) next.push(member);
      }
      if (next.length > FACT_VALUES_MAX) return { ok: false, reason: `${pointer}: too many values` };
    }
    current = next;
  }
  return { ok: true, values: current };
}

export type Presence = 'always' | 'sometimes' | 'never';

/** Whether valid arguments of a tool have a value at a pointer. What the schema leaves open counts as possible. */
export function presence(inputSchema: JsonObject, pointer: string): Presence {
  let schema: Json | undefined = inputSchema;
  let always = true;
  for (const part of pointerParts(pointer)) {
    if (!isJsonObject(schema)) return 'sometimes';
    if (part === '*') {
      // An empty array has no elements.
      always = false;
      if (schema.type !== undefined && schema.type !== 'array') return 'never';
      schema = schema.items;
    } else {
      if (schema.type !== undefined && schema.type !== 'object') return 'never';
      const properties: Json | undefined = schema.properties;
      if (!isJsonObject(properties)) return schema === inputSchema ? 'never' : 'sometimes';
      if (!Object.hasOwn(properties, part)) return 'never';
      const required: Json | undefined = schema.required;
      always &&= Array.isArray(required) && required.includes(part);
      schema = properties[part];
    }
  }
  return always ? 'always' : 'sometimes';
}
