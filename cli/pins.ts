// The definitions of tools as they were pinned in earlier runs of a gate. A definition that changed between two runs is pinned anew, but never
// silently: the operator is told, and the ledger names the tools.

import { join } from 'node:path';
import { z } from 'zod';
import { hmacSha256 } from '../adapters/crypto/node-crypto.ts';
import { openStateDocument } from '../adapters/storage/state-document.ts';
import type { Json } from '../domain/json.ts';

/** Digest of each tool's definition, by server and tool. */
type PinDocument = { readonly [server: string]: { readonly [tool: string]: string } };

const SCHEMA = z.record(z.string(), z.record(z.string(), z.string()));

export interface PinChanges {
  /** False on the first sight of the server. */
  readonly known: boolean;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export interface Pins {
  /** Compares with the run before and remembers. Resolves when that is durable. */
  observe(server: string, tools: Readonly<Record<string, string>>): Promise<PinChanges>;
}

/** Opens `pins.json` in a gate's folder. Rejects when what lies there is not ours. */
export async function openPins(folder: string, secret: Uint8Array): Promise<Pins> {
  const key = hmacSha256(secret, new TextEncoder().encode('portcullis/pins/v1'));
  const document = await openStateDocument<Json>({
    path: join(folder, 'pins.json'),
    kind: 'tool-pins',
    initial: {},
    parse: (value) => SCHEMA.safeParse(value).data,
    mac: (bytes) => hmacSha256(key, bytes),
  });
  return {
    observe: async (server, tools) => {
      // Parsed by the schema above when it was read, and only ever replaced by a value of its type.
      const all = document.value as PinDocument;
      const before = Object.hasOwn(all, server) ? all[server] : undefined;
      const changes = compare(before, tools);
      const same = before !== undefined && changes.added.length + changes.changed.length + changes.removed.length === 0;
      if (!same) await document.replace({ ...all, [server]: { ...tools } });
      return changes;
    },
  };
}

function compare(
  before: Readonly<Record<string, string>> | undefined,
  now: Readonly<Record<string, string>>,
): PinChanges {
  const known = before !== undefined;
  const old = before ?? {};
  return {
    known,
    added: known ? Object.keys(now).filter((tool) => !Object.hasOwn(old, tool)) : [],
    changed: Object.keys(now).filter((tool) => Object.hasOwn(old, tool) && old[tool] !== now[tool]),
    removed: Object.keys(old).filter((tool) => !Object.hasOwn(now, tool)),
  };
}
