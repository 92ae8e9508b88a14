// Which server of the manifest an entry of a client is. Entries that start the same command with the same values, or reach the same address with the
// same headers, are one server; another server of the same name gets a number. Values are compared here and never kept.

import type { RemoteEntry, StdioEntry } from '../../adapters/clients/server-entry.ts';
import type { Manifest, ManifestServer } from '../../control-plane/policy/manifest.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';

/** The values that clients give to a server of the manifest at this moment; undefined where no client starts it. */
export type ValuesOf = (server: string) => Readonly<Record<string, string>> | undefined;

type Is = (entry: StdioEntry | RemoteEntry, cwd: string | undefined, isAnywhere: boolean) => boolean;

const NAME_CHARACTERS_MAX = 60;

export class ServerNames {
  /** By name in lower case, because folders are called by it: what each one is. */
  readonly #known = new Map<string, { name: string; is: Is }>();

  constructor(manifest: Manifest | undefined, valuesOf: ValuesOf) {
    for (const [name, server] of Object.entries(manifest?.servers ?? {}))
      this.#known.set(name.toLowerCase(), {
        name,
        is: (entry, cwd, isAnywhere) => isListed(server, entry, isAnywhere ? server.stdio?.cwd : cwd, valuesOf(name)),
      });
  }

  /** `isAnywhere`: nobody stated the folder, and whichever the manifest has will do. */
  nameFor(wanted: string, entry: StdioEntry | RemoteEntry, cwd: string | undefined, isAnywhere = false): string {
    const base = nameFrom(wanted);
    for (let number = 1; ; number++) {
      const name = number === 1 ? base : `${base}-${number}`;
      const known = this.#known.get(name.toLowerCase());
      if (known?.is(entry, cwd, isAnywhere) === true) return known.name;
      if (known !== undefined) continue;
      const self = identity(entry, cwd);
      this.#known.set(name.toLowerCase(), { name, is: (other, folder) => identity(other, folder) === self });
      return name;
    }
  }
}

/** A name that the manifest takes, from one that a client takes. */
export function nameFrom(wanted: string): string {
  const clean = wanted
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/_{2,}/g, '_')
    .slice(0, NAME_CHARACTERS_MAX)
    .replace(/^[-_]+|[-_]+$/g, '');
  if (clean === '') return 'server';
  // Names that no document of ours takes, because they lead to a prototype.
  return clean === 'constructor' || clean === 'prototype' ? `${clean}-server` : clean;
}

function identity(entry: StdioEntry | RemoteEntry, cwd: string | undefined): string {
  if (entry.kind === 'remote') {
    const { transport, url, headers, headersFrom, bearerFrom = null } = entry;
    return canonicalJson(['remote', transport, url, { ...headers }, { ...headersFrom }, bearerFrom]);
  }
  const { command, args, env, forwarded } = entry;
  return canonicalJson(['stdio', command, [...args], cwd ?? null, { ...env }, [...forwarded].sort()]);
}

function isListed(
  server: ManifestServer,
  entry: StdioEntry | RemoteEntry,
  cwd: string | undefined,
  values: Readonly<Record<string, string>> | undefined,
): boolean {
  if (entry.kind === 'remote') {
    const remote = server[entry.transport];
    if (remote === undefined || remote.url !== entry.url || remote.auth?.env !== entry.bearerFrom) return false;
    const { headers } = remote;
    const names = Object.keys(headers).sort();
    const said = Object.keys({ ...entry.headers, ...entry.headersFrom }).sort();
    if (canonicalJson(names) !== canonicalJson(said)) return false;
    if (Object.entries(entry.headersFrom).some(([name, variable]) => headers[name]?.env !== variable)) return false;
    const valued = Object.keys(entry.headers);
    return values === undefined || valued.every((name) => values[headers[name]?.env ?? ''] === entry.headers[name]);
  }
  const { stdio } = server;
  if (stdio === undefined || Object.keys(stdio.env.set).length > 0) return false;
  const names = [...new Set([...Object.keys(entry.env), ...entry.forwarded])].sort();
  const same = (one: readonly string[], other: readonly string[]) =>
    canonicalJson([...one]) === canonicalJson([...other]);
  if (stdio.command !== entry.command || !same(stdio.args, entry.args) || stdio.cwd !== cwd) return false;
  if (!same([...stdio.env.allow].sort(), names)) return false;
  return values === undefined || Object.entries(entry.env).every(([name, value]) => values[name] === value);
}
