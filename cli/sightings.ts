// Which clients have been seen on the wire: the last time that each agent came for each server, and what it spoke. For people who want to know whether a
// client really goes through the gate. Nothing is decided by it, and a gate that cannot write it goes on.

import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Greeting } from '../adapters/downstream/era-session.ts';
import { isJsonObject } from '../domain/json.ts';
import type { ClaimedClient } from '../proxy/claimed-client.ts';
import { type Home, sightingsFile } from './home.ts';
import { reasonOf } from './output.ts';

export interface Sighting {
  readonly agent: string;
  /** `*`: all servers behind one address. */
  readonly server: string;
  readonly revision: string;
  /** What it says that it is. */
  readonly client: ClaimedClient | null;
  /** Unix milliseconds. */
  readonly at: number;
}

/** One for each agent and server; agents are those of the manifest. */
const SIGHTINGS_MAX = 1_000;

export class Sightings {
  readonly #file: string;
  readonly #note: (text: string) => void;
  readonly #seen = new Map<string, Sighting>();

  constructor(folder: { readonly folder: string }, note: (text: string) => void) {
    this.#file = sightingsFile(folder);
    this.#note = note;
    for (const sighting of readFrom(this.#file)) this.#seen.set(keyOf(sighting), sighting);
  }

  saw(agent: string, server: string, { revision, client }: Greeting, at: number): void {
    const sighting = { agent, server, revision, client: client ?? null, at };
    this.#seen.delete(keyOf(sighting));
    this.#seen.set(keyOf(sighting), sighting);
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= SIGHTINGS_MAX) break;
      this.#seen.delete(oldest);
    }
    try {
      writeFileSync(`${this.#file}.new`, `${JSON.stringify([...this.#seen.values()])}\n`, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      this.#note(`it is not written down that ${agent} came for ${server}: ${reasonOf(error)}`);
    }
  }
}

/** Of all gates of the installation, the newest first. */
export function sightingsOf(home: Home): readonly Sighting[] {
  const gates = join(home.state, 'gates');
  const folders = existsSync(gates) ? readdirSync(gates) : [];
  return folders
    .flatMap((name) => readFrom(sightingsFile({ folder: join(gates, name) })))
    .sort((one, other) => other.at - one.at);
}

function keyOf({ agent, server }: Sighting): string {
  return JSON.stringify([agent, server]);
}

/** What cannot be read was not seen. */
function readFrom(file: string): readonly Sighting[] {
  try {
    const read: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(read) ? read.filter(isSighting) : [];
  } catch {
    return [];
  }
}

function isSighting(value: unknown): value is Sighting {
  if (typeof value !== 'object' || value === null) return false;
  const { agent, server, revision, client, at } = value as Record<string, unknown>;
  const texts = [agent, server, revision].every((one) => typeof one === 'string');
  return (
    texts && typeof at === 'number' && (client === null || (isJsonObject(client as never) && 'name' in Object(client)))
  );
}
