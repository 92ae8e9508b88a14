// Requests to one remote server, on connections kept alive. It follows no redirect and sends nothing a second time, but for a request that was
// turned away before it ran because its proof had no nonce yet. What an answer means is for the pipe that asked.

import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
  request as requestHttp,
} from 'node:http';
import { request as requestHttps } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { guardedAgent, targetOf } from '../../network/guarded-connection.ts';
import { RouteRefused } from '../../network/route.ts';
import type { Endpoint } from './endpoint.ts';
import type { UpstreamAuthorization } from './oauth/upstream-authorization.ts';

export interface RequestLimits {
  readonly connectTimeoutMs: number;
  /** Shorter than the five seconds after which Node servers drop an idle connection, so that no call is written to one being dropped. */
  readonly idleMs: number;
}

/** A refusal that comes later than this is one: what was checked when the request was sent may not hold any more. */
const NONCE_WITHIN_MS = 2_000;

export interface Asked {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** On the endpoint's own origin; the endpoint itself when absent. */
  readonly url?: URL | undefined;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: string | undefined;
}

/** The token that goes with each request, where the server wants one. */
export type RequestAuthorization = Pick<
  UpstreamAuthorization,
  'outgoing' | 'heard' | 'lackedNonce' | 'accepted' | 'turnedAway'
>;

/** `code`: why it did not leave, where that is more than that the server cannot be reached. */
export type Refused = (detail: string, code?: RouteRefused['code']) => void;

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
    const target = targetOf(endpoint.url);
    const { secure } = target;
    this.#agent = guardedAgent(target, endpoint.route, options);
    this.#send = secure ? requestHttps : requestHttp;
    this.#connected = secure ? 'secureConnect' : 'connect';
    this.#address = { ...urlToHttpOptions(endpoint.url), agent: this.#agent };
  }

  /**
   * One of the three is called, once and never within this call. `refused`: nothing of the request left, for want of a token or because its
   * connection leads where or to whom it may not, or the server turned it away for the one it had (401, 403), so it did not run. Who does not tell that apart hears `failed` or gets the answer.
   * A request that was turned away for want of a nonce alone is made anew with the nonce that came with the refusal, once.
   */
  send(
    asked: Asked,
    answered: (response: IncomingMessage) => void,
    failed: (detail: string) => void,
    refused?: Refused,
  ): OpenRequest {
    let current: ClientRequest | undefined;
    let isGivenUp = false;
    const begunMs = performance.now();
    const attempt = (mayRepeat: boolean): void => {
      const url = asked.url ?? this.#endpoint.url;
      const allowed = this.#authorization?.outgoing(asked.method, url);
      if (allowed?.ok === false) {
        // Nothing waits here for a token: a call is sent in the tick in which it was recorded, or not at all.
        setImmediate(() => (refused ?? failed)(allowed.detail));
        return;
      }
      this.#endpoint.secrets.keepToken(allowed?.header, allowed?.proof);
      const broken = (error: Error | undefined): void => {
        if (error instanceof RouteRefused && refused !== undefined) return refused(error.message, error.code);
        failed(error?.message ?? 'the connection ended without an answer');
      };
      current = this.#request(asked, allowed ?? {}, broken, (response) => {
        if (this.#lacksNonce(response) && mayRepeat && !isGivenUp && performance.now() - begunMs < NONCE_WITHIN_MS) {
          discard(response);
          return attempt(false);
        }
        const judged = asked.method === 'POST' || refused !== undefined;
        const turnedAway = judged ? this.#judged(response, allowed?.header) : undefined;
        if (turnedAway === undefined || refused === undefined) return answered(response);
        discard(response);
        refused(turnedAway);
      });
    };
    attempt(true);
    return {
      destroy: () => {
        isGivenUp = true;
        current?.destroy();
      },
    };
  }

  /** One of the two is called, once. */
  #request(
    { method, url, headers: more, body }: Asked,
    { header, proof }: { readonly header?: string; readonly proof?: string },
    failed: (error: Error | undefined) => void,
    answered: (response: IncomingMessage) => void,
  ): ClientRequest {
    const headers: OutgoingHttpHeaders = { ...this.#endpoint.headers, ...more };
    if (header !== undefined) headers.authorization = header;
    if (proof !== undefined) headers.dpop = proof;
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = Buffer.byteLength(body);
    }
    const path = url === undefined ? undefined : { path: `${url.pathname}${url.search}` };
    const request = this.#send({ ...this.#address, ...path, method, headers });
    this.open++;
    let settled = false;
    const fail = (error?: Error) => {
      if (settled) return;
      settled = true;
      failed(error);
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
      answered(response);
    });
    request.on('error', fail);
    request.on('close', () => {
      this.open--;
      fail();
    });
    request.end(body);
    return request;
  }

  /** Takes up what the server says about its next proof. */
  #lacksNonce({ statusCode = 0, headers }: IncomingMessage): boolean {
    const nonce = headers['dpop-nonce'];
    if (typeof nonce !== 'string') return false;
    this.#authorization?.heard(nonce);
    return this.#authorization?.lackedNonce(statusCode, headers['www-authenticate'], nonce) === true;
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

function discard(response: IncomingMessage): void {
  response.on('error', () => undefined);
  response.destroy();
}

export function mediaType(response: IncomingMessage): string {
  const [type = ''] = (response.headers['content-type'] ?? '').split(';', 1);
  return type.trim().toLowerCase();
}
