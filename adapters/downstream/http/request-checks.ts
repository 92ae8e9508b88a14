// What can be said about an HTTP request before anybody reads its body. Each check returns a refusal or undefined; none of them decides
// whether the sender may do what it asks.

import type { IncomingMessage } from 'node:http';
import type { DenialCode } from '../../../domain/denial.ts';
import { isServedRevision, MODERN_REVISION } from '../../../proxy/method-table.ts';
import { LINEAGE_HEADER } from '../../../proxy/own-name.ts';

/** A refusal in the words of HTTP. It goes to whoever is on the line, so it names nothing that he did not send himself. */
export interface HttpRefusal {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The JSON-RPC error that says it; an invalid request when absent. */
  readonly code?: number;
  /** How it is recorded where the sender is known; as a malformed message when absent. */
  readonly denial?: DenialCode;
}

export type Route =
  | { readonly view: 'all'; readonly server: undefined }
  | { readonly view: 'server'; readonly server: string };

const ALL: Route = { view: 'all', server: undefined };
const SERVER_PATH = /^\/mcp\/([A-Za-z0-9][A-Za-z0-9_.-]{0,127})$/;

/** Headers whose second copy another hop could believe instead of the first, each with a bit of its own. */
const SINGLE = new Map(
  [
    'authorization',
    'content-encoding',
    'content-length',
    'content-type',
    'dpop',
    'host',
    'mcp-protocol-version',
    'mcp-session-id',
    'origin',
    'transfer-encoding',
  ].map((name, index) => [name, 1 << index]),
);

/** The conversation that a path names. Exactly the paths we serve: no query, no escapes, no trailing slash. */
export function routeOf(path: string | undefined): Route | undefined {
  if (path === '/mcp') return ALL;
  const server = path === undefined ? undefined : SERVER_PATH.exec(path)?.[1];
  return server === undefined ? undefined : { view: 'server', server };
}

/** Everything that can be said of a request's form, whoever sent it. */
export function checkForm(request: IncomingMessage): HttpRefusal | undefined {
  const { headers, method, rawHeaders } = request;
  return (
    (method === 'POST' ? checkContentType(headers['content-type']) : undefined) ??
    checkFraming(request) ??
    (method === 'POST' ? checkAccept(headers.accept, ['application/json', 'text/event-stream']) : undefined) ??
    (method === 'GET' ? checkAccept(headers.accept, ['text/event-stream']) : undefined) ??
    checkMirrors(rawHeaders) ??
    checkLineageHeader(rawHeaders) ??
    // A message that names a revision we do not know is told by its own error which ones there are.
    (method === 'POST' ? undefined : checkRevision(headers['mcp-protocol-version']))
  );
}

const POST_ONLY: HttpRefusal = { status: 405, message: 'Method not allowed', headers: { allow: 'POST' } };

export const WRONG_REVISION: HttpRefusal = {
  status: 400,
  message: 'MCP-Protocol-Version is not supported, or not that of the session',
  denial: 'HEADER_MISMATCH',
};

function checkRevision(version: string | string[] | undefined): HttpRefusal | undefined {
  if (typeof version !== 'string' || isServedRevision(version)) return undefined;
  return version === MODERN_REVISION ? POST_ONLY : WRONG_REVISION;
}

export function checkMethod(method: string | undefined): HttpRefusal | undefined {
  if (method === 'POST' || method === 'GET' || method === 'DELETE') return undefined;
  return { status: 405, message: 'Method not allowed', headers: { allow: 'POST, GET, DELETE' } };
}

export function checkRepeatedHeaders(rawHeaders: readonly string[]): HttpRefusal | undefined {
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    const bit = SINGLE.get(name) ?? 0;
    if ((seen & bit) !== 0) return { status: 400, message: `Repeated header: ${name}` };
    seen |= bit;
  }
  return undefined;
}

/** The error of 2026-07-28 for headers that do not say what the message says. */
const MISMATCH = { code: -32020, denial: 'HEADER_MISMATCH' } as const;

/** Joined they would be one token that neither is. */
export function checkLineageHeader(rawHeaders: readonly string[]): HttpRefusal | undefined {
  const isIt = (name: string, index: number): boolean => index % 2 === 0 && name.toLowerCase() === LINEAGE_HEADER;
  if (rawHeaders.filter(isIt).length < 2) return undefined;
  return { status: 400, message: `Repeated header: ${LINEAGE_HEADER}`, denial: 'LINEAGE_TOKEN' };
}

/** Of two headers that mirror a message one hop could read the first and another the second; joined they could even agree with it. */
export function checkMirrors(rawHeaders: readonly string[]): HttpRefusal | undefined {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (!name.startsWith('mcp-')) continue;
    if (seen.has(name)) return { status: 400, message: `Repeated header: ${name}`, ...MISMATCH };
    seen.add(name);
  }
  return undefined;
}

/** A browser that was lured to another name for our address sends that name: DNS rebinding ends here. */
export function checkHost(host: string | undefined, allowed: ReadonlySet<string>): HttpRefusal | undefined {
  if (host !== undefined && allowed.has(host.toLowerCase())) return undefined;
  return { status: 403, message: 'Host not allowed' };
}

/** Only browsers send an origin. One that is not ours is somebody else's page. */
export function checkOrigin(origin: string | undefined, allowed: ReadonlySet<string>): HttpRefusal | undefined {
  if (origin === undefined || allowed.has(origin.toLowerCase())) return undefined;
  return { status: 403, message: 'Origin not allowed' };
}

/** A page can send forms and plain text anywhere without asking; JSON it cannot. */
export function checkContentType(contentType: string | undefined): HttpRefusal | undefined {
  if (contentType === 'application/json') return undefined;
  const [type = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase());
  const utf8 = (parameter: string): boolean => parameter === 'charset=utf-8' || parameter === 'charset="utf-8"';
  if (type === 'application/json' && parameters.every(utf8)) return undefined;
  return { status: 415, message: 'Content-Type must be application/json in UTF-8' };
}

const ACCEPTS_BOTH = 'application/json, text/event-stream';

export function checkAccept(accept: string | undefined, needed: readonly string[]): HttpRefusal | undefined {
  if (accept === ACCEPTS_BOTH) return undefined;
  const offered = (accept ?? '').split(',').map(acceptedType);
  if (needed.every((type) => offered.includes(type))) return undefined;
  return { status: 406, message: `Not acceptable: the client must accept ${needed.join(' and ')}` };
}

function acceptedType(range: string): string | undefined {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
  return parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter)) ? undefined : type;
}

/** How the body is framed. Node itself refuses a length together with a transfer encoding, and lengths that disagree. */
export function checkFraming(request: IncomingMessage): HttpRefusal | undefined {
  const { headers, httpVersion } = request;
  const coding = headers['transfer-encoding'];
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return { status: 505, message: 'HTTP version not supported' };
  // RFC 9112 section 6.1: whoever spoke 1.0 to the hop before us cannot have meant it.
  if (httpVersion === '1.0' && coding !== undefined) return { status: 400, message: 'Transfer-Encoding in HTTP/1.0' };
  if (headers['content-encoding'] !== undefined) return { status: 415, message: 'Content-Encoding is not supported' };
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return { status: 501, message: 'Transfer-Encoding not supported' };
  const length = headers['content-length'];
  if (length !== undefined && coding !== undefined)
    return { status: 400, message: 'Both Content-Length and Transfer-Encoding' };
  if (request.method !== 'POST') {
    return coding !== undefined || (length ?? '0') !== '0'
      ? { status: 400, message: 'A body is not expected here' }
      : undefined;
  }
  return coding === undefined && (length ?? '0') === '0' ? { status: 400, message: 'The body is empty' } : undefined;
}
