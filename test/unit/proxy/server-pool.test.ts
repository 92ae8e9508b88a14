import { describe, expect, it } from 'vitest';
import type { Likeness } from '../../../proxy/catalogue.ts';
import { OWN_SERVERS_MAX, OWN_SERVERS_PER_AGENT_MAX } from '../../../proxy/limits.ts';
import { ServerPool } from '../../../proxy/server-pool.ts';
import type { Notice, ServerChange } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { describe as described, ScriptedServer, settled, TOOLS } from '../../support/gate-world.ts';

/** A server that starts when the test says so, and ends and changes as the test says. */
class StartedServer extends ScriptedServer {
  readonly starts: { ok(): void; fail(reason: string): void }[] = [];
  stops = 0;
  /** How long a stop takes. */
  leaving: Promise<void> = Promise.resolve();
  readonly #listeners: ((change: ServerChange) => void)[] = [];
  readonly #noticeListeners: ((notice: Notice) => void)[] = [];

  constructor() {
    super('own', TOOLS);
    this.description = undefined;
  }

  override start(): Promise<never> {
    return new Promise((resolve, reject) => {
      this.starts.push({
        ok: () => {
          this.offer();
          resolve(this.description as never);
        },
        fail: (reason) => reject(new Error(reason)),
      });
    });
  }

  offer(change: ServerChange = 'up'): void {
    this.description = described('own', TOOLS);
    for (const listener of this.#listeners) listener(change);
  }

  die(): void {
    this.description = undefined;
    for (const listener of this.#listeners) listener('down');
  }

  says(method: string): void {
    for (const listener of this.#noticeListeners) listener({ method, params: {} });
  }

  override onChange(listener?: (change: ServerChange) => void): void {
    if (listener !== undefined) this.#listeners.push(listener);
  }

  override onNotice(listener?: (notice: Notice) => void): void {
    if (listener !== undefined) this.#noticeListeners.push(listener);
  }

  override async stop(): Promise<void> {
    this.stops += 1;
    this.description = undefined;
    await this.leaving;
  }
}

function world(likeness: () => Likeness = () => 'same', whole: () => Promise<Likeness> = async () => likeness()) {
  const made: StartedServer[] = [];
  const notices: [string, string, object][] = [];
  const notes: string[] = [];
  const shared = new ScriptedServer('all', TOOLS);
  const pool = new ServerPool({
    shared: (name) => (name === 'all' ? shared : undefined),
    apart: (name) => {
      if (name !== 'own') return undefined;
      const make = () => {
        const server = new StartedServer();
        made.push(server);
        return server;
      };
      return { description: described('own', TOOLS), make, compare: likeness, compareWhole: whole };
    },
    onNotice: (server, { method }, conversation) => notices.push([server, method, conversation]),
    note: (text) => notes.push(text),
  });
  const ready = (conversation: object | undefined, agent = 'coder') =>
    pool.ready('own', { conversation, agent, era: 'legacy' });
  /** Has a conversation get a server of its own that is there. */
  const started = async (conversation: object): Promise<StartedServer> => {
    const before = made.length;
    const refused = ready(conversation);
    const server = made[before] as StartedServer;
    server.starts[0]?.ok();
    expect(await refused).toBeUndefined();
    return server;
  };
  return { pool, made, notices, notes, shared, ready, started };
}

describe('a server of which each conversation has its own', () => {
  proves('G4', 'is nobody’s before it has shown that it is the pinned one', async () => {
    const { pool, made, ready } = world();
    const conversation = {};
    expect(pool.of('own', conversation)).toBeUndefined();
    expect(pool.of('own', undefined)).toBeUndefined();
    const refused = ready(conversation);
    expect(pool.of('own', conversation)).toBeUndefined();
    made[0]?.starts[0]?.ok();
    expect(await refused).toBeUndefined();
    expect(pool.of('own', conversation)).toBe(made[0]);
    expect(pool.of('own', {})).toBeUndefined();
    expect(await ready(undefined)).toMatchObject({ code: 'SERVER_UNAVAILABLE' });
    expect(made).toHaveLength(1);
  });

  proves('G4', 'is refused when it offers anything else than what was pinned, and never asked again', async () => {
    const { pool, made, ready, notes } = world(() => 'different');
    const conversation = {};
    const refused = ready(conversation);
    made[0]?.starts[0]?.ok();
    expect(await refused).toMatchObject({ code: 'ENV_ATTESTATION' });
    expect(pool.of('own', conversation)).toBeUndefined();
    expect(await ready(conversation)).toMatchObject({ code: 'ENV_ATTESTATION' });
    expect(made[0]?.stops).toBe(1);
    expect(made[0]?.starts).toHaveLength(1);
    expect(notes).toHaveLength(1);
  });

  proves('G4', 'is refused in the tick in which it offers something else', async () => {
    let likeness: Likeness = 'same';
    const { pool, started, ready } = world(() => likeness);
    const conversation = {};
    const server = await started(conversation);
    server.offer('tools');
    expect(pool.of('own', conversation)).toBe(server);
    likeness = 'different';
    server.offer('tools');
    expect(pool.of('own', conversation)).toBeUndefined();
    expect(await ready(conversation)).toMatchObject({ code: 'ENV_ATTESTATION' });
    expect(server.stops).toBe(1);
  });

  proves('G4', 'that came back takes no call before it was compared', async () => {
    const { pool, started, ready } = world();
    const conversation = {};
    const server = await started(conversation);
    server.die();
    expect(pool.of('own', conversation)).toBeUndefined();
    // Described, and nobody was told of it yet.
    server.description = described('own', TOOLS);
    expect(pool.of('own', conversation)).toBeUndefined();
    server.die();
    const refused = ready(conversation);
    server.starts[1]?.ok();
    expect(await refused).toBeUndefined();
    expect(pool.of('own', conversation)).toBe(server);
  });

  proves(
    'G4',
    'takes no call before its prompts and templates were compared too, and none where they are others',
    async () => {
      let say = (_: Likeness): void => {};
      const whole = () =>
        new Promise<Likeness>((resolve) => {
          say = resolve;
        });
      const { pool, made, ready, started } = world(() => 'same', whole);
      const conversation = {};
      const refused = ready(conversation);
      made[0]?.starts[0]?.ok();
      await settled();
      expect(pool.of('own', conversation)).toBeUndefined();
      say('different');
      expect(await refused).toMatchObject({ code: 'ENV_ATTESTATION' });
      expect(made[0]?.stops).toBe(1);
      // One that was good at first, and says that these changed.
      const second = {};
      const starting = started(second);
      await settled();
      say('same');
      const server = await starting;
      server.says('notifications/prompts/list_changed');
      expect(pool.of('own', second)).toBe(server);
      say('different');
      await settled();
      expect(pool.of('own', second)).toBeUndefined();
      expect(server.stops).toBe(1);
    },
  );

  proves('G12', 'is asked again what it is, and refused where that is something else by now', async () => {
    let likeness: Likeness = 'same';
    const { pool, started } = world(
      () => 'same',
      async () => likeness,
    );
    const conversation = {};
    const server = await started(conversation);
    const [own] = pool.own();
    await own?.relist();
    expect(pool.of('own', conversation)).toBe(server);
    likeness = 'different';
    await own?.relist();
    expect(pool.of('own', conversation)).toBeUndefined();
    await pool.end(conversation);
    expect(pool.own()).toEqual([]);
  });

  it('is started once for all calls that come at the same time, and says why it does not start', async () => {
    const { made, ready } = world();
    const conversation = {};
    const both = [ready(conversation), ready(conversation)];
    expect(made).toHaveLength(1);
    expect(made[0]?.starts).toHaveLength(1);
    made[0]?.starts[0]?.fail('it does not want to');
    for (const refused of both)
      expect(await refused).toEqual({ code: 'SERVER_UNAVAILABLE', detail: 'it does not want to' });
    void ready(conversation);
    expect(made).toHaveLength(1);
    expect(made[0]?.starts).toHaveLength(2);
  });

  it('ends with its conversation, also while it starts, and there is no other one for it', async () => {
    const { pool, made, ready, started } = world();
    const [one, two] = [{}, {}];
    const server = await started(one);
    const starting = ready(two);
    await Promise.all([pool.end(one), pool.end(two), pool.end({})]);
    expect(made.map(({ stops }) => stops)).toEqual([1, 1]);
    made[1]?.starts[0]?.ok();
    expect(await starting).toMatchObject({ code: 'SERVER_UNAVAILABLE' });
    for (const conversation of [one, two]) {
      expect(pool.of('own', conversation)).toBeUndefined();
      expect(await ready(conversation)).toMatchObject({ code: 'SERVER_UNAVAILABLE' });
    }
    expect(server.starts).toHaveLength(1);
    expect(made).toHaveLength(2);
  });

  it('ends with the gate, which waits for those that are being stopped', async () => {
    const { pool, started, ready } = world();
    const [one, two] = [{}, {}];
    const [first, second] = [await started(one), await started(two)];
    let gone = (): void => {};
    first.leaving = new Promise((resolve) => {
      gone = resolve;
    });
    void pool.end(one);
    let stopped = false;
    const stopping = pool.stop().then(() => {
      stopped = true;
    });
    await settled();
    expect(stopped).toBe(false);
    expect(second.stops).toBe(1);
    gone();
    await stopping;
    expect(await ready({})).toMatchObject({ code: 'SERVER_UNAVAILABLE' });
  });

  it('speaks to its own conversation alone, and to nobody before it was compared', async () => {
    const { made, ready, notices, started } = world();
    const [one, two] = [{}, {}];
    const server = await started(one);
    server.says('notifications/message');
    void ready(two);
    made[1]?.says('notifications/message');
    expect(notices).toEqual([['own', 'notifications/message', one]]);
    expect(notices[0]?.[2]).toBe(one);
  });

  it('leaves shared servers as they are', async () => {
    const { pool, shared, made } = world();
    const conversation = {};
    expect(pool.of('all', conversation)).toBe(shared);
    expect(pool.of('all', undefined)).toBe(shared);
    expect(pool.scope('all', conversation)).toBeUndefined();
    expect(pool.scope('own', conversation)).toBe(conversation);
    expect(await pool.ready('all', { conversation, agent: 'coder', era: 'legacy' })).toBeUndefined();
    await pool.end(conversation);
    expect(pool.of('all', conversation)).toBe(shared);
    expect(pool.of('nothing', conversation)).toBeUndefined();
    expect(made).toEqual([]);
  });
});

describe('how many conversations have servers of their own', () => {
  proves('G4', 'is bounded for one agent; others still get theirs, and it does too when one is gone', async () => {
    const { pool, made, ready } = world();
    const conversations = Array.from({ length: OWN_SERVERS_PER_AGENT_MAX }, () => ({}));
    for (const conversation of conversations) void ready(conversation);
    expect(made).toHaveLength(OWN_SERVERS_PER_AGENT_MAX);
    expect(await ready({})).toMatchObject({ code: 'OVERLOADED' });
    expect(made).toHaveLength(OWN_SERVERS_PER_AGENT_MAX);
    void ready({}, 'other');
    expect(made).toHaveLength(OWN_SERVERS_PER_AGENT_MAX + 1);
    const [first] = conversations;
    let gone = (): void => {};
    (made[0] as StartedServer).leaving = new Promise((resolve) => {
      gone = resolve;
    });
    const ending = pool.end(first as object);
    // What is being stopped is still there.
    expect(await ready({})).toMatchObject({ code: 'OVERLOADED' });
    gone();
    await ending;
    void ready({});
    expect(made).toHaveLength(OWN_SERVERS_PER_AGENT_MAX + 2);
  });

  it('is bounded for all of them', async () => {
    const { made, ready } = world();
    for (let n = 0; n < OWN_SERVERS_MAX; n++) void ready({}, `agent ${n}`);
    expect(made).toHaveLength(OWN_SERVERS_MAX);
    expect(await ready({}, 'one more')).toMatchObject({ code: 'OVERLOADED' });
    expect(made).toHaveLength(OWN_SERVERS_MAX);
  });
});
