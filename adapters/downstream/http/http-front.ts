// Streamable HTTP for clients of the revisions with sessions (2025-03-26 to 2025-11-25) and of the one without (2026-07-28), directly on
// node:http. Which of them a request is of, its MCP-Protocol-Version says; that the body says the same is for whoever reads it to check.
// In this order, and before any byte of a body is read: method and path, Host, Origin, content type, framing, credential, session. What fails
// after the credential is recorded as its sender's.
// It never looks into a message: a POST without a session opens one if the message turns out to be `initialize`, and is refused if not.
// A request for a WebSocket is checked by the same rules and goes on in ws/.
// Not offered: resumption of streams (no event carries an id), CORS (browser pages on other origins are not clients).

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { DenialCode } from '../../../domain/denial.ts';
import type { Principal } from '../../../domain/principal.ts';
import type { ClientSession, ClientSessions, Delivery, Reply, ViewName } from '../../../proxy/client-port.ts';
import * as limits from '../../../proxy/limits.ts';
import { isServedRevision } from '../../../proxy/method-table.ts';
import type { Operators } from '../ports.ts';
import { UpgradableRequest } from '../ws/upgrade-request.ts';
import { type PeerFront, WsFront } from '../ws/ws-front.ts';
import { Access, type AccessOptions, type Admitted, refusalOf } from './access.ts';
import { isLoopback, urlOf } from './addresses.ts';
import { discardBody, IncomingBodies } from './body.ts';
import { Connections } from './connections.ts';
import { deliveryOf } from './delivery.ts';
import { answerLive, HEALTH_PATH, HealthRequests, LIVE_PATH } from './health-requests.ts';
import { type HttpSession, HttpSessions, type Used, use } from './http-sessions.ts';
import { MessageIntake } from './message-intake.ts';
import { type ModernClient, ModernClients } from './modern-clients.ts';
import { OPERATOR_PATH, OperatorRequests } from './operator-requests.ts';
import { EVENT_STREAM_HEADERS, PostReply, type ReplyHead, SECURITY_HEADERS, writeEvent } from './post-reply.ts';
import { answerDescription, checkDescriptionMethod, describedPath } from './protected-resource.ts';
import { writeRefusal } from './refusal-reply.ts';
import {
  checkForm,
  checkFraming,
  checkMethod,
  type HttpRefusal,
  type Route,
  routeOf,
  WRONG_REVISION,
} from './request-checks.ts';
import { PLATFORM_CLOCK, type TokenClock, whenOver } from './token-end.ts';
import { type FrontServer, frontServer } from './transport.ts';

export interface HttpFrontLimits {
  readonly messageBytesMax: number;
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly bodiesBytesMax: number;
  readonly keepAliveMs: number;
  readonly heartbeatMs: number;
  readonly connectionsMax: number;
  readonly requestsPerConnectionMax: number;
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
  bodiesBytesMax: limits.HTTP_BODIES_BYTES_MAX,
  keepAliveMs: limits.HTTP_KEEP_ALIVE_MS,
  heartbeatMs: limits.HTTP_HEARTBEAT_MS,
  connectionsMax: limits.HTTP_CONNECTIONS_MAX,
  requestsPerConnectionMax: limits.HTTP_REQUESTS_PER_CONNECTION_MAX,
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
  /** Absent where nobody may take authority away over HTTP. */
  readonly operators?: Operators;
  readonly limits?: Partial<HttpFrontLimits>;
  /** Tells when credentials end. The platform's when absent. */
  readonly clock?: TokenClock;
  /** Takes in other gates. */
  readonly peers?: PeerFront | undefined;
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
  let listener: Listener;
  try {
    listener = new Listener(options);
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
  readonly #server: FrontServer;
  readonly #connections: Connections;
  readonly #access: Access;
  readonly #sessions: HttpSessions;
  readonly #modern: ModernClients;
  readonly #intake: MessageIntake;
  readonly #operator: OperatorRequests | undefined;
  readonly #health: HealthRequests | undefined;
  /** Answers that may have become streams. */
  readonly #replies = new Set<PostReply>();
  readonly #webSockets: WsFront;
  readonly #clock: TokenClock;
  /** How many responses have bytes that have not left yet, event streams included. */
  #unfinished = 0;
  #onAllFinished: () => void = () => {};
  readonly #timers: NodeJS.Timeout[] = [];
  address = '';
  port = 0;

  constructor(options: HttpFrontOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#clock = options.clock ?? PLATFORM_CLOCK;
    const { headerBytesMax, headersTimeoutMs, bodyTimeoutMs, keepAliveMs, connectionsMax, requestsPerConnectionMax } =
      this.#limits;
    this.#access = new Access(options);
    this.#sessions = new HttpSessions(this.#limits, () => performance.now());
    this.#modern = new ModernClients(options.sessions, this.#limits, () => performance.now());
    const bodies = new IncomingBodies(this.#limits.bodiesBytesMax);
    this.#intake = new MessageIntake(this.#limits, bodies);
    this.#operator = options.operators === undefined ? undefined : new OperatorRequests(options.operators, bodies);
    this.#health = options.operators === undefined ? undefined : new HealthRequests(options.operators);
    this.#webSockets = new WsFront({
      access: this.#access,
      sessions: options.sessions,
      limits: this.#limits,
      clock: this.#clock,
      peers: options.peers,
      onDefect: (error) => options.onDefect?.(error),
    });
    const http = {
      IncomingMessage: UpgradableRequest,
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMs,
      // Behind our own bound for the body, for bodies that are only read to be thrown away.
      requestTimeout: headersTimeoutMs + bodyTimeoutMs,
      connectionsCheckingInterval: Math.min(headersTimeoutMs, 1000),
      keepAliveTimeout: keepAliveMs,
      insecureHTTPParser: false,
      requireHostHeader: true,
    };
    this.#server = frontServer(http, options.tls);
    // Node drops the headers beyond a number in silence; ours are bounded in bytes instead, and loudly.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = connectionsMax;
    this.#connections = new Connections(this.#server, requestsPerConnectionMax);
    this.#server.on('request', (request, response) => this.#accept(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#webSockets.upgrade(request, socket, head));
    this.#server.on('connect', (request, socket) => this.#webSockets.refuse(request, socket, NO_TUNNELS));
    this.#server.on('checkExpectation', (request, response) => this.#refuse(request, response, UNEXPECTED));
    // Asked before the body is sent: a refusal then costs the client nothing.
    this.#server.on('checkContinue', (request, response) => this.#accept(request, response));
  }

  get url(): string {
    return urlOf(this.address, this.port, '/mcp', this.#access.scheme);
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
    if (!this.#connections.watch(request, response)) return;
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
    if (request.url === OPERATOR_PATH && this.#operator !== undefined)
      return this.#operate(request, response, this.#operator);
    if (request.url === HEALTH_PATH && this.#health !== undefined)
      return this.#operate(request, response, this.#health);
    if (request.url === LIVE_PATH) {
      const refused = answerLive(request, response);
      return refused === undefined ? undefined : this.#refuse(request, response, refused);
    }
    const route = routeOf(request.url);
    const refusal = this.#checkHead(request, route);
    if (refusal !== undefined || route === undefined) {
      return this.#refuse(request, response, refusal ?? { status: 404, message: 'Not found' });
    }
    this.#access.announce(request, response);
    const misformed = checkForm(request);
    const admitted = await this.#access.authenticate(request);
    if ('status' in admitted) return this.#refuse(request, response, misformed ?? admitted);
    const { principal, until } = admitted;
    if (misformed !== undefined) return this.#refuseSender(request, response, principal, route, misformed);
    if (isModern(request)) return this.#modernRequest(request, response, admitted, route);
    const named = this.#findSession(request, principal, route);
    if (named !== undefined && 'status' in named) return this.#refuseSender(request, response, principal, route, named);
    const { method } = request;
    if (named === undefined) {
      return method === 'POST'
        ? this.#postFirst(request, response, principal, route)
        : this.#refuseSender(request, response, principal, route, NO_SESSION);
    }
    if (method === 'POST') return this.#post(request, response, named);
    return method === 'GET' ? this.#listen(response, named, until) : this.#delete(response, named);
  }

  async #operate(
    request: IncomingMessage,
    response: ServerResponse,
    operator: Pick<OperatorRequests, 'answer'>,
  ): Promise<void> {
    const refusal = this.#access.checkAddressed(request) ?? (await operator.answer(request, response));
    if (refusal !== undefined) this.#refuse(request, response, refusal);
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

  /** Everything that can be said of a request before it counts as somebody's. */
  #checkHead(request: IncomingMessage, route: Route | undefined): HttpRefusal | undefined {
    if (route === undefined) return { status: 404, message: 'Not found' };
    return checkMethod(request.method) ?? this.#access.checkAddressed(request);
  }

  /** The session that the request names; undefined when it names none. */
  #findSession(request: IncomingMessage, principal: Principal, route: Route): HttpSession | HttpRefusal | undefined {
    const id = request.headers['mcp-session-id'];
    if (id === undefined) return undefined;
    const found = typeof id === 'string' ? this.#sessions.find(id, principal, route) : undefined;
    if (found === undefined) return UNKNOWN_SESSION;
    const version = request.headers['mcp-protocol-version'];
    return version === undefined || version === found.session.revision ? found : WRONG_REVISION;
  }

  /** A message that stands for itself. A session that it names has nothing to do with it. */
  async #modernRequest(
    request: IncomingMessage,
    response: ServerResponse,
    { principal, until }: Admitted,
    route: Route,
  ): Promise<void> {
    const client = this.#modern.of(principal, route);
    if ('code' in client) return this.#refuse(request, response, refusalOf(client));
    await this.#post(request, response, client, until);
  }

  async #post(request: IncomingMessage, response: ServerResponse, receiver: Receiver, until?: number): Promise<void> {
    const { session } = receiver;
    const delivery = deliveryOf(request, response, until);
    const unused = use(receiver, () => performance.now());
    try {
      const refuse = (code: DenialCode, detail: string, tell: Reply) => session.refuse(code, detail, tell, delivery);
      const message = await this.#intake.read(request, response, refuse);
      if (message !== undefined) await this.#answer(session, message, delivery, response, () => OK);
    } finally {
      unused();
    }
  }

  /** A message without a session: `initialize`, or a mistake. Until it is known which, nobody loses anything by it. */
  async #postFirst(
    request: IncomingMessage,
    response: ServerResponse,
    principal: Principal,
    route: Route,
  ): Promise<void> {
    const { sessions } = this.#options;
    const delivery = deliveryOf(request, response);
    const record = (code: DenialCode, detail: string) => sessions.refuse({ principal }, viewOf(route), code, detail);
    const message = await this.#intake.read(request, response, record);
    if (message === undefined) return;
    const full = this.#sessions.reserve(principal);
    if (full !== undefined) return this.#refuse(request, response, refusalOf(full));
    let held: HttpSession | undefined;
    try {
      const session = sessions.open({ principal }, viewOf(route));
      if ('code' in session) return this.#refuse(request, response, refusalOf(session));
      session.onNotification((json) => {
        if (held?.stream !== undefined) writeEvent(held.stream, json, this.#limits.streamBufferBytesMax);
      });
      const head = (): ReplyHead => {
        if (session.revision === undefined) return BAD_REQUEST;
        held ??= this.#sessions.add(session, principal, route);
        return { status: 200, headers: { 'mcp-session-id': held.id } };
      };
      await this.#answer(session, message, delivery, response, head);
      // A session that nobody can name must not stay.
      if (held === undefined) await session.close('disconnect');
    } finally {
      this.#sessions.release(principal);
    }
  }

  async #answer(
    session: ClientSession,
    message: Uint8Array,
    delivery: Delivery,
    response: ServerResponse,
    head: () => ReplyHead,
  ): Promise<void> {
    const reply = new PostReply(response, this.#limits.streamBufferBytesMax, head);
    this.#replies.add(reply);
    try {
      await session.receive(message, reply.send, delivery);
    } finally {
      this.#replies.delete(reply);
    }
    reply.end();
  }

  /**
   * The stream for messages that belong to no request. A client that comes back has lost the one before. It ends with the credential that
   * opened it, as any such stream may end: the client asks for another.
   */
  async #listen(response: ServerResponse, held: HttpSession, until: number | undefined): Promise<void> {
    held.stream?.end();
    held.stream = response;
    response.writeHead(200, EVENT_STREAM_HEADERS);
    response.flushHeaders();
    const callOff = whenOver(this.#clock, until, () => response.end());
    response.on('close', () => {
      callOff();
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

  /** Refuses what somebody known has sent, once that is recorded. */
  async #refuseSender(
    request: IncomingMessage,
    response: ServerResponse,
    principal: Principal,
    route: Route,
    refusal: HttpRefusal,
  ): Promise<void> {
    const { status, message, denial = 'MESSAGE_MALFORMED' } = refusal;
    await this.#options.sessions.refuse({ principal }, viewOf(route), denial, `HTTP ${status}: ${message}`);
    this.#refuse(request, response, refusal);
  }
}

/** Whoever takes messages, and how many it is busy with. */
type Receiver = Pick<HttpSession | ModernClient, 'session'> & Used;

function isModern({ method, headers }: IncomingMessage): boolean {
  const version = headers['mcp-protocol-version'];
  return method === 'POST' && typeof version === 'string' && !isServedRevision(version);
}

function viewOf({ server }: Route): ViewName {
  return server === undefined ? { kind: 'all' } : { kind: 'server', server };
}

const OK: ReplyHead = { status: 200 };
const BAD_REQUEST: ReplyHead = { status: 400 };
const NO_SESSION: HttpRefusal = {
  status: 400,
  message: 'No session: the Mcp-Session-Id header is missing',
  denial: 'NOT_INITIALIZED',
};
const UNKNOWN_SESSION: HttpRefusal = { status: 404, message: 'Session not found', denial: 'NOT_INITIALIZED' };
const NO_TUNNELS: HttpRefusal = {
  status: 405,
  message: 'Method not allowed',
  headers: { allow: 'POST, GET, DELETE' },
};
const UNEXPECTED: HttpRefusal = { status: 417, message: 'Expectation not supported' };
