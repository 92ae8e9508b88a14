// Digests and commitments as text. The hash itself comes in as a function: the domain runs in Node and in the browser.

/** `sha256:` followed by the unpadded base64url of 32 bytes. */
export type Digest = `sha256:${string}`;

/** SHA-256 of bytes (FIPS 180-4). */
export type Sha256 = (data: Uint8Array) => Uint8Array;

const DIGEST = /^sha256:[A-Za-z0-9_-]{43}$/;

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}
