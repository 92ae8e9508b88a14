// Which names and origins belong to us. An exact list: no suffixes, no patterns, no ports left open.

import { isIP, isIPv4 } from 'node:net';

type Scheme = 'http' | 'https';

/** The port that is not said. */
const OWN_PORTS: Readonly<Record<Scheme, number>> = { http: 80, https: 443 };

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/** True for an address that only this machine can reach. A name other than `localhost` is not looked up: it is not loopback. */
export function isLoopback(address: string): boolean {
  if (isIPv4(address)) return address.startsWith('127.');
  return address === '::1' || address.toLowerCase() === 'localhost';
}

/** The values of `Host` under which a listener on this address is known to honest clients, in lower case. */
export function hostsOf(
  address: string,
  port: number,
  publicHosts: readonly string[],
  scheme: Scheme = 'http',
): ReadonlySet<string> {
  const hosts = new Set(publicHosts.map((host) => host.toLowerCase()));
  // A listener on all addresses serves this machine's clients by the loopback names; others must be named in the configuration.
  const wildcard = address === '0.0.0.0' || address === '::';
  const names = wildcard || isLoopback(address) ? [...LOOPBACK_NAMES] : [];
  if (!wildcard) names.push(isIP(address) === 6 ? `[${address}]` : address.toLowerCase());
  for (const name of names) {
    hosts.add(`${name}:${port}`);
    if (port === OWN_PORTS[scheme]) hosts.add(name);
  }
  return hosts;
}

/** Pages served from this very listener by a loopback name, and what the configuration names. */
export function originsOf(
  address: string,
  port: number,
  configured: readonly string[],
  scheme: Scheme = 'http',
): ReadonlySet<string> {
  const origins = new Set(configured.map((origin) => origin.toLowerCase()));
  if (isLoopback(address)) {
    for (const name of LOOPBACK_NAMES)
      origins.add(port === OWN_PORTS[scheme] ? `${scheme}://${name}` : `${scheme}://${name}:${port}`);
  }
  return origins;
}

/** The URL under which a client on this machine, or on the network of the address, reaches the path. */
export function urlOf(address: string, port: number, path: string, scheme: Scheme = 'http'): string {
  const name =
    address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '[::1]' : isIP(address) === 6 ? `[${address}]` : address;
  return `${scheme}://${name}:${port}${path}`;
}
