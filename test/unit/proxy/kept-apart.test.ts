// Calls of a server of which each conversation has its own, through the real gate: what becomes of them while it starts, and where it never does.

import { describe, expect, it } from 'vitest';
import { OWN_SERVERS_PER_AGENT_MAX } from '../../../proxy/limits.ts';
import type { ApartServer } from '../../../proxy/server-pool.ts';
import type { ServerDescription } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { describe as described, LIMITS, ScriptedServer, settled, TOOLS, World } from '../../support/gate-world.ts';
import { LegacyClient, until } from '../../support/legacy-client.ts';

/** Starts when it is told to. */
class OwnServer extends ScriptedServer {
  starts = 0;
  stopped = false;
  begin: () => void = () => {};

  override start(): Promise<ServerDescription> {
    this.starts += 1;
    return new Promise((resolve) => {
      this.begin = () => {
        this.description = described('fs', TOOLS);
        resolve(this.description);
      };
    });
  }

  override async stop(): Promise<void> {
    this.stopped = true;
    this.description = undefined;
  }
}

async function world(by: 'conversation' | 'chain' = 'conversation') {
  const made: OwnServer[] = [];
  const apart: ApartServer = {
    by,
    description: described('fs', TOOLS),
    make: () => {
      const server = new OwnServer('fs', TOOLS);
      server.description = undefined;
      made.push(server);
      return server;
    },
    compare: () => 'same',
    compareWhole: async () => 'same',
  };
  const opened = await World.open({ apart });
  const client = async (): Promise<LegacyClient> => {
    const one = new LegacyClient(opened);
    await one.initialize();
    return one;
  };
  return { world: opened, made, client };
}

const CALL = { method: 'tools/call', params: { name: 'write_file', arguments: {} } } as const;

describe('a call of a server that is a conversation’s own', () => {
  proves('G4', 'is denied and recorded when too many conversations have one, and starts nothing', async () => {
    const { made, client } = await world();
    for (let n = 0; n < OWN_SERVERS_PER_AGENT_MAX; n++) (await client()).say({ id: 1, ...CALL });
    await until(() => made.length === OWN_SERVERS_PER_AGENT_MAX);
    const late = await client();
    const reply = await late.ask({ id: 1, ...CALL });
    expect(reply.result).toMatchObject({ isError: true, _meta: { 'dev.portcullis/denial': { code: 'OVERLOADED' } } });
    expect(made).toHaveLength(OWN_SERVERS_PER_AGENT_MAX);
    expect(late.denials()).toMatchObject([{ code: 'OVERLOADED' }]);
  });

  proves('G9', 'starts nothing where the client may not know of the tool', async () => {
    const { made, client } = await world();
    const one = await client();
    for (const name of ['secret', 'nothing'])
      expect((await one.ask({ id: name, ...CALL, params: { name, arguments: {} } })).error).toMatchObject({
        code: -32602,
      });
    expect(made).toEqual([]);
  });

  proves('G4', 'is decided when it has started, and not for the time before', async () => {
    const {
      world: { clock, authority },
      made,
      client,
    } = await world();
    const asked: number[] = [];
    const { decide } = authority;
    authority.decide = (request) => {
      asked.push(request.at);
      return decide(request);
    };
    const spoken = (await client()).say({ id: 1, ...CALL });
    await until(() => made[0]?.starts === 1);
    expect(asked).toEqual([]);
    clock.advance(LIMITS.timeoutMs - 1);
    made[0]?.begin();
    await spoken.done;
    expect(asked).toEqual([clock.now()]);
    expect(made[0]?.heard).toHaveLength(1);
    expect(spoken.heard.at(-1)?.result).toMatchObject({ content: [{ text: 'done' }] });
  });

  proves('G4', 'is denied at its deadline while it starts, and is not sent when it has', async () => {
    const {
      world: { clock },
      made,
      client,
    } = await world();
    const one = await client();
    const spoken = one.say({ id: 1, ...CALL });
    await until(() => made[0]?.starts === 1);
    clock.advance(LIMITS.timeoutMs);
    await spoken.done;
    expect(one.denials()).toMatchObject([{ code: 'DEADLINE_EXCEEDED' }]);
    made[0]?.begin();
    await settled();
    expect(made[0]?.heard).toEqual([]);
    // It is there for the next one.
    await one.ask({ id: 2, ...CALL });
    expect(made[0]?.heard).toHaveLength(1);
    expect(made).toHaveLength(1);
  });

  it('ends with its conversation, and the server with both', async () => {
    const { made, client } = await world();
    const [one, two] = [await client(), await client()];
    const starting = one.say({ id: 1, ...CALL });
    await until(() => made.length === 1);
    const other = two.say({ id: 1, ...CALL });
    await until(() => made.length === 2);
    made[1]?.begin();
    await other.done;
    await one.session.close('disconnect');
    await starting.done;
    expect(one.denials()).toMatchObject([{ code: 'CANCELLED' }]);
    expect(made.map(({ stopped }) => stopped)).toEqual([true, false]);
    await two.ask({ id: 2, ...CALL });
    expect(made.map(({ heard }) => heard.length)).toEqual([0, 2]);
  });
});

describe('a call of a server that is a chain’s own', () => {
  proves('G9', 'goes to one that no other chain reaches, which ends with it', async () => {
    const { made, client } = await world('chain');
    const one = await client();
    const calls = [one.say({ id: 1, ...CALL }), one.say({ id: 2, ...CALL })];
    await until(() => made.length === 2);
    for (const server of made) server.begin();
    await Promise.all(calls.map(({ done }) => done));
    expect(made.map(({ heard, stopped }) => [heard.length, stopped])).toEqual([
      [1, true],
      [1, true],
    ]);
  });

  it('ends while that one starts, and leaves nothing behind', async () => {
    const { made, client, world: opened } = await world('chain');
    const one = await client();
    const starting = one.say({ id: 1, ...CALL });
    await until(() => made[0]?.starts === 1);
    one.say({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await starting.done;
    await until(() => made[0]?.stopped === true);
    expect(made[0]?.heard).toEqual([]);
    expect(opened.registry.size).toBe(0);
  });

  proves('G9', 'starts nothing where the client may not know of the tool', async () => {
    const { made, client } = await world('chain');
    const { error } = await (await client()).ask({ id: 1, ...CALL, params: { name: 'secret', arguments: {} } });
    expect(error).toMatchObject({ code: -32602 });
    expect(made).toEqual([]);
  });
});
