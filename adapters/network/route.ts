// Where a connection of ours may lead, and to whom. A name is resolved for each connection, every address it has is judged, and the connection
// goes to one of those that were judged: a name that is made to point inwards later leads nowhere. It does not judge what is said on it.

import { lookup as lookUpName } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import type { DenialCode } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import { type Network, networkOf } from './networks.ts';

/** The addresses of a name. Rejects when there is nobody to ask. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** What an operator may say about the way to a server. */
export interface RouteConfig {
  /** The name of the server belongs to a private network or to this machine, and leads nowhere else. */
  readonly network?: 'private' | undefined;
  /** Pins of its key, any of which will do; with none, who vouches for its certificate is enough. */
  readonly pins?: readonly Digest[] | undefined;
}

export interface Route {
  readonly networks: ReadonlySet<Network>;
  readonly pins: readonly Digest[];
  readonly resolve: Resolve;
  /** Told the pin of the key of each connection, after it was found good and before anything is said. */
  readonly onKey?: ((pin: Digest) => void) | undefined;
  /** Told of a key that was not good. */
  readonly onWrongKey?: ((refused: RouteRefused) => void) | undefined;
  /** For tests: who vouches for certificates besides those whom Node trusts. */
  readonly trusted?: string | undefined;
}

/** Nothing was said on the connection: it does not lead where it may, or to whom it may. Never quotes what a peer wrote. */
export class RouteRefused extends Error {
  override readonly name = 'RouteRefused';
  readonly code: Extract<DenialCode, 'SERVER_UNAVAILABLE' | 'ENV_TLS_PIN'>;

  constructor(code: RouteRefused['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export const resolveName: Resolve = async (hostname) =>
  (await lookUpName(hostname, { all: true })).map(({ address }) => address);

export function routeTo(
  hostname: string,
  config: RouteConfig,
  more: Partial<Omit<Route, 'networks' | 'pins'>> = {},
): Route {
  return {
    networks: networksFor(hostname, config.network),
    pins: config.pins ?? [],
    resolve: more.resolve ?? resolveName,
    onKey: more.onKey,
    onWrongKey: more.onWrongKey,
    trusted: more.trusted,
  };
}

/** An address leads to itself, `localhost` to this machine, and a name to public addresses unless somebody said that it is private. */
export function networksFor(hostname: string, network: RouteConfig['network']): ReadonlySet<Network> {
  const literal = literalOf(hostname);
  // At a special address no server is to be expected, whoever wrote it down.
  if (literal !== undefined) return new Set([networkOf(literal)].filter((found) => found !== 'special'));
  if (isThisMachine(hostname)) return new Set(['loopback']);
  return new Set(network === 'private' ? ['private', 'loopback'] : ['public']);
}

/** RFC 6761. */
export function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost');
}

/** The address that stands in place of a name, without brackets. */
export function literalOf(hostname: string): string | undefined {
  const literal = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(literal) === 0 ? undefined : literal;
}

/** Answers with all addresses of a name, if each of them is one to which the route may lead. */
export function guardedLookup({ networks, resolve }: Pick<Route, 'networks' | 'resolve'>): LookupFunction {
  return (hostname, options, answered) => {
    const refuse = (error: unknown): void => answered(asError(error), options.all === true ? [] : '', 0);
    resolve(hostname)
      .then((addresses) => {
        const inward = addresses.map(networkOf).find((network) => !networks.has(network));
        if (inward !== undefined) throw misled(hostname, inward);
        return addresses.map((address) => ({ address, family: isIP(address) }));
      })
      .then((found) => {
        const [first] = found;
        if (first === undefined) return refuse(new RouteRefused('SERVER_UNAVAILABLE', `${hostname} has no address`));
        if (options.all === true) answered(null, found);
        else answered(null, first.address, first.family);
      }, refuse);
  };
}

/** A connection to a literal address asks nobody, so that it is judged here. */
export function misledTo(hostname: string, { networks }: Pick<Route, 'networks'>): RouteRefused | undefined {
  const literal = literalOf(hostname);
  const network = literal === undefined ? undefined : networkOf(literal);
  return network === undefined || networks.has(network) ? undefined : misled(hostname, network);
}

function misled(hostname: string, network: Network): RouteRefused {
  const advice =
    network === 'private' || network === 'loopback' ? ', and the manifest does not say "network: private"' : '';
  return new RouteRefused('SERVER_UNAVAILABLE', `${hostname} leads to an address in a ${network} network${advice}`);
}

function asError(error: unknown): NodeJS.ErrnoException {
  return error instanceof Error ? error : new Error(String(error));
}
