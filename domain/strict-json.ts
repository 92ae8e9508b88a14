// JSON from somebody else's bytes, or a reason why not. Whatever two readers could understand differently is refused: duplicate
// members, names that reach a prototype, numbers that lose digits, text that is not text, more than the limits allow.
// The value comes from the built-in parser. One scan beside it looks for what that parser lets pass, and runs first, so that nothing
// is built of a document that is too deep or has too many nodes. The scan assumes well-formed JSON; the parser has the last word.

import type { Json } from './json.ts';
import { isWellFormed } from './well-formed.ts';

export interface JsonLimits {
  readonly bytesMax: number;
  /** Levels of arrays and objects. */
  readonly depthMax: number;
  /** Values of every kind, containers included; names of members do not count. */
  readonly nodesMax: number;
}

export type StrictJsonReason =
  | 'too_large'
  | 'too_deep'
  | 'too_many_nodes'
  | 'utf8'
  | 'syntax'
  | 'duplicate_key'
  | 'forbidden_key'
  | 'lone_surrogate'
  | 'number';

export type StrictJsonResult =
  | { readonly ok: true; readonly value: Json }
  | {
      readonly ok: false;
      readonly reason: StrictJsonReason;
      /** The byte at which it was noticed; for `syntax` a hint that may be 0 where the platform does not say. */
      readonly offset: number;
    };

/** In objects with more members than this, names are looked up in a set instead of one after the other. */
const NAMES_COMPARED = 12;

/** After this many characters of a string it pays to search for its end with the built-in search. */
const LEAP_AFTER = 48;

/** Stands for an array, or no container at all, where the first name of an object would stand. */
const ARRAY = -1;

// A byte order mark is kept, so that the parser refuses it: RFC 8259 section 8.1 forbids it in what is sent.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Parses one JSON text. Never throws and never recurses; time and memory are linear in the bytes. */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits): StrictJsonResult {
  if (bytes.length > limits.bytesMax) return { ok: false, reason: 'too_large', offset: limits.bytesMax };
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return { ok: false, reason: 'utf8', offset: firstInvalidByte(bytes) };
  }
  const escaped: string[] = [];
  const finding = scan(text, limits, escaped);
  if (finding !== undefined) return { ok: false, reason: finding.reason, offset: byteOffset(text, finding.at) };
  try {
    const value = JSON.parse(text) as Json;
    return escaped.length === 0 || hasNames(value, escaped)
      ? { ok: true, value }
      : { ok: false, reason: 'syntax', offset: 0 };
  } catch (error) {
    return { ok: false, reason: 'syntax', offset: byteOffset(text, syntaxPosition(error, text)) };
  }
}

interface Finding {
  readonly reason: StrictJsonReason;
  readonly at: number;
}

/** Whether a value has all these names. An engine is known (V8 of Node 24.21) that reads a name with an escape as another one that it read before. */
function hasNames(value: Json, wanted: readonly string[]): boolean {
  const missing = new Map<string, number>();
  for (const name of wanted) missing.set(name, (missing.get(name) ?? 0) + 1);
  const open: Json[] = [value];
  for (let container = open.pop(); container !== undefined; container = open.pop()) {
    if (typeof container !== 'object' || container === null) continue;
    if (!Array.isArray(container)) {
      for (const name of Object.keys(container)) {
        const left = missing.get(name);
        if (left !== undefined) missing.set(name, left - 1);
      }
    }
    for (const member of Object.values(container)) if (typeof member === 'object') open.push(member as Json);
  }
  // The same name may stand elsewhere without an escape.
  return [...missing.values()].every((left) => left <= 0);
}

/** `escaped`: takes the names that are written with an escape. */
function scan(text: string, limits: JsonLimits, escaped: string[]): Finding | undefined {
  const { depthMax, nodesMax } = limits;
  const escapedSurrogates = text.includes('\\ud') || text.includes('\\uD');
  // One entry per open container: where its names begin in `names`, or ARRAY.
  const open: number[] = [];
  // The names of all open objects, innermost last; and a set per open object that has many.
  const names: string[] = [];
  const sets: (Set<string> | undefined)[] = [];
  let base = ARRAY;
  let nameIsNext = false;
  let nodes = 0;
  let index = 0;

  while (index < text.length) {
    const unit = text.charCodeAt(index);
    switch (unit) {
      case 0x22: {
        const end = closingQuote(text, index);
        if (end === -1) return { reason: 'syntax', at: index };
        if (escapedSurrogates && hasLoneSurrogate(text.slice(index, end + 1))) {
          return { reason: 'lone_surrogate', at: index };
        }
        if (nameIsNext) {
          nameIsNext = false;
          const name = nameOf(text, index, end);
          if (name === undefined) return { reason: 'syntax', at: index };
          if (name === '__proto__' || name === 'constructor' || name === 'prototype') {
            return { reason: 'forbidden_key', at: index };
          }
          if (isRepeated(name, names, base, sets, open.length)) return { reason: 'duplicate_key', at: index };
          names.push(name);
          if (name.length !== end - index - 1) escaped.push(name);
        } else if (++nodes > nodesMax) {
          return { reason: 'too_many_nodes', at: index };
        }
        index = end + 1;
        break;
      }
      case 0x2c: // ,
        nameIsNext = base !== ARRAY;
        index++;
        break;
      case 0x7b: // {
      case 0x5b: // [
        if (open.length === depthMax) return { reason: 'too_deep', at: index };
        if (++nodes > nodesMax) return { reason: 'too_many_nodes', at: index };
        base = unit === 0x7b ? names.length : ARRAY;
        nameIsNext = unit === 0x7b;
        open.push(base);
        index++;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        if (open.length === 0) return { reason: 'syntax', at: index };
        if (base !== ARRAY) {
          names.length = base;
          if (sets.length > open.length) sets.length = open.length;
        }
        open.pop();
        base = open.length === 0 ? ARRAY : (open[open.length - 1] as number);
        nameIsNext = false;
        index++;
        break;
      case 0x66: // false
        if (++nodes > nodesMax) return { reason: 'too_many_nodes', at: index };
        index += 5;
        break;
      case 0x6e: // null
      case 0x74: // true
        if (++nodes > nodesMax) return { reason: 'too_many_nodes', at: index };
        index += 4;
        break;
      default:
        if (unit === 0x2d || (unit >= 0x30 && unit <= 0x39)) {
          if (++nodes > nodesMax) return { reason: 'too_many_nodes', at: index };
          const end = numberEnd(text, index);
          if (!survives(text, index, end)) return { reason: 'number', at: index };
          index = end;
        } else {
          // White space and colons; anything else is for the parser to refuse.
          index++;
        }
    }
  }
  return undefined;
}

/** The position of the quote that ends the string opened at `start`, or -1. */
function closingQuote(text: string, start: number): number {
  let index = start + 1;
  for (;;) {
    // Short strings and dense escapes: character by character.
    const near = Math.min(index + LEAP_AFTER, text.length);
    while (index < near) {
      const unit = text.charCodeAt(index);
      if (unit === 0x22) return index;
      index += unit === 0x5c ? 2 : 1;
    }
    // Long strings: leap to the next quote. After an odd run of backslashes it is escaped.
    const quote = text.indexOf('"', index);
    if (quote === -1) return -1;
    let before = quote - 1;
    while (before >= index && text.charCodeAt(before) === 0x5c) before--;
    if ((quote - 1 - before) % 2 === 0) return quote;
    index = quote + 1;
  }
}

/** The name between two quotes as its readers will see it, or undefined when its escapes are wrong. */
function nameOf(text: string, start: number, end: number): string | undefined {
  const raw = text.slice(start + 1, end);
  return raw.includes('\\') ? readString(text.slice(start, end + 1)) : raw;
}

function readString(token: string): string | undefined {
  try {
    return JSON.parse(token) as string;
  } catch {
    return undefined;
  }
}

function hasLoneSurrogate(token: string): boolean {
  if (!token.includes('\\u')) return false;
  const value = readString(token);
  return value !== undefined && !isWellFormed(value);
}

function isRepeated(
  name: string,
  names: string[],
  base: number,
  sets: (Set<string> | undefined)[],
  depth: number,
): boolean {
  if (names.length - base <= NAMES_COMPARED) {
    for (let index = base; index < names.length; index++) {
      if (names[index] === name) return true;
    }
    return false;
  }
  let seen = sets[depth];
  if (seen === undefined) {
    seen = new Set(names.slice(base));
    sets[depth] = seen;
  }
  if (seen.has(name)) return true;
  seen.add(name);
  return false;
}

function numberEnd(text: string, start: number): number {
  let end = start + 1;
  for (; end < text.length; end++) {
    const unit = text.charCodeAt(end);
    const digit = unit >= 0x30 && unit <= 0x39;
    if (!digit && unit !== 0x2e && unit !== 0x65 && unit !== 0x45 && unit !== 0x2b && unit !== 0x2d) break;
  }
  return end;
}

/** Whether every reader with IEEE doubles keeps this number, and a reader with big integers sees the same one. */
function survives(text: string, start: number, end: number): boolean {
  let significant = 0;
  let point = false;
  let exponent = false;
  for (let index = start; index < end && !exponent; index++) {
    const unit = text.charCodeAt(index);
    if (unit === 0x2e) point = true;
    else if (unit === 0x65 || unit === 0x45) exponent = true;
    else if (unit !== 0x2d && (significant > 0 || unit !== 0x30)) significant++;
  }
  // Fifteen digits always survive, and so few characters without an exponent are far from every limit.
  if (!exponent && end - start <= 15) return true;
  if (!exponent && !point) {
    const value = Number(text.slice(start, end));
    return Number.isNaN(value) || Number.isSafeInteger(value); // What is not a number at all is for the parser.
  }
  const token = text.slice(start, end);
  const value = Number(token);
  if (Number.isNaN(value)) return true;
  if (!Number.isFinite(value)) return false;
  if (value === 0 && significant > 0) return false;
  // `9007199254740993.0` and `9007199254740993e0` are integers in disguise, and other ones than the double.
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return exponent && isSameDecimal(token, String(value));
  // Seventeen digits name any double; whoever writes more means a number that nobody will compute with.
  return significant <= 17 || digitsOf(token) <= 17;
}

/** How many digits of a number's text are significant: zeros at either end of the mantissa say nothing. */
function digitsOf(token: string): number {
  return significantDigits(token).length;
}

function significantDigits(token: string): string {
  const mantissa = token.split(/e/i, 1)[0] ?? '';
  return mantissa.replace(/[-+.]/g, '').replace(/^0+/, '').replace(/0+$/, '');
}

/** Whether two texts of the same double are also the same decimal number. Equal digits suffice: another power would be another double. */
function isSameDecimal(token: string, shortest: string): boolean {
  return significantDigits(token) === significantDigits(shortest);
}

function byteOffset(text: string, at: number): number {
  return new TextEncoder().encode(text.slice(0, at)).length;
}

function syntaxPosition(error: unknown, text: string): number {
  const message = error instanceof Error ? error.message : '';
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  return message.includes('end of JSON input') ? text.length : 0;
}

/** How many bytes at the front are valid UTF-8. Only for the report: it decodes again, halving. */
function firstInvalidByte(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    try {
      // In streaming mode a sequence cut off at the end is not an error yet.
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      valid = middle;
    } catch {
      invalid = middle;
    }
  }
  return valid;
}
