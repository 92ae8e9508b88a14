// Who sends requests without a session: one conversation for each principal on each path, found again by every later request of the same
// principal. It is opened with the first, kept while it is used, and ended when it was idle for too long or another one needs its place.

import { type Denial, deny } from '../../../domain/denial.ts';
import type { Principal } from '../../../domain/principal.ts';
import type { ClientSession, ClientSessions, CloseReason } from '../../../proxy/client-port.ts';
import type { SessionLimits } from './http-sessions.ts';
import type { Route } from './request-checks.ts';

export interface ModernClient {
  readonly session: ClientSession;
  readonly agent: string;
  /** Requests being answered. */
  inProgress: number;
  lastUsedMs: number;
}

export class ModernClients {
  readonly #sessions: ClientSessions;
  readonly #limits: SessionLimits;
  readonly #now: () => number;
  readonly #clients = new Map<string, ModernClient>();

  /** `now` is a monotonic clock in milliseconds. */
  constructor(sessions: ClientSessions, limits: SessionLimits, now: () => number) {
    this.#sessions = sessions;
    this.#limits = limits;
    this.#now = now;
  }

  /** The conversation of a principal on a path. */
  of(principal: Principal, route: Route): ModernClient | Denial {
    const key = keyOf(principal, route);
    const known = this.#clients.get(key);
    if (known !== undefined) {
      known.lastUsedMs = this.#now();
      return known;
    }
    const full = this.#makeRoom(principal);
    if (full !== undefined) return full;
    const view =
      route.view === 'all' ? ({ kind: 'all' } as const) : ({ kind: 'server', server: route.server } as const);
    const session = this.#sessions.open({ principal }, view);
    if ('code' in session) return session;
    const client = { session, agent: principal.agent, inProgress: 0, lastUsedMs: this.#now() };
    this.#clients.set(key, client);
    return client;
  }

  /** Ends what has not been used for too long. */
  sweep(): void {
    const oldest = this.#now() - this.#limits.sessionIdleMs;
    for (const [key, client] of this.#clients) {
      if (client.inProgress === 0 && client.lastUsedMs < oldest) void this.#end(key, client, 'disconnect');
    }
  }

  stopListening(): void {
    for (const { session } of this.#clients.values()) session.stopListening?.();
  }

  async endAll(reason: CloseReason): Promise<void> {
    await Promise.all([...this.#clients].map(([key, client]) => this.#end(key, client, reason)));
  }

  async #end(key: string, client: ModernClient, reason: CloseReason): Promise<void> {
    if (this.#clients.delete(key)) await client.session.close(reason);
  }

  #makeRoom({ agent }: Principal): Denial | undefined {
    const own = [...this.#clients].filter(([, client]) => client.agent === agent);
    const { sessionsMax, sessionsPerPrincipalMax } = this.#limits;
    if (own.length < sessionsPerPrincipalMax && this.#clients.size < sessionsMax) return undefined;
    const idle = own.filter(([, client]) => client.inProgress === 0);
    const [oldest] = idle.sort(([, a], [, b]) => a.lastUsedMs - b.lastUsedMs);
    if (oldest === undefined) return deny('OVERLOADED', 'too many conversations');
    void this.#end(...oldest, 'disconnect');
    return undefined;
  }
}

/** Everything that a principal is: a credential that now says less must not go on with what an earlier one said. */
function keyOf(principal: Principal, { server }: Route): string {
  const { agent, connection, proofKey, authentication, root, roles } = principal;
  return JSON.stringify([agent, connection, proofKey ?? null, authentication, root, roles, server ?? null]);
}
