// WebSocket for clients, on the listener of the HTTP front: what that asks of every request is asked before the upgrade, and a refusal is an
// ordinary HTTP response. One WebSocket is one conversation, and ends with the credential that opened it; it never looks into a message.

import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { Defect } from '../../../domain/defect.ts';
import { deny } from '../../../domain/denial.ts';
import type { Principal } from '../../../domain/principal.ts';
import type { ClientSession, ClientSessions } from '../../../proxy/client-port.ts';
import { type Access, refusalOf } from '../http/access.ts';
import { refuseUpgrade } from '../http/refusal-reply.ts';
import { type HttpRefusal, type Route, routeOf } from '../http/request-checks.ts';
import { type TokenClock, whenOver } from '../http/token-end.ts';
import { SocketClient } from './socket-client.ts';
import { checkUpgrade, SUBPROTOCOL } from './upgrade-request.ts';

/** Frames of one message. With the smallest buffers that libraries fragment by (1 KiB) the largest message just fits. */
const FRAGMENTS_MAX = 4_096;

/** Pieces in which one frame may come in. The largest message in packets of an Ethernet takes about 3,000. */
const CHUNKS_MAX = 16_384;

export interface WsLimits {
  readonly messageBytesMax: number;
  /** How much may wait for a client that does not read. */
  readonly streamBufferBytesMax: number;
  /** Open at once, those being accepted included. */
  readonly sessionsMax: number;
  readonly sessionsPerPrincipalMax: number;
  readonly drainMs: number;
}

export interface WsFrontOptions {
  readonly access: Access;
  readonly sessions: ClientSessions;
  readonly limits: WsLimits;
  readonly clock: TokenClock;
  /** Takes in other gates, where this one has any that dial it. */
  readonly peers?: PeerFront | undefined;
  /** Told of what should not have been possible. */
  readonly onDefect: (error: unknown) => void;
}

/** Where other gates are taken in: they prove themselves by what they say afterwards. */
export interface PeerFront {
  isMeant(request: IncomingMessage): boolean;
  /** Takes the request over, or says why not. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): HttpRefusal | undefined;
}

export class WsFront {
  readonly #options: WsFrontOptions;
  readonly #server: WebSocketServer;
  readonly #clients = new Map<SocketClient, Principal>();
  /** Connections that asked for an upgrade and have no answer yet. */
  readonly #waiting = new Set<Socket>();

  constructor(options: WsFrontOptions) {
    this.#options = options;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // A packet can hold thousands of small messages: handled in one turn of the loop they would hold up everybody else.
      allowSynchronousEvents: false,
      // Answered by SocketClient: the library breaks the connection off where pings come faster than their answers leave.
      autoPong: false,
      maxPayload: options.limits.messageBytesMax,
      maxFragments: FRAGMENTS_MAX,
      maxBufferedChunks: CHUNKS_MAX,
      handleProtocols: () => SUBPROTOCOL,
    });
  }

  /** Takes a request over whose connection no HTTP parser reads any more. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!(socket instanceof Socket)) throw new Defect('a listener on TCP has a connection that is none');
    socket.on('error', () => socket.destroy());
    this.#waiting.add(socket);
    this.#accept(request, socket, head)
      .then((refusal) => {
        if (refusal !== undefined) refuseUpgrade(request, socket, refusal);
      })
      .catch((error: unknown) => {
        refuseUpgrade(request, socket, { status: 500, message: 'Internal error' });
        this.#options.onDefect(error);
      })
      .finally(() => this.#waiting.delete(socket));
  }

  /** Refuses a request whose connection no HTTP parser reads any more. */
  refuse(request: IncomingMessage, socket: Duplex, refusal: HttpRefusal): void {
    if (!(socket instanceof Socket)) throw new Defect('a listener on TCP has a connection that is none');
    socket.on('error', () => socket.destroy());
    refuseUpgrade(request, socket, refusal);
  }

  /** To be called every so often: finds clients that are gone. */
  beat(): void {
    for (const client of this.#clients.keys()) client.beat();
  }

  /** Lets what is in progress finish for a while, then ends every conversation. New ones are refused by `access`. */
  async close(): Promise<void> {
    for (const socket of this.#waiting) socket.destroy();
    await Promise.all([...this.#clients.keys()].map((client) => client.close()));
  }

  async #accept(request: IncomingMessage, socket: Socket, head: Buffer): Promise<HttpRefusal | undefined> {
    const { access, sessions, clock, peers } = this.#options;
    if (peers?.isMeant(request) === true) return access.checkAddressed(request) ?? peers.accept(request, socket, head);
    const route = routeOf(request.url);
    if (route === undefined) return { status: 404, message: 'Not found' };
    const refusal = access.checkAddressed(request) ?? checkUpgrade(request);
    if (refusal !== undefined) return refusal;
    const admitted = await access.authenticate(request);
    if ('status' in admitted) return admitted;
    const { principal, until } = admitted;
    // It may have gone, or we may be closing, since it was asked who it is.
    if (socket.destroyed) return undefined;
    if (!this.#hasRoom(principal)) return refusalOf(deny('OVERLOADED', 'too many connections'));
    const session = sessions.open({ principal }, viewOf(route));
    if ('code' in session) return refusalOf(session);
    let upgraded = false;
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      upgraded = true;
      const client = this.#serve(webSocket, session, principal, () => socket.bytesRead);
      const callOff = whenOver(clock, until, () => void client.expire());
      void client.ended.then(callOff);
    });
    // The library found something that we did not, and has answered; a session without a client must not stay.
    if (!upgraded) await session.close('disconnect');
    return undefined;
  }

  #hasRoom({ agent }: Principal): boolean {
    const { sessionsMax, sessionsPerPrincipalMax } = this.#options.limits;
    let own = 0;
    for (const held of this.#clients.values()) if (held.agent === agent) own++;
    return own < sessionsPerPrincipalMax && this.#clients.size < sessionsMax;
  }

  #serve(socket: WebSocket, session: ClientSession, principal: Principal, bytesRead: () => number): SocketClient {
    const { limits, onDefect } = this.#options;
    const client = new SocketClient({
      socket,
      session,
      bytesRead,
      bufferBytesMax: limits.streamBufferBytesMax,
      drainMs: limits.drainMs,
      onDefect,
    });
    this.#clients.set(client, principal);
    void client.ended.then(() => this.#clients.delete(client));
    return client;
  }
}

function viewOf(route: Route): Parameters<ClientSessions['open']>[1] {
  return route.view === 'all' ? { kind: 'all' } : { kind: 'server', server: route.server };
}
