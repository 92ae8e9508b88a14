// Requests to one remote server, on connections kept alive. It follows no redirect and sends nothing a second time; what an answer means is
// for the pipe that asked.

import {
  Agent,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
  request as requestHttp,
} from 'node:http';
import { request as requestHttps, Agent as TlsAgent } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import type { Endpoint } from './endpoint.ts';
import type { UpstreamAuthorization } from './oauth/upstream-authorization.ts';

export interface RequestLimits {
  readonly connectTimeoutMs: number;
  /** Shorter than the five seconds after which Node servers drop an idle connection, so that no call is written to one being dropped. */
  readonly idleMs: number;
}

export interface Asked {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** On the endpoint's own origin; the endpoint itself when absent. */
  readonly url?: URL | undefined;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: string | undefined;
}

/** The token that goes with each request, where the server wants one. */
export type RequestAuthorization = Pick<UpstreamAuthorization, 'outgoing' | 'accepted' | 'turnedAway'>;

export interface OpenRequest {
  destroy(): void;
}

export class Requests {
  /** How many are open now. */
  open = 0;
  readonly #endpoint: Endpoint;
  readonly #authorization: RequestAuthorization | undefined;
  readonly #connectTimeoutMs: number;
  readonly #agent: Agent;
  readonly #address: RequestOptions;
  /** The event after which a socket is good for a request. */
  readonly #connected: 'connect' | 'secureConnect';
  readonly #send: typeof requestHttp;

  constructor(endpoint: Endpoint, limits: RequestLimits, authorization?: RequestAuthorization) {
    this.#endpoint = endpoint;
    this.#authorization = authorization;
    this.#connectTimeoutMs = limits.connectTimeoutMs;
    const options = {
      keepAlive: true,
      noDelay: true,
      scheduling: 'lifo',
      maxFreeSockets: 64,
      timeout: limits.idleMs,
    } as const;
    const secure = endpoint.url.protocol === 'https:';
    // No session is cached: a resumed one would not look at the certificate again.
    this.#agent = secure ? new TlsAgent({ ...options, maxCachedSessions: 0 }) : new Agent(options);
    this.#send = secure ? requestHttps : requestHttp;
    this.#connected = secure ? 'secureConnect' : 'connect';
    this.#address = { ...urlToHttpOptions(endpoint.url), agent: this.#agent };
  }

  /**
   * One of the three is called, once and never within this call. `refused`: nothing of the request left for want of a token, or the server
   * turned it away for the one it had (401, 403), so it did not run. Who does not tell that apart hears `failed` or gets the answer.
   */
  send(
    { method, url, headers: more, body }: Asked,
    answered: (response: IncomingMessage) => void,
    failed: (detail: string) => void,
    refused?: (detail: string) => void,
  ): OpenRequest {
    const allowed = this.#authorization?.outgoing();
    if (allowed?.ok === false) {
      // Nothing waits here for a token: a call is sent in the tick in which it was recorded, or not at all.
      setImmediate(() => (refused ?? failed)(allowed.detail));
      return { destroy: () => undefined };
    }
    const headers: OutgoingHttpHeaders = { ...this.#endpoint.headers, ...more };
    if (allowed?.header !== undefined) headers.authorization = allowed.header;
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = Buffer.byteLength(body);
    }
    const path = url === undefined ? undefined : { path: `${url.pathname}${url.search}` };
    const request = this.#send({ ...this.#address, ...path, method, headers });
    const open: OpenRequest = { destroy: () => request.destroy() };
    this.open++;
    let settled = false;
    const fail = (detail: string) => {
      if (settled) return;
      settled = true;
      failed(detail);
    };
    // A socket that is kept alive is connected already; the clock runs for new ones only.
    request.on('socket', (socket) => {
      if (!socket.connecting) return;
      const slow = () => request.destroy(new Error('the connection took too long'));
      const timer = setTimeout(slow, this.#connectTimeoutMs);
      timer.unref();
      socket.once(this.#connected, () => clearTimeout(timer));
      request.once('close', () => clearTimeout(timer));
    });
    request.on('response', (response) => {
      settled = true;
      const turnedAway = method === 'POST' ? this.#judged(response, allowed?.header) : undefined;
      if (turnedAway === undefined || refused === undefined) return answered(response);
      response.on('error', () => undefined);
      response.destroy();
      refused(turnedAway);
    });
    request.on('error', (error) => fail(error.message));
    request.on('close', () => {
      this.open--;
      fail('the connection ended without an answer');
    });
    request.end(body);
    return open;
  }

  /** Why the server turned the request away before it ran, where its answer says so. */
  #judged(response: IncomingMessage, header: string | undefined): string | undefined {
    const status = response.statusCode ?? 0;
    if (status !== 401 && status !== 403) {
      if (status >= 200 && status < 300) this.#authorization?.accepted(header);
      return undefined;
    }
    const challenge = response.headers['www-authenticate'];
    if (this.#authorization !== undefined) return this.#authorization.turnedAway(status, challenge, header);
    return status === 401 && challenge !== undefined ? 'it does not accept the configured credential' : undefined;
  }

  /** With its sockets, those in use included, every open request ends. */
  destroy(): void {
    this.#agent.destroy();
  }
}

export function mediaType(response: IncomingMessage): string {
  const [type = ''] = (response.headers['content-type'] ?? '').split(';', 1);
  return type.trim().toLowerCase();
}
