// What the rules may know about addresses: schemes, hosts and ports of all of them, what kind of network a literal address belongs to,
// and `within`, the allow-lists that contain all of them. Parsed once by the WHATWG rules; what other parsers could read differently is
// refused. It does not resolve names: a public name may point into a private network.

import { URL_BYTES_MAX } from './limits.ts';
import type { FactSpec } from './manifest.ts';

export type UrlSpec = Extract<FactSpec, { kind: 'url' }>;

export interface UrlParts {
  readonly schemes: readonly string[];
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  readonly paths: readonly string[];
  readonly networks: readonly Network[];
  readonly within: readonly string[];
}

export type Network = 'name' | 'public' | 'loopback' | 'private';

export type UrlFact = { readonly ok: true; readonly parts: UrlParts } | { readonly ok: false; readonly reason: string };

/** Schemes with a host, and their ports. Others have no parts that a rule could compare. */
const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['https', 443],
  ['ws', 80],
  ['wss', 443],
  ['ftp', 21],
]);

interface Address {
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** The fact for all addresses of one call; `urls` is not empty. */
export function urlFact(spec: UrlSpec, urls: readonly string[]): UrlFact {
  const addresses: Address[] = [];
  for (const url of urls) {
    const address = parseAddress(url);
    if (typeof address === 'string') return { ok: false, reason: address };
    addresses.push(address);
  }
  const within = Object.entries(spec.allow)
    .filter(([, entries]) => {
      const allowed = entries.map(parseAllowEntry).filter((entry) => entry !== undefined);
      return addresses.every((address) => allowed.some((entry) => covers(entry, address)));
    })
    .map(([name]) => name);
  return {
    ok: true,
    parts: {
      schemes: unique(addresses.map(({ scheme }) => scheme)),
      hosts: unique(addresses.map(({ host }) => host)),
      ports: [...new Set(addresses.map(({ port }) => port))].sort((a, b) => a - b),
      paths: unique(addresses.map(({ path }) => path)),
      networks: unique(addresses.map(({ host }) => networkOf(host))),
      within: within.sort(),
    },
  };
}

function unique<T extends string>(values: readonly T[]): T[] {
  return [...new Set(values)].sort();
}

/** The parts of one address, or why it is refused. */
function parseAddress(text: string): Address | string {
  if (text.length > URL_BYTES_MAX) return 'an address is too long';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here.
  if (/[\u0000-\u0020\u007f-\u00a0\\]/.test(text))
    return 'an address has white space, a control character or a backslash';
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]+)/.exec(text)?.[1];
  if (authority === undefined) return 'an address has no scheme and host';
  if (authority.includes('@')) return 'an address has user information';
  if (authority.includes('%')) return 'an address has a percent-encoded host';
  if (!URL.canParse(text)) return 'an address cannot be parsed';
  const url = new URL(text);
  const scheme = url.protocol.slice(0, -1);
  const defaultPort = DEFAULT_PORTS.get(scheme);
  if (defaultPort === undefined) return `the scheme of an address is not supported: ${scheme.slice(0, 32)}`;
  if (url.username !== '' || url.password !== '') return 'an address has user information';
  const host = url.hostname.replace(/\.$/, '');
  if (host === '' || host.endsWith('.')) return 'an address has no host';
  return { scheme, host, port: url.port === '' ? defaultPort : Number(url.port), path: url.pathname };
}

export interface AllowEntry extends Address {
  readonly subdomains: boolean;
}

/** `https://host`, `https://*.host`, `https://host:port/path/`; undefined for anything else. */
export function parseAllowEntry(text: string): AllowEntry | undefined {
  const subdomains = /^[a-z]+:\/\/\*\./.test(text);
  const address = parseAddress(subdomains ? text.replace('*.', '') : text);
  if (typeof address === 'string' || address.host.includes('*') || /[?#]/.test(text)) return undefined;
  if (subdomains && networkOf(address.host) !== 'name') return undefined;
  return { ...address, subdomains };
}

function covers(entry: AllowEntry, address: Address): boolean {
  if (entry.scheme !== address.scheme || entry.port !== address.port) return false;
  const host = entry.subdomains ? address.host.endsWith(`.${entry.host}`) : address.host === entry.host;
  return host && coversPath(entry.path, address.path);
}

function coversPath(prefix: string, path: string): boolean {
  if (prefix === '/') return true;
  // A server that decodes these could leave the prefix with them.
  if (/%(2f|5c|2e|00|25)/i.test(path)) return false;
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}

/** The kind of network of a literal address; `name` where the host is a name. */
function networkOf(host: string): Network {
  if (host.startsWith('[')) return network6(host.slice(1, -1));
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return network4(host.split('.').map(Number));
  return host === 'localhost' || host.endsWith('.localhost') ? 'loopback' : 'name';
}

function network4([a = 0, b = 0]: readonly number[]): Network {
  if (a === 127 || a === 0) return 'loopback';
  const isPrivate =
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 198 && (b === 18 || b === 19)) ||
    a >= 224;
  return isPrivate ? 'private' : 'public';
}

function network6(host: string): Network {
  if (host === '::1' || host === '::') return 'loopback';
  // Addresses that carry an IPv4 address (mapped, NAT64, 6to4) are as private as we can tell: never public.
  if (host.startsWith('::') || host.startsWith('64:ff9b:') || host.startsWith('2002:')) return 'private';
  return /^(f[cd]|fe[89ab]|fe[c-f]|ff)/.test(host) ? 'private' : 'public';
}
