// Which public keys this installation works with, in `keys.json` beside the folder of the keys. The secrets are in their own files (key-file.ts);
// what is here is only to notice that one of them was exchanged. Whoever exchanges all of them and every gate's folder begins a new
// installation, and only a key that was kept elsewhere tells.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { hmacSha256, keyThumbprint } from '../adapters/crypto/node-crypto.ts';
import { openStateDocument, type StateDocument } from '../adapters/storage/state-document.ts';
import { encodeBase64url } from '../domain/base64url.ts';
import type { Json } from '../domain/json.ts';
import { EXIT } from './exit-codes.ts';
import { gateFolder, type Home } from './home.ts';
import type { GateKeys } from './ledger.ts';
import { CommandError, reasonOf } from './output.ts';
import { systemClock } from './system-clock.ts';

export type RegisteredKey = z.infer<typeof KEY>;

const KEY = z.strictObject({
  /** RFC 7638 thumbprint. */
  kid: z.string(),
  purpose: z.enum(['permit', 'log', 'gate']),
  /** The 32 bytes of the public key, base64url. */
  public: z.string(),
  /** RFC 3339: when it was first used here. */
  created: z.string(),
  state: z.enum(['active', 'retired']),
});
const SCHEMA = z.array(KEY);

/** The registered keys, compared with those on disk; empty where nothing has run yet. Throws a CommandError when they differ. Writes nothing. */
export async function checkKeys(home: Home, keys: GateKeys): Promise<readonly RegisteredKey[]> {
  return (await openRegistry(home, keys)).value;
}

/** The same, and on the first start the keys are registered. */
export async function registerKeys(home: Home, keys: GateKeys): Promise<readonly RegisteredKey[]> {
  const registry = await openRegistry(home, keys);
  const created = new Date(systemClock.now()).toISOString();
  // An installation that is older than a purpose gets its key for it now.
  const first = inUse(keys)
    .filter(({ purpose }) => registry.value.every((known) => known.purpose !== purpose))
    .map((key): RegisteredKey => ({ ...key, created, state: 'active' }));
  if (first.length === 0) return registry.value;
  const all = [...registry.value, ...first];
  await registry.replace(all).catch((error: unknown) => {
    throw refused(`the keys cannot be registered: ${reasonOf(error)}`);
  });
  return all;
}

async function openRegistry(home: Home, keys: GateKeys): Promise<StateDocument<RegisteredKey[]>> {
  // Asked before the registry is read: a gate that starts beside us registers before it keeps a head.
  const ranBefore = gatesHaveRun(home);
  const mac = hmacSha256(keys.vault, new TextEncoder().encode('portcullis/keys/v1'));
  let registry: StateDocument<RegisteredKey[]>;
  try {
    registry = await openStateDocument<RegisteredKey[]>({
      path: join(home.state, 'keys.json'),
      kind: 'key-registry',
      initial: [],
      parse: (value: Json) => SCHEMA.safeParse(value).data,
      mac: (bytes) => hmacSha256(mac, bytes),
      revisionMin: ranBefore ? 1 : 0,
    });
  } catch (error) {
    throw refused(`the keys cannot be checked: ${reasonOf(error)}`);
  }
  if (registry.revision === 0) return registry;
  for (const { purpose, kid } of inUse(keys)) {
    const registered = registry.value.filter((key) => key.purpose === purpose);
    const active = registered.find(({ state }) => state === 'active');
    if (registered.length > 0 && active?.kid !== kid) {
      throw refused(`the key "${purpose}" was exchanged: ${active?.kid ?? 'none'} is registered, ${kid} is there`);
    }
  }
  return registry;
}

function inUse(keys: GateKeys): Pick<RegisteredKey, 'kid' | 'purpose' | 'public'>[] {
  const publicKeys = { permit: keys.permitPublicKey, log: keys.log.publicKey, gate: keys.gate.publicKey };
  return (['permit', 'log', 'gate'] as const).map((purpose) => {
    const key = publicKeys[purpose];
    return { kid: keyThumbprint(key), purpose, public: encodeBase64url(key) };
  });
}

/** Where a ledger was begun, keys had been registered. */
function gatesHaveRun(home: Home): boolean {
  const gates = join(home.state, 'gates');
  return existsSync(gates) && readdirSync(gates).some((name) => existsSync(gateFolder(home, name).heads));
}

function refused(why: string): CommandError {
  return new CommandError(why, EXIT.gateShut, [
    'bring back the keys and keys.json as they were',
    'to begin anew with new keys, move the folder of the state away; do not delete it',
  ]);
}
