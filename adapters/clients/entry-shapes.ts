// The spellings in which clients write down a server, as data, and one codec for all of them. A field that decides what runs or where it
// connects must be understood; other fields of a local server are left in place and keep their meaning for the client.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { isWellFormed } from '../../domain/well-formed.ts';
import type { Launch, OtherEntry, RemoteTransport, ServerEntry } from './server-entry.ts';
import { type LineShape, SHAPES, type ShapeName } from './shapes.ts';
import { type Edit, editValue, sameValue, valueAt } from './text-edit.ts';
import { wrappedLine } from './wrapped-line.ts';

/** What the client's entry says, or why it is left alone. */
export function readEntry(name: ShapeName, raw: Json): ServerEntry {
  const shape: LineShape = SHAPES[name];
  if (!isJsonObject(raw)) return unknown('the entry is not a map');
  const builtIn = shape.builtIn?.(raw);
  if (builtIn !== undefined) {
    return other('built-in', builtIn, 'switch it off in the client if it must not be used past the gate');
  }
  const within = shape.inside === undefined ? raw : raw[shape.inside];
  if (!isJsonObject(within)) return unknown(`the field "${shape.inside ?? ''}" is not a map`);
  const entry = lineOf(shape, within);
  const disabled =
    raw.disabled === true || raw.enabled === false || within.disabled === true || within.enabled === false;
  if (entry.kind === 'stdio') {
    const wrapped = wrappedLine(entry.command, entry.args);
    if (wrapped !== undefined) return { ...wrapped, disabled };
  }
  if (disabled)
    return other('disabled', 'it is switched off in the client', 'switch it on in the client, then run init again');
  return entry;
}

/** The edits, with paths inside the entry, that start the gate in the server's place. Everything not named here stays as it is. */
export function wrappedEntry(name: ShapeName, raw: Json, launch: Launch): Edit[] {
  const shape: LineShape = SHAPES[name];
  if (!isJsonObject(raw)) return [];
  const inside = shape.inside === undefined ? [] : [shape.inside];
  const within = shape.inside === undefined ? raw : raw[shape.inside];
  if (!isJsonObject(within)) return [];
  const edits: Edit[] = [];
  const set = (key: string, value: Json | undefined) => edits.push({ path: [...inside, key], value });
  const remote = addressOf(shape, within) !== undefined;
  if (remote ? Object.hasOwn(within, 'type') || shape.typeNeeded : false) set('type', shape.stdioType);
  if (shape.commandHoldsArgs) {
    set(shape.command, [launch.command, ...launch.args]);
  } else {
    set(shape.command, launch.command);
    set('args', [...launch.args]);
  }
  if (remote) {
    for (const key of Object.keys(shape.urls)) if (Object.hasOwn(within, key)) set(key, undefined);
    const [headers] = shape.headers;
    const moved = [headers, ...Object.values(shape.fromVariables ?? {})];
    for (const key of moved) if (key !== undefined && Object.hasOwn(within, key)) set(key, undefined);
  }
  const { forwarded = [] } = launch;
  if (shape.forwarded !== undefined && forwarded.length > 0) {
    const before = texts(within[shape.forwarded] ?? []) ?? [];
    set(shape.forwarded, [...new Set([...before, ...forwarded])]);
  }
  if (launch.env !== undefined && Object.keys(launch.env).length > 0) {
    const before = within[shape.env];
    set(shape.env, { ...(isJsonObject(before) ? before : {}), ...launch.env });
  }
  return edits.filter(({ path, value }) => !sameValue(valueAt(raw, path), value));
}

/** A whole entry that starts the gate, for a scope that shadows another: the entry as it is there, wrapped. */
export function shadowingEntry(name: ShapeName, raw: Json, launch: Launch): Json {
  return editValue(raw, wrappedEntry(name, raw, launch)) ?? {};
}

/**
 * The edits that put an entry back: what it said before for each field that still says what wrapping made of it. `conflicts` are the fields
 * that someone has changed since; they stay as they are.
 */
export function restoredEntry(
  before: JsonObject,
  wrapped: JsonObject,
  now: JsonObject,
): { edits: Edit[]; conflicts: string[] } {
  const edits: Edit[] = [];
  const conflicts: string[] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(wrapped)])) {
    if (sameValue(before[key], wrapped[key])) continue;
    const [was, made, is] = [before[key], wrapped[key], now[key]];
    if (sameValue(is, was)) continue;
    const maps = isJsonObject(made) && isJsonObject(is);
    if (maps && (isJsonObject(was) || !sameValue(is, made))) {
      // A map that has grown since keeps what came to it.
      const inner = restoredEntry(isJsonObject(was) ? was : {}, made, is);
      edits.push(...inner.edits.map(({ path, value }) => ({ path: [key, ...path], value })));
      conflicts.push(...inner.conflicts.map((field) => `${key}.${field}`));
    } else if (sameValue(is, made)) edits.push({ path: [key], value: was });
    else conflicts.push(key);
  }
  return { edits, conflicts };
}

function other(reason: OtherEntry['reason'], why: string, hint: string): OtherEntry {
  return { kind: 'other', reason, why, hint };
}

function unknown(why: string): OtherEntry {
  return other('unknown-shape', why, 'correct the entry, or put the server behind the gate by hand');
}

function lineOf(shape: LineShape, raw: JsonObject): ServerEntry {
  for (const [key, why] of Object.entries(shape.unsupported ?? {})) {
    if (Object.hasOwn(raw, key))
      return other('unsupported', `the field "${key}": ${why}`, 'take the field away or govern this server by hand');
  }
  const type = raw.type;
  if (type !== undefined && (typeof type !== 'string' || !Object.hasOwn(shape.types, type))) {
    return unknown('the field "type" is not one that is known');
  }
  const says = type === undefined ? undefined : shape.types[type];
  const address = addressOf(shape, raw);
  const local = Object.hasOwn(raw, shape.command);
  if (local && address !== undefined) return unknown(`it has both "${shape.command}" and "${address}"`);
  if (local)
    return says === undefined || says === 'stdio'
      ? stdioOf(shape, raw)
      : unknown(`it has "${shape.command}" and a remote "type"`);
  if (address === undefined) return unknown(`it has neither "${shape.command}" nor an address`);
  if (says === 'stdio') return unknown(`it has "${address}" and the type of a local server`);
  return remoteOf(shape, raw, address, says === 'remote' ? undefined : says);
}

/** The key that holds the address; two of them are one too many, and the second is then an unknown field. */
function addressOf(shape: LineShape, raw: JsonObject): string | undefined {
  return Object.keys(shape.urls).find((key) => Object.hasOwn(raw, key));
}

function stdioOf(shape: LineShape, raw: JsonObject): ServerEntry {
  const given = raw[shape.command];
  const line = shape.commandHoldsArgs ? texts(given) : [given, ...(texts(raw.args ?? []) ?? [undefined])];
  if (
    line === undefined ||
    !line.every((word) => typeof word === 'string') ||
    line[0] === undefined ||
    line[0].trim() === ''
  ) {
    return unknown(`"${shape.command}" and "args" are not a command and a list of texts`);
  }
  const [command, ...args] = line as [string, ...string[]];
  const env = namedTexts(raw[shape.env]);
  if (env === undefined) return unknown(`the field "${shape.env}" is not a map of texts`);
  const { cwd } = raw;
  if (cwd !== undefined && cwd !== null && typeof cwd !== 'string') return unknown('the field "cwd" is not a text');
  const forwarded = shape.forwarded === undefined ? [] : texts(raw[shape.forwarded] ?? []);
  if (forwarded === undefined) return unknown(`the field "${shape.forwarded ?? ''}" is not a list of names`);
  if (![...(line as string[]), cwd ?? '', ...Object.entries(env).flat(), ...forwarded].every(isText)) return noText();
  const expanded = firstExpanded(shape, { [shape.command]: command, args: args.join('\n'), cwd: cwd ?? '' });
  // A gate in the entry already takes its line from there as it is: what the client fills in does not matter to recognise it.
  if (expanded !== undefined && wrappedLine(command, args) === undefined) return expanded;
  return { kind: 'stdio', command, args, env, ...(typeof cwd === 'string' ? { cwd } : {}), forwarded };
}

function remoteOf(shape: LineShape, raw: JsonObject, address: string, says: RemoteTransport | undefined): ServerEntry {
  const url = raw[address];
  if (typeof url !== 'string') return unknown(`the field "${address}" is not a text`);
  const expanded = firstExpanded(shape, { [address]: url });
  if (expanded !== undefined) return expanded;
  if (!URL.canParse(url)) return unknown(`the field "${address}" is not an address`);
  const { username, password } = new URL(url);
  if (username !== '' || password !== '') {
    return other(
      'unsupported',
      `the address in "${address}" holds a user name or a password`,
      'send it in a header instead',
    );
  }
  const [holder, ...within] = shape.headers;
  const around = within.length > 0 ? raw[holder] : undefined;
  const fields = [...Object.keys(raw), ...(isJsonObject(around) ? Object.keys(around) : [])];
  const { bearer, headers: variables } = shape.fromVariables ?? {};
  const known = [address, 'type', bearer, variables, ...shape.headers, ...shape.remoteKeys];
  const strange = fields.find((key) => !known.includes(key));
  if (strange !== undefined) {
    return other(
      'unsupported',
      `the field ${JSON.stringify(strange)} is for a remote server and a gate in between would not honour it`,
      'take the field away or govern this server by hand',
    );
  }
  const headers = namedTexts(within.length === 0 ? raw[holder] : valueAt(around, within));
  if (headers === undefined || (around !== undefined && !isJsonObject(around))) {
    return unknown(`the field "${shape.headers.join('.')}" is not a map of texts`);
  }
  const headersFrom = variables === undefined ? {} : namedTexts(raw[variables]);
  if (headersFrom === undefined) return unknown(`the field "${variables}" is not a map of texts`);
  const bearerFrom = bearer === undefined ? undefined : raw[bearer];
  if (bearerFrom !== undefined && typeof bearerFrom !== 'string') return unknown(`the field "${bearer}" is not a text`);
  const said = [...Object.entries(headers), ...Object.entries(headersFrom)].flat();
  if (![url, bearerFrom ?? '', ...said].every(isText)) return noText();
  const transport = says ?? transportOf(shape.urls[address] ?? 'unsaid', url);
  if (transport === 'unsaid') {
    return other('unsupported', 'it does not say which transport it uses', 'add its "type" to the entry: http or sse');
  }
  return { kind: 'remote', transport, url, headers, headersFrom, ...(bearerFrom === undefined ? {} : { bearerFrom }) };
}

/** Where the type is not said, an address that ends in /sse is one of the older transport, and ws: says it itself. */
function transportOf(usual: RemoteTransport | 'unsaid', url: string): RemoteTransport | 'unsaid' {
  const { protocol, pathname } = new URL(url);
  if (protocol === 'ws:' || protocol === 'wss:') return 'ws';
  return /\/sse\/?$/.test(pathname) ? 'sse' : usual;
}

function firstExpanded(shape: LineShape, fields: Readonly<Record<string, string>>): OtherEntry | undefined {
  for (const [key, value] of Object.entries(fields)) {
    if (shape.expands.test(value)) {
      return other(
        'expanded',
        `the field "${key}" holds a variable that the client fills in`,
        'write the value itself into this field, or move it to "env"',
      );
    }
  }
  return undefined;
}

function texts(value: Json | undefined): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value as readonly Json[];
  return items.every((item) => typeof item === 'string') ? items : undefined;
}

function isText(text: string): boolean {
  return isWellFormed(text) && !text.includes('\0');
}

function noText(): OtherEntry {
  return unknown('it holds a zero byte or half a character, which nothing can be started with');
}

/** A map of texts; numbers and switches are written as the text that a process would get. Absent counts as empty. */
function namedTexts(value: Json | undefined): Record<string, string> | undefined {
  if (value === undefined || value === null) return {};
  if (!isJsonObject(value)) return undefined;
  const entries = Object.entries(value);
  if (!entries.every(([, member]) => ['string', 'number', 'boolean'].includes(typeof member))) return undefined;
  return Object.fromEntries(entries.map(([key, member]) => [key, String(member)]));
}
