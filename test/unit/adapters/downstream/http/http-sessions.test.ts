// How long a session without a request stays: counted from the end of the last one.

import { describe, expect, it } from 'vitest';
import { HttpSessions, use } from '../../../../../adapters/downstream/http/http-sessions.ts';
import { ModernClients } from '../../../../../adapters/downstream/http/modern-clients.ts';
import type { ClientSession } from '../../../../../proxy/client-port.ts';
import { PRINCIPAL } from '../../../../support/gate-world.ts';

const LIMITS = { sessionsMax: 4, sessionsPerPrincipalMax: 4, sessionIdleMs: 1_000 };
const ROUTE = { view: 'all', server: undefined } as const;

function world() {
  const ended: string[] = [];
  let now = 0;
  const session = (): ClientSession => ({
    revision: undefined,
    receive: async () => {},
    refuse: async () => {},
    onNotification: () => {},
    close: async (reason) => {
      ended.push(reason);
    },
  });
  const wait = (ms: number): void => {
    now += ms;
  };
  return { ended, session, wait, now: () => now };
}

describe('a conversation whose request took longer than it may be idle', () => {
  it('is not ended while it is answered, nor before it was idle for that long', () => {
    const { ended, session, wait, now } = world();
    const legacy = new HttpSessions(LIMITS, now);
    const modern = new ModernClients({ open: session, refuse: async () => {} }, LIMITS, now);
    const client = modern.of(PRINCIPAL, ROUTE);
    if ('code' in client) throw new Error(client.code);
    const done = [use(legacy.add(session(), PRINCIPAL, ROUTE), now), use(client, now)];
    const sweep = (): void => {
      legacy.sweep();
      modern.sweep();
    };
    wait(5_000);
    sweep();
    for (const unused of done) unused();
    wait(1_000);
    sweep();
    expect(ended).toEqual([]);
    wait(1);
    sweep();
    expect(ended).toEqual(['disconnect', 'disconnect']);
  });
});
