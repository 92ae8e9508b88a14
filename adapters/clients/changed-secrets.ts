// What was a header of a remote server is a variable while its entry starts the gate. A value that its user changed meanwhile goes back into the header.

import type { Json } from '../../domain/json.ts';
import { type LineShape, SHAPES, type ShapeName } from './shapes.ts';
import { type Edit, editValue, sameValue, valueAt } from './text-edit.ts';

export interface WrittenValue {
  readonly before: Json;
  readonly wrapped: Json | undefined;
}

/** `variables`: by header. Both values of the entry, as they would be if it had held the present values from the beginning. */
export function withSecretsOf(
  now: Json,
  name: ShapeName,
  { before, wrapped }: WrittenValue,
  variables: Readonly<Record<string, string>>,
): WrittenValue {
  const shape: LineShape = SHAPES[name];
  const inside = shape.inside === undefined ? [] : [shape.inside];
  const headers: Edit[] = [];
  const env: Edit[] = [];
  for (const [header, variable] of Object.entries(variables)) {
    const path = [...inside, shape.env, variable];
    const value = valueAt(now, path);
    if (value === undefined || sameValue(value, valueAt(wrapped, path))) continue;
    headers.push({ path: [...inside, ...shape.headers, header], value });
    env.push({ path, value });
  }
  return { before: editValue(before, headers) ?? before, wrapped: editValue(wrapped, env) };
}
