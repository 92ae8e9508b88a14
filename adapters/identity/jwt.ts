// Access tokens of an OAuth authorization server, verified as a resource server must: issuer pinned, audience ours and only ours, closed
// list of algorithms, expiry required. It asks nobody whether a token was revoked; that is what a short expiry is for. Whether the sender has
// the key that a token is bound to, is dpop.ts.

import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { Principal } from '../../domain/principal.ts';
import { type Agent, connectionDigest, principalOf } from './agent.ts';
import type { KeySet } from './key-set.ts';
import { CLOCK_TOLERANCE_SECONDS, TOKEN_CHARACTERS_MAX, TOKEN_LIFETIME_SECONDS_MAX } from './limits.ts';

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

/** RFC 9068, and what most servers write. An ID token says `JWT` as well; its audience is a client, never us. */
const TYPES = ['at+jwt', 'application/at+jwt', 'jwt'];
const ACCESS_TOKEN_TYPES = TYPES.filter((type) => type !== 'jwt');
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;
/** Compact form, unpadded: one token has one spelling. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** A token that brings or names its own key. */
const KEY_CARRIERS = ['jwk', 'jku', 'x5c', 'x5u'];

export interface JwtIssuer {
  readonly issuer: string;
  /** Our own name with this issuer, good on every path: the resource of RFC 8707. */
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly keys: KeySet;
  /** What a token of this issuer must be good for, whoever it is for. */
  readonly scopes: readonly string[];
  /** Whether the type has to say that it is an access token. */
  readonly atJwtRequired: boolean;
  /** Whether a token has to be bound to a key. */
  readonly dpopRequired: boolean;
}

/** An agent and what the token must say to be its. */
export interface JwtAgent extends Agent {
  readonly sub: string;
  /** Where there is only one issuer this may be left out. */
  readonly issuer?: string;
  /** Further claims, each equal to this text or a list that holds it; `scope` is a list of words, of which the token needs all. */
  readonly claims?: Readonly<Record<string, string>>;
}

/** A token that is what it says, for us, now, and somebody's whom we know. Its holder is not let in yet: see `holderOf`. */
export interface VerifiedToken {
  readonly issuer: JwtIssuer;
  readonly payload: JWTPayload;
  /** Agents that it may stand for, if its scopes reach. Never empty. */
  readonly candidates: readonly [JwtAgent, ...JwtAgent[]];
  /** Thumbprint of the key that it is bound to. */
  readonly proofKey: string | undefined;
}

/** All that somebody needs who has less. */
export interface MissingScopes {
  readonly scopes: readonly string[];
}

/**
 * What a token says, or ID_UNAUTHENTICATED, whatever is wrong and wherever it goes wrong. `resource` is a name of ours that is good for this
 * request alone: that of the path that was asked for. Never rejects.
 */
export async function verifyToken(
  issuers: readonly JwtIssuer[],
  agents: readonly JwtAgent[],
  token: string,
  resource: string | undefined,
  nowMs: number,
): Promise<VerifiedToken | Denial> {
  if (token.length > TOKEN_CHARACTERS_MAX) return deny('ID_UNAUTHENTICATED', 'the token is too long');
  if (!COMPACT.test(token)) return deny('ID_UNAUTHENTICATED', 'the token is not in compact form');
  try {
    const named = decodeJwt(token).iss;
    const issuer = issuers.find((candidate) => candidate.issuer === named);
    if (issuer === undefined) return deny('ID_UNAUTHENTICATED', 'the token is of an issuer that is not configured');
    const headerFault = headerProblem(token, issuer);
    if (headerFault !== undefined) return deny('ID_UNAUTHENTICATED', headerFault);
    const { payload } = await jwtVerify(token, issuer.keys, {
      algorithms: issuer.algorithms.filter((algorithm) => (JWT_ALGORITHMS as readonly string[]).includes(algorithm)),
      issuer: issuer.issuer,
      requiredClaims: ['iss', 'aud', 'sub', 'exp', 'iat'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(nowMs),
    });
    const fault = payloadProblem(payload, [issuer.audience, resource], nowMs);
    if (fault !== undefined) return deny('ID_UNAUTHENTICATED', fault);
    const proofKey = proofKeyOf(payload);
    if (typeof proofKey === 'object') return proofKey;
    const [first, ...more] = candidatesOf(payload, issuer, issuers, agents);
    if (first === undefined) return deny('ID_UNAUTHENTICATED', 'the token is for nobody we know');
    return { issuer, payload, candidates: [first, ...more], proofKey };
  } catch (error) {
    // Of a fault only its code is kept: a message could quote the token.
    return deny(
      'ID_UNAUTHENTICATED',
      error instanceof errors.JOSEError ? error.code : 'the token could not be verified',
    );
  }
}

/** The agent that a token stands for. Where it is bound to a key, ask only after the sender has proved to have it. */
export function holderOf({ issuer, payload, candidates, proofKey }: VerifiedToken): Principal | Denial | MissingScopes {
  const granted = wordsOf(payload.scope);
  const found = candidates.filter((agent) => neededBy(agent, issuer).every((scope) => granted.includes(scope)));
  const [agent] = found;
  if (agent === undefined) return { scopes: neededBy(candidates[0], issuer) };
  if (found.length > 1) return deny('ID_UNAUTHENTICATED', 'the token fits several agents');
  const connection = connectionDigest('jwt', credentialOf(payload, proofKey));
  return { ...principalOf(agent, 'jwt', connection), ...(proofKey === undefined ? {} : { proofKey }) };
}

/** When it proves nobody any more, as Unix milliseconds. */
export function endOf({ payload: { exp = 0 } }: VerifiedToken): number {
  return (exp + CLOCK_TOLERANCE_SECONDS) * 1_000;
}

/** Scopes that this agent needs with this issuer, each once. */
export function neededBy(
  { claims }: Pick<JwtAgent, 'claims'>,
  { scopes }: Pick<JwtIssuer, 'scopes'>,
): readonly string[] {
  return [...new Set([...scopes, ...wordsOf(claims?.scope)])];
}

function headerProblem(token: string, { atJwtRequired }: JwtIssuer): string | undefined {
  const header = decodeProtectedHeader(token);
  if (!(atJwtRequired ? ACCESS_TOKEN_TYPES : TYPES).includes(String(header.typ).toLowerCase()))
    return 'the token is of another type';
  if (KEY_CARRIERS.some((name) => Object.hasOwn(header, name))) return 'the token names its own key';
  return undefined;
}

function candidatesOf(
  payload: JWTPayload,
  issuer: JwtIssuer,
  issuers: readonly JwtIssuer[],
  agents: readonly JwtAgent[],
): readonly JwtAgent[] {
  return agents.filter((agent) => {
    const issuedBy = agent.issuer ?? (issuers.length === 1 ? issuer.issuer : undefined);
    return issuedBy === issuer.issuer && agent.sub === payload.sub && hasClaims(payload, agent.claims ?? {});
  });
}

function payloadProblem(payload: JWTPayload, ours: readonly (string | undefined)[], nowMs: number): string | undefined {
  const { aud, sub, iat = Number.NaN, exp = Number.NaN } = payload;
  // A token for us and somebody else is a token that somebody else can use here.
  const [audience, ...others] = Array.isArray(aud) ? aud : [aud];
  if (audience === undefined || others.length > 0 || !ours.includes(audience))
    return 'the token is for another audience';
  if (typeof sub !== 'string' || sub === '') return 'the token is for nobody';
  if (!(iat <= nowMs / 1000 + CLOCK_TOLERANCE_SECONDS)) return 'the token was issued in the future';
  if (!(exp > iat && exp - iat <= TOKEN_LIFETIME_SECONDS_MAX)) return 'the token is valid for too long';
  return undefined;
}

/** The key that a token is bound to, if it is; refused when it is bound in a way whose proof we could not check. */
function proofKeyOf({ cnf }: JWTPayload): string | undefined | Denial {
  if (cnf === undefined) return undefined;
  if (typeof cnf === 'object' && cnf !== null && Object.keys(cnf).join() === 'jkt' && 'jkt' in cnf) {
    const { jkt } = cnf;
    if (typeof jkt === 'string' && THUMBPRINT.test(jkt)) return jkt;
  }
  return deny('ID_UNAUTHENTICATED', 'the token is bound in a way that we cannot check');
}

function hasClaims(payload: JWTPayload, claims: Readonly<Record<string, string>>): boolean {
  return Object.entries(claims).every(([name, wanted]) => {
    // Not who somebody is, but what he was granted: a lack of it is answered otherwise.
    if (name === 'scope') return true;
    const value = Object.hasOwn(payload, name) ? payload[name] : undefined;
    return value === wanted || (Array.isArray(value) && value.includes(wanted));
  });
}

/** A list of words in one text, as RFC 8693 has it, or as the JSON list that some servers write. */
function wordsOf(scope: unknown): readonly string[] {
  if (typeof scope === 'string') return scope.split(' ').filter((word) => word !== '');
  return Array.isArray(scope) ? scope.filter((word) => typeof word === 'string') : [];
}

/** What stays the same when a client gets a fresh token, so that its session outlives the old one; another key is another client. */
function credentialOf({ iss, sub, client_id, azp }: JWTPayload, proofKey: string | undefined): string {
  const client = [client_id, azp].find((value) => typeof value === 'string');
  const parts = [String(iss), String(sub), typeof client === 'string' ? client : null];
  return canonicalJson(proofKey === undefined ? parts : [...parts, proofKey]);
}
