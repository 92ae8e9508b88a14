// What we say about ourselves as a protected resource: the metadata of RFC 9728, and the challenges of RFC 6750, RFC 9449 and the MCP
// specification. Everything here goes to whoever asks; nothing here is about the credential that came.

import type { JsonObject } from '../../domain/json.ts';
import type { CredentialRefusal } from '../downstream/ports.ts';
import { PROOF_ALGORITHMS } from './dpop.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

export interface ProtectedResource {
  /** Issuers that clients can turn to. Empty where only API keys are taken. */
  readonly servers: readonly string[];
  /** Without these nobody gets in, whoever he is. */
  readonly scopes: readonly string[];
  /** Those, and what single agents need besides. */
  readonly scopesSupported: readonly string[];
  /** Whether a credential may come without a proof of possession. */
  readonly bearer: boolean;
  /** Whether the configuration speaks of proofs: they are taken where it does not, but not advertised. */
  readonly dpop: boolean;
}

export interface Problem {
  readonly status: 401 | 403;
  /** Absent where there was no credential at all: then there is nothing wrong with it. */
  readonly error?: 'invalid_token' | 'insufficient_scope' | 'invalid_dpop_proof' | 'use_dpop_nonce';
  /** The scheme that the client used. */
  readonly scheme: 'Bearer' | 'DPoP';
  /** All that is needed at once; what every client needs when absent. */
  readonly scopes?: readonly string[];
}

/** The metadata of the resource at this URL. */
export function metadataOf(resource: ProtectedResource, url: string): JsonObject | undefined {
  const { servers, scopesSupported, bearer, dpop } = resource;
  if (servers.length === 0) return undefined;
  return {
    resource: url,
    authorization_servers: [...servers],
    ...(scopesSupported.length === 0 ? {} : { scopes_supported: [...scopesSupported] }),
    bearer_methods_supported: ['header'],
    ...(dpop ? { dpop_signing_alg_values_supported: PROOF_ALGORITHMS } : {}),
    ...(dpop && !bearer ? { dpop_bound_access_tokens_required: true } : {}),
  };
}

export function challengeOf(
  resource: ProtectedResource,
  url: string,
  problem: Problem,
): NonNullable<CredentialRefusal['challenge']> {
  const { status, error, scheme, scopes = resource.scopes } = problem;
  const about = resource.servers.length === 0 ? [] : [`resource_metadata="${metadataUrl(url)}"`];
  if (scopes.length > 0) about.push(`scope="${scopes.join(' ')}"`);
  const challenges: string[] = [];
  const add = (name: string, ...parameters: string[]): void => {
    const wrong = name === scheme && error !== undefined ? [`error="${error}"`] : [];
    challenges.push(`${name} ${[...wrong, ...about, ...parameters].join(', ')}`.trim());
  };
  const dpop = resource.dpop || scheme === 'DPoP';
  // The scheme that the client knows comes first: many read only one.
  if (dpop && scheme === 'DPoP') add('DPoP', `algs="${PROOF_ALGORITHMS.join(' ')}"`);
  if (resource.bearer) add('Bearer');
  if (dpop && scheme !== 'DPoP') add('DPoP', `algs="${PROOF_ALGORITHMS.join(' ')}"`);
  // No scheme asks for a certificate: where nothing else proves anybody, there is none to name.
  return { status, headers: challenges.length === 0 ? {} : { 'www-authenticate': challenges.join(', ') } };
}

/** RFC 9728 section 3.1: the well-known part goes between host and path. */
function metadataUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${WELL_KNOWN}${pathname}`;
}
