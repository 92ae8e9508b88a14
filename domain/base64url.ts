// Base64url of RFC 4648 section 5 without padding, in its one strict form: every byte string has exactly one text and no text that is not
// that one is read. Runs in Node and in the browser. It does not read padded, wrapped or standard base64.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const NOT_IN_ALPHABET = 255;
const VALUES = new Uint8Array(128).fill(NOT_IN_ALPHABET);
CODES.forEach((code, value) => {
  VALUES[code] = value;
});

const latin1 = new TextDecoder('latin1');

export function encodeBase64url(bytes: Uint8Array): string {
  const length = bytes.length;
  const out = new Uint8Array(Math.ceil((length * 4) / 3));
  let at = 0;
  let i = 0;
  for (; i + 2 < length; i += 3) {
    const group = (byte(bytes, i) << 16) | (byte(bytes, i + 1) << 8) | byte(bytes, i + 2);
    out[at++] = byte(CODES, group >> 18);
    out[at++] = byte(CODES, (group >> 12) & 63);
    out[at++] = byte(CODES, (group >> 6) & 63);
    out[at++] = byte(CODES, group & 63);
  }
  if (length - i === 1) {
    const group = byte(bytes, i);
    out[at++] = byte(CODES, group >> 2);
    out[at++] = byte(CODES, (group << 4) & 63);
  } else if (length - i === 2) {
    const group = (byte(bytes, i) << 8) | byte(bytes, i + 1);
    out[at++] = byte(CODES, group >> 10);
    out[at++] = byte(CODES, (group >> 4) & 63);
    out[at++] = byte(CODES, (group << 2) & 63);
  }
  return latin1.decode(out);
}

/** The bytes, or undefined for a character outside the alphabet, an impossible length or trailing bits that are not zero. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const length = text.length;
  const tail = length & 3;
  if (tail === 1) return undefined;
  const out = new Uint8Array((length * 3) >> 2);
  const whole = length - tail;
  let at = 0;
  for (let i = 0; i < whole; i += 4) {
    const a = value(text, i);
    const b = value(text, i + 1);
    const c = value(text, i + 2);
    const d = value(text, i + 3);
    // Values are below 64, so the mark of a foreign character is the only thing that can set bit 6 or 7.
    if ((a | b | c | d) > 63) return undefined;
    const group = (a << 18) | (b << 12) | (c << 6) | d;
    out[at++] = group >> 16;
    out[at++] = (group >> 8) & 255;
    out[at++] = group & 255;
  }
  if (tail !== 0) {
    const a = value(text, whole);
    const b = value(text, whole + 1);
    const c = tail === 3 ? value(text, whole + 2) : 0;
    if ((a | b | c) > 63) return undefined;
    if (tail === 2 ? (b & 15) !== 0 : (c & 3) !== 0) return undefined;
    out[at++] = (a << 2) | (b >> 4);
    if (tail === 3) out[at++] = ((b & 15) << 4) | (c >> 2);
  }
  return out;
}

function value(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code < 128 ? byte(VALUES, code) : NOT_IN_ALPHABET;
}

// The callers stay within bounds; the assertion spares a branch in the innermost loop.
function byte(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}
