// A tool server somewhere else, spoken to over a WebSocket.
// The headers it gets are ours and the configuration's; nothing of a client is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { Connection } from '../connection.ts';
import type { RemoteServerConfig } from '../http/oauth/server-authorization.ts';
import { type RemoteSurroundings, remoteServer } from '../http/remote-server.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { ModernSession } from '../modern/modern-session.ts';
import { WS_LIMITS, type WsLimits, WsPipe } from './ws-pipe.ts';

export interface WsServerSurroundings extends RemoteSurroundings {
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
  const wsLimits = { ...WS_LIMITS, ...surroundings.wsLimits };
  const remote = remoteServer(config, surroundings, 'ws');
  return (era) =>
    new Connection({
      name: config.name,
      clientInfo: surroundings.clientInfo,
      limits: { ...UPSTREAM_LIMITS, ...surroundings.limits },
      ...(era === 'modern' ? { begin: (options) => new ModernSession({ ...options, streams: false }) } : {}),
      ...remote((endpoint, handlers, authorization) => new WsPipe(endpoint, wsLimits, handlers, authorization)),
    });
}
