// The credential of a request over HTTP: an API key or an access token after `Bearer`, or a token after `DPoP` with a proof that its sender has
// the key that it is bound to. Who may present what comes from the manifest. What the tool's server is told is never any of it.

import { resolve } from 'node:path';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import { isDigest } from '../../domain/digest.ts';
import type { Principal } from '../../domain/principal.ts';
import { randomBytes } from '../crypto/node-crypto.ts';
import type { Authenticator, CredentialRefusal, CredentialRequest } from '../downstream/ports.ts';
import { API_KEY_PREFIX, type ApiKeyAgent, authenticateApiKey } from './api-key.ts';
import { ProofChecks } from './dpop.ts';
import { holderOf, type JwtAgent, type JwtIssuer, neededBy, type VerifiedToken, verifyToken } from './jwt.ts';
import { openKeySet } from './key-set.ts';
import { TOKEN_CHARACTERS_MAX } from './limits.ts';
import { ProofNonces } from './proof-nonces.ts';
import { challengeOf, metadataOf, type Problem, type ProtectedResource } from './protected-resource.ts';

/** RFC 6750 and RFC 9449: the scheme in any case, one space, a token. */
const CREDENTIAL = /^(bearer|dpop) ([A-Za-z0-9._~+/-]+=*)$/i;

/** The part of a manifest that says who may come in over HTTP. */
export type IdentityConfiguration = Pick<Manifest, 'agents' | 'identity'> & {
  readonly listen?: Pick<Manifest['listen'], 'publicUrl'>;
};

/** Whose credentials are believed, and how they have to come. */
export interface Credentials {
  readonly apiKeys: readonly ApiKeyAgent[];
  readonly issuers: readonly JwtIssuer[];
  readonly jwts: readonly JwtAgent[];
  readonly resource: ProtectedResource;
  /** Whether the URL of a request is a name under which tokens are issued for us: only a configured one is. */
  readonly urlIsAudience: boolean;
  readonly nonceRequired: boolean;
}

/** Paths in the manifest are relative to `folder`. Returns why the manifest's issuers cannot be used, for the operator. */
export function openAuthenticator(
  { agents, identity, listen }: IdentityConfiguration,
  folder: string,
  now: () => number = Date.now,
): Authenticator | { readonly fault: string } {
  const publicUrl = listen?.publicUrl;
  const issuers: JwtIssuer[] = [];
  for (const { issuer, audience, jwks, algorithms, scopes, atJwt, dpop } of identity.jwt) {
    const ours = audience ?? (publicUrl === undefined ? undefined : `${publicUrl}/mcp`);
    if (ours === undefined) return { fault: `it is not known which tokens of ${issuer} are for us` };
    try {
      const keys = openKeySet(jwks.includes('://') ? jwks : resolve(folder, jwks));
      const required = { atJwtRequired: atJwt === 'required', dpopRequired: dpop === 'required' };
      issuers.push({ issuer, audience: ours, algorithms, keys, scopes, ...required });
    } catch (error) {
      return {
        fault: `the keys of ${issuer} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      };
    }
  }
  const apiKeys = apiKeyAgents(agents);
  const jwts = jwtAgents(agents);
  const resource: ProtectedResource = {
    servers: issuers.map(({ issuer }) => issuer).filter(isIssuerAddress),
    scopes: [...new Set(issuers.flatMap(({ scopes }) => scopes))],
    scopesSupported: [
      ...new Set(issuers.flatMap((issuer) => [...issuer.scopes, ...jwts.flatMap((agent) => neededBy(agent, issuer))])),
    ],
    bearer: apiKeys.length > 0 || issuers.some(({ dpopRequired }) => !dpopRequired),
    dpop: identity.jwt.some(({ dpop }) => dpop !== undefined),
  };
  const nonceRequired = identity.dpopNonce === 'required';
  return authenticatorOf(
    { apiKeys, issuers, jwts, resource, urlIsAudience: publicUrl !== undefined, nonceRequired },
    now,
  );
}

export function authenticatorOf(credentials: Credentials, now: () => number): Authenticator {
  const { apiKeys, issuers, jwts, resource, urlIsAudience, nonceRequired } = credentials;
  const nonces = new ProofNonces(randomBytes(32));
  const proofs = new ProofChecks(nonces, nonceRequired, now());
  const newestNonce = (): Record<string, string> => ({ 'dpop-nonce': nonces.newest(now() / 1000) });

  const refuse = (denial: Denial, url: string, problem: Problem): CredentialRefusal => {
    // Full, not wrong: there is nothing to do better.
    if (denial.code !== 'ID_UNAUTHENTICATED') return denial;
    const challenge = challengeOf(resource, url, problem);
    if (challenge === undefined || !(nonceRequired || problem.error === 'use_dpop_nonce'))
      return { ...denial, ...(challenge && { challenge }) };
    return { ...denial, challenge: { ...challenge, headers: { ...challenge.headers, ...newestNonce() } } };
  };

  const checkProof = async (
    token: string,
    verified: VerifiedToken,
    request: CredentialRequest,
    scheme: Problem['scheme'],
  ) => {
    const { proofKey, issuer, payload } = verified;
    const wrong = (detail: string) => ({ error: 'invalid_token' as const, detail });
    if (proofKey === undefined) {
      if (issuer.dpopRequired) return wrong('the token is not bound to a key');
      return scheme === 'DPoP' ? wrong('a token that is not bound to a key came as one that is') : undefined;
    }
    if (scheme !== 'DPoP') return wrong('the token is bound to a key');
    const { method, url } = request;
    const holder = canonicalJson([issuer.issuer, String(payload.sub)]);
    return proofs.check(request.proof, { method, url, token, key: proofKey, holder }, now());
  };

  return {
    authenticate: async (request): Promise<Principal | CredentialRefusal> => {
      const { authorization, url } = request;
      if (authorization === undefined)
        return refuse(deny('ID_UNAUTHENTICATED', 'there is no credential'), url, { status: 401, scheme: 'Bearer' });
      // The length first: no pattern runs over what is longer than any credential.
      const fits = authorization.length <= TOKEN_CHARACTERS_MAX + 'Bearer '.length;
      const [, name = '', token] = (fits ? CREDENTIAL.exec(authorization) : null) ?? [];
      const scheme = name.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer';
      const unproved: Problem = { status: 401, scheme, error: 'invalid_token' };
      if (token === undefined)
        return refuse(deny('ID_UNAUTHENTICATED', 'the credential is not a token'), url, unproved);
      if (scheme === 'Bearer' && token.startsWith(API_KEY_PREFIX)) {
        const answer = authenticateApiKey(apiKeys, token);
        return 'code' in answer ? refuse(answer, url, unproved) : answer;
      }
      const verified = await verifyToken(issuers, jwts, token, urlIsAudience ? url : undefined, now());
      if ('code' in verified) return refuse(verified, url, unproved);
      const problem = await checkProof(token, verified, request, scheme);
      if (problem !== undefined) {
        if ('code' in problem) return refuse(problem, url, unproved);
        const { error, detail } = problem;
        return refuse(deny('ID_UNAUTHENTICATED', detail), url, { status: 401, scheme, error });
      }
      const holder = holderOf(verified);
      if ('scopes' in holder) {
        const { scopes } = holder;
        const denial = deny('ID_UNAUTHENTICATED', 'the token was not granted enough');
        return refuse(denial, url, { status: 403, scheme, error: 'insufficient_scope', scopes });
      }
      return 'code' in holder ? refuse(holder, url, unproved) : holder;
    },
    headers: newestNonce,
    metadata: (url) => metadataOf(resource, url),
  };
}

/** What clients can turn to: an issuer that is not an address is only a name. */
function isIssuerAddress(issuer: string): boolean {
  return /^https?:\/\//.test(issuer) && URL.canParse(issuer);
}

function apiKeyAgents(agents: Manifest['agents']): ApiKeyAgent[] {
  return Object.entries(agents).flatMap(([agent, { roles, root, auth }]) => {
    const apiKey = auth === 'local' ? undefined : auth.apiKey;
    return apiKey !== undefined && isDigest(apiKey) ? [{ agent, roles, root, apiKey }] : [];
  });
}

function jwtAgents(agents: Manifest['agents']): JwtAgent[] {
  return Object.entries(agents).flatMap(([agent, { roles, root, auth }]) => {
    const jwt = auth === 'local' ? undefined : auth.jwt;
    if (jwt === undefined) return [];
    const { sub, issuer, claims } = jwt;
    return [
      {
        agent,
        roles,
        root,
        sub,
        ...(issuer === undefined ? {} : { issuer }),
        ...(claims === undefined ? {} : { claims }),
      },
    ];
  });
}
