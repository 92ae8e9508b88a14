// The variables that a client's entry gives to what it starts. Their values are secrets: they are handed to a process, never shown or kept.

import { isJsonObject, type Json } from '../../domain/json.ts';
import { type LineShape, SHAPES, type ShapeName } from './shapes.ts';

/** Those whose value stands in the entry. One that the client would fill in is known to the client alone, and is left out. */
export function variablesOf(name: ShapeName, raw: Json): Readonly<Record<string, string>> {
  const shape: LineShape = SHAPES[name];
  const within = isJsonObject(raw) && shape.inside !== undefined ? raw[shape.inside] : raw;
  const variables = isJsonObject(within) ? within[shape.env] : undefined;
  if (!isJsonObject(variables)) return {};
  return Object.fromEntries(
    Object.entries(variables).flatMap(([variable, value]) => {
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return [];
      return shape.expands.test(String(value)) ? [] : [[variable, String(value)]];
    }),
  );
}

export function isShapeName(name: string): name is ShapeName {
  return Object.hasOwn(SHAPES, name);
}
