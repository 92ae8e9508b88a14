// Calls that a later request of their client goes on with. Kept for the whole gate, because such a request comes on its own: all it shares with
// the one before is the principal and what it asks for. Both are compared; a state that fits anything else fits nothing.

import type { EarlierRound } from '../../../control-plane/lineage/place.ts';
import { encodeBase64url } from '../../../domain/base64url.ts';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { type CallId, ulid } from '../../../domain/ids.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { Principal } from '../../../domain/principal.ts';
import { answerable } from '../../../proxy/client-answer-check.ts';
import type { Operation } from '../../../proxy/conversation.ts';
import { REQUEST_STATE_MS } from '../../../proxy/limits.ts';
import type { Clock, GateCrypto } from '../../../proxy/ports.ts';
import type { Question } from '../../../proxy/tool-server.ts';
import { HeldCalls } from './held-calls.ts';
import { type Round, StateSeal } from './state-seal.ts';

export type RoundsCrypto = Pick<GateCrypto, 'sha256' | 'randomBytes'>;

/** Who asks for what. */
export interface Asker {
  readonly principal: Principal;
  readonly view: string;
  readonly operation: Operation;
}

export interface RoundParts {
  readonly call: CallId;
  readonly questions: Readonly<Record<string, Question>>;
  readonly round: number;
  readonly held: boolean;
  /** What a later round goes on with, where the call is not held. */
  readonly continues?: EarlierRound | undefined;
  /** The server's own. */
  readonly state?: string | undefined;
}

export class OpenRounds {
  readonly held: HeldCalls;
  readonly #clock: Clock;
  readonly #crypto: RoundsCrypto;
  readonly #seal: StateSeal;

  constructor(clock: Clock, crypto: RoundsCrypto) {
    this.#clock = clock;
    this.#crypto = crypto;
    this.#seal = new StateSeal(clock, crypto);
    this.held = new HeldCalls(clock);
  }

  /** The state with which the client comes back; undefined where there would be too much in it. */
  begin(asker: Asker, { call, questions, round, held, continues, state }: RoundParts): string | undefined {
    return this.#seal.seal({
      id: ulid(this.#clock.now(), this.#crypto.randomBytes(10)),
      call,
      ...this.#boundTo(asker),
      questions: answerable(questions),
      round,
      expires: this.#clock.monotonic() + REQUEST_STATE_MS,
      held,
      ...(continues === undefined ? {} : { continues }),
      ...(state === undefined ? {} : { state }),
    });
  }

  /** The round that a state continues, or why it continues none. It is still to be used. */
  find(asker: Asker, text: unknown): Round | string {
    const round = typeof text === 'string' ? this.#seal.open(text) : undefined;
    if (round === undefined) return 'not a state of this gate, or too old';
    const { bearer, request } = this.#boundTo(asker);
    if (round.bearer !== bearer) return 'the state of somebody else';
    if (round.request !== request) return 'the state of another request';
    return this.#seal.isUsed(round) ? 'a state that was used before' : round;
  }

  /** Uses it up; false when it cannot be used. */
  use(round: Round): boolean {
    return this.#seal.use(round);
  }

  #boundTo({ principal, view, operation }: Asker): Pick<Round, 'agent' | 'bearer' | 'request'> {
    const { method, server, tool, arguments: args, rest } = operation;
    const bearer = this.#digest({ principal: { ...principal }, view });
    return { agent: principal.agent, bearer, request: this.#digest({ method, server, tool, arguments: args, rest }) };
  }

  #digest(value: JsonObject): string {
    return encodeBase64url(this.#crypto.sha256(new TextEncoder().encode(canonicalJson(value))));
  }
}
