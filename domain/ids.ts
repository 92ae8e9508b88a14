// Identifiers: ULIDs (48 bits of time, 80 bits of randomness, Crockford base 32), so that they sort by time. Pure: the time and the
// random bytes come in.

export type CallId = string & { readonly callId?: never };

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** A ULID of `atMs` (milliseconds since 1970) and ten random bytes. */
export function ulid(atMs: number, random: Uint8Array): CallId {
  let time = '';
  for (let rest = atMs, i = 0; i < 10; i++) {
    time = ALPHABET.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  let tail = '';
  let bits = 0;
  let held = 0;
  for (const byte of random.subarray(0, 10)) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      tail += ALPHABET.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return time + tail;
}

export function isUlid(text: string): text is CallId {
  return ULID.test(text);
}
