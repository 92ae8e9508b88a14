// One entry as one line: its canonical JSON. The bytes of the line are the leaf; they are compared, never re-made, when verified.
// Header fields and body fields share one object, sorted together.

import { canonicalJson } from '../domain/canonical-json.ts';
import { Defect } from '../domain/defect.ts';
import { isDigest } from '../domain/digest.ts';
import type { Entry, EntryBody, EntryHeader } from '../domain/entry.ts';
import { isJsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { equalBytes, utf8 } from './bytes.ts';

/** Ours; the format of bundles would allow 65,535. Entries hold commitments, not payloads. */
export const ENTRY_BYTES_MAX = 32 * 1024;

/** What a header adds at most: eight names, an origin of 256 bytes, a digest, a time and three numbers. */
export const HEADER_BYTES_MAX = 640;

const HEADER_FIELDS = ['epoch', 'log', 'mono', 'prev', 'seq', 'ts', 'v'] as const;
const HEADER_NAMES: ReadonlySet<string> = new Set(HEADER_FIELDS);

const LIMITS = { bytesMax: ENTRY_BYTES_MAX, depthMax: 64, nodesMax: 8192 };
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** A body turned into text when it was handed over, so that later changes to the object change nothing. */
export interface PreparedBody {
  readonly type: string;
  /** Name and `"name":value`, sorted by name. */
  readonly fields: readonly (readonly [string, string])[];
  /** Bytes of the fields, commas included; exact above half the limit, never too few below. */
  readonly bytes: number;
}

/** Throws `Defect` when the body is not JSON or uses the name of a header field. */
export function prepareBody(body: EntryBody): PreparedBody {
  if (typeof body.type !== 'string' || body.type === '') throw new Defect('an entry has a type');
  const fields: (readonly [string, string])[] = [];
  let bytes = 0;
  for (const name of Object.keys(body).sort()) {
    if (HEADER_NAMES.has(name)) throw new Defect(`an entry body may not have a field ${name}`);
    const text = `${canonicalJson(name)}:${canonicalJson(body[name] as never)}`;
    fields.push([name, text]);
    // At most three bytes for a UTF-16 unit; the exact length is only worth computing near the limit.
    bytes += 1 + text.length * 3;
  }
  if (bytes > ENTRY_BYTES_MAX / 2) bytes = fields.reduce((sum, [, text]) => sum + 1 + utf8(text).length, 0);
  return { type: body.type, fields, bytes };
}

/** The line of an entry, without its line feed. Equal to the canonical JSON of header and body together. */
export function encodeEntry(header: EntryHeader, body: PreparedBody): string {
  let line = '{';
  let at = 0;
  for (const name of HEADER_FIELDS) {
    for (; at < body.fields.length; at++) {
      const field = body.fields[at] as readonly [string, string];
      if (field[0] > name) break;
      line += `${field[1]},`;
    }
    const value = header[name];
    line += `"${name}":${typeof value === 'number' ? value : canonicalJson(value)},`;
  }
  for (; at < body.fields.length; at++) line += `${(body.fields[at] as readonly [string, string])[1]},`;
  return `${line.slice(0, -1)}}`;
}

/** The entry of a line, or undefined unless the line is exactly how we would write it. */
export function decodeEntry(line: Uint8Array): Entry | undefined {
  const parsed = parseStrictJson(line, LIMITS);
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const { v, log, seq, prev, epoch, ts, mono, type } = parsed.value;
  if (v !== 1 || typeof log !== 'string' || typeof type !== 'string' || type === '') return undefined;
  if (!isCount(seq) || !isCount(epoch) || !isCount(mono)) return undefined;
  if (seq === 0 ? prev !== null : typeof prev !== 'string' || !isDigest(prev)) return undefined;
  if (typeof ts !== 'string' || !TIMESTAMP.test(ts)) return undefined;
  if (!equalBytes(utf8(canonicalJson(parsed.value)), line)) return undefined;
  // Every header field was looked at above.
  return parsed.value as unknown as Entry;
}

/** Where two header fields lie in a line. */
export interface HeaderPlaces {
  /** Offset of the value of `prev`. */
  readonly prev: number;
  readonly seq: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Finds `prev` and the value of `seq` on the top level of a canonical line without parsing it; undefined when they are not there. For
 * lines that are verified by their hash: it does not check that the rest is JSON.
 */
export function findHeader(line: Uint8Array): HeaderPlaces | undefined {
  const end = line.length;
  let depth = 0;
  let name = false;
  let prev = -1;
  for (let at = 0; at < end; at++) {
    const byte = line[at];
    if (byte === QUOTE) {
      const start = at + 1;
      at = closingQuote(line, start);
      if (!name) continue;
      name = false;
      if (
        at - start === 4 &&
        line[start] === 0x70 &&
        line[start + 1] === 0x72 &&
        line[start + 2] === 0x65 &&
        line[start + 3] === 0x76
      ) {
        prev = at + 2;
      } else if (at - start === 3 && line[start] === 0x73 && line[start + 1] === 0x65 && line[start + 2] === 0x71) {
        const seq = numberAt(line, at + 2);
        return prev < 0 || seq === undefined ? undefined : { prev, seq };
      }
    } else if (byte === 0x2c) {
      name = depth === 1;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      name = depth === 1;
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1;
    }
  }
  return undefined;
}

/** Looks at a few bytes one by one; long texts, such as permits, are left to the platform's search. */
function closingQuote(line: Uint8Array, start: number): number {
  let at = start;
  for (const near = start + 32; at < near; at++) {
    if (line[at] === QUOTE) return at;
    if (line[at] === BACKSLASH) at += 1;
  }
  // An escape across the border was stepped over whole, so `at` is never between a backslash and what it escapes.
  for (;;) {
    const quote = line.indexOf(QUOTE, at);
    if (quote < 0) return line.length;
    let backslashes = 0;
    while (quote - 1 - backslashes >= at && line[quote - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote;
    at = quote + 1;
  }
}

function numberAt(line: Uint8Array, start: number): number | undefined {
  let value = 0;
  let at = start;
  for (; at < line.length; at++) {
    const digit = (line[at] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return at === start || at - start > 16 || (line[start] === 0x30 && at - start > 1) ? undefined : value;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
