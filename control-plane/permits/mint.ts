// Writes and signs a permit for a call that was allowed. Pure: the key, the hash and the id come in. It decides nothing and knows no clock:
// the window starts at the request.

import { TOOL_METHOD } from '../../domain/action.ts';
import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { Defect } from '../../domain/defect.ts';
import type { Digest, Sha256 } from '../../domain/digest.ts';
import type { Json } from '../../domain/json.ts';
import { chainLink } from '../../domain/lineage.ts';
import {
  PERMIT_ALGORITHM,
  PERMIT_DETAILS_TYPE,
  PERMIT_LIFETIME_SECONDS_MAX,
  PERMIT_TYPE,
  type PermitClaims,
  permitAudience,
  permitIssuer,
} from '../../domain/permit.ts';
import type { AuthorizationRequest, CallLimits } from '../authorization.ts';

/** The part of a decision that a permit carries. */
export interface PermitDecision {
  readonly policy: Digest;
  /** Version of the bundle with that digest, as the gate counts bundles. */
  readonly version: number;
  readonly by: readonly string[];
  readonly approvals: readonly Digest[];
  readonly obligations: readonly string[];
  readonly limits: CallLimits;
}

export interface PermitIssuer {
  readonly instance: string;
  readonly gateway: string;
  /** From 2,000 to 60,000. Whole seconds count: see `permitWindow`. */
  readonly ttlMs: number;
}

export interface PermitSigner {
  /** The header segment with its full stop: the same for every permit of a key. */
  readonly header: string;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
  readonly sha256: Sha256;
}

const encoder = new TextEncoder();

export function permitSigner(kid: string, sign: (bytes: Uint8Array) => Uint8Array, sha256: Sha256): PermitSigner {
  const header = canonicalJson({ alg: PERMIT_ALGORITHM, kid, typ: PERMIT_TYPE });
  return { header: `${encodeBase64url(encoder.encode(header))}.`, sign, sha256 };
}

/**
 * Returns the permit, a compact JWS. `jti` must be unique for the life of the gate: a ULID or 128 random bits as base64url.
 * Throws `Defect` for a lifetime that the gate would refuse, and for a lineage without its chain.
 */
export function mintPermit(
  request: AuthorizationRequest,
  decision: PermitDecision,
  issuer: PermitIssuer,
  signer: PermitSigner,
  jti: string,
): string {
  const claims = permitClaims(request, decision, issuer, signer.sha256, jti);
  // The claims are JSON by construction; an interface only lacks the index signature that would say so.
  const payload = encodeBase64url(encoder.encode(canonicalJson(claims as unknown as Json)));
  const signingInput = `${signer.header}${payload}`;
  return `${signingInput}.${encodeBase64url(signer.sign(encoder.encode(signingInput)))}`;
}

/**
 * Seconds, as every JWT library reads them, rounded so that the window never exceeds what was asked for: it opens at the full second before
 * the request and is up to a second shorter than `ttlMs`. Windows below two seconds are not offered, because rounding could leave
 * nothing of them; what limits a permit is that it is used once.
 */
export function permitWindow(
  atMs: number,
  ttlMs: number,
): { readonly iat: number; readonly nbf: number; readonly exp: number } {
  const lifetime = Math.floor(ttlMs / 1000);
  if (!(lifetime >= 2 && lifetime <= PERMIT_LIFETIME_SECONDS_MAX)) throw new Defect(`no permit lives for ${ttlMs} ms`);
  const iat = Math.floor(atMs / 1000);
  return { iat, nbf: iat, exp: iat + lifetime };
}

/** Members are written in canonical order, which spares the canonical form a sort. */
function permitClaims(
  request: AuthorizationRequest,
  decision: PermitDecision,
  issuer: PermitIssuer,
  sha256: Sha256,
  jti: string,
): PermitClaims {
  const { governance, lineage, principal, method, server, tool, args, req } = request;
  if ((lineage.parent === null) !== (lineage.above === undefined))
    throw new Defect('a call below another one needs the chain of that, and no other does');
  if (method !== TOOL_METHOD && tool !== method) throw new Defect(`${method} is asked of "${tool}"`);
  const named = method === TOOL_METHOD ? {} : { method };
  const { iat, nbf, exp } = permitWindow(request.at, issuer.ttlMs);
  const limits = { outputBytes: decision.limits.outputBytes, timeoutMs: decision.limits.timeoutMs };
  return {
    aud: permitAudience(issuer.instance, issuer.gateway),
    authorization_details: [
      { args, limits, ...named, obligations: decision.obligations, req, server, tool, type: PERMIT_DETAILS_TYPE },
    ],
    cnf: { conn: principal.connection, ...(principal.proofKey === undefined ? {} : { jkt: principal.proofKey }) },
    env: { att: request.attestation, tool: request.definition },
    exp,
    gov: { boot: governance.boot, epoch: governance.epoch, rev: governance.revocation },
    iat,
    iss: permitIssuer(issuer.instance),
    jti,
    lin: {
      chain: chainLink(sha256, lineage.above, { agent: principal.agent, server, tool, args }),
      depth: lineage.depth,
      node: lineage.node,
      parent: lineage.parent,
      root: lineage.root,
    },
    nbf,
    pol: { appr: decision.approvals, by: decision.by, dig: decision.policy, ver: decision.version },
    sub: principal.agent,
    txn: lineage.root,
  };
}
