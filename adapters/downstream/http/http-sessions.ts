// Which session belongs to whom. A session's id is not a credential: it is good only together with the principal that opened it, on the
// path on which it was opened. Whoever presents another's id is told what is told about an id that never was.

import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type Denial, deny } from '../../../domain/denial.ts';
import type { Principal } from '../../../domain/principal.ts';
import type { ClientSession, CloseReason } from '../../../proxy/client-port.ts';
import type { Route } from './request-checks.ts';

export interface HttpSession {
  readonly id: string;
  readonly session: ClientSession;
  readonly principal: Principal;
  readonly server: string | undefined;
  /** Requests being answered. */
  inProgress: number;
  lastUsedMs: number;
  /** Where messages go that belong to no request, while the client listens. */
  stream: ServerResponse | undefined;
}

export interface SessionLimits {
  readonly sessionsMax: number;
  readonly sessionsPerPrincipalMax: number;
  readonly sessionIdleMs: number;
}

export class HttpSessions {
  readonly #limits: SessionLimits;
  readonly #now: () => number;
  readonly #sessions = new Map<string, HttpSession>();
  /** How many are about to be opened, of each agent. */
  readonly #coming = new Map<string, number>();

  /** `now` is a monotonic clock in milliseconds. */
  constructor(limits: SessionLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  get size(): number {
    return this.#sessions.size;
  }

  find(id: string, principal: Principal, route: Route): HttpSession | undefined {
    const found = this.#sessions.get(id);
    if (found === undefined || found.server !== route.server || !isSamePrincipal(found.principal, principal))
      return undefined;
    found.lastUsedMs = this.#now();
    return found;
  }

  /**
   * Keeps a place for one more session of this principal; `release` gives it back. Nobody loses a session by it: whoever asks for a place may
   * turn out to say nothing that opens one.
   */
  reserve({ agent }: Principal): Denial | undefined {
    const own = this.#of(agent);
    const idle = own.filter(isIdle).length;
    const coming = this.#coming.get(agent) ?? 0;
    let allComing = 0;
    for (const count of this.#coming.values()) allComing += count;
    const { sessionsMax, sessionsPerPrincipalMax } = this.#limits;
    const fits =
      own.length - idle + coming < sessionsPerPrincipalMax && this.#sessions.size - idle + allComing < sessionsMax;
    if (!fits) return deny('OVERLOADED', 'too many sessions');
    this.#coming.set(agent, coming + 1);
    return undefined;
  }

  release({ agent }: Principal): void {
    const left = (this.#coming.get(agent) ?? 1) - 1;
    if (left > 0) this.#coming.set(agent, left);
    else this.#coming.delete(agent);
  }

  /** For whoever has a place. The least recently used idle session of the same principal ends for it if need be. */
  add(session: ClientSession, principal: Principal, route: Route): HttpSession {
    const own = this.#of(principal.agent);
    // Clients that just end leave their sessions behind. Those make room; sessions in use never do, and nobody's but one's own.
    if (own.length >= this.#limits.sessionsPerPrincipalMax || this.#sessions.size >= this.#limits.sessionsMax) {
      const [oldest] = own.filter(isIdle).sort((a, b) => a.lastUsedMs - b.lastUsedMs);
      if (oldest !== undefined) void this.end(oldest, 'disconnect');
    }
    const id = randomBytes(16).toString('base64url');
    const held: HttpSession = {
      id,
      session,
      principal,
      server: route.server,
      inProgress: 0,
      lastUsedMs: this.#now(),
      stream: undefined,
    };
    this.#sessions.set(id, held);
    return held;
  }

  /** From here on its id is unknown. Resolves when its calls have ended. */
  async end(held: HttpSession, reason: CloseReason): Promise<void> {
    if (!this.#sessions.delete(held.id)) return;
    held.stream?.end();
    held.stream = undefined;
    await held.session.close(reason);
  }

  async endAll(reason: CloseReason): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((held) => this.end(held, reason)));
  }

  /** Ends what has not been used for too long. A client that listens uses its session. */
  sweep(): void {
    const oldest = this.#now() - this.#limits.sessionIdleMs;
    for (const held of this.#sessions.values()) {
      if (isIdle(held) && held.lastUsedMs < oldest) void this.end(held, 'disconnect');
    }
  }

  #of(agent: string): HttpSession[] {
    return [...this.#sessions.values()].filter(({ principal }) => principal.agent === agent);
  }

  /** The streams that are open now. */
  *streams(): Generator<ServerResponse> {
    for (const { stream } of this.#sessions.values()) if (stream !== undefined) yield stream;
  }
}

function isIdle(held: HttpSession): boolean {
  return held.inProgress === 0 && held.stream === undefined;
}

/** What answers requests, and when it did last. */
export interface Used {
  inProgress: number;
  lastUsedMs: number;
}

/** It is busy until the returned function is called, and was in use up to then, however long that took. */
export function use(used: Used, now: () => number): () => void {
  used.inProgress += 1;
  return () => {
    used.inProgress -= 1;
    used.lastUsedMs = now();
  };
}

/** The same in everything: a credential that now says less must not go on with what an earlier one said. */
function isSamePrincipal(a: Principal, b: Principal): boolean {
  if (a === b) return true;
  return (
    a.agent === b.agent &&
    a.connection === b.connection &&
    a.proofKey === b.proofKey &&
    a.authentication === b.authentication &&
    a.root === b.root &&
    a.roles.length === b.roles.length &&
    a.roles.every((role, index) => role === b.roles[index])
  );
}
