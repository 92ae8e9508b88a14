// The shapes of which the claims of our tokens are made, strict to the member: what is not named here is refused.

import { isDigest } from './digest.ts';
import { isUlid } from './ids.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** Whether a value has a shape. */
export type Refine = (value: Json | undefined) => boolean;

export const text: Refine = (value) => typeof value === 'string' && value.length > 0;
export const digest: Refine = (value) => typeof value === 'string' && isDigest(value);
export const ulid: Refine = (value) => typeof value === 'string' && isUlid(value);
export const count: Refine = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
export const positive: Refine = (value) => count(value) && value !== 0;
export const listOf =
  (item: Refine): Refine =>
  (value) =>
    Array.isArray(value) && value.every(item);
export const thumbprint: Refine = (value) => typeof value === 'string' && /^[A-Za-z0-9_-]{43}$/.test(value);
export const token: Refine = (value) => typeof value === 'string' && /^[A-Za-z0-9_-]{16,128}$/.test(value);

/** An object with these members and no other. */
export function members(required: Record<string, Refine>, optional: Record<string, Refine> = {}): Refine {
  return (value) => isJsonObject(value) && wrongMember(value, required, optional) === undefined;
}

/** The name of a member that is missing, unknown or not of its shape; undefined where all are right. */
export function wrongMember(
  value: JsonObject,
  required: Record<string, Refine>,
  optional: Record<string, Refine> = {},
): string | undefined {
  for (const name in required) {
    if (!Object.hasOwn(value, name) || required[name]?.(value[name]) !== true) return name;
  }
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(required, name)) continue;
    if (!Object.hasOwn(optional, name) || optional[name]?.(value[name]) !== true) return name;
  }
  return undefined;
}
