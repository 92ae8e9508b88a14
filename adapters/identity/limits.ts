// Bounds on what clients present to prove who they are, each with how it was chosen.

/** Tokens with long lists of groups are about 4 kB; a header line of more is refused by most servers. */
export const TOKEN_CHARACTERS_MAX = 8_192;

/** Nobody issues access tokens for longer than a day on purpose. */
export const TOKEN_LIFETIME_SECONDS_MAX = 86_400;

/** Between the clocks of an authorization server and ours. */
export const CLOCK_TOLERANCE_SECONDS = 5;

/** A proof with an RSA key of 4,096 bits is about 2 kB. */
export const PROOF_CHARACTERS_MAX = 4_096;

/** Identifiers of proofs are random; 96 bits are about 16 characters, and some write a UUID twice. */
export const PROOF_ID_CHARACTERS_MAX = 256;

/** A proof is made for the request that carries it. Clients' clocks are worse than servers'. */
export const PROOF_AGE_SECONDS_MAX = 60;
export const PROOF_AHEAD_SECONDS_MAX = 5;

/** 500 requests a second for as long as their proofs could still pass for fresh; about 4 MB. */
export const PROOFS_PER_HOLDER_MAX = 32_768;

/** Of all holders together: about 32 MB. */
export const PROOFS_MAX = 262_144;

/** How long a nonce is the newest one. It is taken for as long again, so that nobody is surprised in the middle of a call. */
export const NONCE_SECONDS = 120;
