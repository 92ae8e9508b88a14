// Signs lineage tokens, and checks those that are shown: by whom, to whom, when, and by whom they may be shown. Whether the execution still runs is the
// registry's to say. Pure: keys, clock and ids come in.

import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { Digest, Sha256 } from '../../domain/digest.ts';
import type { Json } from '../../domain/json.ts';
import {
  LINEAGE_TOKEN_ALGORITHM,
  LINEAGE_TOKEN_CHARACTERS_MAX,
  LINEAGE_TOKEN_TYPE,
  type LineageTokenClaims,
  readLineageToken,
} from '../../domain/lineage-token.ts';
import type { Scope } from '../../domain/scope.ts';
import type { GenuineTokens } from './genuine-tokens.ts';
import { readScope } from './scope.ts';

export interface TokenSigner {
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
  readonly sha256: Sha256;
}

export interface TokenReader {
  /** What this gate is called in `aud` by an issuer. */
  readonly audience: (issuer: string) => string;
  /** Whether a key of that issuer made the signature; undefined where the issuer is neither this gate nor a peer. */
  readonly verify: (
    issuer: string,
    kid: string,
    signingInput: Uint8Array,
    signature: Uint8Array,
  ) => boolean | undefined;
  readonly sha256: Sha256;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** How far the clock of the issuer may be ahead or behind, in milliseconds; 0 for this gate itself. */
  readonly clockDriftMs: (issuer: string) => number;
  /** Signatures that need not be looked at again. Without it each is looked at each time. */
  readonly genuine?: GenuineTokens;
}

/** Who shows it, as the transport proved it. */
export interface Bearer {
  readonly agent: string;
  readonly connection: Digest;
  readonly proofKey?: string;
}

export interface CheckedToken {
  readonly claims: LineageTokenClaims;
  readonly scopes: readonly Scope[];
  /** Of the text. The registry knows its own by it. */
  readonly digest: Digest;
}

const encoder = new TextEncoder();

/** The token and its digest; undefined when the claims are too large for one. */
export function mintLineageToken(
  claims: LineageTokenClaims,
  { kid, sign, sha256 }: TokenSigner,
): { readonly token: string; readonly digest: Digest } | undefined {
  const header = canonicalJson({ alg: LINEAGE_TOKEN_ALGORITHM, kid, typ: LINEAGE_TOKEN_TYPE });
  const input = [header, canonicalJson(claims as unknown as Json)]
    .map((part) => encodeBase64url(encoder.encode(part)))
    .join('.');
  const token = `${input}.${encodeBase64url(sign(encoder.encode(input)))}`;
  return token.length > LINEAGE_TOKEN_CHARACTERS_MAX ? undefined : { token, digest: digestOf(token, sha256) };
}

/** In this order, each reason with its own code; the claims are not looked at before the signature is good. */
export function checkLineageToken(token: string, reader: TokenReader, bearer: Bearer): CheckedToken | Denial {
  const { formProblem, headerProblem, kid, signingInput, signature, payload } = readLineageToken(token);
  const form = formProblem ?? headerProblem;
  if (form !== undefined) return deny('LINEAGE_TOKEN', form);
  // Whose key it must be is said by what is signed: it is believed only as the question which key to ask.
  const { claims, problem } = payload();
  const { iss } = claims ?? {};
  if (typeof iss !== 'string' || signature === undefined) return deny('LINEAGE_TOKEN', problem ?? 'no signature');
  const digest = digestOf(token, reader.sha256);
  const genuine = reader.genuine?.has(digest) === true || reader.verify(iss, kid, signingInput, signature);
  if (genuine === undefined) return deny('LINEAGE_ISSUER_UNTRUSTED', iss.slice(0, 100));
  if (genuine !== true) return deny('LINEAGE_TOKEN', 'the signature is not valid');
  reader.genuine?.add(digest);
  if (claims === undefined || problem !== undefined) return deny('LINEAGE_TOKEN', problem);
  if (!claims.aud.includes(reader.audience(iss))) return deny('LINEAGE_AUDIENCE');
  const drift = reader.clockDriftMs(iss);
  if (claims.iat * 1_000 > reader.now + drift) return deny('LINEAGE_TOKEN', 'it was issued in the future');
  if (claims.exp * 1_000 <= reader.now - drift) return deny('LINEAGE_EXPIRED', 'the token');
  if (claims.sub !== bearer.agent) return deny('LINEAGE_BEARER', 'another agent');
  const { cnf } = claims;
  const proven = 'jkt' in cnf ? cnf.jkt === bearer.proofKey : cnf.conn === bearer.connection;
  if (!proven) return deny('LINEAGE_BEARER', 'another credential');
  const scopes = claims.scp.map(readScope);
  if (!scopes.every((scope) => scope !== undefined)) return deny('LINEAGE_TOKEN', 'a scope that is none');
  return { claims, scopes, digest };
}

function digestOf(token: string, sha256: Sha256): Digest {
  return `sha256:${encodeBase64url(sha256(encoder.encode(token)))}`;
}
