// The arguments of a call read again from the very bytes that will be sent, and refused where rules, schema and server could understand
// them differently. Whether they fit the tool's JSON Schema is checked before, elsewhere.

import { type Denial, deny } from '../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { isWellFormed } from '../../domain/well-formed.ts';
import { RESERVED_NAMES, type RecordShape, shownPart } from './input-shape.ts';
import { ARGUMENT_DEPTH_MAX, ARGUMENT_NODES_MAX } from './limits.ts';

export type ArgumentsResult =
  | { readonly ok: true; readonly args: JsonObject }
  | { readonly ok: false; readonly denial: Denial };

/**
 * Parses canonical arguments. Refuses depth, size, reserved names, text that is not text and numbers that are not exact; where the shape is
 * open, only in what it shows.
 */
export function readArguments(argumentsJson: string, shape: RecordShape): ArgumentsResult {
  let value: Json;
  try {
    value = JSON.parse(argumentsJson) as Json; // JSON.parse returns nothing else
  } catch {
    return refuse('the arguments are not JSON');
  }
  if (!isJsonObject(value)) return refuse('the arguments are not an object');
  const reason = new Scan().refusal(shownPart(shape, value), 0);
  return reason === undefined ? { ok: true, args: value } : refuse(reason);
}

function refuse(detail: string): { ok: false; denial: Denial } {
  return { ok: false, denial: deny('ARG_INVALID', detail) };
}

class Scan {
  #nodes = 0;

  /** Why a value cannot be shown to rules; undefined when it can. */
  refusal(value: Json, depth: number): string | undefined {
    if (depth > ARGUMENT_DEPTH_MAX) return 'the arguments are nested too deeply';
    if (++this.#nodes > ARGUMENT_NODES_MAX) return 'the arguments have too many values';
    switch (typeof value) {
      case 'string':
        return isWellFormed(value) ? undefined : 'a string has a lone surrogate';
      case 'number':
        // 2^53 itself may be a rounded 2^53 + 1. A number with a fraction is exact enough to pass on where rules cannot see it.
        if (!Number.isFinite(value)) return 'a number is not finite';
        return Number.isInteger(value) && !Number.isSafeInteger(value) ? 'an integer is not exact' : undefined;
      case 'boolean':
        return undefined;
      case 'object': {
        if (value === null) return undefined;
        if (Array.isArray(value)) return this.#first(value as readonly Json[], depth);
        const object = value as JsonObject;
        for (const name of Object.keys(object)) {
          if (RESERVED_NAMES.includes(name)) return `the name "${name}" is reserved`;
          if (!isWellFormed(name)) return 'a name has a lone surrogate';
        }
        return this.#first(Object.values(object), depth);
      }
    }
  }

  #first(values: readonly Json[], depth: number): string | undefined {
    for (const value of values) {
      const reason = this.refusal(value, depth + 1);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }
}
