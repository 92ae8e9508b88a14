// The token of one remote server, shared by all connections to it, whatever they are spoken on. Where the configuration has a credential as a
// header there is none: a server gets its credential in one way.

import type { Route } from '../../../network/route.ts';
import type { ConnectionListener, ConnectionOptions } from '../../connection.ts';
import type { EndpointConfig } from '../endpoint.ts';
import type { CredentialStore } from './credentials.ts';
import type { Consent } from './grants.ts';
import { guardedFetch } from './guarded-fetch.ts';
import type { OAuthConfig } from './oauth-config.ts';
import { UpstreamAuthorization } from './upstream-authorization.ts';

export interface RemoteServerConfig extends EndpointConfig {
  readonly name: string;
  /** How we get a token for it. A server that has none of this may still ask for one. */
  readonly oauth?: OAuthConfig | undefined;
}

export interface AuthorizationSurroundings {
  readonly ourEnvironment?: Readonly<Record<string, string | undefined>>;
  readonly listener?: ConnectionListener;
  /** Our credentials at authorization servers. Without it nothing is kept, and only `client_credentials` can work. */
  readonly credentials?: CredentialStore | undefined;
  /** The agent for which alone the connection is. Absent where it is for several, or for the gate itself. */
  readonly agent?: string | undefined;
  /** For tests: consents to an authorization by following the address. A gate has nobody who could. */
  readonly consent?: Consent | undefined;
}

/** Undefined where a header is the credential. An address that is none is told by the endpoint. */
export function authorizationOf(
  { name, url, headers = {}, oauth }: RemoteServerConfig,
  { ourEnvironment = process.env, listener = {}, credentials, agent, consent }: AuthorizationSurroundings,
  route: Route,
): UpstreamAuthorization | undefined {
  const authorized = Object.keys(headers).some((header) => header.toLowerCase() === 'authorization');
  if (authorized || !URL.canParse(url)) return undefined;
  const resource = resourceUrl(url);
  return new UpstreamAuthorization({
    server: name,
    url: resource,
    fetch: guardedFetch({ server: resource, route }),
    config: oauth,
    store: credentials,
    holder: oauth?.holder === 'agent' && agent !== undefined ? `principal:${agent}` : 'gate',
    isAwaited: agent === undefined,
    environment: ourEnvironment,
    note: (detail) => listener.onAuthorization?.(detail),
    consent,
  });
}

/** What a connection does for the token before it begins and after it was stopped. */
export function preparing(
  authorization: UpstreamAuthorization | undefined,
): Pick<ConnectionOptions, 'prepare' | 'onStopped'> {
  if (authorization === undefined) return {};
  return { prepare: (signal) => authorization.prepare(signal), onStopped: () => authorization.rest() };
}

/** The address of a server as its tokens, its proofs and its metadata have it: a WebSocket begins as a request over HTTP. */
export function resourceUrl(url: string | URL): URL {
  const resource = new URL(url);
  // Only these two may change into these two: both are special schemes.
  if (resource.protocol === 'ws:') resource.protocol = 'http:';
  if (resource.protocol === 'wss:') resource.protocol = 'https:';
  return resource;
}
