// API keys: 256 random bits that we hand out once and of which only the SHA-256 is kept. With that much randomness a plain hash is enough:
// there is nothing to guess.

import { encodeBase64url } from '../../domain/base64url.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Principal } from '../../domain/principal.ts';
import { equalBytes, randomBytes, sha256 } from '../crypto/node-crypto.ts';
import { type Agent, connectionDigest, principalOf } from './agent.ts';

/** Makes a key recognisable to people and to scanners for leaked secrets. */
export const API_KEY_PREFIX = 'pck_';
const API_KEY = /^pck_[A-Za-z0-9_-]{43}$/;

/** An agent and the digest of its key, as the configuration holds it. */
export interface ApiKeyAgent extends Agent {
  readonly apiKey: Digest;
}

/** A new key, to be shown once, and what to write into the configuration. */
export function generateApiKey(): { readonly key: string; readonly digest: Digest } {
  const key = `${API_KEY_PREFIX}${encodeBase64url(randomBytes(32))}`;
  return { key, digest: apiKeyDigest(key) };
}

export function apiKeyDigest(key: string): Digest {
  return `sha256:${encodeBase64url(sha256(Buffer.from(key)))}`;
}

/** Named by the digest of its key: what an agent is given is bound to that before it ever came. */
export function apiKeyPrincipal(agent: ApiKeyAgent): Principal {
  return principalOf(agent, 'api_key', connectionDigest('api_key', agent.apiKey));
}

/** The agent whose key this is, or ID_UNAUTHENTICATED. Takes the same time whichever agent it is, and if it is none. */
export function authenticateApiKey(agents: readonly ApiKeyAgent[], key: string): Principal | Denial {
  if (!API_KEY.test(key)) return deny('ID_UNAUTHENTICATED', 'not an API key of ours');
  const presented = Buffer.from(apiKeyDigest(key));
  const found = agents.filter(({ apiKey }) => equalBytes(Buffer.from(apiKey), presented));
  const [agent] = found;
  if (agent === undefined) return deny('ID_UNAUTHENTICATED', 'the API key is not known');
  if (found.length > 1) return deny('ID_UNAUTHENTICATED', 'the API key belongs to several agents');
  return apiKeyPrincipal(agent);
}
