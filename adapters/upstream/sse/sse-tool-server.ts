// A tool server somewhere else, spoken to over HTTP+SSE of 2024-11-05.
// The headers it gets are ours and the configuration's; of a client's, what its tracing says is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import { Connection } from '../connection.ts';
import { resolveEndpoint } from '../http/endpoint.ts';
import {
  type AuthorizationSurroundings,
  authorizationOf,
  preparing,
  type RemoteServerConfig,
} from '../http/oauth/server-authorization.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { SSE_LIMITS, type SseLimits, SsePipe } from './sse-pipe.ts';

export interface SseServerSurroundings extends AuthorizationSurroundings {
  readonly clientInfo: JsonObject;
  readonly limits?: Partial<UpstreamLimits>;
  readonly sseLimits?: Partial<SseLimits>;
}

export function sseToolServer(config: RemoteServerConfig, surroundings: SseServerSurroundings): Connection {
  const { clientInfo, listener = {}, ourEnvironment = process.env } = surroundings;
  const sseLimits = { ...SSE_LIMITS, ...surroundings.sseLimits };
  const authorization = authorizationOf(config, surroundings);
  return new Connection({
    ...preparing(authorization),
    name: config.name,
    clientInfo,
    limits: { ...UPSTREAM_LIMITS, ...surroundings.limits },
    listener,
    open: (handlers) => {
      const endpoint = resolveEndpoint(config, ourEnvironment);
      if (!endpoint.ok) throw new Error(endpoint.reason);
      return new SsePipe(endpoint, sseLimits, handlers, authorization);
    },
  });
}
