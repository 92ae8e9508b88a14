// One request and its whole answer, on a connection of its own to where a route leads: no redirect is followed, no proxy is asked, and the answer is
// small and soon. Whom the route should lead to, and what an answer means, is for whoever asks.

import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { openConnection, targetOf } from './guarded-connection.ts';
import { type Route, RouteRefused } from './route.ts';

export interface ExchangeLimits {
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

/** There is no answer, or none that may be read. Never quotes what a peer wrote. */
export class ExchangeFailed extends Error {
  override readonly name = 'ExchangeFailed';
  /** Trying again would end the same way. */
  readonly final: boolean;

  constructor(message: string, final: boolean) {
    super(message);
    this.final = final;
  }
}

/** Headers of an answer that are handed on. */
const HEADERS = ['content-type', 'www-authenticate', 'dpop-nonce'];

/** Rejects with `ExchangeFailed`. A signal in `init` is not heard: the limits bound it. */
export function boundedExchange(url: URL, init: RequestInit, route: Route, limits: ExchangeLimits): Promise<Response> {
  return new Promise((resolve, reject) => {
    const fail = (detail: string, final = false) => reject(new ExchangeFailed(`${url.origin} ${detail}`, final));
    const body = init.body === undefined || init.body === null ? undefined : String(init.body);
    const headers = Object.fromEntries(new Headers(init.headers).entries());
    if (body !== undefined && init.body instanceof URLSearchParams)
      headers['content-type'] ??= 'application/x-www-form-urlencoded';
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    const request = send(url, {
      method: init.method ?? 'GET',
      headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
      // A connection of its own, to an address that was looked at. Without an agent no environment can name a proxy.
      createConnection: () => openConnection(targetOf(url), route),
    });
    const timer = setTimeout(() => {
      fail(`did not answer within ${limits.timeoutMs} ms`);
      request.destroy();
    }, limits.timeoutMs);
    request.on('close', () => {
      clearTimeout(timer);
      fail('ended the connection without an answer');
    });
    request.on('error', (error: NodeJS.ErrnoException) =>
      fail(`could not be reached (${error instanceof RouteRefused ? error.message : (error.code ?? 'unknown')})`),
    );
    request.on('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 599 || (status >= 300 && status < 400)) {
        fail(`answered with HTTP ${status}, and no redirect is followed`, true);
        request.destroy();
        return;
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('error', () => undefined);
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= limits.bytesMax) chunks.push(chunk);
        else {
          fail(`answered with more than ${limits.bytesMax} bytes`, true);
          request.destroy();
        }
      });
      response.on('end', () => {
        const given = new Headers();
        for (const name of HEADERS) {
          const value = response.headers[name];
          if (typeof value === 'string') given.set(name, value);
        }
        // A response of these kinds has no body by definition.
        const whole = status === 204 || status === 205 ? null : new Uint8Array(Buffer.concat(chunks));
        resolve(new Response(whole, { status, headers: given }));
      });
    });
    request.end(body);
  });
}
