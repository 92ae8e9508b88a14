// What an execution may do at most: the authority that it hands to whatever it calls. A call must lie in the scope of every ancestor, so a scope
// can only take away; whether anything is allowed is still for the rules. Paths are judged as they are spelled and, where somebody can say it, by
// where they lead.

import { TOOL_METHOD } from '../../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { Grant, Scope } from '../../domain/scope.ts';
import { globParts } from '../policy/glob.ts';
import { contains, lexicalPath } from '../policy/path-fact.ts';
import { select } from '../policy/pointer.ts';
import type { PathResolver } from '../policy/ports.ts';

export interface ScopedCall {
  readonly server: string;
  readonly method: string;
  /** The name of the tool; for every other method, the method itself. */
  readonly tool: string;
  readonly args: JsonObject;
}

export const GRANTS_MAX = 16;
export const ACTIONS_PER_GRANT_MAX = 128;
export const LIMITS_PER_GRANT_MAX = 8;
export const VALUES_PER_LIMIT_MAX = 32;
const EVERY = '*';

/**
 * Whether a call lies in a scope. A limit on a value that is not there refuses: what it was written for is somewhere else. With a resolver, a path
 * must also lead to where it may; without one it is judged by its spelling alone.
 */
export function permits(scope: Scope, call: ScopedCall, resolver?: PathResolver): boolean {
  const name = call.method === TOOL_METHOD ? call.tool : `:${call.method}`;
  return scope.some(
    ({ server, actions, under = {}, in: among = {}, max = {} }) =>
      server === call.server &&
      (actions.includes(EVERY) || actions.includes(name)) &&
      Object.entries(under).every(([pointer, roots]) =>
        all(call.args, pointer, (value) => isUnder(value, roots, resolver)),
      ) &&
      Object.entries(among).every(([pointer, values]) => all(call.args, pointer, (value) => isAmong(value, values))) &&
      Object.entries(max).every(([pointer, most]) => all(call.args, pointer, (value) => isAtMost(value, most))),
  );
}

/** Whether whatever `inner` permits, `outer` permits too. May say no where yes is true; never the other way round. */
export function isWithin(inner: Scope, outer: Scope): boolean {
  return inner.every((grant) => outer.some((other) => isGrantWithin(grant, other)));
}

/** A scope in JSON that somebody else wrote: undefined unless it is one, to the member, and within its bounds. */
export function readScope(value: Json | undefined): Scope | undefined {
  if (!Array.isArray(value) || value.length > GRANTS_MAX) return undefined;
  return (value as readonly Json[]).every(isGrant) ? (value as unknown as Scope) : undefined;
}

function isGrantWithin(inner: Grant, outer: Grant): boolean {
  return (
    inner.server === outer.server &&
    (outer.actions.includes(EVERY) || inner.actions.every((action) => outer.actions.includes(action))) &&
    Object.entries(outer.under ?? {}).every(([pointer, roots]) => {
      const narrower = limitOf(inner.under, pointer) ?? limitOf(inner.in, pointer);
      return narrower?.every((path) => isUnder(path, roots)) === true;
    }) &&
    Object.entries(outer.in ?? {}).every(
      ([pointer, values]) => limitOf(inner.in, pointer)?.every((value) => values.includes(value)) === true,
    ) &&
    Object.entries(outer.max ?? {}).every(([pointer, most]) => {
      const less = limitOf(inner.max, pointer);
      return less !== undefined && less <= most;
    })
  );
}

function limitOf<T>(limits: Readonly<Record<string, T>> | undefined, pointer: string): T | undefined {
  return limits !== undefined && Object.hasOwn(limits, pointer) ? limits[pointer] : undefined;
}

function all(args: JsonObject, pointer: string, holds: (value: Json) => boolean): boolean {
  const selected = select(args, pointer);
  return selected.ok && selected.values.length > 0 && selected.values.every(holds);
}

/** `..` is refused: behind a link it leads elsewhere than it reads. */
function isUnder(value: Json, roots: readonly string[], resolver?: PathResolver): boolean {
  const path = typeof value === 'string' && !value.split('/').includes('..') ? lexicalPath(value) : undefined;
  if (path === undefined) return false;
  const real = resolver === undefined ? undefined : placeOf(value as string, resolver);
  return roots.some((root) => {
    const parts = lexicalPath(root);
    if (parts === undefined || !contains(parts, path)) return false;
    if (resolver === undefined) return true;
    const place = placeOf(root, resolver);
    return real !== undefined && place !== undefined && contains(place, real);
  });
}

function placeOf(path: string, resolver: PathResolver): readonly string[] | undefined {
  const real = resolver.real(path);
  return real.ok ? globParts(real.path) : undefined;
}

function isAmong(value: Json, values: readonly string[]): boolean {
  return typeof value === 'string' && values.includes(value);
}

function isAtMost(value: Json, most: number): boolean {
  return typeof value === 'number' && value <= most;
}

const MEMBERS: Readonly<Record<string, (value: Json) => boolean>> = {
  server: isName,
  actions: (value) => isListOf(value, ACTIONS_PER_GRANT_MAX, isName),
  under: (value) => isLimits(value, (roots) => isListOf(roots, VALUES_PER_LIMIT_MAX, isRoot)),
  in: (value) => isLimits(value, (values) => isListOf(values, VALUES_PER_LIMIT_MAX, (one) => typeof one === 'string')),
  max: (value) => isLimits(value, (most) => typeof most === 'number'),
};

function isGrant(value: Json): boolean {
  if (!isJsonObject(value) || value.server === undefined || value.actions === undefined) return false;
  return Object.entries(value).every(
    ([name, member]) => Object.hasOwn(MEMBERS, name) && MEMBERS[name]?.(member) === true,
  );
}

function isLimits(value: Json, isLimit: (limit: Json) => boolean): boolean {
  if (!isJsonObject(value)) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= LIMITS_PER_GRANT_MAX &&
    entries.every(([pointer, limit]) => pointer.startsWith('/') && isLimit(limit))
  );
}

function isListOf(value: Json, most: number, isItem: (item: Json) => boolean): boolean {
  return Array.isArray(value) && value.length <= most && (value as readonly Json[]).every(isItem);
}

function isName(value: Json): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= 256;
}

function isRoot(value: Json): boolean {
  return typeof value === 'string' && !value.split('/').includes('..') && lexicalPath(value) !== undefined;
}
