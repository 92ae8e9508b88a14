// A tool server somewhere else, spoken to over Streamable HTTP.
// The headers it gets are ours and the configuration's; of a client's, what its tracing says is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import { MODERN_REVISION } from '../../../proxy/method-table.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { Connection } from '../connection.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { ModernSession } from '../modern/modern-session.ts';
import { HTTP_LIMITS, type HttpLimits, HttpPipe } from './http-pipe.ts';
import type { RemoteServerConfig } from './oauth/server-authorization.ts';
import { type RemoteSurroundings, remoteServer } from './remote-server.ts';

export type HttpServerConfig = RemoteServerConfig;

export interface HttpServerSurroundings extends RemoteSurroundings {
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
  const { clientInfo } = surroundings;
  const limits = { ...UPSTREAM_LIMITS, ...surroundings.limits };
  const httpLimits = { ...HTTP_LIMITS, messageBytesMax: limits.messageBytesMax, ...surroundings.httpLimits };
  const remote = remoteServer(config, surroundings, 'http');
  return (era) => {
    const stateless = era === 'modern' ? MODERN_REVISION : undefined;
    return new Connection({
      name: config.name,
      clientInfo,
      limits,
      ...(era === 'modern' ? { begin: (options) => new ModernSession({ ...options, streams: true }) } : {}),
      ...remote(
        (endpoint, handlers, authorization) => new HttpPipe(endpoint, httpLimits, handlers, authorization, stateless),
      ),
    });
  };
}
