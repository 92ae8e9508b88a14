// The servers that clients can share, and the variables that each has there. What its entry names has one value for as long as the gate runs: whoever comes
// with another one gets a gate of his own, so that nobody calls with the secrets of somebody else's entry.

import type { Variables } from '../adapters/upstream/stdio/environment.ts';
import type { ManifestRemote, ManifestServer } from '../control-plane/policy/manifest.ts';
import type { Configuration } from './configuration.ts';
import { launchOf, type ServerLaunch } from './servers.ts';

export interface SharedServers {
  readonly launches: readonly ServerLaunch[];
  /** By server. */
  readonly variables: ReadonlyMap<string, SharedVariables>;
}

/** A server whose folder is that of its client cannot be shared: what was approved of it holds for one folder. */
export async function sharedServers({ manifest, file }: Configuration): Promise<SharedServers> {
  const shareable = Object.entries(manifest.servers).filter(
    ([, { stdio, inProcess }]) => inProcess === undefined && (stdio === undefined || stdio.cwd !== undefined),
  );
  const variables = new Map(
    shareable.map(([name, server]) => [name, new SharedVariables(variableNames(server), process.env)]),
  );
  const base = file.replace(/[^/\\]*$/, '');
  const launches = await Promise.all(
    shareable.map(([name, server]) => launchOf(name, asOfClient(server), base, undefined, variables.get(name)?.all)),
  );
  return { launches, variables };
}

/**
 * Clients share the gate and not the server: each had a process of its own before, which may ask it for its folders at any time. Only chains are kept further
 * apart than that.
 */
function asOfClient(server: ManifestServer): ManifestServer {
  return server.isolation === 'shared' ? { ...server, isolation: 'per-session' } : server;
}

export class SharedVariables {
  /** As they are at this moment: a process that is started has them from here. */
  readonly all: Record<string, string | undefined> = Object.create(null);
  readonly #stated: readonly string[];
  #isTaken = false;

  constructor(stated: readonly string[], until: Variables) {
    this.#stated = stated;
    Object.assign(this.all, until);
  }

  /** False where one that is stated has another value than it had for whoever came before: then they stay as they are. */
  take(environment: Variables): boolean {
    const said = (name: string): string | undefined =>
      Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (this.#isTaken && this.#stated.some((name) => said(name) !== this.all[name])) return false;
    this.#isTaken = true;
    for (const name of Object.keys(this.all)) delete this.all[name];
    Object.assign(this.all, environment);
    return true;
  }
}

/** The variables that the manifest states for a server, beside the usual ones. */
export function variableNames({ stdio, http, sse, ws }: ManifestServer): readonly string[] {
  if (stdio !== undefined) return stdio.env.allow;
  const remote: ManifestRemote | undefined = http ?? sse ?? ws;
  const { clientSecretEnv, privateKeyEnv } = remote?.oauth ?? {};
  const own = [remote?.auth?.env, clientSecretEnv, privateKeyEnv].filter((name) => name !== undefined);
  return [...Object.values(remote?.headers ?? {}).map(({ env }) => env), ...own];
}
