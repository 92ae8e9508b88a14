import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ServerLaunch } from '../../../cli/servers.ts';
import { SupervisedServers } from '../../../cli/supervised-servers.ts';

afterEach(() => vi.useRealTimers());

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
    const servers = new SupervisedServers([silent('slow')], {
      version: '0.0.0',
      gate: 'gate',
      note: () => {},
      onDescribed: async () => {},
      compare: () => 'same',
      onUnavailable: () => {},
      onNotice: () => {},
      onQuestion: () => undefined,
      onReady: () => {},
      onProcessEnded: () => {},
      onRefusedRequest: () => {},
    });
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
