// The credential of a request over HTTP: an API key or an access token after `Bearer`, and nothing else. Which agents may present what comes
// from the manifest.

import { resolve } from 'node:path';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import { isDigest } from '../../domain/digest.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Authenticator } from '../downstream/ports.ts';
import { API_KEY_PREFIX, type ApiKeyAgent, authenticateApiKey } from './api-key.ts';
import { authenticateJwt, type JwtAgent, type JwtIssuer, TOKEN_CHARACTERS_MAX } from './jwt.ts';
import { openKeySet } from './key-set.ts';

/** RFC 6750: the scheme in any case, one space, a token. */
const BEARER = /^bearer ([A-Za-z0-9._~+/-]+=*)$/i;

/** Paths in the manifest are relative to `folder`. Returns why the manifest's issuers cannot be used, for the operator. */
export function openAuthenticator(
  { agents, identity }: Pick<Manifest, 'agents' | 'identity'>,
  folder: string,
  now: () => number = Date.now,
): Authenticator | { readonly fault: string } {
  const issuers: JwtIssuer[] = [];
  for (const { issuer, audience, jwks, algorithms } of identity.jwt) {
    try {
      const location = jwks.includes('://') ? jwks : resolve(folder, jwks);
      issuers.push({ issuer, audience, algorithms, keys: openKeySet(location) });
    } catch (error) {
      return {
        fault: `the keys of ${issuer} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      };
    }
  }
  return bearerAuthenticator(apiKeyAgents(agents), issuers, jwtAgents(agents), now);
}

export function bearerAuthenticator(
  apiKeyHolders: readonly ApiKeyAgent[],
  issuers: readonly JwtIssuer[],
  jwtHolders: readonly JwtAgent[],
  now: () => number,
): Authenticator {
  return {
    authenticate: async ({ authorization }): Promise<Principal | Denial> => {
      // The length first: no pattern runs over what is longer than any credential.
      if (authorization === undefined || authorization.length > TOKEN_CHARACTERS_MAX + 'Bearer '.length) {
        return deny('ID_UNAUTHENTICATED', 'there is no credential');
      }
      const token = BEARER.exec(authorization)?.[1];
      if (token === undefined) return deny('ID_UNAUTHENTICATED', 'the credential is not a bearer token');
      if (token.startsWith(API_KEY_PREFIX)) return authenticateApiKey(apiKeyHolders, token);
      return authenticateJwt(issuers, jwtHolders, token, now());
    },
  };
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
