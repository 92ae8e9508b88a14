// Finds the files in which the known clients keep their servers, and reads them. It writes nothing, starts nothing and follows symbolic
// links to the file that a client would read. What cannot be read or understood is a problem with its place, not a failure.

import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { type Machine, pathOfPlace, pathsOf } from './client-paths.ts';
import { parseText, type TextFormat, textOf } from './edit-text.ts';
import { readEntry } from './entry-shapes.ts';
import { KNOWN_CLIENTS, type KnownClient, type Place } from './known-clients.ts';
import type { ServerEntry } from './server-entry.ts';
import { type KeyPath, sameValue, type TextProblem } from './text-edit.ts';

/** The largest of these files in practice holds years of history and has a few megabytes. */
const CLIENT_FILE_BYTES_MAX = 32 * 1024 * 1024;

export interface FoundServer {
  /** The client's own name for it. Hostile text. */
  readonly name: string;
  /** Where the entry is in the document. */
  readonly path: KeyPath;
  readonly place: Place;
  /** The folder that an entry of the local scope belongs to. */
  readonly project?: string;
  /** As it is in the file, secrets included. */
  readonly raw: Json;
  readonly entry: ServerEntry;
}

export interface FoundFile {
  readonly client: KnownClient;
  /** The path that the client opens. */
  readonly file: string;
  /** The file itself, symbolic links followed. */
  readonly real: string;
  readonly format: TextFormat;
  readonly text: string;
  /** The places of the client in this file, whether or not they hold servers now. */
  readonly places: readonly Place[];
  /** The project's folder, for a file that belongs to one. */
  readonly project?: string;
  /** Where the client is started that reads it: an entry that is only one user's depends on that. */
  readonly startedIn?: string;
  readonly servers: readonly FoundServer[];
  /** Places whose value is not what the client keeps there. */
  readonly problems: readonly string[];
}

/** A file that is there and could not be understood. It is left as it is. */
export interface UnreadFile {
  readonly client: KnownClient;
  readonly file: string;
  readonly problem: Partial<TextProblem> & { readonly reason: string };
}

/** What the search needs of a disk; a fake one in tests of other platforms. */
export interface Disk {
  /** The bytes and the real path; undefined where nothing is. Throws what a file system throws. */
  read(path: string): { readonly bytes: Uint8Array; readonly real: string } | undefined;
  /** The names in a folder; none where there is no folder. */
  list(path: string): readonly string[];
  exists(path: string): boolean;
}

export const nodeDisk: Disk = {
  read(path) {
    const state = statSync(path, { throwIfNoEntry: false });
    if (state === undefined) return undefined;
    if (!state.isFile()) throw new Error('it is not a regular file');
    if (state.size > CLIENT_FILE_BYTES_MAX) throw new Error(`it is larger than ${CLIENT_FILE_BYTES_MAX} bytes`);
    return { bytes: readFileSync(path), real: realpathSync(path) };
  },
  list(path) {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  },
  exists: (path) => statSync(path, { throwIfNoEntry: false }) !== undefined,
};

export function foundFiles(
  machine: Machine,
  disk: Disk = nodeDisk,
  clients: readonly KnownClient[] = KNOWN_CLIENTS,
): { readonly files: readonly FoundFile[]; readonly unread: readonly UnreadFile[] } {
  const files: FoundFile[] = [];
  const unread: UnreadFile[] = [];
  // A file that two clients read belongs to the one named first: it is edited once.
  const seen = new Set<string>();
  for (const client of clients) {
    for (const { path, places, project } of pathsOfClient(client, machine, disk)) {
      const found = readOne(
        client,
        path,
        places,
        project === undefined ? {} : { project, startedIn: machine.cwd },
        disk,
      );
      if (found === undefined) continue;
      const real = 'real' in found ? found.real : found.file;
      if (seen.has(real)) continue;
      seen.add(real);
      if ('real' in found) files.push(found);
      else unread.push(found);
    }
  }
  return { files, unread };
}

/** The folder that the agent is started in and those above it, up to the one that holds the repository. */
export function projectFolders(machine: Machine, disk: Disk): readonly string[] {
  const paths = pathsOf(machine.platform);
  const above = foldersAbove(machine);
  const top = above.findIndex((folder) => disk.exists(paths.join(folder, '.git')));
  return top < 0 || above.slice(0, top + 1).includes(machine.home) ? [machine.cwd] : above.slice(0, top + 1);
}

/** The folder that the agent is started in and all above it. */
function foldersAbove({ platform, cwd }: Machine): readonly string[] {
  const { dirname } = pathsOf(platform);
  const folders = [cwd];
  for (let folder = cwd; folder !== dirname(folder); folder = dirname(folder)) folders.push(dirname(folder));
  return folders;
}

interface ClientPath {
  readonly path: string;
  readonly places: Place[];
  readonly project?: string;
}

function pathsOfClient(client: KnownClient, machine: Machine, disk: Disk): readonly ClientPath[] {
  const byPath = new Map<string, ClientPath>();
  for (const place of client.places) {
    const own = place.file.startsWith('{project}');
    const projects = place.above ? foldersAbove(machine) : projectFolders(machine, disk);
    for (const project of own ? projects : ['']) {
      const pattern = pathOfPlace(place, machine, project);
      if (pattern === undefined) continue;
      for (const path of matching(pattern, machine, disk)) {
        const known = byPath.get(path);
        if (known === undefined) byPath.set(path, { path, places: [place], ...(own ? { project } : {}) });
        // In the home folder the file of a project is the user's own, which is named first.
        else if (!known.places.some(({ at }) => sameValue([...at], [...place.at]))) known.places.push(place);
      }
    }
  }
  return [...byPath.values()];
}

/** A pattern's `*` filled with every name that is there and ends as the pattern says. */
function matching(pattern: string, machine: Machine, disk: Disk): readonly string[] {
  const paths = pathsOf(machine.platform);
  const [before, after] = pattern.split(`${paths.sep}*`);
  if (before === undefined || after === undefined) return [pattern];
  const names = [...disk.list(before)].sort();
  if (after.startsWith(paths.sep)) return names.map((name) => paths.join(before, name) + after);
  return names.filter((name) => name.endsWith(after)).map((name) => paths.join(before, name));
}

function readOne(
  client: KnownClient,
  file: string,
  places: readonly Place[],
  of: Pick<FoundFile, 'project' | 'startedIn'>,
  disk: Disk,
): FoundFile | UnreadFile | undefined {
  let read: ReturnType<Disk['read']>;
  try {
    read = disk.read(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { client, file, problem: { reason: `cannot be read: ${reason}` } };
  }
  const format = places[0]?.format;
  if (read === undefined || format === undefined) return undefined;
  const text = textOf(read.bytes);
  if (text === undefined) return { client, file, problem: { reason: 'it is not UTF-8 text' } };
  const parsed = parseText(format, text);
  if (!parsed.ok) return { client, file, problem: parsed.problem };
  const problems: string[] = [];
  const servers = places.flatMap((place) => serversAt(parsed.value, place, problems));
  return {
    client,
    file,
    real: read.real,
    format,
    text,
    places,
    ...of,
    servers,
    problems,
  };
}

function serversAt(document: Json, place: Place, problems: string[]): FoundServer[] {
  let tops: { path: KeyPath; value: Json; project?: string }[] = [{ path: [], value: document }];
  for (const key of place.at) {
    tops = tops.flatMap(({ path, value, project }) => {
      if (!isJsonObject(value)) {
        problems.push(`${path.join('.') || 'the document'} is not a map`);
        return [];
      }
      if (key === '*') {
        return Object.entries(value).map(([name, member]) => ({ path: [...path, name], value: member, project: name }));
      }
      const member = Object.hasOwn(value, key) ? value[key] : undefined;
      return member === undefined
        ? []
        : [{ path: [...path, key], value: member, ...(project === undefined ? {} : { project }) }];
    });
  }
  return tops.flatMap(({ path, value, project }) => {
    const owned = project === undefined ? {} : { project };
    const of = (name: string, key: string | number, raw: Json): FoundServer => ({
      name,
      path: [...path, key],
      place,
      ...owned,
      raw,
      entry: readEntry(place.shape, raw),
    });
    if (place.list === true) {
      if (value === null) return [];
      if (!Array.isArray(value)) {
        problems.push(`${path.join('.')} is not a list`);
        return [];
      }
      return (value as readonly Json[]).flatMap((raw, index) => {
        const name = isJsonObject(raw) ? raw.name : undefined;
        if (typeof name === 'string') return [of(name, index, raw)];
        problems.push(`${path.join('.')}.${index} has no name`);
        return [];
      });
    }
    if (value === null) return [];
    if (!isJsonObject(value)) {
      problems.push(`${path.join('.')} is not a map`);
      return [];
    }
    return Object.entries(value).map(([name, raw]) => of(name, name, raw));
  });
}
