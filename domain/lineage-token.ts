// What a lineage token says: a compact JWS by which whoever carries out a call shows what it calls on behalf of. It points into the registry of the
// gate that signed it and proves nothing by itself. The format is docs/formats/lineage-token.md.

import {
  count,
  digest,
  listOf,
  members,
  positive,
  type Refine,
  text,
  thumbprint,
  token,
  ulid,
  wrongMember,
} from './claim-shapes.ts';
import type { Digest } from './digest.ts';
import type { CallId } from './ids.ts';
import { isJsonObject, type Json } from './json.ts';
import { type SignedText, signedTextReader } from './signed-text.ts';

export const LINEAGE_TOKEN_TYPE = 'portcullis-lineage+jwt';
export const LINEAGE_TOKEN_ALGORITHM = 'Ed25519';
export const LINEAGE_TOKEN_CHARACTERS_MAX = 8_192;
/** The most that a chain can be long in any gate: tokens of gates with other limits are still read. */
const CHAIN_MAX = 64;

export interface LineageTokenClaims {
  /** The gate whose registry knows the execution. */
  readonly iss: string;
  /** The agent that carries it out, and nobody else may show the token. */
  readonly sub: string;
  /** The gates at which it may be shown. */
  readonly aud: readonly string[];
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  readonly lin: {
    readonly root: CallId;
    readonly node: CallId;
    readonly depth: number;
    readonly chain: Digest;
    /** The servers that the chain came to. What it asked of them is not told. */
    readonly servers: readonly string[];
    /** The agents that called, from the root's on. */
    readonly agents: readonly string[];
  };
  /** Each of them must permit a call: read with `readScope`. */
  readonly scp: readonly Json[];
  /** What the bearer must prove: its credential here, or a key of its own. Exactly one. */
  readonly cnf: { readonly conn: Digest } | { readonly jkt: string };
}

const names: Refine = (value) => listOf(text)(value) && Array.isArray(value) && value.length <= CHAIN_MAX;

const CLAIMS: Record<keyof LineageTokenClaims, Refine> = {
  iss: text,
  sub: text,
  aud: (value) => listOf(text)(value) && Array.isArray(value) && value.length > 0,
  iat: count,
  exp: positive,
  jti: token,
  lin: members({
    root: ulid,
    node: ulid,
    depth: count,
    chain: digest,
    servers: names,
    agents: names,
  } satisfies Record<keyof LineageTokenClaims['lin'], Refine>),
  scp: listOf((scope) => Array.isArray(scope)),
  cnf: (value) => members({ conn: digest })(value) || members({ jkt: thumbprint })(value),
};

const HEADER: Record<string, Refine> = {
  alg: (value) => value === LINEAGE_TOKEN_ALGORITHM,
  kid: thumbprint,
  typ: (value) => value === LINEAGE_TOKEN_TYPE,
};

function problemOf(what: string, shape: Record<string, Refine>): (value: Json) => string | undefined {
  return (value) => {
    const name = isJsonObject(value) ? wrongMember(value, shape) : '';
    return name === undefined ? undefined : `${what} ${JSON.stringify(name.slice(0, 40))} is missing, unknown or wrong`;
  };
}

/** Takes a token apart. Nothing is verified. */
export const readLineageToken: (token: string) => SignedText<LineageTokenClaims> = signedTextReader<LineageTokenClaims>(
  {
    charactersMax: LINEAGE_TOKEN_CHARACTERS_MAX,
    headerProblem: problemOf('the header member', HEADER),
    claimsProblem: problemOf('the claim', CLAIMS),
  },
);
