// What only the arguments can show of a recorded call: whether each scope that it carried permits it, whether it handed on no more than it had, and
// whether the same call stood above it. By how paths are spelled: where they led then, nobody knows any more.

import { canonicalJson } from '../../domain/canonical-json.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { RecordedPlace } from './recorded-place.ts';
import { isWithin, permits, readScope } from './scope.ts';

/** The first thing that is wrong; undefined where nothing is. `dispatched`: whether it was handed over. */
export function authorityProblem(place: RecordedPlace, args: JsonObject, dispatched: boolean): string | undefined {
  const { server, method, tool, narrowed } = place;
  const handed = narrowed === undefined ? undefined : readScope(JSON.parse(narrowed));
  if (narrowed !== undefined && handed === undefined) return 'what it handed on cannot be read';
  for (const text of place.scopes) {
    const scope = readScope(JSON.parse(text));
    if (scope === undefined) return `a scope cannot be read: ${text.slice(0, 120)}`;
    if (!permits(scope, { server, method, tool, args })) return `outside of a scope: ${text.slice(0, 120)}`;
    if (dispatched && handed !== undefined && !isWithin(handed, scope))
      return `handed on more than a scope has: ${text.slice(0, 120)}`;
  }
  return undefined;
}

/** Equal for calls that are the same: no chain has one twice. */
export function stepOf({ agent, server, method, tool }: RecordedPlace, argumentsJson: string): string {
  return canonicalJson([agent, server, method, tool, argumentsJson]);
}
