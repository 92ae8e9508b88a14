// Hashes, signatures, seals and randomness by node:crypto. Private keys stay inside the objects made here: they sign and can be written to
// a file, and nothing prints them. Where keys lie on disk is adapters/storage/key-file.ts.

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  randomBytes as nodeRandomBytes,
  randomFillSync,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { encodeBase64url } from '../../domain/base64url.ts';
import { isStrictPublicKey } from './noble.ts';

const SIGNATURE_BYTES = 64;
const PUBLIC_KEY_BYTES = 32;
/** What precedes the 32 bytes of an Ed25519 public key in its SPKI form (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The platform returns text three times faster than a buffer of its own, and an array as small as a hash costs next to nothing. */
export function sha256(data: Uint8Array): Uint8Array {
  const text = hash('sha256', data, 'binary');
  const bytes = new Uint8Array(32);
  for (let index = 0; index < 32; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** Fetched in advance, because asking costs more than the bytes do. Every byte is handed out once and is not kept. */
export const randomBytes = fromPool(4096);

function fromPool(size: number): (count: number) => Uint8Array {
  const pool = new Uint8Array(size);
  let used = size;
  return (count) => {
    if (count > size / 8) return nodeRandomBytes(count);
    if (used + count > size) {
      randomFillSync(pool);
      used = 0;
    }
    const bytes = pool.slice(used, used + count);
    pool.fill(0, used, used + count);
    used += count;
    return bytes;
  };
}

export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(data).digest();
}

/** Compares in a time that depends on the lengths alone. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export interface SigningKey {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly publicKey: Uint8Array;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
  /** PKCS #8 in PEM. For the key file and nowhere else. */
  readonly exportPem: () => string;
}

export function generateSigningKey(): SigningKey {
  return signingKey(generateKeyPairSync('ed25519').privateKey);
}

/** The key in a PKCS #8 PEM text, or undefined when there is none or it is not an Ed25519 key. */
export function importSigningKey(pem: string): SigningKey | undefined {
  try {
    const key = createPrivateKey({ key: pem, format: 'pem' });
    return key.asymmetricKeyType === 'ed25519' ? signingKey(key) : undefined;
  } catch {
    return undefined;
  }
}

function signingKey(key: KeyObject): SigningKey {
  const publicKey = rawPublicKey(createPublicKey(key));
  return {
    kid: keyThumbprint(publicKey),
    publicKey,
    sign: (bytes) => sign(null, bytes, key),
    exportPem: () => key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length));
}

/** The SPKI form in PEM, as other tools read it. */
export function publicKeyToPem(publicKey: Uint8Array): string {
  return publicKeyObject(publicKey).export({ type: 'spki', format: 'pem' }).toString();
}

/** The 32 bytes of a public key in PEM, or undefined when it is not one of the strict profile. */
export function publicKeyFromPem(pem: string): Uint8Array | undefined {
  const raw = rawFromPem(pem);
  return raw !== undefined && isStrictPublicKey(raw) ? raw : undefined;
}

/** Whether a PEM text holds the public half of this key. What was computed from a private key is of the strict profile: that need not be asked. */
export function isPublicHalf(pem: string, { publicKey }: Pick<SigningKey, 'publicKey'>): boolean {
  const raw = rawFromPem(pem);
  return raw !== undefined && equalBytes(raw, publicKey);
}

function rawFromPem(pem: string): Uint8Array | undefined {
  // Also reads the public half out of a private key, which has no business here.
  if (pem.includes('PRIVATE')) return undefined;
  try {
    const key = createPublicKey({ key: pem, format: 'pem' });
    return key.asymmetricKeyType === 'ed25519' ? rawPublicKey(key) : undefined;
  } catch {
    return undefined;
  }
}

function publicKeyObject(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
}

/** The id of a key: the RFC 7638 thumbprint of its JWK (RFC 8037). */
export function keyThumbprint(publicKey: Uint8Array): string {
  const jwk = `{"crv":"Ed25519","kty":"OKP","x":"${encodeBase64url(publicKey)}"}`;
  return encodeBase64url(sha256(Buffer.from(jwk)));
}

/**
 * 64 bytes whose first half is not the identity. Under a key of the strict profile that is the one signature about which versions of the
 * platform disagree; no honest signer makes it.
 */
function isUsualSignature(signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  return signature[0] !== 1 || signature.subarray(1, SIGNATURE_BYTES / 2).some((byte) => byte !== 0);
}

/** Verifies one signature, strictly by RFC 8032. Never throws. The key is not held to the strict profile: see `Verifier`. */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || !isUsualSignature(signature)) return false;
  try {
    return verify(null, message, publicKeyObject(publicKey), signature);
  } catch {
    return false;
  }
}

/** The same for many signatures by one key, which is imported once. */
export function verifierOfOneKey(): typeof verifyEd25519 {
  let known: { readonly bytes: Uint8Array; readonly key: KeyObject } | undefined;
  return (publicKey, message, signature) => {
    if (known === undefined || !equalBytes(known.bytes, publicKey)) {
      if (!verifyEd25519(publicKey, message, signature)) return false;
      known = { bytes: Uint8Array.from(publicKey), key: publicKeyObject(publicKey) };
      return true;
    }
    return isUsualSignature(signature) && verify(null, message, known.key, signature);
  };
}

/** Public keys by their ids. Only keys of the strict profile get in, so that every verifier agrees on what they signed. */
export class Verifier {
  readonly #keys = new Map<string, KeyObject>();

  /** Adds a key and returns its id, or undefined when the key is not of the strict profile. */
  register(publicKey: Uint8Array): string | undefined {
    if (!isStrictPublicKey(publicKey)) return undefined;
    const kid = keyThumbprint(publicKey);
    this.#keys.set(kid, publicKeyObject(publicKey));
    return kid;
  }

  has(kid: string): boolean {
    return this.#keys.has(kid);
  }

  /** On this thread, about 0.1 ms: handing it to the thread pool and back costs as much again. */
  readonly verify = (kid: string, message: Uint8Array, signature: Uint8Array): boolean => {
    const key = this.#keys.get(kid);
    return key !== undefined && isUsualSignature(signature) && verify(null, message, key, signature);
  };
}

/** Seals bytes with AES-256-GCM: nonce, ciphertext, tag. A key of 32 bytes must not seal more than 2^32 times. */
export function seal(key: Uint8Array, plaintext: Uint8Array, associated: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what `seal` made, or returns undefined when any bit of key, sealed bytes or associated bytes differs. */
export function open(key: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Uint8Array | undefined {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(associated);
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}
