// From a request to the bytes of its message, or to a refusal that has been recorded and answered. Whose message it is and what it says is
// for others to see.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DenialCode } from '../../../domain/denial.ts';
import type { Reply } from '../../../proxy/client-port.ts';
import { bodyAtHand, discardBody, type IncomingBodies } from './body.ts';
import { writeRefusal } from './refusal-reply.ts';
import type { HttpRefusal } from './request-checks.ts';

export interface IntakeLimits {
  readonly messageBytesMax: number;
  readonly bodyTimeoutMs: number;
}

/** Records that a message did not become whole, and may say so in words of its own. */
export type Recorder = (code: DenialCode, detail: string, tell: Reply) => Promise<void>;

export class MessageIntake {
  readonly #limits: IntakeLimits;
  readonly #bodies: IncomingBodies;
  #turns: Promise<void> = Promise.resolve();

  constructor(limits: IntakeLimits, bodies: IncomingBodies) {
    this.#limits = limits;
    this.#bodies = bodies;
  }

  /** One large message in each turn of the loop: many that end at once must not hold up everybody else while they are read. */
  #turn(): Promise<void> {
    this.#turns = this.#turns.then(() => new Promise((resolve) => setImmediate(resolve)));
    return this.#turns;
  }

  /** The message; undefined once it is refused. */
  async read(request: IncomingMessage, response: ServerResponse, record: Recorder): Promise<Uint8Array | undefined> {
    const { messageBytesMax, bodyTimeoutMs } = this.#limits;
    const refuse = async (code: DenialCode, detail: string, refusal: HttpRefusal): Promise<undefined> => {
      discardBody(request, messageBytesMax);
      let told: string | undefined;
      await record(code, detail, (json) => {
        told = json;
      });
      writeRefusal(request, response, refusal, told);
    };
    const tooLarge = (bytes: number) => refuse('MESSAGE_TOO_LARGE', `a body of ${bytes} bytes or more`, TOO_LARGE);
    const declared = Number(request.headers['content-length'] ?? 0);
    if (declared > messageBytesMax) return tooLarge(declared);
    if (request.headers.expect !== undefined) response.writeContinue();
    const body =
      bodyAtHand(request, messageBytesMax) ?? (await this.#bodies.read(request, messageBytesMax, bodyTimeoutMs));
    switch (body.kind) {
      case 'whole':
        if (body.bytes.byteLength > LARGE_BYTES) await this.#turn();
        return body.bytes;
      case 'too_large':
        return tooLarge(body.bytes);
      case 'too_slow':
        response.shouldKeepAlive = false;
        return refuse('MESSAGE_MALFORMED', 'a body that did not come in time', TOO_SLOW);
      case 'crowded_out':
        response.shouldKeepAlive = false;
        return refuse('OVERLOADED', 'too much is coming in', CROWDED_OUT);
      case 'broken_off':
        await record('MESSAGE_MALFORMED', 'a body that broke off', () => {});
        response.destroy();
        return undefined;
    }
  }
}

/** A message of this size takes a millisecond or more to read. */
const LARGE_BYTES = 64 * 1024;

const TOO_LARGE: HttpRefusal = { status: 413, message: 'Message too large' };
const TOO_SLOW: HttpRefusal = { status: 408, message: 'The body did not come in time' };
const CROWDED_OUT: HttpRefusal = {
  status: 503,
  message: 'Too much is coming in',
  headers: { 'retry-after': '1' },
};
