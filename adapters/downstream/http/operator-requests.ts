// The operator's requests: what was ordered, and one more order. Each needs the key of an operator, whatever else clients of the gate have to prove;
// where nobody is an operator the path does not exist. What is refused here has ordered nothing.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { Defect } from '../../../domain/defect.ts';
import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { parseStrictJson } from '../../../domain/strict-json.ts';
import type { Operators } from '../ports.ts';
import { bodyAtHand, type IncomingBodies } from './body.ts';
import { JSON_HEADERS } from './post-reply.ts';
import { checkContentType, checkFraming, type HttpRefusal } from './request-checks.ts';

export const OPERATOR_PATH = '/operator/orders';

const BODY = { bytesMax: 16 * 1024, depthMax: 4, nodesMax: 32 };
const BODY_TIMEOUT_MS = 10_000;

export class OperatorRequests {
  readonly #operators: Operators;
  readonly #bodies: IncomingBodies;

  constructor(operators: Operators, bodies: IncomingBodies) {
    this.#operators = operators;
    this.#bodies = bodies;
  }

  /** Answers a request that was meant for us, or says why not. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<HttpRefusal | undefined> {
    const { method, headers } = request;
    if (method !== 'GET' && method !== 'POST') return NOT_ALLOWED;
    const by = this.#operators.identify(headers.authorization);
    if (by === undefined) return UNKNOWN_OPERATOR;
    const misformed =
      (method === 'POST' ? checkContentType(headers['content-type']) : undefined) ?? checkFraming(request);
    if (misformed !== undefined) return misformed;
    if (method === 'GET') {
      const orders = await this.#operators.orders().catch(unlessDefect);
      return orders === undefined ? NOT_KNOWN : reply(response, 200, { orders });
    }
    if (headers.expect !== undefined) response.writeContinue();
    const body =
      bodyAtHand(request, BODY.bytesMax) ?? (await this.#bodies.read(request, BODY.bytesMax, BODY_TIMEOUT_MS));
    if (body.kind !== 'whole') return { status: body.kind === 'too_large' ? 413 : 408, message: 'Not a whole body' };
    const parsed = parseStrictJson(body.bytes, BODY);
    if (!parsed.ok || !isJsonObject(parsed.value)) return { status: 400, message: 'The body is not a JSON object' };
    const ordered = await this.#operators.order(parsed.value, by).catch(unlessDefect);
    if (ordered === undefined) return NOT_KEPT;
    return 'problem' in ordered
      ? { status: 400, message: ordered.problem }
      : reply(response, ordered.done ? 200 : 502, ordered.answer);
  }
}

/** Where the world failed, not the gate, that goes on with what it has, and the operator is told. */
function unlessDefect(error: unknown): undefined {
  if (error instanceof Defect) throw error;
}

function reply(response: ServerResponse, status: number, answer: JsonObject): undefined {
  const json = JSON.stringify(answer);
  response.writeHead(status, { ...JSON_HEADERS, 'content-length': Buffer.byteLength(json) });
  response.end(json);
}

const NOT_KEPT: HttpRefusal = { status: 503, message: 'The order could not be kept: see what was ordered' };
const NOT_ALLOWED: HttpRefusal = { status: 405, message: 'Method not allowed', headers: { allow: 'GET, POST' } };
const NOT_KNOWN: HttpRefusal = { status: 503, message: 'What was ordered cannot be read' };
const UNKNOWN_OPERATOR: HttpRefusal = {
  status: 401,
  message: 'The key of an operator is required',
  headers: { 'www-authenticate': 'Bearer' },
};
