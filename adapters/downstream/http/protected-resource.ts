// Where clients learn how to get a token for us (RFC 9728), before they have one: which paths that is, and how it is answered. What the
// document says is adapters/identity.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonObject } from '../../../domain/json.ts';
import { JSON_HEADERS } from './post-reply.ts';
import { type HttpRefusal, routeOf } from './request-checks.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** The path of the resource that the document at `path` describes; undefined for every other path. It does not tell which servers there are. */
export function describedPath(path: string | undefined): string | undefined {
  if (path === undefined || !path.startsWith(WELL_KNOWN)) return undefined;
  const described = path.slice(WELL_KNOWN.length);
  // Clients that find nothing under the path of the resource look here.
  if (described === '') return '/mcp';
  return routeOf(described) === undefined ? undefined : described;
}

export function checkDescriptionMethod(method: string | undefined): HttpRefusal | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined;
  return { status: 405, message: 'Method not allowed', headers: { allow: 'GET, HEAD' } };
}

export function answerDescription(request: IncomingMessage, response: ServerResponse, description: JsonObject): void {
  const json = JSON.stringify(description);
  response.writeHead(200, { ...JSON_HEADERS, 'content-length': Buffer.byteLength(json) });
  response.end(request.method === 'HEAD' ? undefined : json);
}
