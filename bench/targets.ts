// What is measured and how each is started. A target that does not offer a route is absent from it.

import { PEERS } from './peers.ts';
import { ECHO_SERVER, PORTCULLIS, RAW_RELAY } from './places.ts';
import type { PortcullisHome } from './portcullis-home.ts';

export const TARGET_NAMES = ['direct', 'raw-relay', 'mcp-proxy', 'supergateway', 'portcullis'] as const;
export type TargetName = (typeof TARGET_NAMES)[number];
export const ROUTES = ['http', 'stdio'] as const;
/** How the client speaks to the target. The tool server behind it always speaks stdio; the direct one is the tool server itself. */
export type Route = (typeof ROUTES)[number];

export interface Launch {
  /** Arguments of this very Node binary. */
  readonly args: readonly string[];
  readonly path: string;
}

const tool = [process.execPath, ECHO_SERVER];

/** The launch of a target on a route; undefined where the target does not offer it. */
export function launch(
  name: TargetName,
  route: Route,
  port: number,
  home: PortcullisHome | undefined,
): Launch | undefined {
  const at = String(port);
  switch (name) {
    case 'direct':
      return { args: route === 'http' ? [ECHO_SERVER, '--http', at] : [ECHO_SERVER], path: '/mcp' };
    case 'raw-relay':
      return { args: [RAW_RELAY, ...(route === 'http' ? ['--http', at] : []), '--', ...tool], path: '/mcp' };
    case 'mcp-proxy':
      if (route === 'stdio') return undefined;
      return {
        args: [PEERS[name].script, '--host', '127.0.0.1', '--port', at, '--server', 'stream', '--', ...tool],
        path: '/mcp',
      };
    case 'supergateway': {
      if (route === 'stdio') return undefined;
      const options = ['--outputTransport', 'streamableHttp', '--stateful', '--logLevel', 'none', '--port', at];
      return { args: [PEERS[name].script, '--stdio', tool.join(' '), ...options], path: '/mcp' };
    }
    case 'portcullis': {
      if (home === undefined) throw new Error('Portcullis is measured with a home of its own');
      const config = ['--config', home.config];
      if (route === 'http')
        return { args: [PORTCULLIS, 'serve', ...config, '--http', `127.0.0.1:${at}`], path: '/mcp/bench' };
      return { args: [PORTCULLIS, 'wrap', '--alone', ...config, '--name', 'bench', '--', ...tool], path: '' };
    }
  }
}
