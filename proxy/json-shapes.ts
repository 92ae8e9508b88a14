// Shapes of results that several checks ask for.

import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';

/** Whether a value is a list of objects that all fit. */
export function isListOf(value: Json | undefined, fits: (item: JsonObject) => boolean): boolean {
  return Array.isArray(value) && (value as readonly Json[]).every((item) => isJsonObject(item) && fits(item));
}
