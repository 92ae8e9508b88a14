// Standard base64 with padding (RFC 4648 section 4), as signed notes and proofs use it, without the platform: the ledger is verified in
// Node and in browsers. Decoding is strict: one text for each byte string. And hashes as digests.

import { decodeBase64url, encodeBase64url } from '../domain/base64url.ts';
import type { Digest } from '../domain/digest.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const VALUES = new Int8Array(128).fill(-1);
for (let index = 0; index < ALPHABET.length; index++) VALUES[ALPHABET.charCodeAt(index)] = index;

const URL_CODES = Uint8Array.from(ALPHABET.replace('+/', '-_'), (character) => character.charCodeAt(0));

export function toBase64(bytes: Uint8Array): string {
  let text = '';
  let index = 0;
  for (; index + 2 < bytes.length; index += 3) {
    const group = ((bytes[index] as number) << 16) | ((bytes[index + 1] as number) << 8) | (bytes[index + 2] as number);
    text += letter(group >> 18) + letter((group >> 12) & 63) + letter((group >> 6) & 63) + letter(group & 63);
  }
  const left = bytes.length - index;
  if (left === 1) {
    const group = bytes[index] as number;
    text += `${letter(group >> 2) + letter((group & 3) << 4)}==`;
  } else if (left === 2) {
    const group = ((bytes[index] as number) << 8) | (bytes[index + 1] as number);
    text += `${letter(group >> 10) + letter((group >> 4) & 63) + letter((group & 15) << 2)}=`;
  }
  return text;
}

/** The bytes, or undefined when the text is not exactly what `toBase64` would write. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const length = text.length - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let held = 0;
  let bits = 0;
  let written = 0;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    const value = code < 128 ? (VALUES[code] as number) : -1;
    if (value < 0) return undefined;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[written++] = (held >> bits) & 0xff;
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}

/** A hash as text. */
export function toDigest(hash: Uint8Array): Digest {
  return `sha256:${encodeBase64url(hash)}`;
}

/** The 32 bytes of a digest, or undefined when the text is not one. */
export function fromDigest(text: string): Uint8Array | undefined {
  if (!text.startsWith('sha256:') || text.length !== 50) return undefined;
  return decodeBase64url(text.slice(7));
}

/** Whether the bytes of `line` at `at` are the 43 characters of this hash. Makes no text: audits ask it of every entry. */
export function isHashText(line: Uint8Array, at: number, hash: Uint8Array): boolean {
  for (let index = 0, place = at; index < 30; index += 3, place += 4) {
    const group = ((hash[index] as number) << 16) | ((hash[index + 1] as number) << 8) | (hash[index + 2] as number);
    if (
      line[place] !== URL_CODES[group >> 18] ||
      line[place + 1] !== URL_CODES[(group >> 12) & 63] ||
      line[place + 2] !== URL_CODES[(group >> 6) & 63] ||
      line[place + 3] !== URL_CODES[group & 63]
    ) {
      return false;
    }
  }
  const rest = ((hash[30] as number) << 10) | ((hash[31] as number) << 2);
  return (
    line[at + 40] === URL_CODES[rest >> 12] &&
    line[at + 41] === URL_CODES[(rest >> 6) & 63] &&
    line[at + 42] === URL_CODES[rest & 63]
  );
}

function letter(value: number): string {
  return ALPHABET[value] as string;
}
