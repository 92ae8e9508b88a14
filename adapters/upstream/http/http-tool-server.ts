// A tool server somewhere else, spoken to over Streamable HTTP.
// The headers it gets are ours and the configuration's; nothing of a client is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import { MODERN_REVISION } from '../../../proxy/method-table.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { Connection, type ConnectionListener } from '../connection.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { ModernSession } from '../modern/modern-session.ts';
import { type EndpointConfig, resolveEndpoint } from './endpoint.ts';
import { HTTP_LIMITS, type HttpLimits, HttpPipe } from './http-pipe.ts';
import type { CredentialStore } from './oauth/credentials.ts';
import type { Consent } from './oauth/grants.ts';
import type { OAuthConfig } from './oauth/oauth-config.ts';
import { UpstreamAuthorization } from './oauth/upstream-authorization.ts';

export interface HttpServerConfig extends EndpointConfig {
  readonly name: string;
  /** How we get a token for it. A server that has none of this may still ask for one. */
  readonly oauth?: OAuthConfig | undefined;
}

export interface HttpServerSurroundings {
  readonly clientInfo: JsonObject;
  readonly ourEnvironment?: Readonly<Record<string, string | undefined>>;
  readonly listener?: ConnectionListener;
  readonly limits?: Partial<UpstreamLimits>;
  readonly httpLimits?: Partial<HttpLimits>;
  /** Our credentials at authorization servers. Without it nothing is kept, and only `client_credentials` can work. */
  readonly credentials?: CredentialStore | undefined;
  /** For tests: consents to an authorization by following the address. A gate has nobody who could. */
  readonly consent?: Consent | undefined;
}

/** The server in the words of the revisions up to 2025-11-25. */
export function httpToolServer(config: HttpServerConfig, surroundings: HttpServerSurroundings): Connection {
  return httpLinks(config, surroundings)('legacy');
}

/** Connections to one server in the words of either era; they share its token. */
export function httpLinks(config: HttpServerConfig, surroundings: HttpServerSurroundings): (era: Era) => Connection {
  const { clientInfo, listener = {}, ourEnvironment = process.env } = surroundings;
  const limits = { ...UPSTREAM_LIMITS, ...surroundings.limits };
  const httpLimits = { ...HTTP_LIMITS, messageBytesMax: limits.messageBytesMax, ...surroundings.httpLimits };
  // An address that is none, and a credential that is configured as a header, are told by the endpoint.
  const authorized = Object.keys(config.headers ?? {}).some((name) => name.toLowerCase() === 'authorization');
  const authorization =
    authorized || !URL.canParse(config.url)
      ? undefined
      : new UpstreamAuthorization({
          server: config.name,
          url: new URL(config.url),
          config: config.oauth,
          store: surroundings.credentials,
          environment: ourEnvironment,
          note: (detail) => listener.onAuthorization?.(detail),
          consent: surroundings.consent,
        });
  return (era) =>
    new Connection({
      name: config.name,
      clientInfo,
      limits,
      listener,
      open: (handlers) => {
        const endpoint = resolveEndpoint(config, ourEnvironment);
        if (!endpoint.ok) throw new Error(endpoint.reason);
        const stateless = era === 'modern' ? MODERN_REVISION : undefined;
        return new HttpPipe(endpoint, httpLimits, handlers, authorization, stateless);
      },
      ...(era === 'modern' ? { begin: (options) => new ModernSession({ ...options, streams: true }) } : {}),
      ...(authorization === undefined
        ? {}
        : { prepare: (signal) => authorization.prepare(signal), onStopped: () => authorization.rest() }),
    });
}
