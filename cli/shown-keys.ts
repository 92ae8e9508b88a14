// The keys that a remote server showed when it was asked what it is, so that a person can hold the server to them (`pins`). Whether a key may be shown
// is judged where the connection is made.

import { isJsonObject, type JsonObject } from '../domain/json.ts';

export interface ShownKeys {
  /** Pins, as they stand in a manifest. */
  readonly keys: readonly string[];
  /** Whether the manifest pins the server's key: nobody else can answer for it then. */
  readonly pinned: boolean;
}

/** Null for a server that showed none: a process, or one without TLS. `launch`: how it is reached. */
export function shownKeys(launch: JsonObject, keys: readonly string[]): ShownKeys | null {
  if (keys.length === 0) return null;
  return { keys, pinned: Object.values(launch).some((way) => isJsonObject(way) && way.pins !== undefined) };
}

export function shownKeyLines({ keys, pinned }: ShownKeys): string[] {
  const hint = pinned ? 'pinned' : 'not pinned; to hold it to this key, write it into its "pins"';
  return keys.map((key) => `    TLS key ${key} (${hint})`);
}
