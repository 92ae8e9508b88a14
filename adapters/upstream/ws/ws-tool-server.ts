// A tool server somewhere else, spoken to over a WebSocket.
// The headers it gets are ours and the configuration's; nothing of a client is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { Connection } from '../connection.ts';
import { resolveEndpoint } from '../http/endpoint.ts';
import {
  type AuthorizationSurroundings,
  authorizationOf,
  preparing,
  type RemoteServerConfig,
} from '../http/oauth/server-authorization.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { ModernSession } from '../modern/modern-session.ts';
import { WS_LIMITS, type WsLimits, WsPipe } from './ws-pipe.ts';

export interface WsServerSurroundings extends AuthorizationSurroundings {
  readonly clientInfo: JsonObject;
  readonly limits?: Partial<UpstreamLimits>;
  readonly wsLimits?: Partial<WsLimits>;
}

/** The server in the words of the revisions up to 2025-11-25. */
export function wsToolServer(config: RemoteServerConfig, surroundings: WsServerSurroundings): Connection {
  return wsLinks(config, surroundings)('legacy');
}

/** Connections to one server in the words of either era; they share its token. */
export function wsLinks(config: RemoteServerConfig, surroundings: WsServerSurroundings): (era: Era) => Connection {
  const { clientInfo, listener = {}, ourEnvironment = process.env } = surroundings;
  const wsLimits = { ...WS_LIMITS, ...surroundings.wsLimits };
  const authorization = authorizationOf(config, surroundings);
  return (era) =>
    new Connection({
      name: config.name,
      clientInfo,
      limits: { ...UPSTREAM_LIMITS, ...surroundings.limits },
      listener,
      ...(era === 'modern' ? { begin: (options) => new ModernSession({ ...options, streams: false }) } : {}),
      open: (handlers) => {
        const endpoint = resolveEndpoint(config, ourEnvironment, 'ws');
        if (!endpoint.ok) throw new Error(endpoint.reason);
        return new WsPipe(endpoint, wsLimits, handlers, authorization);
      },
      ...preparing(authorization),
    });
}
