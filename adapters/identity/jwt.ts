// Access tokens of an OAuth authorization server, verified as a resource server must: issuer pinned, audience ours and only ours, closed
// list of algorithms, expiry required. It asks nobody whether a token was revoked; that is what a short expiry is for.

import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { Principal } from '../../domain/principal.ts';
import { type Agent, connectionDigest, principalOf } from './agent.ts';
import type { KeySet } from './key-set.ts';

/** Signatures only, by keys of which we hold the public half. No `none`, nothing symmetric, whatever the configuration says. */
export const JWT_ALGORITHMS = [
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
] as const;

/** Tokens with long lists of groups are about 4 kB; a header line of more is refused by most servers. */
export const TOKEN_CHARACTERS_MAX = 8_192;
const CLOCK_TOLERANCE_SECONDS = 5;
/** Nobody issues access tokens for longer than a day on purpose. */
const LIFETIME_SECONDS_MAX = 86_400;
/** RFC 9068, and what most servers write. An ID token says `JWT` as well; its audience is a client, never us. */
const TYPES = ['at+jwt', 'application/at+jwt', 'jwt'];
/** Compact form, unpadded: one token has one spelling. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** A token that brings or names its own key. */
const KEY_CARRIERS = ['jwk', 'jku', 'x5c', 'x5u'];

export interface JwtIssuer {
  readonly issuer: string;
  /** Our own name with this issuer: the resource of RFC 8707. */
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly keys: KeySet;
}

/** An agent and what the token must say to be its. */
export interface JwtAgent extends Agent {
  readonly sub: string;
  /** Where there is only one issuer this may be left out. */
  readonly issuer?: string;
  /** Further claims, each equal to this text or a list that holds it. */
  readonly claims?: Readonly<Record<string, string>>;
}

/** The agent that a token stands for, or ID_UNAUTHENTICATED, whatever is wrong and wherever it goes wrong. Never rejects. */
export async function authenticateJwt(
  issuers: readonly JwtIssuer[],
  agents: readonly JwtAgent[],
  token: string,
  nowMs: number,
): Promise<Principal | Denial> {
  if (token.length > TOKEN_CHARACTERS_MAX) return deny('ID_UNAUTHENTICATED', 'the token is too long');
  if (!COMPACT.test(token)) return deny('ID_UNAUTHENTICATED', 'the token is not in compact form');
  try {
    const named = decodeJwt(token).iss;
    const issuer = issuers.find((candidate) => candidate.issuer === named);
    if (issuer === undefined) return deny('ID_UNAUTHENTICATED', 'the token is of an issuer that is not configured');
    const problem = headerProblem(token);
    if (problem !== undefined) return deny('ID_UNAUTHENTICATED', problem);
    const { payload } = await jwtVerify(token, issuer.keys, {
      algorithms: issuer.algorithms.filter((algorithm) => (JWT_ALGORITHMS as readonly string[]).includes(algorithm)),
      issuer: issuer.issuer,
      requiredClaims: ['iss', 'aud', 'sub', 'exp', 'iat'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(nowMs),
    });
    return agentOf(payload, issuer, issuers, agents, nowMs);
  } catch (error) {
    // Of a fault only its code is kept: a message could quote the token.
    return deny(
      'ID_UNAUTHENTICATED',
      error instanceof errors.JOSEError ? error.code : 'the token could not be verified',
    );
  }
}

function headerProblem(token: string): string | undefined {
  const header = decodeProtectedHeader(token);
  if (!TYPES.includes(String(header.typ).toLowerCase())) return 'the token is of another type';
  if (KEY_CARRIERS.some((name) => Object.hasOwn(header, name))) return 'the token names its own key';
  return undefined;
}

function agentOf(
  payload: JWTPayload,
  issuer: JwtIssuer,
  issuers: readonly JwtIssuer[],
  agents: readonly JwtAgent[],
  nowMs: number,
): Principal | Denial {
  const problem = payloadProblem(payload, issuer, nowMs);
  if (problem !== undefined) return deny('ID_UNAUTHENTICATED', problem);
  const found = agents.filter((agent) => {
    const issuedBy = agent.issuer ?? (issuers.length === 1 ? issuer.issuer : undefined);
    return issuedBy === issuer.issuer && agent.sub === payload.sub && hasClaims(payload, agent.claims ?? {});
  });
  const [agent] = found;
  if (agent === undefined) return deny('ID_UNAUTHENTICATED', 'the token is for nobody we know');
  if (found.length > 1) return deny('ID_UNAUTHENTICATED', 'the token fits several agents');
  return principalOf(agent, 'jwt', connectionDigest('jwt', credentialOf(payload)));
}

function payloadProblem(payload: JWTPayload, issuer: JwtIssuer, nowMs: number): string | undefined {
  const { aud, sub, iat = Number.NaN, exp = Number.NaN } = payload;
  // A token for us and somebody else is a token that somebody else can use here.
  const audiences = Array.isArray(aud) ? aud : [aud];
  if (audiences.length !== 1 || audiences[0] !== issuer.audience) return 'the token is for another audience';
  if (typeof sub !== 'string' || sub === '') return 'the token is for nobody';
  if (!(iat <= nowMs / 1000 + CLOCK_TOLERANCE_SECONDS)) return 'the token was issued in the future';
  if (!(exp > iat && exp - iat <= LIFETIME_SECONDS_MAX)) return 'the token is valid for too long';
  // It is bound to a key whose possession we do not check: whoever stole it could present it here.
  if (payload.cnf !== undefined) return 'the token is bound to a key';
  return undefined;
}

function hasClaims(payload: JWTPayload, claims: Readonly<Record<string, string>>): boolean {
  return Object.entries(claims).every(([name, wanted]) => {
    const value = Object.hasOwn(payload, name) ? payload[name] : undefined;
    return value === wanted || (Array.isArray(value) && value.includes(wanted));
  });
}

/** What stays the same when a client gets a fresh token, so that its session outlives the old one. */
function credentialOf({ iss, sub, client_id, azp }: JWTPayload): string {
  const client = [client_id, azp].find((value) => typeof value === 'string');
  return canonicalJson([String(iss), String(sub), typeof client === 'string' ? client : null]);
}
