// Streamable HTTP for clients of the revisions with sessions (2025-03-26 to 2025-11-25) and of the one without (2026-07-28), directly on
// node:http. Which of them a request is of, its MCP-Protocol-Version says; that the body says the same is for whoever reads it to check.
// In this order, and before any byte of a body is read: method and path, Host, Origin, content type, framing, credential, session.
// It never looks into a message: a POST without a session opens one if the message turns out to be `initialize`, and is refused if not.
// A request for a WebSocket is checked by the same rules and goes on in ws/.
// Not offered: resumption of streams (no event carries an id), CORS (browser pages on other origins are not clients).

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Principal } from '../../../domain/principal.ts';
import type { ClientSessions, Delivery, ViewName } from '../../../proxy/client-port.ts';
import * as limits from '../../../proxy/limits.ts';
import { isServedRevision, MODERN_REVISION } from '../../../proxy/method-table.ts';
import { UpgradableRequest } from '../ws/upgrade-request.ts';
import { WsFront } from '../ws/ws-front.ts';
import { Access, type AccessOptions, refusalOf } from './access.ts';
import { isLoopback, urlOf } from './addresses.ts';
import { bodyAtHand, discardBody, readBody } from './body.ts';
import { deliveryOf } from './delivery.ts';
import { type HttpSession, HttpSessions, type Used, use } from './http-sessions.ts';
import { type ModernClient, ModernClients } from './modern-clients.ts';
import { EVENT_STREAM_HEADERS, PostReply, type ReplyHead, SECURITY_HEADERS, writeEvent } from './post-reply.ts';
import { answerDescription, checkDescriptionMethod, describedPath } from './protected-resource.ts';
import { writeRefusal } from './refusal-reply.ts';
import {
  checkAccept,
  checkContentType,
  checkFraming,
  checkMethod,
  type HttpRefusal,
  type Route,
  routeOf,
} from './request-checks.ts';

export interface HttpFrontLimits {
  readonly messageBytesMax: number;
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly heartbeatMs: number;
  readonly connectionsMax: number;
  readonly streamBufferBytesMax: number;
  readonly sessionsMax: number;
  readonly sessionsPerPrincipalMax: number;
  readonly sessionIdleMs: number;
  readonly drainMs: number;
}

const DEFAULT_LIMITS: HttpFrontLimits = {
  messageBytesMax: limits.MESSAGE_BYTES_MAX,
  headerBytesMax: limits.HTTP_HEADER_BYTES_MAX,
  headersTimeoutMs: limits.HTTP_HEADERS_TIMEOUT_MS,
  bodyTimeoutMs: limits.HTTP_BODY_TIMEOUT_MS,
  keepAliveMs: limits.HTTP_KEEP_ALIVE_MS,
  heartbeatMs: limits.HTTP_HEARTBEAT_MS,
  connectionsMax: limits.HTTP_CONNECTIONS_MAX,
  streamBufferBytesMax: limits.HTTP_STREAM_BUFFER_BYTES_MAX,
  sessionsMax: limits.SESSIONS_MAX,
  sessionsPerPrincipalMax: limits.SESSIONS_PER_PRINCIPAL_MAX,
  sessionIdleMs: limits.SESSION_IDLE_MS,
  drainMs: limits.DRAIN_MS,
};

export interface HttpFrontOptions extends AccessOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly sessions: ClientSessions;
  readonly limits?: Partial<HttpFrontLimits>;
  /** Told of what should not have been possible, so that the gate can halt. The request was answered with 500. */
  readonly onDefect?: (error: unknown) => void;
}

export interface HttpFront {
  /** Where clients on this machine reach all servers. */
  readonly url: string;
  readonly port: number;
  /** Takes no new requests, lets those in progress finish for a while, then ends every session. */
  close(): Promise<void>;
}

export type HttpFrontResult =
  | { readonly ok: true; readonly front: HttpFront }
  | { readonly ok: false; readonly problem: string };

/** Listens, or says why not. Does not listen beyond this machine unless every request has to prove who sends it. */
export async function listenHttp(options: HttpFrontOptions): Promise<HttpFrontResult> {
  if (options.access.kind === 'local' && !isLoopback(options.host))
    return { ok: false, problem: unprotected(options.host) };
  const listener = new Listener(options);
  try {
    await listener.listen();
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) };
  }
  // `localhost` is what the resolver says it is; what counts is where we listen now.
  if (options.access.kind === 'local' && !isLoopback(listener.address)) {
    await listener.close();
    return { ok: false, problem: unprotected(listener.address) };
  }
  return { ok: true, front: listener };
}

function unprotected(host: string): string {
  return `${host} can be reached from other machines and no authentication is configured`;
}

class Listener implements HttpFront {
  readonly #options: HttpFrontOptions;
  readonly #limits: HttpFrontLimits;
  readonly #server: Server;
  readonly #access: Access;
  readonly #sessions: HttpSessions;
  readonly #modern: ModernClients;
  /** Answers that may have become streams. */
  readonly #replies = new Set<PostReply>();
  readonly #webSockets: WsFront;
  /** How many responses have bytes that have not left yet, event streams included. */
  #unfinished = 0;
  #onAllFinished: () => void = () => {};
  readonly #timers: NodeJS.Timeout[] = [];
  address = '';
  port = 0;

  constructor(options: HttpFrontOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const { headerBytesMax, headersTimeoutMs, bodyTimeoutMs, keepAliveMs, connectionsMax } = this.#limits;
    this.#access = new Access(options);
    this.#sessions = new HttpSessions(this.#limits, () => performance.now());
    this.#modern = new ModernClients(options.sessions, this.#limits, () => performance.now());
    this.#webSockets = new WsFront({
      access: this.#access,
      sessions: options.sessions,
      limits: this.#limits,
      onDefect: (error) => options.onDefect?.(error),
    });
    this.#server = createServer({
      IncomingMessage: UpgradableRequest,
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMs,
      // Behind our own bound for the body, for bodies that are only read to be thrown away.
      requestTimeout: headersTimeoutMs + bodyTimeoutMs,
      connectionsCheckingInterval: Math.min(headersTimeoutMs, 1000),
      keepAliveTimeout: keepAliveMs,
      insecureHTTPParser: false,
      requireHostHeader: true,
    });
    // Node drops the headers beyond a number in silence; ours are bounded in bytes instead, and loudly.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = connectionsMax;
    this.#server.on('request', (request, response) => this.#accept(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#webSockets.upgrade(request, socket, head));
    // Asked before the body is sent: a refusal then costs the client nothing.
    this.#server.on('checkContinue', (request, response) => this.#accept(request, response));
  }

  get url(): string {
    return urlOf(this.address, this.port, '/mcp');
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    const bound = this.#server.address() as AddressInfo; // Listening on TCP, so never a path and never null.
    this.address = bound.address;
    this.port = bound.port;
    this.#access.listeningOn(this.address, this.port);
    const { sessionIdleMs, heartbeatMs } = this.#limits;
    this.#every(Math.max(10, Math.min(sessionIdleMs / 4, 60_000)), () => {
      this.#sessions.sweep();
      this.#modern.sweep();
    });
    this.#every(heartbeatMs, () => {
      for (const stream of this.#sessions.streams()) stream.write(': alive\n\n');
      for (const reply of this.#replies) reply.keepAlive();
      this.#webSockets.beat();
    });
  }

  async close(): Promise<void> {
    this.#access.close();
    for (const timer of this.#timers) clearInterval(timer);
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const stream of this.#sessions.streams()) stream.end();
    this.#modern.stopListening();
    const webSocketsClosed = this.#webSockets.close();
    await this.#settled();
    await Promise.all([this.#sessions.endAll('shutdown'), this.#modern.endAll('shutdown')]);
    // What was cancelled just now is being answered.
    await this.#settled();
    await webSocketsClosed;
    this.#server.closeIdleConnections();
    this.#server.closeAllConnections();
    await closed;
  }

  #every(ms: number, work: () => void): void {
    const timer = setInterval(work, ms);
    timer.unref();
    this.#timers.push(timer);
  }

  /** Resolves when every response has left, or when draining has taken too long. */
  async #settled(): Promise<void> {
    if (this.#unfinished === 0) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, this.#limits.drainMs);
      this.#onAllFinished = () => {
        clearTimeout(late);
        resolve();
      };
    });
  }

  readonly #onFinished = (): void => {
    this.#unfinished--;
    if (this.#unfinished === 0) this.#onAllFinished();
  };

  #accept(request: IncomingMessage, response: ServerResponse): void {
    this.#unfinished++;
    response.on('close', this.#onFinished);
    this.#handle(request, response).catch((error: unknown) => {
      // Nothing above rejects unless we are wrong. The client must not wait for that; the gate hears of it.
      if (response.headersSent) response.destroy();
      else this.#refuse(request, response, { status: 500, message: 'Internal error' });
      this.#options.onDefect?.(error);
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const described = describedPath(request.url);
    if (described !== undefined) return this.#describe(request, response, described);
    const route = routeOf(request.url);
    const refusal = this.#checkHead(request, route);
    if (refusal !== undefined || route === undefined) {
      return this.#refuse(request, response, refusal ?? { status: 404, message: 'Not found' });
    }
    this.#access.announce(request, response);
    const principal = await this.#access.authenticate(request);
    if ('status' in principal) return this.#refuse(request, response, principal);
    if (isModern(request)) return this.#modernRequest(request, response, principal, route);
    const named = this.#findSession(request, principal, route);
    if (named !== undefined && 'status' in named) return this.#refuse(request, response, named);
    switch (request.method) {
      case 'POST':
        return named === undefined
          ? this.#postFirst(request, response, principal, route)
          : this.#post(request, response, named);
      case 'GET':
        return named === undefined
          ? this.#refuse(request, response, NO_SESSION)
          : this.#listen(request, response, named);
      default:
        return named === undefined ? this.#refuse(request, response, NO_SESSION) : this.#delete(response, named);
    }
  }

  /** Answered without a credential: it says how to get one. */
  #describe(request: IncomingMessage, response: ServerResponse, path: string): void {
    const refusal =
      checkDescriptionMethod(request.method) ?? this.#access.checkAddressed(request) ?? checkFraming(request);
    if (refusal !== undefined) return this.#refuse(request, response, refusal);
    const description = this.#access.metadata(request, path);
    if (description === undefined) return this.#refuse(request, response, { status: 404, message: 'Not found' });
    answerDescription(request, response, description);
  }

  /** Everything that can be said without knowing who asks. */
  #checkHead(request: IncomingMessage, route: Route | undefined): HttpRefusal | undefined {
    const { headers, method } = request;
    if (route === undefined) return { status: 404, message: 'Not found' };
    const version = headers['mcp-protocol-version'];
    return (
      checkMethod(method) ??
      this.#access.checkAddressed(request) ??
      (method === 'POST' ? checkContentType(headers['content-type']) : undefined) ??
      checkFraming(request) ??
      (method === 'POST' ? checkAccept(headers.accept, ['application/json', 'text/event-stream']) : undefined) ??
      (method === 'GET' ? checkAccept(headers.accept, ['text/event-stream']) : undefined) ??
      // A message that names a revision we do not know is told by its own error which ones there are.
      (method !== 'POST' && typeof version === 'string' && !isServedRevision(version)
        ? refusalOfVersion(version)
        : undefined)
    );
  }

  /** The session that the request names; undefined when it names none. */
  #findSession(request: IncomingMessage, principal: Principal, route: Route): HttpSession | HttpRefusal | undefined {
    const id = request.headers['mcp-session-id'];
    if (id === undefined) return undefined;
    const found = typeof id === 'string' ? this.#sessions.find(id, principal, route) : undefined;
    if (found === undefined) return { status: 404, message: 'Session not found' };
    const version = request.headers['mcp-protocol-version'];
    return version === undefined || version === found.session.revision ? found : WRONG_REVISION;
  }

  /** A message that stands for itself. A session that it names has nothing to do with it. */
  async #modernRequest(
    request: IncomingMessage,
    response: ServerResponse,
    principal: Principal,
    route: Route,
  ): Promise<void> {
    const client = this.#modern.of(principal, route);
    if ('code' in client) return this.#refuse(request, response, refusalOf(client));
    const reply = new PostReply(response, this.#limits.streamBufferBytesMax, () => OK);
    await this.#receive(request, response, client, reply);
    reply.end();
  }

  async #post(request: IncomingMessage, response: ServerResponse, held: HttpSession): Promise<void> {
    const reply = new PostReply(response, this.#limits.streamBufferBytesMax, () => OK);
    await this.#receive(request, response, held, reply);
    reply.end();
  }

  /** A message without a session: `initialize`, or a mistake. */
  async #postFirst(
    request: IncomingMessage,
    response: ServerResponse,
    principal: Principal,
    route: Route,
  ): Promise<void> {
    const full = this.#sessions.makeRoom(principal);
    if (full !== undefined) return this.#refuse(request, response, refusalOf(full));
    const view: ViewName = route.view === 'all' ? { kind: 'all' } : { kind: 'server', server: route.server };
    const session = this.#options.sessions.open({ principal }, view);
    if ('code' in session) return this.#refuse(request, response, refusalOf(session));
    const held = this.#sessions.add(session, principal, route);
    session.onNotification((json) => {
      if (held.stream !== undefined) writeEvent(held.stream, json, this.#limits.streamBufferBytesMax);
    });
    let answered = false;
    const head = (): ReplyHead => {
      answered = true;
      return session.revision === undefined ? { status: 400 } : { status: 200, headers: { 'mcp-session-id': held.id } };
    };
    const reply = new PostReply(response, this.#limits.streamBufferBytesMax, head);
    await this.#receive(request, response, held, reply);
    reply.end();
    // A session that nobody can name must not stay.
    if (session.revision === undefined || !answered) await this.#sessions.end(held, 'disconnect');
  }

  /** Hands the message to the session, or refuses it where it cannot become whole. */
  async #receive(request: IncomingMessage, response: ServerResponse, held: Receiver, reply: PostReply): Promise<void> {
    const { messageBytesMax, bodyTimeoutMs } = this.#limits;
    const delivery = deliveryOf(request, response);
    const unused = use(held, () => performance.now());
    this.#replies.add(reply);
    try {
      const declared = Number(request.headers['content-length'] ?? 0);
      if (declared > messageBytesMax) return await this.#tooLarge(request, response, held, declared, delivery);
      if (request.headers.expect !== undefined) response.writeContinue();
      const body = bodyAtHand(request, messageBytesMax) ?? (await readBody(request, messageBytesMax, bodyTimeoutMs));
      switch (body.kind) {
        case 'whole':
          return await held.session.receive(body.bytes, reply.send, delivery);
        case 'too_large':
          return await this.#tooLarge(request, response, held, body.bytes, delivery);
        case 'too_slow':
          response.shouldKeepAlive = false;
          return this.#refuse(request, response, { status: 408, message: 'The body did not come in time' });
        case 'aborted':
          response.destroy();
          return;
      }
    } finally {
      unused();
      this.#replies.delete(reply);
    }
  }

  async #tooLarge(
    request: IncomingMessage,
    response: ServerResponse,
    held: Receiver,
    bytes: number,
    delivery: Delivery,
  ): Promise<void> {
    discardBody(request, this.#limits.messageBytesMax);
    let told: string | undefined;
    const tell = (json: string): void => {
      told = json;
    };
    await held.session.refuse('MESSAGE_TOO_LARGE', `a body of ${bytes} bytes or more`, tell, delivery);
    writeRefusal(request, response, { status: 413, message: 'Message too large' }, told);
  }

  /** The stream for messages that belong to no request. A client that comes back has lost the one before. */
  async #listen(_request: IncomingMessage, response: ServerResponse, held: HttpSession): Promise<void> {
    held.stream?.end();
    held.stream = response;
    response.writeHead(200, EVENT_STREAM_HEADERS);
    response.flushHeaders();
    response.on('close', () => {
      if (held.stream === response) held.stream = undefined;
    });
  }

  async #delete(response: ServerResponse, held: HttpSession): Promise<void> {
    await this.#sessions.end(held, 'client');
    response.writeHead(204, SECURITY_HEADERS);
    response.end();
  }

  #refuse(request: IncomingMessage, response: ServerResponse, refusal: HttpRefusal): void {
    writeRefusal(request, response, refusal);
    discardBody(request, this.#limits.messageBytesMax);
  }
}

/** Whoever takes messages, and how many it is busy with. */
type Receiver = Pick<HttpSession | ModernClient, 'session'> & Used;

function isModern({ method, headers }: IncomingMessage): boolean {
  const version = headers['mcp-protocol-version'];
  return method === 'POST' && typeof version === 'string' && !isServedRevision(version);
}

function refusalOfVersion(version: string): HttpRefusal {
  return version === MODERN_REVISION ? POST_ONLY : WRONG_REVISION;
}

const OK: ReplyHead = { status: 200 };
const NO_SESSION: HttpRefusal = { status: 400, message: 'No session: the Mcp-Session-Id header is missing' };
const POST_ONLY: HttpRefusal = { status: 405, message: 'Method not allowed', headers: { allow: 'POST' } };
const WRONG_REVISION: HttpRefusal = {
  status: 400,
  message: 'MCP-Protocol-Version is not supported, or not that of the session',
};
