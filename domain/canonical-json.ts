// The one text of a JSON value (RFC 8785, JCS): what is hashed, signed, shown to the policy and sent to the tool.
// It does not repair: a value that has no canonical text is a mistake of ours, because the strict parser lets none in.

import { Defect } from './defect.ts';
import type { Json, JsonObject } from './json.ts';
import { isWellFormed } from './well-formed.ts';

/** Deeper than any value the strict parser lets in, shallow enough that recursion can never exhaust the stack. */
const DEPTH_MAX = 256;

/**
 * Returns the canonical text: members sorted by UTF-16 code units, no white space, numbers and strings as ECMAScript writes them.
 * Throws `Defect` on what is not JSON: undefined, functions, symbols, bigints, instances of classes, holes, non-finite numbers, lone
 * surrogates, more than 256 levels.
 */
export function canonicalJson(value: Json): string {
  const sorted = sort(value, 0);
  // ECMAScript writes numbers as RFC 8785 wants them and escapes exactly what its section 3.2.2.2 asks for, once non-finite numbers and
  // lone surrogates are excluded: what is left to us is the order of the members.
  return sorted === undefined ? write(value) : JSON.stringify(sorted);
}

/**
 * The same value with the members of every object in canonical order; the same reference where they are already, which is usual.
 * Undefined when an object cannot hold them in that order, because names that look like array indexes come first and by number.
 */
function sort(value: Json | undefined, depth: number): Json | undefined {
  switch (typeof value) {
    case 'string':
      if (!isWellFormed(value)) throw new Defect('canonical JSON has no text for a lone surrogate');
      return value;
    case 'number':
      if (!Number.isFinite(value)) throw new Defect('canonical JSON has no text for a non-finite number');
      return value;
    case 'boolean':
      return value;
    case 'object':
      if (value === null) return value;
      if (depth === DEPTH_MAX) throw new Defect('canonical JSON: the value is nested too deeply');
      return Array.isArray(value) ? sortItems(value, depth + 1) : sortMembers(value as JsonObject, depth + 1);
    default:
      throw new Defect(`canonical JSON has no text for ${typeof value}`);
  }
}

function sortItems(items: readonly Json[], depth: number): Json | undefined {
  let copy: Json[] | undefined;
  let representable = true;
  for (let index = 0; index < items.length; index++) {
    const item = items[index];
    const sorted = sort(item, depth);
    // Go on after the first that cannot be sorted: the rest is still to be checked.
    if (sorted === undefined) representable = false;
    else if (sorted !== item) {
      copy ??= [...items];
      copy[index] = sorted;
    }
  }
  return representable ? (copy ?? items) : undefined;
}

function sortMembers(object: JsonObject, depth: number): Json | undefined {
  const prototype: unknown = Object.getPrototypeOf(object);
  // A date, a map or a buffer would be written as its own members: not what anybody meant.
  if (prototype !== Object.prototype && prototype !== null)
    throw new Defect('canonical JSON has no text for an instance');
  const names = Object.keys(object);
  const inOrder = areSorted(names);
  if (!inOrder) names.sort();
  let copy: Record<string, Json> | undefined = inOrder ? undefined : {};
  let representable = true;
  for (const name of names) {
    if (!isWellFormed(name)) throw new Defect('canonical JSON has no text for a lone surrogate');
    const member = object[name];
    const sorted = sort(member, depth);
    // An assignment to the name of the prototype would not make a member.
    if (sorted === undefined || name === '__proto__') representable = false;
    else if (!inOrder || sorted !== member) {
      copy ??= { ...object };
      copy[name] = sorted;
    }
  }
  if (!representable) return undefined;
  if (copy === undefined) return object;
  return inOrder || areSorted(Object.keys(copy)) ? copy : undefined;
}

/** Compares by UTF-16 code units, as RFC 8785 section 3.2.3 asks and as `sort()` without arguments does. */
function areSorted(names: readonly string[]): boolean {
  for (let index = 1; index < names.length; index++) {
    if ((names[index - 1] as string) > (names[index] as string)) return false;
  }
  return true;
}

/** The text member by member, for a value that `sort` has checked but could not bring into order. */
function write(value: Json | undefined): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  const object = value as JsonObject;
  const names = Object.keys(object).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${write(object[name])}`).join(',')}}`;
}
