// The only way from us to an authorization server. An address that a tool server named is not to be trusted: we go to public addresses over
// https, and to this machine or a private network only if the tool server itself is there. No redirect is followed, answers are small and
// soon, and the connection goes to the very address that was looked at.

import { boundedExchange, type ExchangeFailed, type ExchangeLimits } from '../../../network/bounded-exchange.ts';
import { type Network, networkOf } from '../../../network/networks.ts';
import { isThisMachine, literalOf, type Resolve, type Route, routeTo } from '../../../network/route.ts';
import { AuthorizationRefused } from './refusal.ts';

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** Metadata and tokens have a few KiB. */
export const FETCH_LIMITS: ExchangeLimits = { timeoutMs: 15_000, bytesMax: 256 * 1024 };

export interface GuardedFetchOptions {
  /** The tool server that needs a token. */
  readonly server: URL;
  /** The way to it. */
  readonly route?: Route;
  readonly limits?: ExchangeLimits;
  readonly resolve?: Resolve;
}

/** Rejects with `AuthorizationRefused` on an address that is not to be visited, a redirect, and an answer that is too large or too late. */
export function guardedFetch(options: GuardedFetchOptions): Fetch {
  const { server, limits = FETCH_LIMITS, resolve } = options;
  const route = options.route ?? routeTo(server.hostname, {}, resolve === undefined ? {} : { resolve });
  return async (input, init = {}) => {
    const url = new URL(String(input));
    const way = await wayTo(url, server, route);
    return boundedExchange(url, init, way, limits).catch(({ message, final }: ExchangeFailed) => {
      throw new AuthorizationRefused(message, { final });
    });
  };
}

/** Throws unless the address is one that a secret may go to: https, or http on this machine. */
export function mustBeSecure(url: URL, what: string): void {
  if (url.username !== '' || url.password !== '') throw new AuthorizationRefused(`${what} holds credentials`);
  if (url.protocol === 'https:') return;
  if (url.protocol === 'http:' && isLocal(url.hostname)) return;
  throw new AuthorizationRefused(`${what} is not https: ${url.origin}`);
}

function isLocal(hostname: string): boolean {
  const literal = literalOf(hostname);
  return literal === undefined ? isThisMachine(hostname) : networkOf(literal) === 'loopback';
}

/** The way to an address: what the operator said of the server where it is the server itself, and nothing but public addresses elsewhere. */
async function wayTo(url: URL, server: URL, route: Route): Promise<Route> {
  mustBeSecure(url, 'an address on the way to a token');
  const addresses = await addressesOf(url.hostname, route.resolve);
  const networks = new Set(addresses.map(networkOf));
  if (url.protocol === 'http:' && [...networks].some((network) => network !== 'loopback'))
    throw new AuthorizationRefused(`${url.origin} is not on this machine`);
  const judged = { ...route, networks, resolve: async () => addresses };
  // The tool server's own place is no discovery: the operator named it, and its key is the pinned one.
  if (url.origin === server.origin) {
    const forbidden = [...networks].find((network) => !route.networks.has(network));
    if (forbidden !== undefined)
      throw new AuthorizationRefused(`${url.origin} is an address in a ${forbidden} network, and nobody said so`);
    return judged;
  }
  const inward = [...networks].filter((network) => network !== 'public');
  if (inward.length > 0) {
    const around = new Set<Network>((await addressesOf(server.hostname, route.resolve)).map(networkOf));
    const mayBe = (network: Network) => network !== 'special' && around.has(network) && route.networks.has(network);
    const forbidden = inward.find((network) => !mayBe(network));
    if (forbidden !== undefined)
      throw new AuthorizationRefused(
        `${url.origin} is an address in a ${forbidden} network, and the server is not there`,
      );
  }
  return { ...judged, pins: [], onKey: undefined, onWrongKey: undefined };
}

async function addressesOf(hostname: string, resolve: Resolve): Promise<readonly string[]> {
  const literal = literalOf(hostname);
  if (literal !== undefined) return [literal];
  const addresses = await resolve(hostname).catch((error: NodeJS.ErrnoException) => {
    throw new AuthorizationRefused(`${hostname} could not be resolved (${error.code ?? 'unknown'})`, { final: false });
  });
  if (addresses.length === 0) throw new AuthorizationRefused(`${hostname} has no address`, { final: false });
  return addresses;
}
