// Payloads of entries, opened with this installation's key where it is here.

import { sha256 } from '../adapters/crypto/node-crypto.ts';
import { readPayloads } from '../adapters/storage/ledger-reader.ts';
import type { Digest } from '../domain/digest.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import type { Payload } from '../ledger/vault.ts';
import { type LedgerFolder, ownSealer } from './ledger-folder.ts';

/** Every commitment that an entry, or a list of entries, names. */
export function commitmentsIn(value: Json): Digest[] {
  if (Array.isArray(value)) return value.flatMap(commitmentsIn);
  if (!isJsonObject(value)) return [];
  const own = typeof value.commitment === 'string' ? [value.commitment as Digest] : [];
  return [...own, ...Object.values(value).flatMap(commitmentsIn)];
}

/** What the vault holds of them; undefined when the key is not here. */
export async function openPayloads(
  ledger: LedgerFolder,
  value: Json,
): Promise<ReadonlyMap<Digest, Payload> | undefined> {
  const sealer = ownSealer();
  return sealer === undefined ? undefined : readPayloads(ledger.dir, new Set(commitmentsIn(value)), sealer, sha256);
}
