// A tool server somewhere else, spoken to over Streamable HTTP.
// The headers it gets are ours and the configuration's; of a client's, what its tracing says is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import { MODERN_REVISION } from '../../../proxy/method-table.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { Connection } from '../connection.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { ModernSession } from '../modern/modern-session.ts';
import { resolveEndpoint } from './endpoint.ts';
import { HTTP_LIMITS, type HttpLimits, HttpPipe } from './http-pipe.ts';
import {
  type AuthorizationSurroundings,
  authorizationOf,
  preparing,
  type RemoteServerConfig,
} from './oauth/server-authorization.ts';

export type HttpServerConfig = RemoteServerConfig;

export interface HttpServerSurroundings extends AuthorizationSurroundings {
  readonly clientInfo: JsonObject;
  readonly limits?: Partial<UpstreamLimits>;
  readonly httpLimits?: Partial<HttpLimits>;
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
  const authorization = authorizationOf(config, surroundings);
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
      ...preparing(authorization),
    });
}
