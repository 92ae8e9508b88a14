// The words of HTTP that a proxy reads and passes on: the absolute address of a plain request, and the headers that are for the next one only.

import type { IncomingHttpHeaders } from 'node:http';
import { type EgressHost, parseEgressTarget } from '../../control-plane/policy/egress.ts';

export interface HttpTarget {
  readonly target: EgressHost & { readonly port: number };
  readonly authority: string;
  readonly path: string;
}

const HTTP_PORT = 80;

/** `http://HOST[:PORT]/path?query`; undefined for anything else, such as a name before the host. */
export function parseHttpTarget(text: string): HttpTarget | undefined {
  const [, authority, rest = ''] = /^http:\/\/([^/?#@\\]+)((?:[/?][^#]*)?)$/i.exec(text) ?? [];
  const target = authority === undefined ? undefined : parseEgressTarget(authority, HTTP_PORT);
  if (authority === undefined || target === undefined) return undefined;
  return { target, authority, path: rest.startsWith('/') ? rest : `/${rest}` };
}

const FOR_THE_NEXT_ONLY = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The headers without those that speak of this connection. */
export function passedOn(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = new Set(`${headers.connection ?? ''}`.split(',').map((name) => name.trim().toLowerCase()));
  return Object.fromEntries(
    Object.entries(headers).filter(
      (header): header is [string, string | string[]] =>
        header[1] !== undefined && !FOR_THE_NEXT_ONLY.has(header[0]) && !named.has(header[0]),
    ),
  );
}
