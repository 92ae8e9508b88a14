// The only way from us to an authorization server. An address that a tool server named is not to be trusted: we go to public addresses over
// https, and to this machine or a private network only if the tool server itself is there. No redirect is followed, answers are small and
// soon, and the connection goes to the very address that was looked at.

import { lookup as lookUpName } from 'node:dns/promises';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { type Network, networkOf } from './network.ts';
import { AuthorizationRefused } from './refusal.ts';

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** The addresses of a name. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export interface FetchLimits {
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** Metadata and tokens have a few KiB. */
  readonly bytesMax: number;
}

export const FETCH_LIMITS: FetchLimits = { timeoutMs: 15_000, bytesMax: 256 * 1024 };

export interface GuardedFetchOptions {
  /** The tool server that needs a token. */
  readonly server: URL;
  readonly limits?: FetchLimits;
  readonly resolve?: Resolve;
}

/** Rejects with `AuthorizationRefused` on an address that is not to be visited, a redirect, and an answer that is too large or too late. */
export function guardedFetch(options: GuardedFetchOptions): Fetch {
  const { server, limits = FETCH_LIMITS, resolve = resolveName } = options;
  return async (input, init = {}) => {
    const url = new URL(String(input));
    const addresses = await addressesOf(url, server, resolve);
    return exchange(url, init, addresses, limits);
  };
}

/** Throws unless the address is one that a secret may go to: https, or http on this machine. */
export function mustBeSecure(url: URL, what: string): void {
  if (url.username !== '' || url.password !== '') throw new AuthorizationRefused(`${what} holds credentials`);
  if (url.protocol === 'https:') return;
  if (url.protocol === 'http:' && isLocalName(url.hostname)) return;
  throw new AuthorizationRefused(`${what} is not https: ${url.origin}`);
}

function isLocalName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

async function addressesOf(url: URL, server: URL, resolve: Resolve): Promise<readonly string[]> {
  mustBeSecure(url, 'an address on the way to a token');
  const addresses = await literalOrNamed(url.hostname, resolve);
  const networks = new Set(addresses.map(networkOf));
  if (url.protocol === 'http:' && [...networks].some((network) => network !== 'loopback'))
    throw new AuthorizationRefused(`${url.origin} is not on this machine`);
  // The tool server's own place is no discovery: the operator named it.
  if (url.origin === server.origin) return addresses;
  const inward = [...networks].filter((network) => network !== 'public');
  if (inward.length === 0) return addresses;
  const around = new Set<Network>((await literalOrNamed(server.hostname, resolve)).map(networkOf));
  const forbidden = inward.find((network) => network === 'special' || !around.has(network));
  if (forbidden !== undefined)
    throw new AuthorizationRefused(
      `${url.origin} is an address in a ${forbidden} network, and the server is not there`,
    );
  return addresses;
}

async function literalOrNamed(hostname: string, resolve: Resolve): Promise<readonly string[]> {
  const literal = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  if (isIP(literal) !== 0) return [literal];
  const addresses = await resolve(hostname);
  if (addresses.length === 0) throw new AuthorizationRefused(`${hostname} has no address`, { final: false });
  return addresses;
}

async function resolveName(hostname: string): Promise<readonly string[]> {
  try {
    return (await lookUpName(hostname, { all: true })).map(({ address }) => address);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new AuthorizationRefused(`${hostname} could not be resolved (${code})`, { final: false });
  }
}

function exchange(url: URL, init: RequestInit, addresses: readonly string[], limits: FetchLimits): Promise<Response> {
  const { promise, resolve, reject } = withResolvers<Response>();
  const fail = (detail: string, final = false) =>
    reject(new AuthorizationRefused(`${url.origin} ${detail}`, { final }));
  const body = init.body === undefined || init.body === null ? undefined : String(init.body);
  const headers = Object.fromEntries(new Headers(init.headers).entries());
  if (body !== undefined && init.body instanceof URLSearchParams)
    headers['content-type'] ??= 'application/x-www-form-urlencoded';
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  const request = send(url, {
    method: init.method ?? 'GET',
    headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
    // A connection of its own, to an address that was looked at.
    agent: false,
    lookup: pinned(addresses),
  });
  const timer = setTimeout(() => {
    fail(`did not answer within ${limits.timeoutMs} ms`);
    request.destroy();
  }, limits.timeoutMs);
  request.on('close', () => {
    clearTimeout(timer);
    fail('ended the connection without an answer');
  });
  request.on('error', (error: NodeJS.ErrnoException) => fail(`could not be reached (${error.code ?? 'unknown'})`));
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
      for (const name of ['content-type', 'www-authenticate', 'dpop-nonce']) {
        const value = response.headers[name];
        if (typeof value === 'string') given.set(name, value);
      }
      // A response of these kinds has no body by definition.
      const whole = status === 204 || status === 205 ? null : new Uint8Array(Buffer.concat(chunks));
      resolve(new Response(whole, { status, headers: given }));
    });
  });
  request.end(body);
  return promise;
}

/** Answers every question for an address with the ones that were judged. */
function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, options, answered) => {
    const [first] = all;
    if (options.all === true) answered(null, all);
    else answered(null, first?.address ?? '', first?.family);
  };
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((one, other) => {
    resolve = one;
    reject = other;
  });
  return { promise, resolve, reject };
}
