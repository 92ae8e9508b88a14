// Whether the gate is there, and how it is. `/livez` says to anybody that the process answers, and nothing else: for whoever distributes load.
// `/health` says to operators what shuts the gate and what waits for a person; where nobody is an operator the path does not exist.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Health, Operators } from '../ports.ts';
import { JSON_HEADERS, SECURITY_HEADERS } from './post-reply.ts';
import { checkFraming, type HttpRefusal } from './request-checks.ts';

export const HEALTH_PATH = '/health';
export const LIVE_PATH = '/livez';

/** However often it is asked for, it is looked up once in so long. */
const FRESH_MS = 1_000;

/** Answers a request for `/livez`, or says why not. It does not look at whom it is for: it tells less than the open port does. */
export function answerLive(request: IncomingMessage, response: ServerResponse): HttpRefusal | undefined {
  const refusal = checkGet(request);
  if (refusal !== undefined) return refusal;
  response.writeHead(204, SECURITY_HEADERS);
  response.end();
  return undefined;
}

export class HealthRequests {
  readonly #operators: Operators;
  #last: { readonly at: number; readonly health: Promise<Health> } | undefined;

  constructor(operators: Operators) {
    this.#operators = operators;
  }

  /** Answers with 200 while the gate is open and with 503 while it is shut, or says why it does not answer. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<HttpRefusal | undefined> {
    const refusal = checkGet(request);
    if (refusal !== undefined) return refusal;
    if (this.#operators.identify(request.headers.authorization) === undefined) return UNKNOWN_OPERATOR;
    const { open, ...more } = await this.#health();
    const json = JSON.stringify({ open, ...more });
    response.writeHead(open ? 200 : 503, { ...JSON_HEADERS, 'content-length': Buffer.byteLength(json) });
    response.end(request.method === 'HEAD' ? undefined : json);
    return undefined;
  }

  #health(): Promise<Health> {
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at >= FRESH_MS)
      this.#last = { at: now, health: this.#operators.health() };
    return this.#last.health;
  }
}

function checkGet(request: IncomingMessage): HttpRefusal | undefined {
  const { method } = request;
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, message: 'Method not allowed', headers: { allow: 'GET, HEAD' } };
  return checkFraming(request);
}

const UNKNOWN_OPERATOR: HttpRefusal = {
  status: 401,
  message: 'The key of an operator is required',
  headers: { 'www-authenticate': 'Bearer' },
};
