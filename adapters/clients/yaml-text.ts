// Reads and edits YAML at the source ranges of the values concerned; new values are written in double quotes or as flow collections, which
// every YAML reader takes. Comments, blank lines and the order of keys stay. An alias or a merged map is never edited through.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { flat, quoted } from './quoted-text.ts';
import {
  type Edit,
  type KeyPath,
  outOfBounds,
  problemAt,
  sameValue,
  type TextEditing,
  type TextReading,
} from './text-edit.ts';
import { columnOf, endOf, eolOf, lineEnd, type Member, startOf } from './yaml-layout.ts';

const BOM = '\uFEFF';
const READING = { strict: true, uniqueKeys: true, prettyErrors: false, logLevel: 'error' } as const;

/** The commoner of the parser's words, for a person. */
const SPOKEN: Readonly<Record<string, string>> = {
  BAD_INDENT: 'the indentation is wrong',
  DUPLICATE_KEY: 'a key is given twice',
  MISSING_CHAR: 'a quote, a bracket or a blank is missing',
  MULTIPLE_DOCS: 'it holds several documents',
  TAB_AS_INDENT: 'a tab is used for indentation',
};

/** The value of the text. Several documents in one text are refused. */
export function parseYaml(text: string): TextReading {
  const bounds = outOfBounds(text);
  if (bounds !== undefined) return bounds;
  const lines = new LineCounter();
  const body = text.startsWith(BOM) ? text.slice(1) : text;
  let document: Document;
  try {
    document = parseDocument(body, { ...READING, lineCounter: lines });
  } catch {
    // What throws here is the parser's own stack or memory: the text is beyond what it can hold.
    return problemAt(text, 0, 'cannot be read: nested too deep');
  }
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    // The code, not the message: the message may quote a value.
    const reason = SPOKEN[error.code] ?? error.code.toLowerCase().replaceAll('_', ' ');
    return { ok: false, problem: { line, column: col, reason } };
  }
  if (document.contents === null) return problemAt(text, 0, 'the file is empty');
  return valued(document, text);
}

/** Another reading of the same text: every scalar is the text that stands there, so that `1.0` and `1` are two values. */
export function rereadYaml(text: string): Json | undefined {
  const document = parseDocument(text, { ...READING, schema: 'failsafe' });
  const read = document.errors.length > 0 ? undefined : valued(document, text);
  return read?.ok ? read.value : undefined;
}

/** The text with each edit made in turn. The text was accepted by `parseYaml` before. */
export function editYaml(text: string, edits: readonly Edit[]): TextEditing {
  const bom = text.startsWith(BOM) ? BOM : '';
  let body = text.slice(bom.length);
  for (const { path, value } of edits) {
    const next = edited(body, path, value);
    if (next === undefined) return problemAt(text, 0, `${path.map(String).join('.')} cannot be set where it is`);
    body = next;
  }
  return { ok: true, text: bom + body };
}

function valued(document: Document, text: string): TextReading {
  try {
    return { ok: true, value: plain(document.toJS({ maxAliasCount: 100 })) };
  } catch {
    return problemAt(text, 0, 'its aliases cannot be resolved');
  }
}

function plain(value: unknown): Json {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Date || typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Set) return [...value].map(plain);
  if (typeof value !== 'object' || value === null) return (value ?? null) as Json;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

function edited(body: string, path: KeyPath, value: Json | undefined): string | undefined {
  let node: unknown = parseDocument(body, READING).contents;
  let holder: YAMLMap | YAMLSeq | undefined;
  let member: Member | undefined;
  for (const [index, key] of path.entries()) {
    if (isSeq(node) && typeof key === 'number') {
      [holder, member, node] = [node, undefined, node.items[key]];
      if (node === undefined) return undefined;
    } else if (isMap(node) && typeof key === 'string') {
      const pair: Member | undefined = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (pair === undefined) return value === undefined ? body : inserted(body, node, path.slice(index), value);
      [holder, member, node] = [node, pair, pair.value];
    } else return undefined;
  }
  if (value === undefined)
    return isMap(holder) && member !== undefined ? withoutMember(body, holder, member) : undefined;
  return replaced(body, path, node, value);
}

function replaced(body: string, path: KeyPath, node: unknown, value: Json): string | undefined {
  const start = startOf(node);
  if (start === undefined || isAlias(node)) return undefined;
  if (isMap(node) && isJsonObject(value) && node.items.length > 0 && Object.keys(value).length > 0) {
    return mapEdited(body, path, node, value);
  }
  const end = endOf(node);
  if (end === undefined) return undefined;
  if (isSeq(node) && Array.isArray(value)) {
    const list = value as readonly Json[];
    const front = changedFront(body, node, list);
    if (front !== undefined) return front;
    if (node.flow !== true && list.length > 0) {
      const gap = `${eolOf(body)}${' '.repeat(columnOf(body, start))}- `;
      return `${body.slice(0, start)}- ${list.map(flat).join(gap)}${body.slice(end)}`;
    }
  }
  const gone = body.slice(start, end);
  // An empty value begins right behind its colon; a block of text takes its line end along.
  const before = body[start - 1] === ':' ? ' ' : '';
  return body.slice(0, start) + before + flat(value) + (gone.endsWith('\n') ? eolOf(body) : '') + body.slice(end);
}

/** Key by key towards what the map is to be. */
function mapEdited(
  body: string,
  path: KeyPath,
  node: YAMLMap,
  value: { readonly [key: string]: Json },
): string | undefined {
  const now = plain(node.toJSON());
  if (!isJsonObject(now)) return undefined;
  let next: string | undefined = body;
  for (const key of new Set([...Object.keys(value), ...Object.keys(now)])) {
    if (next === undefined || sameValue(now[key], value[key])) continue;
    next = edited(next, [...path, key], value[key]);
  }
  return next;
}

/** A list that only grows or shrinks at its front keeps the layout and the comments of the items that stay. */
function changedFront(body: string, node: YAMLSeq, next: readonly Json[]): string | undefined {
  const old = plain(node.toJSON());
  const start = startOf(node.items[0]);
  const grown = Array.isArray(old) ? next.length - old.length : 0;
  if (!Array.isArray(old) || start === undefined || next.length === 0 || grown === 0) return undefined;
  const dash = /(^|\n)( *)- +$/.exec(body.slice(0, start))?.[2];
  const dashOnKeysLine = node.flow !== true && dash === undefined;
  if (dashOnKeysLine) return undefined;
  if (grown > 0) {
    if (!sameValue(old as readonly Json[], next.slice(grown))) return undefined;
    const gap = node.flow === true ? ', ' : `${eolOf(body)}${dash}- `;
    return (
      body.slice(0, start) +
      next
        .slice(0, grown)
        .map((item) => flat(item) + gap)
        .join('') +
      body.slice(start)
    );
  }
  const kept = startOf(node.items[-grown]);
  if (kept === undefined || !sameValue((old as readonly Json[]).slice(-grown), next)) return undefined;
  return body.slice(0, start) + body.slice(kept);
}

function inserted(body: string, map: YAMLMap, path: KeyPath, value: Json): string | undefined {
  const [key, ...rest] = path;
  if (typeof key !== 'string' || rest.some((name) => typeof name === 'number')) return undefined;
  const whole = rest.reduceRight<Json>((inner, name) => ({ [name]: inner }), value);
  const text = `${/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) ? key : quoted(key)}: ${flat(whole)}`;
  const last = map.items.at(-1);
  const mapStart = startOf(map);
  const mapEnd = endOf(map);
  if (mapStart === undefined || mapEnd === undefined) return undefined;
  if (last === undefined) return `${body.slice(0, mapStart)}{ ${text} }${body.slice(mapEnd)}`;
  if (map.flow === true) {
    const end = endOf(last);
    return end === undefined ? undefined : `${body.slice(0, end)}, ${text}${body.slice(end)}`;
  }
  const gap = eolOf(body) + ' '.repeat(columnOf(body, mapStart));
  for (const pair of [...map.items].reverse()) {
    const [start, end] = [startOf(pair), endOf(pair)];
    if (start === undefined || end === undefined || body.slice(start, end).includes('\n')) continue;
    const line = lineEnd(body, end);
    return body.slice(0, line) + gap + text + body.slice(line);
  }
  const start = startOf(last);
  return start === undefined ? undefined : body.slice(0, start) + text + gap + body.slice(start);
}

function withoutMember(body: string, map: YAMLMap, member: Member): string | undefined {
  const index = map.items.indexOf(member as YAMLMap['items'][number]);
  const [start, end, next, previous] = [
    startOf(member),
    endOf(member),
    startOf(map.items[index + 1]),
    endOf(map.items[index - 1]),
  ];
  if (start === undefined || end === undefined) return undefined;
  if (map.items.length === 1) {
    const [from, to] = [startOf(map), endOf(map)];
    if (from === undefined || to === undefined) return undefined;
    return `${body.slice(0, from)}{}${body.slice(from, to).endsWith('\n') ? eolOf(body) : ''}${body.slice(to)}`;
  }
  if (map.flow === true) {
    return next === undefined
      ? body.slice(0, previous ?? start) + body.slice(end)
      : body.slice(0, start) + body.slice(next);
  }
  const lineStart = body.lastIndexOf('\n', start - 1) + 1;
  if (body.slice(lineStart, start).trim() !== '')
    return next === undefined ? undefined : body.slice(0, start) + body.slice(next);
  const stop = body[end - 1] === '\n' ? end : body.indexOf('\n', end) + 1;
  if (stop === 0) return body.slice(0, lineStart).replace(/\r?\n$/, '');
  return body.slice(0, lineStart) + body.slice(stop);
}
