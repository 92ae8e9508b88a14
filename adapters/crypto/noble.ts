// Ed25519 where there is no Node, and the strict profile of public keys everywhere. Slower than node:crypto by a factor of ten; it gives
// the same verdict on every signature of a key within the profile.

import { hashes, Point, verify } from '@noble/ed25519';
import { sha256 as nobleSha256, sha512 } from '@noble/hashes/sha2.js';

hashes.sha512 = sha512;

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** SHA-256 for the browser. */
export function sha256(data: Uint8Array): Uint8Array {
  return nobleSha256(data);
}

/**
 * Whether 32 bytes are a public key that all verifiers understand alike: canonically encoded, on the curve, in the prime-order subgroup
 * and not of small order. Keys made by any correct generator are. Takes about a millisecond: ask once, when a key is registered.
 */
export function isStrictPublicKey(key: Uint8Array): boolean {
  return key.length === KEY_BYTES && isStrictPoint(key);
}

/** Verifies by RFC 8032 without the cofactor, as node:crypto does. Never throws. */
export function verifyEd25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  try {
    // The library multiplies by the cofactor, which forgives a component of small order in the first half of the signature.
    return isStrictPoint(signature.subarray(0, KEY_BYTES)) && verify(signature, message, key, { zip215: false });
  } catch {
    return false;
  }
}

function isStrictPoint(bytes: Uint8Array): boolean {
  try {
    const point = Point.fromBytes(bytes, false);
    return !point.isSmallOrder() && point.isTorsionFree();
  } catch {
    return false;
  }
}
