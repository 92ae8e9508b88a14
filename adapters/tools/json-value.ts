// What a program hands over, as JSON: read once, copied, and refused where JSON has no word for it. Nothing is repaired, and nothing that is too
// large is read to its end.

import type { Json } from '../../domain/json.ts';
import type { JsonLimits } from '../../domain/strict-json.ts';
import { isWellFormed } from '../../domain/well-formed.ts';

export type JsonValue =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly reason: 'too_large' | 'not_json'; readonly detail: string };

class NotJson extends Error {
  readonly reason: 'too_large' | 'not_json';

  constructor(detail: string, reason: 'too_large' | 'not_json' = 'not_json') {
    super(detail);
    this.reason = reason;
  }
}

/**
 * A copy of plain data: null, booleans, finite numbers, text, arrays and plain objects. A member that is undefined is left out, as it has no other
 * meaning than one that is not there. Everything else is refused, whatever `toJSON` it has. Never throws.
 */
export function jsonValue(value: unknown, limits: JsonLimits): JsonValue {
  try {
    return { ok: true, value: new Copy(limits).of(value, 1) };
  } catch (error) {
    if (error instanceof NotJson) return { ok: false, reason: error.reason, detail: error.message };
    return { ok: false, reason: 'not_json', detail: 'it cannot be read' };
  }
}

class Copy {
  readonly #limits: JsonLimits;
  /** Each value takes at least one byte; a character of text at least one more. */
  #bytes = 0;
  #nodes = 0;

  constructor(limits: JsonLimits) {
    this.#limits = limits;
  }

  of(value: unknown, depth: number): Json {
    this.#nodes += 1;
    if (this.#nodes > this.#limits.nodesMax) throw new NotJson('too many values', 'too_large');
    this.#take(1);
    switch (typeof value) {
      case 'boolean':
        return value;
      case 'number':
        if (!Number.isFinite(value)) throw new NotJson('a number that is not finite');
        // JSON has one zero.
        return value === 0 ? 0 : value;
      case 'string':
        return this.#text(value);
      case 'object':
        if (value === null) return null;
        if (depth > this.#limits.depthMax) throw new NotJson('it is nested too deeply, or in a circle');
        return Array.isArray(value) ? this.#items(value, depth) : this.#members(value, depth);
      default:
        throw new NotJson(typeof value === 'undefined' ? 'nothing where a value is needed' : `a ${typeof value}`);
    }
  }

  #items(items: readonly unknown[], depth: number): Json {
    const copy: Json[] = [];
    for (let index = 0; index < items.length; index += 1) copy.push(this.of(items[index], depth + 1));
    return copy;
  }

  #members(object: object, depth: number): Json {
    const prototype: unknown = Object.getPrototypeOf(object);
    // Objects of another realm have another Object.prototype; it ends the chain there too.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw new NotJson('an object of a class');
    const copy: Record<string, Json> = {};
    for (const key of Object.keys(object)) {
      if (key === '__proto__') throw new NotJson('a member named __proto__');
      const member = (object as Record<string, unknown>)[key];
      if (member === undefined) continue;
      copy[this.#text(key)] = this.of(member, depth + 1);
    }
    return copy;
  }

  #text(text: string): string {
    this.#take(text.length);
    if (!isWellFormed(text)) throw new NotJson('text with half of a surrogate pair');
    return text;
  }

  #take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.bytesMax) throw new NotJson(`more than ${this.#limits.bytesMax} bytes`, 'too_large');
  }
}
