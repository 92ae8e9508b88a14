// The public keys of an authorization server: a JWK set from a file, or from an address over https (or plain http on this machine). Bounded
// in size, time and frequency, and it goes nowhere but to that address, in a network where the operator said it is.

import { readFileSync } from 'node:fs';
import { createLocalJWKSet, createRemoteJWKSet, customFetch, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { boundedExchange } from '../network/bounded-exchange.ts';
import { type Route, type RouteConfig, routeTo } from '../network/route.ts';

/** A key set holds a handful of keys; those with long certificate chains are still below this. */
const KEY_SET_BYTES_MAX = 262_144;
const LIMITS = { timeoutMs: 5_000, bytesMax: KEY_SET_BYTES_MAX };
/** A token with an unknown key id makes us look again, but not more often than this. */
const COOLDOWN_MS = 30_000;
/** After a failed attempt the next waits so long, so that nobody can make us hammer an ailing server. */
const FAILURE_COOLDOWN_MS = 2_000;
const CACHE_MS = 600_000;

export type KeySet = JWTVerifyGetKey;

/** Where it lies, where that is not said by its address. For tests: who resolves names, and who vouches for certificates. */
export type KeySetWay = Pick<RouteConfig, 'network'> & Partial<Pick<Route, 'resolve' | 'trusted'>>;

/** `location` is an address or the path of a file. Throws, with a sentence for the operator, on a place that keys must not come from. */
export function openKeySet(location: string, { network, ...more }: KeySetWay = {}): KeySet {
  if (!/^[A-Za-z][A-Za-z0-9+.-]+:\/\//.test(location)) return fileKeySet(location);
  const url = new URL(location);
  if (!isTrustworthy(url)) throw new Error(`${url.origin}: keys come over https, or over http from this machine`);
  return createRemoteJWKSet(url, {
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: CACHE_MS,
    [customFetch]: boundedFetch(routeTo(url.hostname, { network }, more)),
  });
}

/** Read once: whoever changes the file starts the gate again. */
function fileKeySet(path: string): KeySet {
  const bytes = readFileSync(path);
  if (bytes.length > KEY_SET_BYTES_MAX) throw new Error(`${path} is too large for a key set`);
  return createLocalJWKSet(JSON.parse(bytes.toString('utf8')) as JSONWebKeySet);
}

function isTrustworthy(url: URL): boolean {
  if (url.username !== '' || url.password !== '') return false;
  if (url.protocol === 'https:') return true;
  // The URL parser has already brought every way to write an IPv4 address into this form.
  return (
    url.protocol === 'http:' && (/^127(\.\d+){3}$/.test(url.hostname) || ['localhost', '[::1]'].includes(url.hostname))
  );
}

function boundedFetch(route: Route): typeof fetch {
  let failedAt = Number.NEGATIVE_INFINITY;
  return async (input, init) => {
    if (performance.now() - failedAt < FAILURE_COOLDOWN_MS)
      throw new Error('the key set could not be fetched a moment ago');
    try {
      // No redirect is followed: it would be answered by somebody whom the operator did not name.
      const response = await boundedExchange(new URL(String(input)), init ?? {}, route, LIMITS);
      const body = await response.arrayBuffer();
      if (response.status !== 200) throw new Error(`the key set was answered with status ${response.status}`);
      // Throws where this is no key set, so that an answer which is of no use counts as a failure too.
      createLocalJWKSet(JSON.parse(new TextDecoder().decode(body)) as JSONWebKeySet);
      return new Response(body, { status: 200 });
    } catch (error) {
      failedAt = performance.now();
      throw error;
    }
  };
}
