// A proof that fits into one file: the entries of a call, each with the hashes that lead from it to a signed checkpoint, and the payloads
// that somebody chose to show. Whoever holds the log's key, and nothing else of ours, can check it without a network.
// It proves that these entries were in the log, not that there are no others, and not that what they say is true.

import { canonicalJson } from '../domain/canonical-json.ts';
import { type Digest, isDigest, type Sha256 } from '../domain/digest.ts';
import type { Entry } from '../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { fromUtf8, utf8 } from './bytes.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { decodeEntry } from './entry-line.ts';
import { HASH_BYTES, treeHasher } from './leaf.ts';
import { verifyInclusion } from './merkle-tree.ts';
import type { NoteVerifier } from './signed-note.ts';
import { type Payload, verifyPayload } from './vault.ts';

export const PROOF_FORMAT = 'portcullis-proof/v1';

export interface ProvenLine {
  readonly index: number;
  /** The line without its line feed. */
  readonly line: Uint8Array;
  readonly hashes: readonly Uint8Array[];
}

export interface Proof {
  readonly origin: string;
  /** The signed note. */
  readonly checkpoint: string;
  readonly entries: readonly ProvenLine[];
  readonly disclosures: readonly Payload[];
}

export type ProofResult =
  | {
      readonly ok: true;
      readonly checkpoint: Checkpoint;
      readonly entries: readonly Entry[];
      /** Payloads whose commitments stand in one of the entries. */
      readonly disclosures: readonly Payload[];
    }
  | { readonly ok: false; readonly reason: string };

/** A proof holds one call or a few; a payload may be large. */
const LIMITS = { bytesMax: 128 * 1024 * 1024, depthMax: 6, nodesMax: 200_000 };

export function formatProof(proof: Proof): string {
  const entries = proof.entries.map(({ index, line, hashes }) => ({
    index,
    entry: fromUtf8(line) ?? '',
    proof: hashes.map(toBase64),
  }));
  const disclosures = proof.disclosures.map(({ commitment, salt, bytes }) => ({
    commitment,
    salt: toBase64(salt),
    bytes: toBase64(bytes),
  }));
  const { origin, checkpoint } = proof;
  return `${canonicalJson({ format: PROOF_FORMAT, origin, checkpoint, entries, disclosures })}\n`;
}

/** Reads a proof file. Undefined when it is not one; it may be indented, but nothing may be added. Proves nothing yet. */
export function parseProof(bytes: Uint8Array): Proof | undefined {
  const parsed = parseStrictJson(bytes, LIMITS);
  if (!parsed.ok || !hasExactly(parsed.value, ['checkpoint', 'disclosures', 'entries', 'format', 'origin']))
    return undefined;
  const { format, origin, checkpoint, entries, disclosures } = parsed.value;
  if (format !== PROOF_FORMAT || typeof origin !== 'string' || typeof checkpoint !== 'string') return undefined;
  const lines = listOf(entries, parseLine);
  const payloads = listOf(disclosures, parseDisclosure);
  if (lines === undefined || payloads === undefined) return undefined;
  return { origin, checkpoint, entries: lines, disclosures: payloads };
}

/** Checks everything, from the bytes. `verifier` is the key that the reader pinned; a proof never brings its own. */
export function verifyProof(proof: Proof, verifier: NoteVerifier, sha256: Sha256): ProofResult {
  const hasher = treeHasher(sha256);
  // Size and root come from the signed note and from nowhere else.
  const checkpoint = openCheckpoint(proof.checkpoint, proof.origin, verifier);
  if (checkpoint === undefined) return refuse('the checkpoint is not signed by the pinned key for this log');
  if (proof.entries.length === 0) return refuse('the proof holds no entries');
  const entries: Entry[] = [];
  const named = new Set<string>();
  let before = -1;
  for (const { index, line, hashes } of proof.entries) {
    if (index <= before) return refuse('the entries are not in the order of the log');
    before = index;
    if (!verifyInclusion(hasher, index, checkpoint.size, hasher.leaf(line), hashes, checkpoint.root)) {
      return refuse(`entry ${index} is not in the log`);
    }
    const entry = decodeEntry(line);
    if (entry === undefined) return refuse(`entry ${index} is not in canonical form`);
    if (entry.seq !== index || entry.log !== proof.origin) return refuse(`entry ${index} says that it is another`);
    entries.push(entry);
    collectStrings(entry, named);
  }
  for (const payload of proof.disclosures) {
    if (!verifyPayload(sha256, payload))
      return refuse(`a disclosed payload is not what ${payload.commitment} commits to`);
    if (!named.has(payload.commitment)) return refuse(`no entry names ${payload.commitment}`);
  }
  return { ok: true, checkpoint, entries, disclosures: proof.disclosures };
}

function refuse(reason: string): ProofResult {
  return { ok: false, reason };
}

function parseLine(value: Json): ProvenLine | undefined {
  if (!hasExactly(value, ['entry', 'index', 'proof'])) return undefined;
  const { index, entry, proof } = value;
  const hashes = listOf(proof, (hash) => {
    const bytes = typeof hash === 'string' ? fromBase64(hash) : undefined;
    return bytes?.length === HASH_BYTES ? bytes : undefined;
  });
  if (typeof index !== 'number' || !Number.isSafeInteger(index) || index < 0) return undefined;
  if (typeof entry !== 'string' || hashes === undefined) return undefined;
  return { index, line: utf8(entry), hashes };
}

function parseDisclosure(value: Json): Payload | undefined {
  if (!hasExactly(value, ['bytes', 'commitment', 'salt'])) return undefined;
  const { commitment } = value;
  const salt = typeof value.salt === 'string' ? fromBase64(value.salt) : undefined;
  const bytes = typeof value.bytes === 'string' ? fromBase64(value.bytes) : undefined;
  if (typeof commitment !== 'string' || !isDigest(commitment) || salt === undefined || bytes === undefined)
    return undefined;
  return { commitment: commitment as Digest, salt, bytes };
}

function hasExactly(value: Json | undefined, names: readonly string[]): value is JsonObject {
  return isJsonObject(value) && Object.keys(value).sort().join() === names.join();
}

function listOf<T>(value: Json | undefined, parse: (item: Json) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items: T[] = [];
  for (const item of value as readonly Json[]) {
    const parsed = parse(item);
    if (parsed === undefined) return undefined;
    items.push(parsed);
  }
  return items;
}

function collectStrings(value: Json, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  else if (Array.isArray(value)) for (const item of value as readonly Json[]) collectStrings(item, into);
  else if (isJsonObject(value)) for (const item of Object.values(value)) collectStrings(item, into);
}
