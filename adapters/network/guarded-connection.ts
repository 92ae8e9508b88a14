// The way from us to a remote server: to an address that was judged, over TLS to a key that was looked at, and through no proxy that only our
// environment names. Both are done anew for every connection, and before a byte of a request leaves: no TLS session is resumed.

import { Agent, type AgentOptions } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { connect as connectPlain, isIP, type LookupFunction, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Digest } from '../../domain/digest.ts';
import { spkiPin } from '../crypto/spki-pin.ts';
import { guardedLookup, misledTo, type Route, RouteRefused } from './route.ts';

export interface Target {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

type SocketOptions = Pick<TcpNetConnectOpts, 'keepAlive' | 'keepAliveInitialDelay' | 'timeout'>;

export function targetOf(url: URL): Target {
  const { hostname, port, protocol } = url;
  const secure = protocol === 'https:' || protocol === 'wss:';
  return {
    host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port: port === '' ? (secure ? 443 : 80) : Number(port),
    secure,
  };
}

/**
 * Opens a connection. What may not be is told as its error, a RouteRefused, before `connect` or `secureConnect`: what was written by then is
 * thrown away with it.
 */
export function openConnection({ host, port, secure }: Target, route: Route, options: SocketOptions = {}): Socket {
  const misled = misledTo(host, route);
  const lookup = misled === undefined ? guardedLookup(route) : refusing(misled);
  const where = { ...options, host: misled === undefined ? host : 'refused.invalid', port, lookup };
  if (!secure) return connectPlain({ ...where, noDelay: true });
  const socket = connectTls({
    ...where,
    servername: isIP(host) === 0 ? host : '',
    ALPNProtocols: ['http/1.1'],
    // Said here, because our environment could say otherwise for the whole process.
    rejectUnauthorized: true,
    ...(route.trusted === undefined ? {} : { ca: route.trusted }),
  });
  socket.setNoDelay(true);
  // The first listener: nobody hears that the connection is good before this has looked at it.
  socket.on('secureConnect', () => {
    const pin = pinOf(socket);
    const wrong = wrongKey(pin, route.pins);
    if (wrong === undefined) {
      if (pin !== undefined) route.onKey?.(pin);
      return;
    }
    route.onWrongKey?.(wrong);
    socket.destroy(wrong);
  });
  return socket;
}

export function guardedAgent(target: Target, route: Route, options: AgentOptions): Agent {
  const agent = target.secure ? new TlsAgent({ ...options, maxCachedSessions: 0 }) : new Agent(options);
  const { keepAlive, keepAliveMsecs, timeout } = options;
  agent.createConnection = () =>
    openConnection(target, route, {
      ...(keepAlive === undefined ? {} : { keepAlive }),
      ...(keepAliveMsecs === undefined ? {} : { keepAliveInitialDelay: keepAliveMsecs }),
      ...(timeout === undefined ? {} : { timeout }),
    });
  return agent;
}

/** Of a resumed session nobody has shown a key. */
function pinOf(socket: TLSSocket): Digest | undefined {
  const certificate = socket.isSessionReused() ? undefined : socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : spkiPin(certificate.publicKey);
}

function wrongKey(pin: Digest | undefined, pins: readonly Digest[]): RouteRefused | undefined {
  if (pins.length === 0 || (pin !== undefined && pins.includes(pin))) return undefined;
  return new RouteRefused('ENV_TLS_PIN', `it showed the key ${pin ?? 'of nobody'}, which is not pinned`);
}

/** An address is not looked up, and what refuses it has to be told as if it were. */
function refusing(error: Error): LookupFunction {
  return (_hostname, _options, answered) => setImmediate(() => answered(error, '', 0));
}
