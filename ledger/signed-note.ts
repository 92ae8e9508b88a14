// Signed notes (C2SP signed-note): a text, an empty line, signature lines. Keys have names; a verifier names the key it trusts.
// Only Ed25519 (type 0x01). The strictness of the curve arithmetic is the given function's; the grammar is ours, and it is exact.

import type { Sha256 } from '../domain/digest.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { concatBytes, fromUtf8, utf8 } from './bytes.ts';

/** A private key that does not show itself. */
export interface Ed25519Key {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes, or throws. */
  sign(message: Uint8Array): Uint8Array;
}

/** Whether an Ed25519 signature is valid. Must be strict (RFC 8032), must not throw. */
export type VerifyEd25519 = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

export interface NoteSigner {
  readonly name: string;
  readonly keyId: number;
  sign(message: Uint8Array): Uint8Array;
}

export interface NoteVerifier {
  readonly name: string;
  readonly keyId: number;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

/** A signature of a note, by a key that may be unknown. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
}

export type OpenedNote =
  | {
      readonly ok: true;
      readonly text: string;
      readonly verified: readonly NoteSignature[];
      readonly unverified: readonly NoteSignature[];
    }
  | { readonly ok: false; readonly reason: 'malformed' | 'invalid signature' | 'unverified' };

const ED25519 = 1;
const SIGNATURES_MAX = 100;
/** Notes of ours hold four lines; those of others stay far below. */
const NOTE_BYTES_MAX = 1_000_000;
const DASH = '\u2014 ';

/** Whether a text may name a key: not empty, no white space, no plus sign, no control characters. */
export function isKeyName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  return name !== '' && !/[\s+\u0000-\u001f\u007f\u0085\ufffd]/u.test(name) && !/[\ud800-\udfff]/u.test(name);
}

/** The public text of a key: `<name>+<key id in hex>+<base64 of type and key>`. */
export function formatVerifierKey(name: string, publicKey: Uint8Array, sha256: Sha256): string {
  const key = concatBytes([Uint8Array.of(ED25519), publicKey]);
  return `${name}+${hex(keyIdOf(name, key, sha256))}+${toBase64(key)}`;
}

/** The verifier of such a text, or undefined when it is not exactly well-formed or its id does not fit its key. */
export function parseVerifierKey(text: string, verify: VerifyEd25519, sha256: Sha256): NoteVerifier | undefined {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(\S+)$/u.exec(text) ?? [];
  if (name === undefined || id === undefined || encoded === undefined || !isKeyName(name)) return undefined;
  const key = fromBase64(encoded);
  if (key === undefined || key[0] !== ED25519 || key.length !== 33) return undefined;
  const keyId = keyIdOf(name, key, sha256);
  if (hex(keyId) !== id) return undefined;
  const publicKey = key.slice(1);
  return {
    name,
    keyId,
    verify: (message, signature) => signature.length === 64 && verify(publicKey, message, signature),
  };
}

export function noteSigner(name: string, key: Ed25519Key, sha256: Sha256): NoteSigner {
  const keyId = keyIdOf(name, concatBytes([Uint8Array.of(ED25519), key.publicKey]), sha256);
  return { name, keyId, sign: (message) => key.sign(message) };
}

/** The note over `text`, which must end with a line feed and hold no other control characters. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  const message = utf8(text);
  return `${text}\n${signers.map((signer) => signatureLine(signer.name, signer.keyId, signer.sign(message))).join('')}`;
}

/**
 * Opens a note: `ok` when at least one signature is by one of `verifiers`. A wrong signature by a known key refuses the whole note; a
 * known key's further signatures are ignored. What it returns as `text` is exactly what was signed.
 */
export function openNote(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): OpenedNote {
  const parsed = parseNote(note);
  if (parsed === undefined) return { ok: false, reason: 'malformed' };
  const message = utf8(parsed.text);
  const verified: NoteSignature[] = [];
  const unverified: NoteSignature[] = [];
  const seen = new Set<NoteVerifier>();
  for (const signature of parsed.signatures) {
    const verifier = verifiers.find((each) => each.name === signature.name && each.keyId === signature.keyId);
    if (verifier === undefined) {
      unverified.push(signature);
    } else if (!seen.has(verifier)) {
      seen.add(verifier);
      if (!verifier.verify(message, signature.signature)) return { ok: false, reason: 'invalid signature' };
      verified.push(signature);
    }
  }
  if (verified.length === 0) return { ok: false, reason: 'unverified' };
  return { ok: true, text: parsed.text, verified, unverified };
}

/** Text and signatures, none of them checked; undefined when it is not a note. */
export function parseNote(
  note: string | Uint8Array,
): { readonly text: string; readonly signatures: readonly NoteSignature[] } | undefined {
  if (note.length > NOTE_BYTES_MAX) return undefined;
  const whole = typeof note === 'string' ? note : fromUtf8(note);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (whole === undefined || /[\u0000-\u0009\u000b-\u001f]/.test(whole) || /[\ud800-\udfff]/u.test(whole))
    return undefined;
  const gap = whole.lastIndexOf('\n\n');
  if (gap < 0 || !whole.endsWith('\n')) return undefined;
  const text = whole.slice(0, gap + 1);
  const lines = whole.slice(gap + 2).split('\n');
  lines.pop();
  if (lines.length === 0 || lines.length > SIGNATURES_MAX) return undefined;
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignatureLine(line);
    if (signature === undefined) return undefined;
    signatures.push(signature);
  }
  return { text, signatures };
}

function parseSignatureLine(line: string): NoteSignature | undefined {
  if (!line.startsWith(DASH)) return undefined;
  const space = line.indexOf(' ', DASH.length);
  if (space < 0) return undefined;
  const name = line.slice(DASH.length, space);
  const bytes = fromBase64(line.slice(space + 1));
  if (!isKeyName(name) || bytes === undefined || bytes.length < 5) return undefined;
  return { name, keyId: new DataView(bytes.buffer).getUint32(0), signature: bytes.slice(4) };
}

function signatureLine(name: string, keyId: number, signature: Uint8Array): string {
  const id = new Uint8Array(4);
  new DataView(id.buffer).setUint32(0, keyId);
  return `${DASH}${name} ${toBase64(concatBytes([id, signature]))}\n`;
}

function keyIdOf(name: string, key: Uint8Array, sha256: Sha256): number {
  const hash = sha256(concatBytes([utf8(`${name}\n`), key]));
  return (
    (hash[0] as number) * 0x1000000 + (((hash[1] as number) << 16) | ((hash[2] as number) << 8) | (hash[3] as number))
  );
}

function hex(keyId: number): string {
  return keyId.toString(16).padStart(8, '0');
}
