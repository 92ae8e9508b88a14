// The state of a round, as the client carries it: sealed with a key of this run of the gate, so that nobody else can read, make or change it.
// After a restart, and after its time, a state is worth nothing; whether it fits the request that brings it is for whoever opens it to see.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { EarlierRound } from '../../../control-plane/lineage/place.ts';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import type { CallId } from '../../../domain/ids.ts';
import type { JsonObject } from '../../../domain/json.ts';
import {
  REQUEST_STATE_CHARACTERS_MAX,
  REQUEST_STATES_USED_MAX,
  REQUEST_STATES_USED_PER_AGENT_MAX,
} from '../../../proxy/limits.ts';
import type { Clock, GateCrypto } from '../../../proxy/ports.ts';
import type { Question } from '../../../proxy/tool-server.ts';

/** Why a call goes on with a later request of the client. */
export interface Round {
  /** Its own name; it is used once. */
  readonly id: string;
  /** The execution that this one continues, or the call that is held. */
  readonly call: CallId;
  readonly agent: string;
  /** Digest of everything that the principal is, and of its view. */
  readonly bearer: string;
  /** Digest of method, target and arguments. */
  readonly request: string;
  /** What was asked, as far as the answers are compared with it. */
  readonly questions: Readonly<Record<string, Question>>;
  /** Which round this was, counted from 1. */
  readonly round: number;
  /** By the monotonic clock: a wall clock that is set back must not make an old state good again. */
  readonly expires: number;
  /** Whether the call is held here and waits; otherwise it has ended, and the server's own state is what it goes on with. */
  readonly held: boolean;
  /** What it goes on with, where the call is not held. */
  readonly continues?: EarlierRound;
  readonly state?: string;
}

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Base64 of the longest state with what we add to it. */
const SEALED_CHARACTERS_MAX = 8 * REQUEST_STATE_CHARACTERS_MAX;
const CONTEXT = Buffer.from('portcullis/request-state/v1');

export class StateSeal {
  readonly #clock: Clock;
  readonly #crypto: Pick<GateCrypto, 'randomBytes'>;
  readonly #key: Uint8Array;
  /** States that were used, by the agent that used them, and until when they would have been good. */
  readonly #used = new Map<string, Map<string, number>>();
  #usedCount = 0;

  constructor(clock: Clock, crypto: Pick<GateCrypto, 'randomBytes'>) {
    this.#clock = clock;
    this.#crypto = crypto;
    this.#key = crypto.randomBytes(32);
  }

  /** The sealed state; undefined where it would be too long to be opened again. */
  seal(round: Round): string | undefined {
    const nonce = this.#crypto.randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce).setAAD(CONTEXT);
    const sealed = [cipher.update(canonicalJson(round as unknown as JsonObject), 'utf8'), cipher.final()];
    const text = Buffer.concat([nonce, ...sealed, cipher.getAuthTag()]).toString('base64url');
    return text.length > SEALED_CHARACTERS_MAX ? undefined : text;
  }

  /** What was sealed here and is still good; undefined for everything else. */
  open(text: string): Round | undefined {
    if (text.length > SEALED_CHARACTERS_MAX || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.length <= NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== text) return undefined;
    const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(CONTEXT).setAuthTag(bytes.subarray(-TAG_BYTES));
    let json: string;
    try {
      const opened = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
      json = Buffer.concat([opened, decipher.final()]).toString('utf8');
    } catch {
      return undefined;
    }
    const round = JSON.parse(json) as Round; // Authentic, so it is what `seal` wrote.
    return round.expires > this.#clock.monotonic() ? round : undefined;
  }

  isUsed({ agent, id }: Round): boolean {
    return this.#used.get(agent)?.has(id) === true;
  }

  /** Marks it as used; false when that cannot be remembered, and then it must not be used. */
  use({ agent, id, expires }: Round): boolean {
    if (!this.#hasRoom(agent)) this.#forgetExpired();
    if (!this.#hasRoom(agent)) return false;
    const own = this.#used.get(agent) ?? new Map<string, number>();
    if (own.has(id)) return false;
    own.set(id, expires);
    this.#used.set(agent, own);
    this.#usedCount += 1;
    return true;
  }

  #hasRoom(agent: string): boolean {
    const own = this.#used.get(agent)?.size ?? 0;
    return this.#usedCount < REQUEST_STATES_USED_MAX && own < REQUEST_STATES_USED_PER_AGENT_MAX;
  }

  #forgetExpired(): void {
    const now = this.#clock.monotonic();
    for (const [agent, own] of this.#used) {
      for (const [id, expires] of own) {
        if (expires > now || !own.delete(id)) continue;
        this.#usedCount -= 1;
      }
      if (own.size === 0) this.#used.delete(agent);
    }
  }
}
