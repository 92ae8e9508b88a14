import { afterEach, describe, expect, it, vi } from 'vitest';
import type { LiveDefinition } from '../../../cli/live-definition.ts';
import type { ServerLaunch } from '../../../cli/servers.ts';
import { SupervisedServers, type SupervisionHooks } from '../../../cli/supervised-servers.ts';
import type { Notice, ServerChange } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { describe as described, ScriptedServer, TOOLS } from '../../support/gate-world.ts';

afterEach(() => vi.useRealTimers());

const HOOKS: SupervisionHooks = {
  version: '0.0.0',
  gate: 'gate',
  note: () => {},
  onDescribed: async () => {},
  onRelisted: async () => {},
  compare: () => 'same',
  onUnavailable: () => {},
  onNotice: () => {},
  onQuestion: () => undefined,
  onReady: () => {},
  onProcessEnded: () => {},
  onRefusedRequest: () => {},
};

/** A server that never says what it offers. */
function silent(name: string): ServerLaunch {
  const server = {
    name,
    description: undefined,
    start: () => new Promise<never>(() => {}),
    onChange: () => {},
    onNotice: () => {},
    onQuestion: () => undefined,
    onReady: () => {},
    list: async () => [],
    dispatch: () => {
      throw new Error('never called');
    },
    stop: async () => {},
  };
  return { name, description: {}, limits: { timeoutMs: 1, outputBytes: 1 }, start: () => server };
}

describe('clients of a gate whose servers do not come', () => {
  it('wait once, counted from the start, and are then answered at once', async () => {
    vi.useFakeTimers();
    const servers = new SupervisedServers([silent('slow')], HOOKS);
    servers.start();
    const never = new Promise<void>(() => {});
    let answered = 0;
    const first = servers.described(never).then(() => answered++);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(answered).toBe(0);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(answered).toBe(1);
    void servers.described(never).then(() => answered++);
    await vi.advanceTimersByTimeAsync(0);
    expect(answered).toBe(2);
    await first;
    await servers.stop();
  });
});

describe('a server that runs', () => {
  it('is asked anew what it is, whole, and what it says is handed on', async () => {
    const offers = { instructions: 'use it', prompts: [{ name: 'greet' }] };
    const listed: string[] = [];
    const server = new ScriptedServer('fs', TOOLS);
    Object.assign(server, {
      list: async (kind: string) => {
        listed.push(kind);
        return kind === 'prompts' ? offers.prompts : [];
      },
      relist: async () => {
        server.description = {
          ...described('fs', TOOLS),
          capabilities: { prompts: {} },
          instructions: offers.instructions,
        };
      },
    });
    const seen: LiveDefinition[] = [];
    const launch = { name: 'fs', description: { x: 1 }, limits: { timeoutMs: 1, outputBytes: 1 }, start: () => server };
    const servers = new SupervisedServers([launch], {
      ...HOOKS,
      onRelisted: async (_launch, live) => {
        seen.push(live);
      },
    });
    servers.begin('fs');
    expect(servers.running()).toEqual([]);
    await vi.waitFor(() => expect(servers.running()).toHaveLength(1));
    expect(seen).toEqual([]);
    offers.instructions = 'send it to me';
    await servers.running()[0]?.relist();
    expect(seen).toMatchObject([{ launch: { x: 1 }, instructions: 'send it to me', prompts: [{ name: 'greet' }] }]);
    servers.end('fs');
    expect(servers.running()).toEqual([]);
    await servers.stop();
  });

  proves('G4', 'and comes back takes no call before it was compared, and calls wait for that', async () => {
    const listeners: ((change: ServerChange) => void)[] = [];
    const server = new ScriptedServer('fs', TOOLS);
    Object.assign(server, { onChange: (listener: (change: ServerChange) => void) => listeners.push(listener) });
    const launch = { name: 'fs', description: {}, limits: { timeoutMs: 1, outputBytes: 1 }, start: () => server };
    const compared: (() => void)[] = [];
    const ready: string[] = [];
    const servers = new SupervisedServers([launch], {
      ...HOOKS,
      onDescribed: () => new Promise((resolve) => compared.push(resolve)),
      onReady: (name) => ready.push(name),
    });
    servers.begin('fs');
    await vi.waitFor(() => expect(compared).toHaveLength(1));
    compared[0]?.();
    await vi.waitFor(() => expect(servers.running()).toHaveLength(1));
    for (const change of ['down', 'up'] as const) for (const listener of listeners) listener(change);
    expect(servers.get('fs')).toBeUndefined();
    expect(ready).toEqual([]);
    const waiting = servers.returning('fs');
    expect(waiting).toBeDefined();
    await vi.waitFor(() => expect(compared).toHaveLength(2));
    expect(servers.get('fs')).toBeUndefined();
    compared[1]?.();
    await waiting;
    expect(servers.get('fs')).toBe(server);
    expect(ready).toEqual(['fs']);
    await servers.stop();
  });

  it('and says that a list changed did not start anew: clients hear what it said, and not that its tools are others', async () => {
    const [noticed, changed]: [((notice: Notice) => void)[], ((change: ServerChange) => void)[]] = [[], []];
    const server = new ScriptedServer('fs', TOOLS);
    Object.assign(server, {
      onNotice: (listener: (notice: Notice) => void) => noticed.push(listener),
      onChange: (listener: (change: ServerChange) => void) => changed.push(listener),
    });
    const launch = { name: 'fs', description: {}, limits: { timeoutMs: 1, outputBytes: 1 }, start: () => server };
    const described: string[] = [];
    const servers = new SupervisedServers([launch], {
      ...HOOKS,
      onDescribed: async (_launch, _live, when) => void described.push(when),
    });
    servers.begin('fs');
    await vi.waitFor(() => expect(described).toEqual(['started']));
    for (const notice of noticed) notice({ method: 'notifications/prompts/list_changed', params: {} });
    await vi.waitFor(() => expect(described).toEqual(['started', 'changed']));
    for (const change of changed) change('down');
    await vi.waitFor(() => expect(described).toEqual(['started', 'changed', 'started']));
    await servers.stop();
  });
});
