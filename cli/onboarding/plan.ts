// What init would do: for each server that was found, its name in the manifest and the edits of the client's file, or why it is left alone.
// Nothing is read or written here but what was found already.

import { existsSync, realpathSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { readEntry, shadowingEntry, wrappedEntry } from '../../adapters/clients/entry-shapes.ts';
import type { FoundFile, FoundServer } from '../../adapters/clients/found-files.ts';
import type { KnownClient, Place } from '../../adapters/clients/known-clients.ts';
import { repositoryRoot } from '../../adapters/clients/repository-root.ts';
import {
  type RemoteEntry,
  type ServerEntry,
  type StdioEntry,
  sentVariables,
} from '../../adapters/clients/server-entry.ts';
import { type Edit, editValue, type KeyPath, sameValue } from '../../adapters/clients/text-edit.ts';
import { isRefusedVariable } from '../../adapters/upstream/stdio/environment.ts';
import type { Json } from '../../domain/json.ts';
import { isGateAddress } from '../gate-addresses.ts';
import { isUnderVersionControl } from './client-files.ts';
import { whyNotStated } from './manifest-text.ts';
import type { ServerNames } from './server-names.ts';

export interface PlannedServer {
  readonly client: KnownClient;
  /** The file that is to be written. */
  readonly file: FoundFile;
  readonly place: Place;
  /** As the client calls it. */
  readonly name: string;
  /** As the manifest does. */
  readonly server: string;
  readonly entry: StdioEntry | RemoteEntry;
  /** Where it is started in the manifest; absent: where the client is. */
  readonly cwd?: string;
  /** The variables of the manifest that hold its headers, by header. */
  readonly headers: Readonly<Record<string, string>>;
  readonly at: KeyPath;
  /** Undefined for an entry that is added because it shadows another. */
  readonly before: Json | undefined;
  /** Inside the entry. */
  readonly edits: readonly Edit[];
  /** Others get this file too. */
  readonly shared: boolean;
  /** The file whose entry is shadowed. */
  readonly shadows?: string;
}

export interface LeftServer {
  readonly client: KnownClient;
  readonly file: string;
  readonly name: string;
  /** `governed`: behind this gate already. */
  readonly state: 'governed' | 'left';
  readonly why: string;
  readonly hint: string;
}

export interface Choice {
  readonly clients?: readonly string[];
  readonly servers?: readonly string[];
}

export interface Gate {
  /** The runtime and the program, both absolute. */
  readonly node: string;
  readonly program: string;
  /** Where servers are started that belong to no project and to no folder in particular. */
  readonly home: string;
  /** Where it listens by itself, for clients that are given an address. */
  readonly addresses: readonly string[];
}

export interface Plan {
  readonly planned: readonly PlannedServer[];
  readonly left: readonly LeftServer[];
}

export function planOf(files: readonly FoundFile[], gate: Gate, names: ServerNames, choice: Choice): Plan {
  const planned: PlannedServer[] = [];
  const left: LeftServer[] = [];
  for (const file of files) {
    if (choice.clients !== undefined && !choice.clients.includes(file.client.id)) continue;
    for (const found of file.servers) {
      if (choice.servers !== undefined && !choice.servers.includes(found.name)) continue;
      const one = planOne(found, file, files, gate, names);
      const why = 'state' in one ? undefined : whyNotStated(one);
      if ('state' in one) left.push(one);
      else if (
        why === undefined &&
        planned.some(({ file, at }) => file === one.file && sameValue([...at], [...one.at]))
      )
        left.push(hidden(one, file));
      else if (why === undefined) planned.push(one);
      else left.push(notStated(one, file, why));
    }
  }
  return { planned, left };
}

function planOne(
  found: FoundServer,
  file: FoundFile,
  files: readonly FoundFile[],
  gate: Gate,
  names: ServerNames,
): PlannedServer | LeftServer {
  const { client } = file;
  const { name, place } = found;
  const entry = withoutOwnHeaders(found.entry);
  const leave = (why: string, hint: string, state: LeftServer['state'] = 'left'): LeftServer => {
    return { client, file: file.file, name, state, why, hint };
  };
  if (entry.kind === 'other') return leave(entry.why, entry.hint);
  if (entry.kind === 'wrapped') return whoseGate(entry.gate, gate, leave);
  if (entry.kind === 'remote' && isGateAddress(entry.url, gate.addresses))
    return leave('its address is that of a gate that runs here', 'nothing is to do', 'governed');
  const cannot = entry.kind === 'stdio' ? whyNotStarted(entry) : whyNotReached(entry);
  if (cannot !== undefined) return leave(...cannot);
  const override = privatePlace(found, file, files);
  if (override?.taken === true)
    return leave('an entry of the same name that is only yours stands before it', 'nothing is to do', 'governed');
  const stated = entry.kind === 'stdio' ? folderOf(entry, found.project ?? file.project) : undefined;
  const isAnywhere = entry.kind === 'stdio' && stated === undefined && !isOfItsFolder(entry);
  const cwd = isAnywhere ? gate.home : stated;
  const server = names.nameFor(name, entry, cwd, isAnywhere);
  const headers = headerVariables(server, entry);
  // What is started where its client is cannot be shared by clients.
  const alone = entry.kind === 'stdio' && cwd === undefined ? ['--alone'] : [];
  const args = [gate.program, 'wrap', ...alone, '--agent', client.id, '--name', server];
  const launch = {
    command: gate.node,
    args: entry.kind === 'stdio' ? [...args, '--', entry.command, ...entry.args] : args,
    ...(entry.kind === 'remote' ? { env: headerValues(entry, headers), forwarded: sentVariables(entry) } : {}),
  };
  const common = { client, name, server, entry, headers, ...(cwd === undefined ? {} : { cwd }) };
  if (override !== undefined) {
    const value = shadowingEntry(place.shape, found.raw, launch);
    const edits = [{ path: [], value }];
    const { place: inPlace, at } = override;
    return {
      ...common,
      file: override.file,
      place: inPlace,
      at,
      before: undefined,
      edits,
      shared: false,
      shadows: file.file,
    };
  }
  const edits = wrappedEntry(place.shape, found.raw, launch);
  const shared = isUnderVersionControl(file.real);
  return { ...common, file, place, at: found.path, before: found.raw, edits, shared };
}

/** Of two in folders above one another the client takes the nearer one, which was found first. */
function hidden({ client, name }: PlannedServer, { file }: FoundFile): LeftServer {
  const why = 'an entry of the same name in a folder nearer to this one stands before it';
  return { client, file, name, state: 'left', why, hint: 'run init in its own folder' };
}

function notStated({ client, name }: PlannedServer, { file }: FoundFile, why: string): LeftServer {
  const hint = 'change the entry, or put the server behind the gate by hand';
  return { client, file, name, state: 'left', why: `the manifest cannot say it: ${why}`, hint };
}

type Leave = (why: string, hint: string, state?: LeftServer['state']) => LeftServer;

function whoseGate(program: string, gate: Gate, leave: Leave): LeftServer {
  if (sameFile(program, gate.program)) return leave('it is behind this gate', 'nothing is to do', 'governed');
  if (isAbsolute(program) && !existsSync(program))
    return leave(
      `it goes through ${program}, which is not there any more`,
      'portcullis restore takes that back; then run init again',
    );
  return leave(`it goes through another gate: ${program}`, 'use that one to take it back, then run init again');
}

function sameFile(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return one === other;
  }
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What the gate would not give to a server, it cannot run without changing it. */
function whyNotStarted({ env, forwarded, cwd }: StdioEntry): [string, string] | undefined {
  for (const variable of [...Object.keys(env), ...forwarded]) {
    if (!VARIABLE.test(variable))
      return [`"${variable}" cannot be the name of a variable`, 'take it out of the entry, then run init again'];
    if (isRefusedVariable(variable))
      return [
        `its entry sets ${variable}, which makes programs load other code and is given to no server`,
        'take it out of the entry if the server runs without it, then run init again',
      ];
  }
  if (cwd?.startsWith('~') === true)
    return ['its folder begins with "~", which only the client fills in', 'write the whole path, then run init again'];
  return undefined;
}

const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** The gate sets these itself, and says the same. */
const OWN_HEADERS = new Set(['accept', 'content-type']);
const RESERVED_HEADER =
  /^(mcp-|portcullis-|sec-)|^(accept-encoding|connection|content-encoding|content-length|expect|host|keep-alive|last-event-id|proxy-connection|te|trailer|transfer-encoding|upgrade)$/i;

function whyNotReached(entry: RemoteEntry): [string, string] | undefined {
  const { url, headers, headersFrom, bearerFrom, transport } = entry;
  const { protocol, username, password, hostname } = new URL(url);
  if (username !== '' || password !== '')
    return ['its address holds a user name or a password', 'give it as a header in the entry, then run init again'];
  const plain = protocol === 'http:' || protocol === 'ws:';
  const schemes = transport === 'ws' ? ['ws:', 'wss:'] : ['http:', 'https:'];
  if (!schemes.includes(protocol)) return ['its address is of another kind than its type', 'correct the entry'];
  if (plain && !isLoopback(hostname))
    return ['its address is not encrypted and not on this machine', 'use https, then run init again'];
  for (const variable of sentVariables(entry))
    if (!VARIABLE.test(variable)) return [`"${variable}" cannot be the name of a variable`, 'correct the entry'];
  for (const [header, value] of [...Object.entries(headers), ...Object.entries(headersFrom)]) {
    if (!HEADER.test(header) || RESERVED_HEADER.test(header))
      return [`the header "${header}" is not one that a gate passes on`, 'take it out of the entry'];
    if (/[\r\n]/.test(value)) return [`the value of the header "${header}" has several lines`, 'correct the entry'];
  }
  const sent = [...Object.keys(headers), ...Object.keys(headersFrom), ...(bearerFrom ? ['authorization'] : [])];
  const distinct = new Set(sent.map((header) => header.toLowerCase()));
  if (distinct.size < sent.length) return ['it sends a header twice', 'leave one of them in the entry'];
  return undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** A folder that is said counts; otherwise what belongs to a project is started there, and the rest where the client is. */
function folderOf({ cwd }: StdioEntry, project: string | undefined): string | undefined {
  if (cwd !== undefined && isAbsolute(cwd)) return cwd;
  return project === undefined ? undefined : resolve(project, cwd ?? '.');
}

/** It says itself that it works where its client is: by a path that begins there, or by name. */
function isOfItsFolder({ command, args, cwd }: StdioEntry): boolean {
  const isRelative = (word: string): boolean =>
    /^(\.{1,2}([\\/]|$)|[^-\\/:@][^\\/:@]*[\\/])|\bcwd\b|\$\(?PWD\b/i.test(word.replace(/^-{1,2}[^=]*=/, '')) ||
    /\.[cm]?[jt]s$|\.py$|\.sh$/.test(word);
  const relative = [command, ...args].some((word) => !isAbsolute(word) && isRelative(word));
  return cwd !== undefined || relative;
}

function withoutOwnHeaders(entry: ServerEntry): ServerEntry {
  if (entry.kind !== 'remote') return entry;
  // One without a value says nothing.
  const kept = Object.entries(entry.headers).filter(
    ([header, value]) => value !== '' && !OWN_HEADERS.has(header.toLowerCase()),
  );
  return { ...entry, headers: Object.fromEntries(kept) };
}

/** The variables that hold the headers of a remote server that its entry gives a value, by header. */
export function headerVariables(server: string, entry: ServerEntry): Record<string, string> {
  const said = withoutOwnHeaders(entry);
  if (said.kind !== 'remote') return {};
  const word = (text: string): string => text.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
  const variables: Record<string, string> = {};
  for (const header of Object.keys(said.headers)) {
    const wanted = `PORTCULLIS_${word(server)}_${word(header)}`;
    let variable = wanted;
    for (let number = 2; Object.values(variables).includes(variable); number++) variable = `${wanted}_${number}`;
    variables[header] = variable;
  }
  return variables;
}

function headerValues({ headers }: RemoteEntry, variables: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).map(([header, variable]) => [variable, headers[header] ?? '']));
}

interface PrivatePlace {
  readonly file: FoundFile;
  readonly place: Place;
  readonly at: KeyPath;
  readonly taken: boolean;
}

/** Where an entry of the same name is only its user's, for one in a file that others get too. */
function privatePlace(found: FoundServer, file: FoundFile, files: readonly FoundFile[]): PrivatePlace | undefined {
  const { privateOverride } = found.place;
  if (privateOverride === undefined || file.startedIn === undefined || !isUnderVersionControl(file.real))
    return undefined;
  const project = repositoryRoot(file.startedIn);
  if (project === undefined) return undefined;
  for (const other of files) {
    const place = other.places.find(({ scope }) => scope === privateOverride);
    if (other.client.id !== file.client.id || place === undefined || isUnderVersionControl(other.real)) continue;
    const at = [...place.at.map((key) => (key === '*' ? project : key)), found.name];
    const taken = other.servers.some(({ path }) => sameValue([...path], at));
    return { file: other, place, at, taken };
  }
  return undefined;
}

/** What init writes must be known to doctor and restore again. */
export function isUnderstood({ place, before, edits }: PlannedServer): boolean {
  const after = editValue(before, edits);
  return after !== undefined && readEntry(place.shape, after).kind === 'wrapped';
}
