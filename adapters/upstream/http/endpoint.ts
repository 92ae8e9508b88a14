// Where a remote server is and what we say to it with every request. Checked whole before the first byte is sent.

import { validateHeaderName, validateHeaderValue } from 'node:http';
import { targetOf } from '../../network/guarded-connection.ts';
import { misledTo, type Route, type RouteConfig } from '../../network/route.ts';
import type { OwnSecrets } from './own-secrets.ts';

/** Text from the configuration, or a secret that stays in our environment. */
export type HeaderValue = string | { readonly fromEnv: string; readonly prefix?: string };

export interface EndpointConfig extends RouteConfig {
  readonly url: string;
  readonly headers?: Readonly<Record<string, HeaderValue>>;
  /** Without this, plain http and ws go to loopback only. */
  readonly cleartext?: 'on-a-network-i-trust';
}

export interface Endpoint {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly route: Route;
  readonly secrets: OwnSecrets;
}

export interface EndpointSurroundings extends Pick<Endpoint, 'route' | 'secrets'> {
  readonly kind: keyof typeof SCHEMES;
}

export type ResolvedEndpoint = ({ readonly ok: true } & Endpoint) | { readonly ok: false; readonly reason: string };

/** Ours to set, or dangerous to let anybody set. */
const RESERVED = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'last-event-id',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const RESERVED_PREFIXES = ['mcp-', 'portcullis-', 'sec-'];

/** The schemes of a kind of server: the one for any network first, then the one for this machine. */
const SCHEMES = { http: ['https', 'http'], ws: ['wss', 'ws'] } as const;

export function resolveEndpoint(
  config: EndpointConfig,
  environment: Readonly<Record<string, string | undefined>>,
  { kind, route, secrets }: EndpointSurroundings,
): ResolvedEndpoint {
  const refuse = (reason: string): ResolvedEndpoint => ({ ok: false, reason });
  if (!URL.canParse(config.url)) return refuse('its address is not a URL');
  const url = new URL(config.url);
  const [secure, plain] = SCHEMES[kind];
  if (url.protocol !== `${secure}:` && url.protocol !== `${plain}:`)
    return refuse(`its address is neither ${secure} nor ${plain}`);
  if (kind === 'ws' && url.hash !== '') return refuse('its address has a fragment, which no server hears of');
  if (url.username !== '' || url.password !== '')
    return refuse('its address holds credentials; give them as a header from the environment');
  if (url.protocol === `${plain}:` && !isLoopback(url.hostname) && config.cleartext !== 'on-a-network-i-trust') {
    return refuse(`its address is plain ${plain} and not on this machine`);
  }
  const misled = misledTo(url.hostname, route);
  if (misled !== undefined) return refuse(misled.message);
  if (route.pins.length > 0 && !targetOf(url).secure)
    return refuse(`a server on plain ${plain} has no key to be pinned`);
  const headers: Record<string, string> = {};
  for (const [name, from] of Object.entries(config.headers ?? {})) {
    const lower = name.toLowerCase();
    if (RESERVED.has(lower) || RESERVED_PREFIXES.some((prefix) => lower.startsWith(prefix)))
      return refuse(`the header ${name} is not the configuration's to set`);
    const held = typeof from === 'string' ? from : environment[from.fromEnv];
    if (held === undefined || held === '') {
      const variable = typeof from === 'string' ? '' : from.fromEnv;
      return refuse(
        variable === ''
          ? `the header ${name} has no value`
          : `the header ${name} needs the environment variable ${variable}, which is not set`,
      );
    }
    const value = typeof from === 'string' ? held : `${from.prefix ?? ''}${held}`;
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      // The value may be a secret and is not repeated.
      return refuse(`the header ${JSON.stringify(name)} is not a valid header`);
    }
    headers[lower] = value;
    if (typeof from !== 'string') secrets.keepHeader(name, held);
  }
  return { ok: true, url, headers, route, secrets };
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
