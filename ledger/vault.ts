// Payloads beside the ledger. An entry holds only a salted commitment; salt and bytes lie here, encrypted, and can be erased without
// breaking the chain. This file frames them; the encryption comes in.

import { Defect } from '../domain/defect.ts';
import type { Digest, Sha256 } from '../domain/digest.ts';
import { fromDigest, toDigest } from './base64.ts';
import { concatBytes, equalBytes, utf8 } from './bytes.ts';
import type { Sealer } from './ports.ts';

export const SALT_BYTES = 32;
const COMMITMENT_BYTES = 32;
const DOMAIN = utf8('portcullis/commit/v1\n');

/** Above this nothing is put into the vault: the gate's own limit on messages is far lower. */
export const PAYLOAD_BYTES_MAX = 64 * 1024 * 1024;

/** What is committed to and how to show it. */
export interface Payload {
  readonly commitment: Digest;
  readonly salt: Uint8Array;
  readonly bytes: Uint8Array;
}

/** SHA-256("portcullis/commit/v1\n" || salt || bytes). The salt is 32 random bytes, used once. */
export function commit(sha256: Sha256, salt: Uint8Array, bytes: Uint8Array): Digest {
  if (salt.length !== SALT_BYTES) throw new Defect('a salt has 32 bytes');
  return toDigest(sha256(preimage(salt, bytes)));
}

/** What is hashed. Small ones lie in one place that is used again, because hashing copies what it reads. */
const small = new Uint8Array(4096);
small.set(DOMAIN);

function preimage(salt: Uint8Array, bytes: Uint8Array): Uint8Array {
  const length = DOMAIN.length + SALT_BYTES + bytes.length;
  if (length > small.length) return concatBytes([DOMAIN, salt, bytes]);
  small.set(salt, DOMAIN.length);
  small.set(bytes, DOMAIN.length + SALT_BYTES);
  return small.subarray(0, length);
}

/** Whether a payload is what its commitment says. */
export function verifyPayload(sha256: Sha256, payload: Payload): boolean {
  return payload.salt.length === SALT_BYTES && commit(sha256, payload.salt, payload.bytes) === payload.commitment;
}

/** One record of a vault file: u32 length || commitment || sealed(salt || bytes), where the commitment is what is associated. */
export function encodeFrame(payload: Payload, sealer: Sealer): Uint8Array {
  const commitment = fromDigest(payload.commitment);
  if (commitment === undefined || payload.salt.length !== SALT_BYTES) throw new Defect('not a payload');
  if (payload.bytes.length > PAYLOAD_BYTES_MAX) throw new Defect('a payload is too large for the vault');
  const sealed = sealer.seal(concatBytes([payload.salt, payload.bytes]), commitment);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, COMMITMENT_BYTES + sealed.length);
  return concatBytes([length, commitment, sealed]);
}

/** A record as it lies in the file. */
export interface Frame {
  readonly commitment: Digest;
  readonly sealed: Uint8Array;
}

/** The payload of a record, or undefined when it does not open or is not what its commitment says. */
export function openFrame(frame: Frame, sealer: Sealer, sha256: Sha256): Payload | undefined {
  const commitment = fromDigest(frame.commitment);
  if (commitment === undefined) return undefined;
  const plain = sealer.open(frame.sealed, commitment);
  if (plain === undefined || plain.length < SALT_BYTES) return undefined;
  const salt = plain.slice(0, SALT_BYTES);
  const bytes = plain.slice(SALT_BYTES);
  const whole = toDigest(sha256(preimage(salt, bytes)));
  const actual = fromDigest(whole);
  return actual !== undefined && equalBytes(actual, commitment)
    ? { commitment: frame.commitment, salt, bytes }
    : undefined;
}

/** Cuts chunks of a vault file into records. Stops for good at the first length that cannot be one: the rest was never acknowledged. */
export class FrameSplitter {
  readonly #onFrame: (frame: Frame) => void;
  #held: Uint8Array = new Uint8Array(0);
  #parts: Uint8Array[] = [];
  #partsBytes = 0;
  #wanted = 4;
  #broken = false;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  get broken(): boolean {
    return this.#broken;
  }

  push(chunk: Uint8Array): void {
    if (this.#broken) return;
    this.#parts.push(chunk.slice());
    this.#partsBytes += chunk.length;
    if (this.#partsBytes < this.#wanted) return;
    this.#held = concatBytes(this.#parts);
    let at = 0;
    for (;;) {
      const rest = this.#held.subarray(at);
      this.#wanted = 4;
      if (rest.length < 4) break;
      const length = new DataView(rest.buffer, rest.byteOffset).getUint32(0);
      if (length <= COMMITMENT_BYTES || length > PAYLOAD_BYTES_MAX + 1024) {
        this.#broken = true;
        return;
      }
      this.#wanted = 4 + length;
      if (rest.length < this.#wanted) break;
      this.#onFrame({
        commitment: toDigest(rest.subarray(4, 4 + COMMITMENT_BYTES)),
        sealed: rest.slice(4 + COMMITMENT_BYTES, 4 + length),
      });
      at += 4 + length;
    }
    this.#parts = [this.#held.slice(at)];
    this.#partsBytes = this.#held.length - at;
    this.#held = new Uint8Array(0);
  }
}
