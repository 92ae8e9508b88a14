// Who may come in over HTTP and how, from the manifest: the keys of its issuers, its agents' credentials, and what may be told about them.

import { resolve } from 'node:path';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import { isDigest } from '../../domain/digest.ts';
import type { ApiKeyAgent } from './api-key.ts';
import type { PinnedAgent } from './certificate.ts';
import { type JwtAgent, type JwtIssuer, neededBy } from './jwt.ts';
import { openKeySet } from './key-set.ts';
import type { ProofKeyAgent } from './proof-key.ts';
import type { ProtectedResource } from './protected-resource.ts';

/** The part of a manifest that says who may come in over HTTP. */
export type IdentityConfiguration = Pick<Manifest, 'agents' | 'identity'> & {
  readonly listen?: Pick<Manifest['listen'], 'publicUrl'>;
};

/** Whose credentials are believed, and how they have to come. */
export interface Credentials {
  readonly apiKeys: readonly ApiKeyAgent[];
  readonly issuers: readonly JwtIssuer[];
  readonly jwts: readonly JwtAgent[];
  readonly proofKeys: readonly ProofKeyAgent[];
  readonly pinned: readonly PinnedAgent[];
  readonly resource: ProtectedResource;
  /** Whether the URL of a request is a name under which tokens are issued for us: only a configured one is. */
  readonly urlIsAudience: boolean;
  readonly nonceRequired: boolean;
}

/** Paths in the manifest are relative to `folder`. Returns why the manifest's issuers cannot be used, for the operator. */
export function credentialsOf(
  { agents, identity, listen }: IdentityConfiguration,
  folder: string,
): Credentials | { readonly fault: string } {
  const publicUrl = listen?.publicUrl;
  const issuers: JwtIssuer[] = [];
  for (const { issuer, audience, jwks, network, algorithms, scopes, atJwt, dpop } of identity.jwt) {
    const ours = audience ?? (publicUrl === undefined ? undefined : `${publicUrl}/mcp`);
    if (ours === undefined) return { fault: `it is not known which tokens of ${issuer} are for us` };
    try {
      const keys = openKeySet(jwks.includes('://') ? jwks : resolve(folder, jwks), { network });
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
  const proofKeys = proofKeyAgents(agents);
  const resource: ProtectedResource = {
    servers: issuers.map(({ issuer }) => issuer).filter(isIssuerAddress),
    scopes: [...new Set(issuers.flatMap(({ scopes }) => scopes))],
    scopesSupported: [
      ...new Set(issuers.flatMap((issuer) => [...issuer.scopes, ...jwts.flatMap((agent) => neededBy(agent, issuer))])),
    ],
    bearer: apiKeys.length > 0 || issuers.some(({ dpopRequired }) => !dpopRequired),
    dpop: proofKeys.length > 0 || identity.jwt.some(({ dpop }) => dpop !== undefined),
  };
  const nonceRequired = identity.dpopNonce === 'required';
  return {
    apiKeys,
    issuers,
    jwts,
    proofKeys,
    pinned: pinnedAgents(agents),
    resource,
    urlIsAudience: publicUrl !== undefined,
    nonceRequired,
  };
}

/** What clients can turn to: an issuer that is not an address is only a name. */
function isIssuerAddress(issuer: string): boolean {
  return /^https?:\/\//.test(issuer) && URL.canParse(issuer);
}

function apiKeyAgents(agents: Manifest['agents']): ApiKeyAgent[] {
  return Object.entries(agents).flatMap(([agent, { roles, root, auth }]) => {
    const apiKey = typeof auth === 'string' ? undefined : auth.apiKey;
    return apiKey !== undefined && isDigest(apiKey) ? [{ agent, roles, root, apiKey }] : [];
  });
}

function proofKeyAgents(agents: Manifest['agents']): ProofKeyAgent[] {
  return Object.entries(agents).flatMap(([agent, { roles, root, auth }]) => {
    const proofKey = typeof auth === 'string' ? undefined : auth.proofKey;
    return proofKey === undefined ? [] : [{ agent, roles, root, proofKey }];
  });
}

function pinnedAgents(agents: Manifest['agents']): PinnedAgent[] {
  return Object.entries(agents).flatMap(([agent, { roles, root, auth }]) => {
    const pins = typeof auth === 'string' ? [] : (auth.spki ?? []).filter(isDigest);
    return pins.length === 0 ? [] : [{ agent, roles, root, pins }];
  });
}

function jwtAgents(agents: Manifest['agents']): JwtAgent[] {
  return Object.entries(agents).flatMap(([agent, { roles, root, auth }]) => {
    const jwt = typeof auth === 'string' ? undefined : auth.jwt;
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
