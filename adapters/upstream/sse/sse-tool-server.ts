// A tool server somewhere else, spoken to over HTTP+SSE of 2024-11-05.
// The headers it gets are ours and the configuration's; of a client's, what its tracing says is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import { Connection } from '../connection.ts';
import type { RemoteServerConfig } from '../http/oauth/server-authorization.ts';
import { type RemoteSurroundings, remoteServer } from '../http/remote-server.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { SSE_LIMITS, type SseLimits, SsePipe } from './sse-pipe.ts';

export interface SseServerSurroundings extends RemoteSurroundings {
  readonly clientInfo: JsonObject;
  readonly limits?: Partial<UpstreamLimits>;
  readonly sseLimits?: Partial<SseLimits>;
}

export function sseToolServer(config: RemoteServerConfig, surroundings: SseServerSurroundings): Connection {
  const sseLimits = { ...SSE_LIMITS, ...surroundings.sseLimits };
  const remote = remoteServer(config, surroundings, 'http');
  return new Connection({
    name: config.name,
    clientInfo: surroundings.clientInfo,
    limits: { ...UPSTREAM_LIMITS, ...surroundings.limits },
    ...remote((endpoint, handlers, authorization) => new SsePipe(endpoint, sseLimits, handlers, authorization)),
  });
}
