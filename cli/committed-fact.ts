// A fact of the gate itself in the ledger whose text may be long: the text lies in the vault, and the entry commits to it.

import { randomBytes, sha256 } from '../adapters/crypto/node-crypto.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { commit } from '../ledger/vault.ts';
import type { Recorder } from '../proxy/ports.ts';

/** Resolves once it is durable. */
export async function recordFact(
  recorder: Pick<Recorder, 'append'>,
  fields: { readonly type: string } & JsonObject,
  text: Json,
): Promise<void> {
  const bytes = new TextEncoder().encode(canonicalJson(text));
  const salt = randomBytes(32);
  const commitment = commit(sha256, salt, bytes);
  await recorder.append({ ...fields, source: { commitment, bytes: bytes.byteLength } }, [{ commitment, salt, bytes }]);
}
