// A tool server somewhere else, spoken to over a WebSocket.
// The headers it gets are ours and the configuration's; nothing of a client is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { Connection, type ConnectionListener } from '../connection.ts';
import { type EndpointConfig, resolveEndpoint } from '../http/endpoint.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { ModernSession } from '../modern/modern-session.ts';
import { WS_LIMITS, type WsLimits, WsPipe } from './ws-pipe.ts';

export interface WsServerConfig extends EndpointConfig {
  readonly name: string;
}

export interface WsServerSurroundings {
  readonly clientInfo: JsonObject;
  readonly ourEnvironment?: Readonly<Record<string, string | undefined>>;
  readonly listener?: ConnectionListener;
  readonly limits?: Partial<UpstreamLimits>;
  readonly wsLimits?: Partial<WsLimits>;
}

/** The server in the words of one era. */
export function wsToolServer(
  config: WsServerConfig,
  surroundings: WsServerSurroundings,
  era: Era = 'legacy',
): Connection {
  const { clientInfo, listener = {}, ourEnvironment = process.env } = surroundings;
  const wsLimits = { ...WS_LIMITS, ...surroundings.wsLimits };
  return new Connection({
    name: config.name,
    clientInfo,
    limits: { ...UPSTREAM_LIMITS, ...surroundings.limits },
    listener,
    ...(era === 'modern' ? { begin: (options) => new ModernSession({ ...options, streams: false }) } : {}),
    open: (handlers) => {
      const endpoint = resolveEndpoint(config, ourEnvironment, 'ws');
      if (!endpoint.ok) throw new Error(endpoint.reason);
      return new WsPipe(endpoint, wsLimits, handlers);
    },
  });
}
