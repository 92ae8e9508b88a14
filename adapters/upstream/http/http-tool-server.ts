// A tool server somewhere else, spoken to over Streamable HTTP.
// The headers it gets are ours and the configuration's; nothing of a client is passed on.

import type { JsonObject } from '../../../domain/json.ts';
import { Connection, type ConnectionListener } from '../connection.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { type EndpointConfig, resolveEndpoint } from './endpoint.ts';
import { HTTP_LIMITS, type HttpLimits, HttpPipe } from './http-pipe.ts';

export interface HttpServerConfig extends EndpointConfig {
  readonly name: string;
}

export interface HttpServerSurroundings {
  readonly clientInfo: JsonObject;
  readonly ourEnvironment?: Readonly<Record<string, string | undefined>>;
  readonly listener?: ConnectionListener;
  readonly limits?: Partial<UpstreamLimits>;
  readonly httpLimits?: Partial<HttpLimits>;
}

export function httpToolServer(config: HttpServerConfig, surroundings: HttpServerSurroundings): Connection {
  const { clientInfo, listener = {}, ourEnvironment = process.env } = surroundings;
  const limits = { ...UPSTREAM_LIMITS, ...surroundings.limits };
  const httpLimits = { ...HTTP_LIMITS, messageBytesMax: limits.messageBytesMax, ...surroundings.httpLimits };
  return new Connection({
    name: config.name,
    clientInfo,
    limits,
    listener,
    open: (handlers) => {
      const endpoint = resolveEndpoint(config, ourEnvironment);
      if (!endpoint.ok) throw new Error(endpoint.reason);
      return new HttpPipe(endpoint, httpLimits, handlers);
    },
  });
}
