// What a client says that it is: its name and version, as it gives them. It is written down for people who look for the cause of something, and asked by
// nobody who decides: neither rules nor permits nor places of calls know it.

import { isJsonObject, type Json } from '../domain/json.ts';
import { CLAIMED_CHARACTERS_MAX } from './limits.ts';
import { recordedText } from './recorded-text.ts';

export interface ClaimedClient {
  readonly name: string;
  readonly version?: string;
}

/** From `clientInfo`; undefined where it names nothing. */
export function claimedClient(info: Json | undefined): ClaimedClient | undefined {
  if (info === undefined || !isJsonObject(info) || typeof info.name !== 'string') return undefined;
  const { name, version } = info;
  const text = (said: string): string => recordedText(said, CLAIMED_CHARACTERS_MAX);
  return { name: text(name), ...(typeof version === 'string' ? { version: text(version) } : {}) };
}
