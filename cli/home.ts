// Where configuration and state live: the XDG folders, or below PORTCULLIS_HOME. Found from the environment alone, because agents start us
// with little of it and in any working directory.

import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export interface Home {
  /** portcullis.yaml and policy/ */
  readonly config: string;
  /** Keys, ledgers and heads. 0700. */
  readonly state: string;
}

export function findHome(environment: NodeJS.ProcessEnv = process.env): Home {
  const own = environment.PORTCULLIS_HOME;
  if (own !== undefined && own !== '') return { config: resolve(own), state: join(resolve(own), 'state') };
  const base = (name: string, fallback: string): string => {
    const value = environment[name];
    // The XDG specification: a relative path is to be ignored.
    return value?.startsWith('/') === true ? value : join(homedir(), fallback);
  };
  if (process.platform === 'win32') {
    return {
      config: join(environment.APPDATA ?? join(homedir(), 'AppData', 'Roaming'), 'portcullis'),
      state: join(environment.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'portcullis'),
    };
  }
  return {
    config: join(base('XDG_CONFIG_HOME', '.config'), 'portcullis'),
    state: join(base('XDG_STATE_HOME', join('.local', 'state')), 'portcullis'),
  };
}

export const MANIFEST_NAME = 'portcullis.yaml';

/** The files of one gate. Its heads and keys lie outside the ledger's folder, because they are what a ledger is checked against. */
export interface GateFolder {
  readonly name: string;
  readonly folder: string;
  readonly ledger: string;
  readonly heads: string;
  readonly keys: string;
}

export function gateFolder(home: Home, name: string): GateFolder {
  const folder = join(home.state, 'gates', name);
  return {
    name,
    folder,
    ledger: join(folder, 'ledger'),
    heads: join(folder, 'heads.json'),
    keys: join(home.state, 'keys'),
  };
}

/** The one gate that clients share which are configured one by one. */
export const SHARED_GATE = 'local';

/** What the shared gate says, which has no terminal. */
export function sharedGateNotes(home: Home): string {
  return join(home.state, `${SHARED_GATE}-gate.log`);
}

/** Gates that run side by side are called NAME, NAME.2, NAME.3, ...: this is NAME. */
export function baseName(gate: string): string {
  return gate.replace(/\.\d+$/, '');
}

/** The processes that a gate started for its servers. */
export function processesFile({ folder }: Pick<GateFolder, 'folder'>): string {
  return join(folder, 'processes');
}

/** Where a gate listens, while it does. */
export function addressFile({ folder }: Pick<GateFolder, 'folder'>): string {
  return join(folder, 'address.json');
}

/** Which clients have come to a gate, and what they speak. */
export function sightingsFile({ folder }: Pick<GateFolder, 'folder'>): string {
  return join(folder, 'sightings.json');
}

/** Our credentials at other people's authorization servers. Gates that run side by side under one name share them. */
export function credentialsFile({ folder, name }: GateFolder): string {
  return join(dirname(folder), baseName(name), 'credentials.json');
}
