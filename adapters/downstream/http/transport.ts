// What HTTP is spoken over: TCP, or TLS with a certificate of the operator's. Over TLS it tells which key a client proved in the handshake of its
// connection. Whose key that is, is not decided here; whether anybody else vouches for it, nobody asks.

import { constants } from 'node:crypto';
import { createServer as createPlainServer, type Server as PlainServer, type ServerOptions } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket, Server as TlsServer } from 'node:tls';
import type { Digest } from '../../../domain/digest.ts';
import { spkiPin } from '../../crypto/spki-pin.ts';

/** PEM. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
  /** Whether clients are asked for a certificate. None has to show one. */
  readonly asksClients: boolean;
}

export type FrontServer = PlainServer | SecureServer;

/** Throws where certificate and key are none or do not fit together. */
export function frontServer(options: ServerOptions, tls: TlsIdentity | undefined): FrontServer {
  if (tls === undefined) return createPlainServer(options);
  const { cert, key, asksClients } = tls;
  return createSecureServer({
    ...options,
    cert,
    key,
    requestCert: asksClients,
    // A key is known by its pin, or not at all: that nobody signed for it is no reason to break off.
    rejectUnauthorized: false,
    // Here the key is proved in every handshake, and once: no renegotiation with another one.
    minVersion: 'TLSv1.3',
    // A resumed session shows no certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
    ...(options.headersTimeout === undefined ? {} : { handshakeTimeout: options.headersTimeout }),
  });
}

/** Calls `opened` with the socket that requests will name as theirs. */
export function onConnection(server: FrontServer, opened: (socket: Socket) => void): void {
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', opened);
}

const pins = new WeakMap<Socket, Digest | null>();

/** The pin of the key that the client proved to have when it opened the connection. */
export function clientPin(socket: Socket): Digest | undefined {
  const known = pins.get(socket);
  if (known !== undefined) return known ?? undefined;
  const pin = pinOf(socket);
  pins.set(socket, pin ?? null);
  return pin;
}

function pinOf(socket: Socket): Digest | undefined {
  if (!(socket instanceof TLSSocket) || socket.isSessionReused()) return undefined;
  try {
    const certificate = socket.getPeerX509Certificate();
    return certificate === undefined ? undefined : spkiPin(certificate.publicKey);
  } catch {
    // A key of a kind that we cannot write down has no pin.
    return undefined;
  }
}
