// From a protected server to the authorization server that it trusts: RFC 9728, then RFC 8414 and OpenID Connect Discovery in the order of
// the MCP specification. What does not match exactly is refused; nothing is guessed.

import type { AuthorizationServerMetadata } from '@modelcontextprotocol/client';
import { visibleText } from '../../../../domain/visible-text.ts';
import { isScope } from './challenge.ts';
import { type Fetch, mustBeSecure } from './guarded-fetch.ts';
import { PROOF_ALGORITHM } from './proof-key.ts';
import { AuthorizationRefused } from './refusal.ts';

/** The SDK costs a tenth of a second and many megabytes: it is loaded by who needs a token, not by every gate. */
export type Sdk = typeof import('@modelcontextprotocol/client');

export interface Discovered {
  readonly metadata: AuthorizationServerMetadata;
  /** What the token is for (RFC 8707), as the server spells itself. */
  readonly resource: string;
  readonly scopesSupported: string | undefined;
  readonly binding: Binding;
}

/** Whether the token is asked for with a key that it is to be bound to (RFC 9449). `must`: a token that is not is refused. */
export type Binding = 'must' | 'may' | 'none';

export interface DiscoveryTask {
  readonly server: URL;
  /** The only issuer that will do. */
  readonly issuer?: string | undefined;
  readonly resourceMetadataUrl?: string | undefined;
  /** `must`: the operator wants it; `may`: the server said that it knows such tokens. */
  readonly binding?: Binding | undefined;
}

interface ResourceMetadata {
  readonly resource: string;
  readonly issuers: readonly string[];
  readonly scopes: string | undefined;
  readonly binding: Binding;
}

/** Rejects with `AuthorizationRefused`, or with what the SDK throws. */
export async function discover(sdk: Sdk, task: DiscoveryTask, fetch: Fetch): Promise<Discovered> {
  const { server } = task;
  const resource = await resourceMetadata(task, fetch);
  const issuer = chosenIssuer(resource, task);
  // The SDK keeps of an OpenID document what it knows, and that is not all that we look for.
  let written: unknown;
  const reading: Fetch = async (url, init) => {
    const response = await fetch(url, init);
    if (response.ok)
      written = await response
        .clone()
        .json()
        .catch(() => undefined);
    return response;
  };
  const metadata = await sdk.discoverAuthorizationServerMetadata(issuer, { fetchFn: reading });
  if (metadata === undefined)
    throw new AuthorizationRefused(`${new URL(issuer).origin} says nothing about itself as an authorization server`);
  if (task.issuer !== undefined && metadata.issuer !== task.issuer)
    throw new AuthorizationRefused(
      `the authorization server calls itself ${visibleText(metadata.issuer, 200)}, and not ${task.issuer}`,
    );
  mustBeSecure(new URL(metadata.token_endpoint), 'the token endpoint');
  return {
    metadata,
    resource: resource?.resource ?? withoutFragment(server),
    scopesSupported: resource?.scopes,
    binding: bindingOf([task.binding, resource?.binding], metadata.issuer, written),
  };
}

function bindingOf(said: readonly (Binding | undefined)[], issuer: string, written: unknown): Binding {
  const { dpop_signing_alg_values_supported: algorithms } = Object(written) as Record<string, unknown>;
  const possible = isTexts(algorithms) && algorithms.includes(PROOF_ALGORITHM);
  if (said.includes('must') && !possible)
    throw new AuthorizationRefused(
      `a token bound to a key is required, and ${new URL(issuer).origin} binds none by ${PROOF_ALGORITHM}`,
    );
  if (said.includes('must')) return 'must';
  return possible && said.includes('may') ? 'may' : 'none';
}

/** Servers from before RFC 9728 have no such document: the authorization server is then the one named to us, or the server's own origin. */
function chosenIssuer(resource: ResourceMetadata | undefined, { server, issuer }: DiscoveryTask): string {
  if (resource === undefined) return issuer ?? server.origin;
  if (issuer !== undefined) {
    if (resource.issuers.includes(issuer)) return issuer;
    // A trailing slash is all that the two spellings may differ in here; the issuer's own word is compared exactly, later.
    const same = resource.issuers.find((other) => other === `${issuer}/` || `${other}/` === issuer);
    if (same !== undefined) return same;
    throw new AuthorizationRefused(
      `the server trusts ${visibleText(resource.issuers.join(', '), 200)}, and not ${issuer}, to whom our credentials belong`,
    );
  }
  const [first] = resource.issuers;
  if (first === undefined) throw new AuthorizationRefused('the server names no authorization server');
  if (!URL.canParse(first)) throw new AuthorizationRefused('the server names an authorization server that is no URL');
  return first;
}

async function resourceMetadata(task: DiscoveryTask, fetch: Fetch): Promise<ResourceMetadata | undefined> {
  const { server, resourceMetadataUrl } = task;
  if (resourceMetadataUrl !== undefined) {
    // Another origin could speak for the server then, and send us to an authorization server of its own.
    if (new URL(resourceMetadataUrl).origin !== server.origin)
      throw new AuthorizationRefused('the server says that its metadata is at another origin');
    return readResourceMetadata(await fetchJson(resourceMetadataUrl, fetch), server);
  }
  const path = server.pathname.replace(/\/$/, '');
  for (const place of new Set([`${path}${server.search}`, ''])) {
    const document = await fetchJson(new URL(`/.well-known/oauth-protected-resource${place}`, server), fetch);
    if (document !== undefined) return readResourceMetadata(document, server);
  }
  return undefined;
}

/** Undefined where there is no such document; a server that fails is not one without. */
async function fetchJson(url: string | URL, fetch: Fetch): Promise<unknown> {
  const response = await fetch(url, { headers: { accept: 'application/json' } });
  if (response.ok) return response.json();
  if (response.status >= 500)
    throw new AuthorizationRefused(`the server's metadata cannot be had (HTTP ${response.status})`, { final: false });
  return undefined;
}

function readResourceMetadata(document: unknown, server: URL): ResourceMetadata {
  if (document === undefined) throw new AuthorizationRefused('the server has no metadata where it says it has');
  const metadata = Object(document) as Record<string, unknown>;
  const { resource, authorization_servers, scopes_supported, dpop_signing_alg_values_supported: algorithms } = metadata;
  if (typeof resource !== 'string' || !speaksFor(resource, server))
    throw new AuthorizationRefused('the metadata of the server is that of another resource');
  const issuers = isTexts(authorization_servers) ? authorization_servers : [];
  const scopes = isTexts(scopes_supported) ? scopes_supported.join(' ') : undefined;
  const knowsProofs = isTexts(algorithms) && algorithms.includes(PROOF_ALGORITHM);
  return {
    resource,
    issuers,
    scopes: scopes !== undefined && isScope(scopes) ? scopes : undefined,
    binding: metadata.dpop_bound_access_tokens_required === true ? 'must' : knowsProofs ? 'may' : 'none',
  };
}

/** The resource is the server's address, or a folder above it at the same origin: a token for that is meant for the server too. */
function speaksFor(resource: string, server: URL): boolean {
  if (!URL.canParse(resource)) return false;
  const url = new URL(resource);
  if (url.origin !== server.origin || url.hash !== '' || url.username !== '' || url.password !== '') return false;
  if (url.search !== '' && url.search !== server.search) return false;
  const folder = (path: string) => (path.endsWith('/') ? path : `${path}/`);
  return folder(server.pathname).startsWith(folder(url.pathname));
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= 256 && value.every((one) => typeof one === 'string');
}

function withoutFragment(url: URL): string {
  const copy = new URL(url);
  copy.hash = '';
  return copy.href;
}
