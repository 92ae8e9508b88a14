// What a real tool server sees of `limits.concurrency`: several sessions send three times as much as it takes.

import { afterAll, expect } from 'vitest';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { callsOf, heardIn } from '../support/evidence.ts';
import { denialOf, RawHttp, RawStdio, textOf } from '../support/raw-mcp.ts';

afterAll(closeInstallations);

const ALLOW_ALL = `@id("all")
@reason("everything the crowd does is harmless")
permit (principal, action, resource == Portcullis::Server::"crowd");
`;

function crowd(limits: object): { at: Installation; heard: string; line: readonly string[] } {
  const at = installation();
  const heard = at.path('heard.jsonl');
  const line = [process.execPath, fixtureServer('crowd.mjs'), heard];
  const [command, ...args] = line;
  at.configure(
    { agents: { me: { roles: [], auth: 'local' } }, servers: { crowd: { stdio: { command, args }, limits } } },
    ALLOW_ALL,
  );
  return { at, heard, line };
}

proves(
  'G1',
  'a server never has more calls at once than its manifest says, from however many sessions, and every call ends well',
  async () => {
    const { at, heard } = crowd({ concurrency: 3 });
    const gate = at.start(['serve', '--name', 'crowd', '--http', '127.0.0.1:0']);
    const url = await urlOf(gate, 'crowd');
    const clients = [new RawHttp(url), new RawHttp(url), new RawHttp(url)];
    for (const client of clients) await client.initialize();
    const replies = await Promise.all(
      clients.flatMap((client) => Array.from({ length: 6 }, () => client.call('sleep', { ms: 30 }))),
    );
    expect(replies.map(textOf)).toEqual(replies.map(() => 'slept'));
    const seen = heardIn(heard).map(({ atOnce }) => Number(atOnce));
    expect(seen).toHaveLength(18);
    expect(Math.max(...seen)).toBe(3);
    expect((await gate.stop()).code).toBe(0);
    const calls = await callsOf(at, 'crowd');
    expect(calls.map(({ status }) => status)).toEqual(replies.map(() => 'completed'));
    expect(await at.audit(['verify', at.ledger('crowd')])).toMatchObject({ code: 0 });
  },
  60_000,
);

proves(
  'G4',
  'a call that is cancelled, or whose time is up, while it waits is never heard by the server and is on the record',
  async () => {
    const { at, heard, line } = crowd({ concurrency: 1, timeoutMs: 2_000 });
    const client = new RawStdio(at.start(['wrap', '--name', 'crowd', '--', ...line]));
    await client.initialize();
    // Longer than it may take: it is cut off at its deadline, at which those behind it, all of the same moment, are denied as well.
    const first = client.ask('tools/call', { name: 'sleep', arguments: { ms: 60_000 } }, 'first');
    const late = client.ask('tools/call', { name: 'count', arguments: { by: 1 } }, 'late');
    void client.ask('tools/call', { name: 'count', arguments: { by: 2 } }, 'withdrawn');
    // The gate has taken all three on when it answers this.
    await client.ask('ping');
    client.notify('notifications/cancelled', { requestId: 'withdrawn' });
    expect(denialOf(await late)).toBe('DEADLINE_EXCEEDED');
    expect(textOf(await late)).toContain('Not executed');
    expect(denialOf(await first)).toBe('DEADLINE_EXCEEDED');
    expect(textOf(await client.call('count', { by: 3 }))).toBe('1');
    expect(heardIn(heard).map(({ args }) => args)).toEqual([{ ms: 60_000 }, { by: 3 }]);
    client.running.child.stdin.end();
    expect((await client.running.ended).code).toBe(0);
    const calls = await callsOf(at, 'crowd');
    expect(calls.find(({ args }) => (args as { by?: number } | undefined)?.by === 2)).toMatchObject({
      code: 'CANCELLED',
      intent: undefined,
    });
    expect(calls.find(({ args }) => (args as { by?: number } | undefined)?.by === 1)).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      intent: undefined,
    });
  },
  60_000,
);
