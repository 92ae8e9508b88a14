// A tool server somewhere else, spoken to over a WebSocket.
// The headers it gets are ours and the configuration's; nothing of a client is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import { Connection, type ConnectionListener } from '../connection.ts';
import { type EndpointConfig, resolveEndpoint } from '../http/endpoint.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
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

export function wsToolServer(config: WsServerConfig, surroundings: WsServerSurroundings): Connection {
  const { clientInfo, listener = {}, ourEnvironment = process.env } = surroundings;
  const wsLimits = { ...WS_LIMITS, ...surroundings.wsLimits };
  return new Connection({
    name: config.name,
    clientInfo,
    limits: { ...UPSTREAM_LIMITS, ...surroundings.limits },
    listener,
    open: (handlers) => {
      const endpoint = resolveEndpoint(config, ourEnvironment, 'ws');
      if (!endpoint.ok) throw new Error(endpoint.reason);
      return new WsPipe(endpoint, wsLimits, handlers);
    },
  });
}
