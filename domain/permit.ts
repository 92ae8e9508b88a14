// What a permit says: the header and the claims of docs/formats/permit.md as types, and the reading of claims from JSON, strict to the
// member. It does not verify anything: see proxy/permit-checks.ts.

import { isGovernedMethod, TOOL_METHOD } from './action.ts';
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
import type { Lineage } from './lineage.ts';

export const PERMIT_ALGORITHM = 'Ed25519';
export const PERMIT_TYPE = 'portcullis-permit+jwt';
export const PERMIT_DETAILS_TYPE = 'portcullis_tool_call';

/** The hard bound on `exp − iat`; the usual lifetime is 15 s. A permit is used within milliseconds; this is for a slow disk. */
export const PERMIT_LIFETIME_SECONDS_MAX = 60;
/** Longest text that is looked at. A permit is about 1.7 kB; a policy with hundreds of deciding rules still fits. */
export const PERMIT_CHARACTERS_MAX = 65_536;

export interface PermitHeader {
  readonly alg: typeof PERMIT_ALGORITHM;
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string;
  readonly typ: typeof PERMIT_TYPE;
}

export interface PermitClaims {
  readonly iss: string;
  readonly aud: string;
  /** The agent. */
  readonly sub: string;
  readonly jti: string;
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  /** The root of the chain of calls. */
  readonly txn: CallId;
  /** What the initiator is bound to: its connection and, if it has one, the thumbprint of its proof key. */
  readonly cnf: { readonly conn: Digest; readonly jkt?: string };
  readonly authorization_details: readonly [PermitDetails];
  /** Environment: attestation of the server, definition of the tool. */
  readonly env: { readonly att: Digest; readonly tool: Digest };
  /** Policy: digest and version of the bundle, deciding rules, approvals. */
  readonly pol: {
    readonly dig: Digest;
    readonly ver: number;
    readonly by: readonly string[];
    readonly appr: readonly Digest[];
  };
  readonly gov: { readonly epoch: number; readonly rev: number; readonly boot: string };
  readonly lin: Pick<Lineage, 'root' | 'node' | 'parent' | 'depth'> & { readonly chain: Digest };
}

export interface PermitDetails {
  readonly type: typeof PERMIT_DETAILS_TYPE;
  /** Absent for `tools/call`, and only then. */
  readonly method?: string;
  readonly server: string;
  /** The name of the tool; for every other method, the method itself. */
  readonly tool: string;
  /** Commitment to the arguments. */
  readonly args: Digest;
  /** Commitment to the whole request. */
  readonly req: Digest;
  readonly limits: { readonly timeoutMs: number; readonly outputBytes: number };
  readonly obligations: readonly string[];
}

export function permitIssuer(instance: string): string {
  return `urn:portcullis:${instance}`;
}

export function permitAudience(instance: string, gateway: string): string {
  return `urn:portcullis:${instance}:${gateway}`;
}

const detailMembers = members(
  {
    type: (value) => value === PERMIT_DETAILS_TYPE,
    server: text,
    tool: text,
    args: digest,
    req: digest,
    limits: members({ timeoutMs: positive, outputBytes: positive }),
    obligations: listOf(text),
  } satisfies Record<Exclude<keyof PermitDetails, 'method'>, Refine>,
  { method: (value) => typeof value === 'string' && value !== TOOL_METHOD && isGovernedMethod(value) },
);

/** A method other than `tools/call` is its own target: one permit, one spelling. */
const details: Refine = (value) =>
  detailMembers(value) && isJsonObject(value) && (value.method === undefined || value.method === value.tool);

/** The method that a permit is for. */
export function permitMethod(details: Pick<PermitDetails, 'method'>): string {
  return details.method ?? TOOL_METHOD;
}

const CLAIMS: Record<keyof PermitClaims, Refine> = {
  iss: text,
  aud: text,
  sub: text,
  jti: token,
  iat: count,
  nbf: count,
  exp: count,
  txn: ulid,
  cnf: members({ conn: digest }, { jkt: thumbprint }),
  authorization_details: (value) => Array.isArray(value) && value.length === 1 && details(value[0]),
  env: members({ att: digest, tool: digest }),
  pol: members({ dig: digest, ver: count, by: listOf(text), appr: listOf(digest) }),
  gov: members({ epoch: count, rev: count, boot: ulid }),
  lin: members({
    root: ulid,
    node: ulid,
    parent: (value) => value === null || ulid(value),
    depth: count,
    chain: digest,
  }),
};

const HEADER: Record<keyof PermitHeader, Refine> = {
  alg: (value) => value === PERMIT_ALGORITHM,
  kid: thumbprint,
  typ: (value) => value === PERMIT_TYPE,
};

/**
 * What is wrong with a value as the claims of a permit, or undefined: every member present, of its type, in range, and no other.
 * `aud` is one string: a list, even of one, is wrong.
 */
export function permitClaimsProblem(value: Json): string | undefined {
  if (!isJsonObject(value)) return 'the claims are not an object';
  const name = wrongMember(value, CLAIMS);
  return name === undefined ? undefined : `the claim ${JSON.stringify(name.slice(0, 40))} is missing, unknown or wrong`;
}

/** What is wrong with a value as the header of a permit, or undefined. Exactly the three members, in any order. */
export function permitHeaderProblem(value: Json): string | undefined {
  if (!isJsonObject(value)) return 'the header is not an object';
  const name = wrongMember(value, HEADER);
  return name === undefined
    ? undefined
    : `the header member ${JSON.stringify(name.slice(0, 40))} is missing, unknown or wrong`;
}
