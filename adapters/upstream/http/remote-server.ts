// One remote server, whatever is spoken with it: the way to it, the credentials that go there and nowhere else, and the keys that it showed. All
// connections to it share this.

import { type Denial, deny } from '../../../domain/denial.ts';
import type { Digest } from '../../../domain/digest.ts';
import { type Resolve, type Route, routeTo } from '../../network/route.ts';
import type { ConnectionListener, ConnectionOptions } from '../connection.ts';
import type { MessagePipe, OpenPipe, PipeHandlers } from '../ports.ts';
import { type Endpoint, resolveEndpoint } from './endpoint.ts';
import {
  type AuthorizationSurroundings,
  authorizationOf,
  preparing,
  type RemoteServerConfig,
} from './oauth/server-authorization.ts';
import { OwnSecrets } from './own-secrets.ts';
import type { RequestAuthorization } from './requests.ts';

export interface RemoteSurroundings extends AuthorizationSurroundings {
  /** For tests: the addresses of names. */
  readonly resolve?: Resolve;
  /** For tests: a certificate that is trusted besides those that Node trusts. */
  readonly trusted?: string | undefined;
}

/** What a connection needs to know of the server at its other end. */
type Remote = Pick<ConnectionOptions, 'open' | 'prepare' | 'onStopped' | 'secrets' | 'tlsKeys' | 'fault' | 'listener'>;

/** Opens a pipe to an endpoint that was checked. */
type OpenTo = (
  endpoint: Endpoint,
  handlers: PipeHandlers,
  authorization: RequestAuthorization | undefined,
) => MessagePipe;

export function remoteServer(
  config: RemoteServerConfig,
  surroundings: RemoteSurroundings,
  kind: 'http' | 'ws',
): (open: OpenTo) => Remote {
  const { listener: told = {}, ourEnvironment = process.env, resolve, trusted } = surroundings;
  const secrets = new OwnSecrets();
  const keys = new Set<Digest>();
  let fault: Denial | undefined;
  const hostname = URL.canParse(config.url) ? new URL(config.url).hostname : '';
  const route: Route = routeTo(hostname, config, {
    trusted,
    onKey: (pin) => {
      keys.add(pin);
      fault = undefined;
    },
    onWrongKey: ({ code, message }) => {
      fault = deny(code, message);
    },
    ...(resolve === undefined ? {} : { resolve }),
  });
  const listener = discreet(told, secrets);
  const authorization = authorizationOf(config, { ...surroundings, listener }, route);
  return (openTo) => {
    const open: OpenPipe = (handlers) => {
      const endpoint = resolveEndpoint(config, ourEnvironment, { kind, route, secrets });
      if (!endpoint.ok) throw new Error(endpoint.reason);
      return openTo(endpoint, discreetly(handlers, secrets), authorization);
    };
    return {
      open,
      ...preparing(authorization),
      secrets,
      tlsKeys: () => [...keys].sort(),
      fault: () => fault,
      listener,
    };
  };
}

/** What is told to the operator and to the ledger may quote the server, and the server may quote us. */
function discreetly(handlers: PipeHandlers, secrets: OwnSecrets): PipeHandlers {
  return {
    onMessage: (bytes, exchange) => handlers.onMessage(bytes, exchange),
    messageBytesMax: () => handlers.messageBytesMax(),
    onTooLarge: (what) => handlers.onTooLarge(what),
    onExchangeLost: (id, detail, status) => handlers.onExchangeLost(id, secrets.leftOut(detail), status),
    onExchangeRefused: (id, detail, code) => handlers.onExchangeRefused(id, secrets.leftOut(detail), code),
    onGap: () => handlers.onGap(),
    onClose: (detail) => handlers.onClose(secrets.leftOut(detail)),
  };
}

function discreet(listener: ConnectionListener, secrets: OwnSecrets): ConnectionListener {
  return { ...listener, onAuthorization: (detail) => listener.onAuthorization?.(secrets.leftOut(detail)) };
}
